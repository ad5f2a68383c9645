"""The gamma distribution and its kin, by inversion of the distribution function.

All are one standard gamma variable x, or its logarithm y, seen on another scale. From
concentration 8 up the terms of the log-density and of the entropy are large and cancel; there
Stirling's series takes their common part out (DLMF 5.11.1).
"""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient
from jax.scipy.special import digamma, gammaln, polygamma
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.base import Distribution
from repara.distributions.of_normal import OfNormal, at_any
from repara.special import (
    gamma_from_normal,
    log_gamma_from_normal,
    log_gammainc,
    log_gammaincc,
    log_ndtr,
    ndtri_exp,
    normal_from_gamma,
)
from repara.special.constants import SLOW_PATH_START_FLOAT32, SLOW_PATH_START_FLOAT64
from repara.special.elementary import expm1_minus
from repara.special.elementwise import select_by_dtype
from repara.special.tail_integral import inverse_series_step

__all__ = ["Chi", "Chi2", "ExpGamma", "Gamma", "InverseGamma"]

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
_LARGE = 8.0
# B_2n; at concentration 8 the first term left out is below 1e-16 of the first.
_BERNOULLI = [1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510,
              43867 / 798, -174611 / 330]  # fmt: skip
# log Gamma(a) = (a - 1/2) log a - a + log(2 pi) / 2 + sum_n B_2n / (2n (2n - 1) a^(2n - 1))
_STIRLING = [b / (2 * n * (2 * n - 1)) for n, b in enumerate(_BERNOULLI, 1)]
# digamma(a) = log a - 1 / (2 a) - sum_n B_2n / (2n a^2n), DLMF 5.11.2
_DIGAMMA = [b / (2 * n) for n, b in enumerate(_BERNOULLI, 1)]
# log(Gamma(a + 1/2) / Gamma(a)) = log(a) / 2 - sum_n (1 - 4^-n) B_2n / (n (2n - 1) a^(2n - 1)),
# DLMF 5.11.8 at h = 1/2 and h = 0
_HALF_STEP = [-(1 - 4.0**-n) * b / (n * (2 * n - 1)) for n, b in enumerate(_BERNOULLI, 1)]


def _odd_series(coefficients: list[float], a: jax.Array) -> jax.Array:
    """sum_n c_n / a^(2n - 1)."""
    w = 1 / (a * a)
    total = jnp.zeros_like(a)
    for c in reversed(coefficients):
        total = total * w + c
    return total / a


