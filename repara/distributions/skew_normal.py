"""The skew-normal distribution, from one normal noise."""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.increasing_in_normal import IncreasingInNormal
from repara.special import log_ndtr, normal_from_skew_normal, skew_normal_from_normal

__all__ = ["SkewNormal"]


class SkewNormal(IncreasingInNormal):
    """The skew-normal distribution.

        q(x) = 2 phi(t) Phi(skewness t) / scale,   t = (x - loc) / scale
        z = loc + scale F^-1(Phi(eps); skewness),   eps ~ N(0, 1)

    with phi and Phi the standard normal density and distribution function. Skewness 0 gives the
    normal distribution; the value and all derivatives are smooth there. For large skewness the
    distribution tends to a half-normal one.

    Args:
      loc: the location, any shape that broadcasts with the others.
      scale: positive.
      skewness: any real number, Azzalini's shape; positive values lengthen the right tail.

    Raises:
      ValueError: a concrete `scale` that is not positive, a NaN, or shapes that do not broadcast.

    References:
      Azzalini (1985), "A class of distributions which includes the normal ones",
      https://www.jstor.org/stable/4615982

    Example:
      >>> round(float(SkewNormal(1.0, 2.0, 0.0).transform(0.5)), 4)
      2.0
    """

    loc: jax.Array
    scale: jax.Array
    skewness: jax.Array
    arg_constraints: ClassVar = {
        "loc": constraints.real,
        "scale": constraints.positive,
        "skewness": constraints.real,
    }
    support = constraints.real

    def __init__(self, loc: ArrayLike, scale: ArrayLike, skewness: ArrayLike) -> None:
        super().__init__(loc=loc, scale=scale, skewness=skewness)

    def _transform(self, eps: jax.Array) -> jax.Array:
        return self.loc + self.scale * skew_normal_from_normal(eps, self.skewness)

    def _inverse(self, z: jax.Array) -> jax.Array:
        return normal_from_skew_normal((z - self.loc) / self.scale, self.skewness)

    def _log_prob(self, z: jax.Array) -> jax.Array:
        t = (z - self.loc) / self.scale
        normal = -0.5 * t**2 - 0.5 * math.log(0.5 * math.pi) - jnp.log(self.scale)
        return normal + log_ndtr(self.skewness * t)

    def _standard_mean(self) -> jax.Array:
        return math.sqrt(2 / math.pi) * self.skewness / jnp.hypot(1.0, self.skewness)

    def _mean(self) -> jax.Array:
        return self.loc + self.scale * self._standard_mean()

    def _variance(self) -> jax.Array:
        return self.scale**2 * (1 - self._standard_mean() ** 2)
