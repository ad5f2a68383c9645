"""Student's t distribution and its absolute value, each from one noise."""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.scipy.special import erf, erfinv, ndtr
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.base import Distribution
from repara.distributions.constraints import Constraint
from repara.distributions.derivatives import derivative
from repara.distributions.gamma import log_gamma_half_step
from repara.distributions.increasing_in_normal import IncreasingInNormal
from repara.distributions.unit_interval import on_unit_interval
from repara.special import ndtri, normal_from_student_t, student_t_from_normal
from repara.special.stirling import log_factorial_excess

__all__ = ["HalfStudentT", "StudentT"]


def _log_standard_peak(df: jax.Array) -> jax.Array:
    """log(Gamma((df + 1) / 2) / (Gamma(df / 2) sqrt(pi df))).

    By the doubling formula it is Gamma(1 + df) / Gamma(1 + df / 2)^2 sqrt(df) / 2^(1 + df), in
    which Stirling's formula removes the large terms.
    """
    excess = log_factorial_excess(df) - 2 * log_factorial_excess(0.5 * df)
    return excess + 0.5 * jnp.log(df) - math.log(2)


def _log_drop(t: jax.Array, df: jax.Array) -> jax.Array:
    """The standard log-density at 0 less that at t."""
    return 0.5 * (df + 1) * jnp.log1p(t * (t / df))


def _standard_entropy(df: jax.Array) -> jax.Array:
    # The derivative replaces digamma(df / 2 + 1 / 2) - digamma(df / 2), which cancels for large df.
    a = 0.5 * df
    return (a + 0.5) * (derivative(log_gamma_half_step, a) + 1 / df) - _log_standard_peak(df)


class StudentT(IncreasingInNormal):
    """Student's t distribution.

        q(x) = Gamma((df + 1) / 2) / (Gamma(df / 2) sqrt(pi df) scale)
               (1 + ((x - loc) / scale)^2 / df)^(-(df + 1) / 2)
        z = loc + scale F^-1(Phi(eps); df),   eps ~ N(0, 1)

    The mean is NaN for df <= 1. The variance is inf for 1 < df <= 2 and NaN for df <= 1.

    Args:
      df: degrees of freedom, from 0.3, any shape that broadcasts with the others.
      loc: the median.
      scale: the scale, positive.

    Raises:
      ValueError: a concrete `df` or `scale` that is not positive, or shapes that do not broadcast.

    References:
      Figurnov, Mohamed and Mnih (2018), "Implicit reparameterization gradients",
      https://arxiv.org/abs/1805.08498

    Example:
      >>> round(float(StudentT(2.0, 1.0, 3.0).transform(0.0)), 4)
      1.0
    """

    df: jax.Array
    loc: jax.Array
    scale: jax.Array
    arg_constraints: ClassVar = {
        "df": constraints.positive,
        "loc": constraints.real,
        "scale": constraints.positive,
    }
    support = constraints.real

    def __init__(self, df: ArrayLike, loc: ArrayLike, scale: ArrayLike) -> None:
        super().__init__(df=df, loc=loc, scale=scale)

    def _transform(self, eps: jax.Array) -> jax.Array:
        return self.loc + self.scale * student_t_from_normal(eps, self.df)

    def _inverse(self, z: jax.Array) -> jax.Array:
        return normal_from_student_t((z - self.loc) / self.scale, self.df)

    def _log_prob(self, z: jax.Array) -> jax.Array:
        log_peak = _log_standard_peak(self.df) - jnp.log(self.scale)
        return log_peak - _log_drop((z - self.loc) / self.scale, self.df)

    def _entropy(self) -> jax.Array:
        return _standard_entropy(self.df) + jnp.log(self.scale)

    def _mean(self) -> jax.Array:
        return jnp.where(self.df > 1, self.loc, jnp.nan)

    def _variance(self) -> jax.Array:
        safe = jnp.where(self.df > 2, self.df, 4.0)
        finite = self.scale**2 * (safe / (safe - 2))
        return jnp.where(self.df > 2, finite, jnp.where(self.df > 1, jnp.inf, jnp.nan))

    def _mode(self) -> jax.Array:
        return self.loc


