"""Student's t distribution, from one normal noise."""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.scipy.special import digamma, gammaln
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.base import Distribution
from repara.distributions.location_scale import _on_unit_interval
from repara.special import ndtri, student_t_normal_score, student_t_quantile

__all__ = ["StudentT"]


class StudentT(Distribution):
    """Student's t distribution.

        q(x) = Gamma((df + 1) / 2) / (Gamma(df / 2) sqrt(pi df) scale)
               (1 + ((x - loc) / scale)^2 / df)^(-(df + 1) / 2)
        z = loc + scale F^-1(Phi(eps); df),   eps ~ N(0, 1)

    The mean exists for df > 1, the variance for df > 2; they are NaN and inf elsewhere.

    Args:
      df: degrees of freedom, from 0.3, any shape that broadcasts with the others.
      loc: the median.
      scale: the scale, positive.

    Raises:
      ValueError: a concrete `df` or `scale` that is not positive, or shapes that do not broadcast.

    Source:
      Figurnov, Mohamed & Mnih (2018), "Implicit reparameterization gradients".

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
        return self.loc + self.scale * student_t_quantile(eps, self.df)

    def _inverse(self, z: jax.Array) -> jax.Array:
        return student_t_normal_score((z - self.loc) / self.scale, self.df)

    def _log_prob(self, z: jax.Array) -> jax.Array:
        t = (z - self.loc) / self.scale
        fall = 0.5 * (self.df + 1) * jnp.log1p(t * (t / self.df))
        return self._log_peak() - fall

    def _log_peak(self) -> jax.Array:
        excess = gammaln(0.5 * (self.df + 1)) - gammaln(0.5 * self.df)
        return excess - 0.5 * jnp.log(math.pi * self.df) - jnp.log(self.scale)

    def _cdf(self, x: jax.Array) -> jax.Array:
        return jax.scipy.special.ndtr(self._inverse(x))

    def _icdf(self, u: jax.Array) -> jax.Array:
        return _on_unit_interval(lambda u: self._transform(ndtri(u)), u)

    def _sf(self, x: jax.Array) -> jax.Array:
        return jax.scipy.special.ndtr(-self._inverse(x))

    def _isf(self, u: jax.Array) -> jax.Array:
        return self._transform(-ndtri(u))

    def _entropy(self) -> jax.Array:
        half = 0.5 * (self.df + 1)
        return half * (digamma(half) - digamma(0.5 * self.df)) - self._log_peak()

    def _mean(self) -> jax.Array:
        return jnp.where(self.df > 1, self.loc, jnp.nan)

    def _variance(self) -> jax.Array:
        safe = jnp.where(self.df > 2, self.df, 4.0)
        finite = self.scale**2 * (safe / (safe - 2))
        return jnp.where(self.df > 2, finite, jnp.where(self.df > 1, jnp.inf, jnp.nan))

    def _mode(self) -> jax.Array:
        return self.loc
