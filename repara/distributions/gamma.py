"""The gamma family: gamma, its logarithm and inverse, chi-squared and chi.

All are transforms of one standard gamma variable x or of its logarithm y. From concentration 8 up
the terms of the log-density and of the entropy are large and cancel; there Stirling's series
removes their common part (DLMF 5.11.1, https://dlmf.nist.gov/5.11).
"""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient
from jax.scipy.special import digamma, gammaln, polygamma
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.increasing_in_normal import IncreasingInNormal, for_any_noise
from repara.special import (
    gamma_from_normal,
    log_gamma_from_normal,
    log_gammainc,
    log_gammaincc,
    log_ndtr,
    ndtri_exp,
    normal_from_gamma,
)
from repara.special.constants import (
    BERNOULLI_NUMBERS,
    HALF_LOG_2PI,
    SLOW_PATH_START_FLOAT32,
    SLOW_PATH_START_FLOAT64,
)
from repara.special.elementary import expm1_minus
from repara.special.elementwise import select_by_dtype
from repara.special.tail_integral import inverse_series_step

__all__ = ["Chi", "Chi2", "ExpGamma", "Gamma", "InverseGamma"]

_LARGE = 8.0
# B_2n; at concentration 8 the first term left out is below 1e-16 of the first.
_BERNOULLI = BERNOULLI_NUMBERS[:10]
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