class HalfStudentT(Distribution):
    """The absolute value of a Student-t variable, shifted to `loc`.

        q(x) = 2 t(x; df, loc, scale),   x >= loc
        z = loc + scale F^-1(1 - u / 2; df),   u ~ U(0, 1)

    with t the density of `StudentT` and F the standard distribution function. The noise u is the
    probability of values above z, so the tail keeps its relative precision. The mean is infinite
    for df <= 1, the variance for df <= 2.

    Args:
      df: degrees of freedom, from 0.3, any shape that broadcasts with the others.
      loc: the lower end.
      scale: the scale, positive.

    Raises:
      ValueError: a concrete `df` or `scale` that is not positive, or shapes that do not broadcast.

    Example:
      >>> round(float(HalfStudentT(1.0, 2.0, 3.0).transform(0.5)), 4)  # 2 + 3 tan(pi / 4)
      5.0
    """

    df: jax.Array
    loc: jax.Array
    scale: jax.Array
    arg_constraints: ClassVar = {
        "df": constraints.positive,
        "loc": constraints.real,
        "scale": constraints.positive,
    }
    noise_marginal = "uniform"

    def __init__(self, df: ArrayLike, loc: ArrayLike, scale: ArrayLike) -> None:
        super().__init__(df=df, loc=loc, scale=scale)

    @property
    def support(self) -> Constraint:
        return constraints.at_least(self.loc)

    def _transform(self, eps: jax.Array) -> jax.Array:
        return self.loc + self.scale * student_t_from_normal(-ndtri(0.5 * eps), self.df)

    def _size(self, z: jax.Array) -> jax.Array:
        return jnp.maximum(z - self.loc, 0) / self.scale

    def _inverse(self, z: jax.Array) -> jax.Array:
        return 2 * ndtr(-normal_from_student_t(self._size(z), self.df))

    def _log_prob(self, z: jax.Array) -> jax.Array:
        def inside(z: jax.Array) -> jax.Array:
            log_peak = _log_standard_peak(self.df) - jnp.log(self.scale)
            return math.log(2) + log_peak - _log_drop((z - self.loc) / self.scale, self.df)

        return self._supported(z, self.loc, inside)

    def _cdf(self, x: jax.Array) -> jax.Array:
        t = self._size(x)
        near = t < 0.03
        # The integral of the binomial series of the density, whose terms fall like
        # (t^2 (df + 1) / df)^n.
        small = jnp.where(near, t, 0.0)
        total = term = jnp.ones_like(small * self.df)
        for n in range(6):
            term = -term * (small * small / self.df) * ((0.5 * (self.df + 1) + n) / (n + 1))
            total = total + term / (2 * n + 3)
        series = 2 * jnp.exp(_log_standard_peak(self.df)) * small * total
        eps = normal_from_student_t(jnp.where(near, 1.0, t), self.df)
        return jnp.where(near, series, erf(math.sqrt(0.5) * eps))

    def _sf(self, x: jax.Array) -> jax.Array:
        return self._inverse(x)

    def _icdf(self, u: jax.Array) -> jax.Array:
        def quantile(u: jax.Array) -> jax.Array:
            eps = math.sqrt(2) * erfinv(u)
            return self.loc + self.scale * student_t_from_normal(eps, self.df)

        return on_unit_interval(quantile, u)

    def _isf(self, u: jax.Array) -> jax.Array:
        return self._transform(u)

    def _entropy(self) -> jax.Array:
        return _standard_entropy(self.df) + jnp.log(self.scale) - math.log(2)

    def _standard_mean(self) -> jax.Array:
        """The mean of |t|, 2 df t(0) / (df - 1)."""
        finite = ~(self.df <= 1)
        n = jnp.where(finite, self.df, 2.0)
        value = 2 * jnp.exp(_log_standard_peak(n)) * (n / (n - 1))
        return jnp.where(finite, value, jnp.inf)

    def _mean(self) -> jax.Array:
        return self.loc + self.scale * self._standard_mean()

    def _variance(self) -> jax.Array:
        finite = ~(self.df <= 2)
        n = jnp.where(finite, self.df, 4.0)
        mean = jnp.where(finite, self._standard_mean(), 0.0)
        value = self.scale**2 * (n / (n - 2) - mean**2)
        return jnp.where(finite, value, jnp.where(self.df > 1, jnp.inf, jnp.nan))

    def _mode(self) -> jax.Array:
        return self.loc