def _split(a: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Whether a is large, and an argument that is safe for each of the two forms."""
    large = a >= _LARGE
    return large, jnp.where(large, 1.0, a), jnp.where(large, a, _LARGE)


def _log_half_step(a: jax.Array) -> jax.Array:
    """log(Gamma(a + 1/2) / (Gamma(a) sqrt(a))), negative."""
    large, small, big = _split(a)
    direct = gammaln(small + 0.5) - gammaln(small) - 0.5 * jnp.log(small)
    return jnp.where(large, _odd_series(_HALF_STEP, big), direct)


def _log_density(a: jax.Array, y: jax.Array) -> jax.Array:
    """The log-density of the logarithm of a standard gamma variable, a y - e^y - log Gamma(a)."""
    large, small, big = _split(a)
    direct = small * y - jnp.exp(jnp.where(large, 0.0, y)) - gammaln(small)
    t = jnp.where(large, y - jnp.log(big), 0.0)
    far = 0.5 * jnp.log(big) - _HALF_LOG_2PI - _odd_series(_STIRLING, big) - big * expm1_minus(t)
    return jnp.where(large, far, direct)


def _entropy_of_log(a: jax.Array) -> jax.Array:
    """The entropy of the logarithm of a standard gamma variable."""
    large, small, big = _split(a)
    direct = gammaln(small) + small - small * digamma(small)
    series = _odd_series(_STIRLING, big) + _odd_series(_DIGAMMA, big)
    return jnp.where(large, 0.5 + _HALF_LOG_2PI - 0.5 * jnp.log(big) + series, direct)


def _score_of_log(a: jax.Array, y: jax.Array) -> jax.Array:
    """The noise of y = log x, also where x is next to nothing: P(a, x) = x^a / Gamma(a + 1)."""
    # The next term of the series is a x / (a + 1) of the first.
    tiny = y < math.log(float(jnp.finfo(y.dtype).eps))
    near = ndtri_exp(jnp.where(tiny, jnp.minimum(a * y - gammaln(a + 1), 0.0), -1.0))
    return jnp.where(tiny, near, normal_from_gamma(jnp.exp(jnp.where(tiny, 0.0, y)), a))


def _log_beyond(eps: jax.Array, a: jax.Array, folds: int = 1) -> jax.Array:
    """y = log z with P(a, z) = folds Phi(eps) for eps < 0, Q(a, z) = folds Phi(-eps) for eps > 0.

    For noise outside the range that the quantile is fitted for, by Newton's method from near its
    edge: for log P as a function of y, which is concave and becomes linear, and for log Q as a
    function of z, for the same reasons.
    """
    left = eps < 0
    edge = select_by_dtype(eps, SLOW_PATH_START_FLOAT32, SLOW_PATH_START_FLOAT64)
    target = log_ndtr(-jnp.abs(eps)) + math.log(folds)
    # P(a, z) = z^a / Gamma(a + 1) where z is next to nothing.
    lowest = (target + gammaln(a + 1)) / a
    tiny = left & (lowest < math.log(float(jnp.finfo(eps.dtype).eps)))
    target, a = (
        jnp.where(tiny, jnp.asarray(log_ndtr(-edge), eps.dtype), target),
        jnp.where(tiny, 1.0, a),
    )

    def gap_and_ratio(y: jax.Array, target: jax.Array, a: jax.Array) -> tuple[jax.Array, jax.Array]:
        """What the logarithm of the tail lacks, and the tail over the density of y."""
        log_tail = log_ndtr(-jnp.abs(normal_from_gamma(jnp.exp(y), a)))
        return target - log_tail, jnp.exp(log_tail - _log_density(a, y))

    def nearer(_: jax.Array, y: jax.Array) -> jax.Array:
        gap, ratio = gap_and_ratio(y, stop_gradient(target), stop_gradient(a))
        return y + jnp.where(left, gap * ratio, jnp.log1p(jnp.maximum(-gap * ratio, -0.5)))

    start = log_gamma_from_normal(jnp.where(left, -edge, edge), stop_gradient(a))
    y = jax.lax.fori_loop(0, 9, nearer, start)
    # A step of high order from the solution does not move it, and has its derivatives.
    gap, ratio = gap_and_ratio(y, target, a)
    slope = a * jnp.expm1(y - jnp.log(a))
    step = inverse_series_step(gap, ratio, jnp.where(left, -slope, slope), jnp.exp(y))
    y = jnp.where(left, y - step, y + step)
    return jnp.where(tiny, lowest, y)


def _log_at_any(eps: jax.Array, a: jax.Array) -> jax.Array:
    """log_gamma_from_normal(eps, a) for any noise."""
    return at_any(lambda e: log_gamma_from_normal(e, a), lambda e: _log_beyond(e, a), eps)


def _log_or(value: jax.Array, far: jax.Array) -> jax.Array:
    """log(value), or `far`, the same from the parts of value, where value underflows."""
    under = value < float(jnp.finfo(value.dtype).tiny)
    return jnp.where(under, far, jnp.log(jnp.where(under, 1.0, value)))


def _lower(a: jax.Array, x: jax.Array) -> jax.Array:
    """P(a, x), which is 0 for x <= 0."""
    outside = x <= 0
    inside = jnp.exp(log_gammainc(a, jnp.where(outside, 1.0, x)))
    return jnp.where(outside, 0.0 * a, inside)


def _upper(a: jax.Array, x: jax.Array) -> jax.Array:
    """Q(a, x), which is 1 for x <= 0."""
    outside = x <= 0
    inside = jnp.exp(log_gammaincc(a, jnp.where(outside, 1.0, x)))
    return jnp.where(outside, 1.0 + 0.0 * a, inside)


class Gamma(OfNormal):
    """The gamma distribution.

        q(x) = rate^a x^(a - 1) exp(-rate x) / Gamma(a),   a = concentration
        z = P^-1(a, Phi(eps)) / rate,   eps ~ N(0, 1)

    with P(a, .) the distribution function of a standard gamma variable. One normal a sample and no
    rejection: the gradient in the concentration is the exact one, dz/da = -(dP/da) / p. Samples
    underflow to 0 below a concentration of about 0.1; `ExpGamma` gives their logarithms.

    Args:
      concentration: the shape, positive.
      rate: the inverse scale, positive.

    Raises:
      ValueError: a concrete value that is not positive, or shapes that do not broadcast.

    Source:
      Figurnov, Mohamed & Mnih (2018), "Implicit reparameterization gradients", for the gradient.

    Example:
      >>> q = Gamma(1.0, 2.0)
      >>> round(float(q.transform(0.0)), 5)  # the median, log(2) / 2
      0.34657
    """

    concentration: jax.Array
    rate: jax.Array
    arg_constraints: ClassVar = {
        "concentration": constraints.positive,
        "rate": constraints.positive,
    }
    support = constraints.nonnegative

    def __init__(self, concentration: ArrayLike, rate: ArrayLike) -> None:
        super().__init__(concentration=concentration, rate=rate)

    def _transform(self, eps: jax.Array) -> jax.Array:
        return gamma_from_normal(eps, self.concentration) / self.rate

    def _at_any(self, eps: jax.Array) -> jax.Array:
        def beyond(eps: jax.Array) -> jax.Array:
            return jnp.exp(_log_beyond(eps, self.concentration)) / self.rate

        return at_any(self._transform, beyond, eps)

    def _inverse(self, z: jax.Array) -> jax.Array:
        return normal_from_gamma(self.rate * z, self.concentration)

    def _log_prob(self, z: jax.Array) -> jax.Array:
        a = self.concentration
        above = jnp.where(z == 0, jnp.where(a == 1, 1e-30, -1.0), z)

        def inside(z: jax.Array) -> jax.Array:
            y = _log_or(self.rate * z, jnp.log(self.rate) + jnp.log(z))
            return _log_density(a, y) - jnp.log(z)

        value = self._supported(above, 1 / self.rate, inside)
        # The limits at 0, finite only for the exponential distribution.
        limit = jnp.where(a < 1, jnp.inf, jnp.where(a > 1, -jnp.inf, jnp.log(self.rate)))
        return jnp.where(z == 0, limit + 0 * (a + self.rate), value)

    def _cdf(self, x: jax.Array) -> jax.Array:
        a, product = self.concentration, self.rate * x
        # Where the product underflows, P(a, x) = x^a / Gamma(a + 1) from the logarithms.
        under = (x > 0) & (product < float(jnp.finfo(x.dtype).tiny))
        log_product = jnp.log(self.rate) + jnp.log(jnp.where(under, x, 1.0))
        near = jnp.exp(a * jnp.where(under, log_product, 0.0) - gammaln(a + 1))
        return jnp.where(under, near, _lower(a, product))

    def _sf(self, x: jax.Array) -> jax.Array:
        return _upper(self.concentration, self.rate * x)

    def _entropy(self) -> jax.Array:
        return _entropy_of_log(self.concentration) + self._mean_log()

    def _mean_log(self) -> jax.Array:
        """E log z."""
        return digamma(self.concentration) - jnp.log(self.rate)

    def _mean(self) -> jax.Array:
        return self.concentration / self.rate

    def _variance(self) -> jax.Array:
        return self.concentration / self.rate**2

    def _mode(self) -> jax.Array:
        return jnp.maximum(self.concentration - 1, 0) / self.rate


class ExpGamma(OfNormal):
    """The logarithm of a gamma variable, for concentrations at which that underflows.

        z = log P^-1(concentration, Phi(eps)) - log rate,   eps ~ N(0, 1)

    Args:
      concentration: the shape, positive.
      rate: the inverse scale of the gamma variable, positive.

    Raises:
      ValueError: a concrete value that is not positive, or shapes that do not broadcast.

    Example:
      >>> q = ExpGamma(1e-3, 1.0)
      >>> bool(jnp.isfinite(q.transform(-3.0)))  # about -6600: exp of it is no float
      True
    """

    concentration: jax.Array
    rate: jax.Array
    arg_constraints: ClassVar = {
        "concentration": constraints.positive,
        "rate": constraints.positive,
    }
    support = constraints.real

    def __init__(self, concentration: ArrayLike, rate: ArrayLike) -> None:
        super().__init__(concentration=concentration, rate=rate)

    def _transform(self, eps: jax.Array) -> jax.Array:
        return log_gamma_from_normal(eps, self.concentration) - jnp.log(self.rate)

    def _at_any(self, eps: jax.Array) -> jax.Array:
        return _log_at_any(eps, self.concentration) - jnp.log(self.rate)

    def _inverse(self, z: jax.Array) -> jax.Array:
        return _score_of_log(self.concentration, z + jnp.log(self.rate))

    def _log_prob(self, z: jax.Array) -> jax.Array:
        return _log_density(self.concentration, z + jnp.log(self.rate))

    def _entropy(self) -> jax.Array:
        return _entropy_of_log(self.concentration) + 0 * self.rate

    def _mean(self) -> jax.Array:
        return digamma(self.concentration) - jnp.log(self.rate)

    def _variance(self) -> jax.Array:
        return polygamma(1, self.concentration) + 0 * self.rate

    def _mode(self) -> jax.Array:
        return jnp.log(self.concentration) - jnp.log(self.rate)


class InverseGamma(OfNormal):
    """The inverse-gamma distribution: one over a gamma variable.

        q(x) = rate^a x^(-a - 1) exp(-rate / x) / Gamma(a),   a = concentration
        z = rate / P^-1(a, Phi(-eps)),   eps ~ N(0, 1)

    Moments that do not exist are inf; the variance is NaN where the mean is inf.

    Args:
      concentration: the shape, positive.
      rate: the scale of the values, the rate of their inverses; positive.

    Raises:
      ValueError: a concrete value that is not positive, or shapes that do not broadcast.

    Example:
      >>> round(float(InverseGamma(3.0, 4.0).mean), 5)
      2.0
    """

    concentration: jax.Array
    rate: jax.Array
    arg_constraints: ClassVar = {
        "concentration": constraints.positive,
        "rate": constraints.positive,
    }
    support = constraints.positive

    def __init__(self, concentration: ArrayLike, rate: ArrayLike) -> None:
        super().__init__(concentration=concentration, rate=rate)

    def _transform(self, eps: jax.Array) -> jax.Array:
        return self.rate * jnp.exp(-log_gamma_from_normal(-eps, self.concentration))

    def _at_any(self, eps: jax.Array) -> jax.Array:
        return self.rate * jnp.exp(-_log_at_any(-eps, self.concentration))

    def _inverse(self, z: jax.Array) -> jax.Array:
        return -_score_of_log(self.concentration, self._log_inverse(z))

    def _log_inverse(self, z: jax.Array) -> jax.Array:
        """log(rate / z)."""
        return _log_or(self.rate / z, jnp.log(self.rate) - jnp.log(z))

    def _log_prob(self, z: jax.Array) -> jax.Array:
        def inside(z: jax.Array) -> jax.Array:
            return _log_density(self.concentration, self._log_inverse(z)) - jnp.log(z)

        return self._supported(z, self.rate, inside)

    def _cdf(self, x: jax.Array) -> jax.Array:
        outside = x <= 0
        inside = jnp.exp(
            log_gammaincc(self.concentration, self.rate / jnp.where(outside, self.rate, x))
        )
        return jnp.where(outside, 0.0 * self.concentration, inside)

    def _sf(self, x: jax.Array) -> jax.Array:
        outside = x <= 0
        inside = _lower(self.concentration, self.rate / jnp.where(outside, self.rate, x))
        return jnp.where(outside, 1.0 + 0.0 * self.concentration, inside)

    def _entropy(self) -> jax.Array:
        a = self.concentration
        return _entropy_of_log(a) + jnp.log(self.rate) - digamma(a)

    def _mean(self) -> jax.Array:
        finite = ~(self.concentration <= 1)
        rest = jnp.where(finite, self.concentration - 1, 1.0)
        return jnp.where(finite, self.rate / rest, jnp.inf)

    def _variance(self) -> jax.Array:
        a = self.concentration
        finite = ~(a <= 2)
        safe = jnp.where(finite, a, 3.0)
        value = (self.rate / (safe - 1)) ** 2 / (safe - 2)
        return jnp.where(finite, value, jnp.where(a > 1, jnp.inf, jnp.nan))

    def _mode(self) -> jax.Array:
        return self.rate / (self.concentration + 1)


class Chi2(Distribution):
    """The chi-squared distribution: a sum of squares of normals.

        q = Gamma(df / 2, 1 / 2)
        z = 2 P^-1(df / 2, Phi(eps)),   eps ~ N(0, 1)

    Args:
      df: the degrees of freedom, positive; need not be an integer.

    Raises:
      ValueError: a concrete `df` that is not positive.

    Example:
      >>> round(float(Chi2(2.0).transform(0.0)), 5)  # the median, 2 log(2)
      1.38629
    """

    df: jax.Array
    arg_constraints: ClassVar = {"df": constraints.positive}
    support = constraints.nonnegative

    def __init__(self, df: ArrayLike) -> None:
        super().__init__(df=df)

    def _gamma(self) -> Gamma:
        return Gamma._without_checks(concentration=0.5 * self.df, rate=jnp.full_like(self.df, 0.5))

    def _transform(self, eps: jax.Array) -> jax.Array:
        return self._gamma()._transform(eps)

    def _inverse(self, z: jax.Array) -> jax.Array:
        return self._gamma()._inverse(z)

    def _log_prob(self, z: jax.Array) -> jax.Array:
        return self._gamma()._log_prob(z)

    def _cdf(self, x: jax.Array) -> jax.Array:
        return self._gamma()._cdf(x)

    def _sf(self, x: jax.Array) -> jax.Array:
        return self._gamma()._sf(x)

    def _icdf(self, u: jax.Array) -> jax.Array:
        return self._gamma()._icdf(u)

    def _isf(self, u: jax.Array) -> jax.Array:
        return self._gamma()._isf(u)

    def _entropy(self) -> jax.Array:
        return self._gamma()._entropy()

    def _mean(self) -> jax.Array:
        return self.df

    def _variance(self) -> jax.Array:
        return 2 * self.df

    def _mode(self) -> jax.Array:
        return jnp.maximum(self.df - 2, 0)


class Chi(OfNormal):
    """The chi distribution: the length of a vector of standard normals.

        q(x) = 2^(1 - df/2) x^(df - 1) exp(-x^2 / 2) / Gamma(df / 2)
        z = sqrt(2 P^-1(df / 2, Phi(eps))),   eps ~ N(0, 1)

    Args:
      df: the degrees of freedom, positive; need not be an integer.

    Raises:
      ValueError: a concrete `df` that is not positive.

    Example:
      >>> round(float(Chi(2.0).mean), 5)  # of a Rayleigh variable, sqrt(pi / 2)
      1.25331
    """

    df: jax.Array
    arg_constraints: ClassVar = {"df": constraints.positive}
    support = constraints.positive

    def __init__(self, df: ArrayLike) -> None:
        super().__init__(df=df)

    def _transform(self, eps: jax.Array) -> jax.Array:
        return math.sqrt(2) * jnp.exp(0.5 * log_gamma_from_normal(eps, 0.5 * self.df))

    def _at_any(self, eps: jax.Array) -> jax.Array:
        return math.sqrt(2) * jnp.exp(0.5 * _log_at_any(eps, 0.5 * self.df))

    def _log_of_half_square(self, z: jax.Array) -> jax.Array:
        return 2 * jnp.log(z) - math.log(2)

    def _inverse(self, z: jax.Array) -> jax.Array:
        return _score_of_log(0.5 * self.df, self._log_of_half_square(z))

    def _log_prob(self, z: jax.Array) -> jax.Array:
        def inside(z: jax.Array) -> jax.Array:
            density = _log_density(0.5 * self.df, self._log_of_half_square(z))
            return density + math.log(2) - jnp.log(z)

        return self._supported(z, 1.0, inside)

    def _cdf(self, x: jax.Array) -> jax.Array:
        return _lower(0.5 * self.df, 0.5 * jnp.maximum(x, 0) ** 2)

    def _sf(self, x: jax.Array) -> jax.Array:
        return _upper(0.5 * self.df, 0.5 * jnp.maximum(x, 0) ** 2)

    def _entropy(self) -> jax.Array:
        # log z = (y + log 2) / 2: E log z from the logarithm of the slope dz/dy = z / 2.
        a = 0.5 * self.df
        return _entropy_of_log(a) + 0.5 * digamma(a) - 0.5 * math.log(2)

    def _log_shrinkage(self) -> jax.Array:
        """log(mean / sqrt(df)), negative."""
        return _log_half_step(0.5 * self.df)

    def _mean(self) -> jax.Array:
        return jnp.sqrt(self.df) * jnp.exp(self._log_shrinkage())

    def _variance(self) -> jax.Array:
        return -self.df * jnp.expm1(2 * self._log_shrinkage())

    def _mode(self) -> jax.Array:
        above = self.df > 1
        inside = jnp.sqrt(jnp.where(above, self.df - 1, 1.0))
        return jnp.where(above | jnp.isnan(self.df), inside * (self.df / self.df), 0.0)