def _safe_arguments(a: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Returns whether a is large, and an argument that is safe for each of the two forms."""
    large = a >= _LARGE
    return large, jnp.where(large, 1.0, a), jnp.where(large, a, _LARGE)


def log_gamma_half_step(a: jax.Array) -> jax.Array:
    """Returns log(Gamma(a + 1/2) / (Gamma(a) sqrt(a))), which is negative."""
    large, small, big = _safe_arguments(a)
    direct = gammaln(small + 0.5) - gammaln(small) - 0.5 * jnp.log(small)
    return jnp.where(large, _odd_series(_HALF_STEP, big), direct)


def _log_density(a: jax.Array, y: jax.Array) -> jax.Array:
    """The log-density of the logarithm of a standard gamma variable, a y - e^y - log Gamma(a)."""
    large, small, big = _safe_arguments(a)
    direct = small * y - jnp.exp(jnp.where(large, 0.0, y)) - gammaln(small)
    t = jnp.where(large, y - jnp.log(big), 0.0)
    far = 0.5 * jnp.log(big) - HALF_LOG_2PI - _odd_series(_STIRLING, big) - big * expm1_minus(t)
    return jnp.where(large, far, direct)


def _entropy_of_log(a: jax.Array) -> jax.Array:
    """The entropy of the logarithm of a standard gamma variable."""
    large, small, big = _safe_arguments(a)
    direct = gammaln(small) + small - small * digamma(small)
    series = _odd_series(_STIRLING, big) + _odd_series(_DIGAMMA, big)
    return jnp.where(large, 0.5 + HALF_LOG_2PI - 0.5 * jnp.log(big) + series, direct)


def normal_from_log_gamma(a: jax.Array, y: jax.Array) -> jax.Array:
    """Returns the noise of y = log x, also for tiny x, where P(a, x) = x^a / Gamma(a + 1)."""
    # The next term of the series is a x / (a + 1) of the first.
    tiny = y < math.log(float(jnp.finfo(y.dtype).eps))
    near = ndtri_exp(jnp.where(tiny, jnp.minimum(a * y - gammaln(a + 1), 0.0), -1.0))
    return jnp.where(tiny, near, normal_from_gamma(jnp.exp(jnp.where(tiny, 0.0, y)), a))


def far_log_gamma_from_normal(eps: jax.Array, a: jax.Array, tail_factor: int = 1) -> jax.Array:
    """Returns the logarithm of a gamma variable for noise outside the range of the fits.

        P(a, e^y) = c Phi(eps)   for eps < 0
        Q(a, e^y) = c Phi(-eps)  for eps > 0

    It uses Newton's method from near the edge of that range, for log P as a function of y and for
    log Q as a function of e^y: both are concave and become linear.

    Args:
      eps: normal noise of any size.
      a: the concentration.
      tail_factor: c; 2 if each side of a symmetric distribution has half of the tail.

    Returns:
      y, elementwise.
    """
    left = eps < 0
    edge = select_by_dtype(eps, SLOW_PATH_START_FLOAT32, SLOW_PATH_START_FLOAT64)
    target = log_ndtr(-jnp.abs(eps)) + math.log(tail_factor)
    # P(a, z) = z^a / Gamma(a + 1) for tiny z.
    lowest = (target + gammaln(a + 1)) / a
    tiny = left & (lowest < math.log(float(jnp.finfo(eps.dtype).eps)))
    target, a = (
        jnp.where(tiny, jnp.asarray(log_ndtr(-edge), eps.dtype), target),
        jnp.where(tiny, 1.0, a),
    )

    def gap_and_ratio(y: jax.Array, target: jax.Array, a: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The error in the logarithm of the tail, and the tail divided by the density of y."""
        log_tail = log_ndtr(-jnp.abs(normal_from_gamma(jnp.exp(y), a)))
        return target - log_tail, jnp.exp(log_tail - _log_density(a, y))

    def newton_step(_: jax.Array, y: jax.Array) -> jax.Array:
        gap, ratio = gap_and_ratio(y, stop_gradient(target), stop_gradient(a))
        return y + jnp.where(left, gap * ratio, jnp.log1p(jnp.maximum(-gap * ratio, -0.5)))

    start = log_gamma_from_normal(jnp.where(left, -edge, edge), stop_gradient(a))
    # Nine steps reach rounding error for all concentrations and all normal probabilities in range.
    y = jax.lax.fori_loop(0, 9, newton_step, start)
    # A step of high order from the solution leaves it where it is and has its derivatives.
    gap, ratio = gap_and_ratio(y, target, a)
    curvature = a * jnp.expm1(y - jnp.log(a))
    step = inverse_series_step(gap, ratio, jnp.where(left, -curvature, curvature), jnp.exp(y))
    y = jnp.where(left, y - step, y + step)
    return jnp.where(tiny, lowest, y)


def _log_gamma_from_any_normal(eps: jax.Array, a: jax.Array) -> jax.Array:
    """log_gamma_from_normal(eps, a) for any noise."""
    return for_any_noise(
        lambda e: log_gamma_from_normal(e, a), lambda e: far_log_gamma_from_normal(e, a), eps
    )


def _log_or_fallback(value: jax.Array, fallback: jax.Array) -> jax.Array:
    """log(value), or `fallback`, the same number computed otherwise, if value underflows."""
    under = value < float(jnp.finfo(value.dtype).tiny)
    return jnp.where(under, fallback, jnp.log(jnp.where(under, 1.0, value)))


def _gamma_cdf(a: jax.Array, x: jax.Array) -> jax.Array:
    """P(a, x), which is 0 for x <= 0."""
    outside = x <= 0
    inside = jnp.exp(log_gammainc(a, jnp.where(outside, 1.0, x)))
    return jnp.where(outside, 0.0 * a, inside)


def _gamma_sf(a: jax.Array, x: jax.Array) -> jax.Array:
    """Q(a, x), which is 1 for x <= 0."""
    outside = x <= 0
    inside = jnp.exp(log_gammaincc(a, jnp.where(outside, 1.0, x)))
    return jnp.where(outside, 1.0 + 0.0 * a, inside)


class _GammaDistributed(IncreasingInNormal, abstract=True):
    """The distribution of x / rate for a standard gamma variable x, however parameterized."""

    support = constraints.nonnegative

    def _shape_and_rate(self) -> tuple[jax.Array, jax.Array]:
        """The concentration and the rate."""
        raise NotImplementedError

    def _transform(self, eps: jax.Array) -> jax.Array:
        a, rate = self._shape_and_rate()
        return gamma_from_normal(eps, a) / rate

    def _transform_any(self, eps: jax.Array) -> jax.Array:
        a, rate = self._shape_and_rate()

        def far(eps: jax.Array) -> jax.Array:
            return jnp.exp(far_log_gamma_from_normal(eps, a)) / rate

        return for_any_noise(self._transform, far, eps)

    def _inverse(self, z: jax.Array) -> jax.Array:
        a, rate = self._shape_and_rate()
        return normal_from_gamma(rate * z, a)

    def _log_prob(self, z: jax.Array) -> jax.Array:
        a, rate = self._shape_and_rate()
        above = jnp.where(z == 0, jnp.where(a == 1, 1e-30, -1.0), z)

        def inside(z: jax.Array) -> jax.Array:
            y = _log_or_fallback(rate * z, jnp.log(rate) + jnp.log(z))
            return _log_density(a, y) - jnp.log(z)

        value = self._supported(above, 1 / rate, inside)
        # The limits at 0, finite only for the exponential distribution.
        limit = jnp.where(a < 1, jnp.inf, jnp.where(a > 1, -jnp.inf, jnp.log(rate)))
        return jnp.where(z == 0, limit + 0 * (a + rate), value)

    def _cdf(self, x: jax.Array) -> jax.Array:
        a, rate = self._shape_and_rate()
        product = rate * x
        # If the product underflows, P(a, x) = x^a / Gamma(a + 1) from the logarithms.
        under = (x > 0) & (product < float(jnp.finfo(x.dtype).tiny))
        log_product = jnp.log(rate) + jnp.log(jnp.where(under, x, 1.0))
        near = jnp.exp(a * jnp.where(under, log_product, 0.0) - gammaln(a + 1))
        return jnp.where(under, near, _gamma_cdf(a, product))

    def _sf(self, x: jax.Array) -> jax.Array:
        a, rate = self._shape_and_rate()
        return _gamma_sf(a, rate * x)

    def _entropy(self) -> jax.Array:
        a, _ = self._shape_and_rate()
        return _entropy_of_log(a) + self._mean_log()

    def _mean_log(self) -> jax.Array:
        """E log z."""
        a, rate = self._shape_and_rate()
        return digamma(a) - jnp.log(rate)

    def _mean(self) -> jax.Array:
        a, rate = self._shape_and_rate()
        return a / rate

    def _variance(self) -> jax.Array:
        a, rate = self._shape_and_rate()
        return a / rate**2

    def _mode(self) -> jax.Array:
        a, rate = self._shape_and_rate()
        return jnp.maximum(a - 1, 0) / rate


class Gamma(_GammaDistributed):
    """The gamma distribution.

        q(x) = rate^a x^(a - 1) exp(-rate x) / Gamma(a),   a = concentration
        z = P^-1(a, Phi(eps)) / rate,   eps ~ N(0, 1)

    with P(a, .) the distribution function of a standard gamma variable. A sample takes one
    normal variable and no rejection; the gradient in the concentration is exact,
    dz/da = -(dP/da) / p. Samples underflow to 0 below a concentration of about 0.1; `ExpGamma`
    gives their logarithms.

    Args:
      concentration: the shape, positive.
      rate: the inverse scale, positive.

    Raises:
      ValueError: a concrete value that is not positive, or shapes that do not broadcast.

    References:
      Figurnov, Mohamed and Mnih (2018), "Implicit reparameterization gradients", for the
      gradient, https://arxiv.org/abs/1805.08498

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

    def __init__(self, concentration: ArrayLike, rate: ArrayLike) -> None:
        super().__init__(concentration=concentration, rate=rate)

    def _shape_and_rate(self) -> tuple[jax.Array, jax.Array]:
        return self.concentration, self.rate


class ExpGamma(IncreasingInNormal):
    """The logarithm of a gamma variable, also for concentrations at which the variable underflows.

        z = log P^-1(concentration, Phi(eps)) - log rate,   eps ~ N(0, 1)

    Args:
      concentration: the shape, positive.
      rate: the inverse scale of the gamma variable, positive.

    Raises:
      ValueError: a concrete value that is not positive, or shapes that do not broadcast.

    Example:
      >>> q = ExpGamma(1e-3, 1.0)
      >>> bool(jnp.isfinite(q.transform(-3.0)))  # about -6600, whose exponential underflows
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

    def _transform_any(self, eps: jax.Array) -> jax.Array:
        return _log_gamma_from_any_normal(eps, self.concentration) - jnp.log(self.rate)

    def _inverse(self, z: jax.Array) -> jax.Array:
        return normal_from_log_gamma(self.concentration, z + jnp.log(self.rate))

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


class InverseGamma(IncreasingInNormal):
    """The inverse-gamma distribution: one over a gamma variable.

        q(x) = rate^a x^(-a - 1) exp(-rate / x) / Gamma(a),   a = concentration
        z = rate / P^-1(a, Phi(-eps)),   eps ~ N(0, 1)

    Moments that do not exist are inf; the variance is NaN if the mean is inf.

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

    def _transform_any(self, eps: jax.Array) -> jax.Array:
        return self.rate * jnp.exp(-_log_gamma_from_any_normal(-eps, self.concentration))

    def _inverse(self, z: jax.Array) -> jax.Array:
        return -normal_from_log_gamma(self.concentration, self._log_inverse(z))

    def _log_inverse(self, z: jax.Array) -> jax.Array:
        """log(rate / z)."""
        return _log_or_fallback(self.rate / z, jnp.log(self.rate) - jnp.log(z))

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
        inside = _gamma_cdf(self.concentration, self.rate / jnp.where(outside, self.rate, x))
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


class Chi2(_GammaDistributed):
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

    def __init__(self, df: ArrayLike) -> None:
        super().__init__(df=df)

    def _shape_and_rate(self) -> tuple[jax.Array, jax.Array]:
        return 0.5 * self.df, jnp.full_like(self.df, 0.5)

    def _mean(self) -> jax.Array:
        return self.df

    def _variance(self) -> jax.Array:
        return 2 * self.df

    def _mode(self) -> jax.Array:
        return jnp.maximum(self.df - 2, 0)


class Chi(IncreasingInNormal):
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

    def _transform_any(self, eps: jax.Array) -> jax.Array:
        return math.sqrt(2) * jnp.exp(0.5 * _log_gamma_from_any_normal(eps, 0.5 * self.df))

    def _log_of_half_square(self, z: jax.Array) -> jax.Array:
        return 2 * jnp.log(z) - math.log(2)

    def _inverse(self, z: jax.Array) -> jax.Array:
        return normal_from_log_gamma(0.5 * self.df, self._log_of_half_square(z))

    def _log_prob(self, z: jax.Array) -> jax.Array:
        def inside(z: jax.Array) -> jax.Array:
            density = _log_density(0.5 * self.df, self._log_of_half_square(z))
            return density + math.log(2) - jnp.log(z)

        return self._supported(z, 1.0, inside)

    def _cdf(self, x: jax.Array) -> jax.Array:
        return _gamma_cdf(0.5 * self.df, 0.5 * jnp.maximum(x, 0) ** 2)

    def _sf(self, x: jax.Array) -> jax.Array:
        return _gamma_sf(0.5 * self.df, 0.5 * jnp.maximum(x, 0) ** 2)

    def _entropy(self) -> jax.Array:
        # log z = (y + log 2) / 2: E log z from the logarithm of the derivative dz/dy = z / 2.
        a = 0.5 * self.df
        return _entropy_of_log(a) + 0.5 * digamma(a) - 0.5 * math.log(2)

    def _log_shrinkage(self) -> jax.Array:
        """log(mean / sqrt(df)), negative."""
        return log_gamma_half_step(0.5 * self.df)

    def _mean(self) -> jax.Array:
        return jnp.sqrt(self.df) * jnp.exp(self._log_shrinkage())

    def _variance(self) -> jax.Array:
        return -self.df * jnp.expm1(2 * self._log_shrinkage())

    def _mode(self) -> jax.Array:
        above = self.df > 1
        inside = jnp.sqrt(jnp.where(above, self.df - 1, 1.0))
        return jnp.where(above | jnp.isnan(self.df), inside * (self.df / self.df), 0.0)
