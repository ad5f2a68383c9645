"""The Cauchy distribution, its absolute value, and its wrapping around the circle."""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.base import Distribution
from repara.distributions.location_scale import LocationScale
from repara.distributions.unit_interval import on_unit_interval

__all__ = ["Cauchy", "HalfCauchy", "WrappedCauchy"]


def log1p_square(t: jax.Array) -> jax.Array:
    """Returns log(1 + t^2), also if t^2 overflows."""
    size = jnp.abs(t)
    far = size > 1
    near, away = jnp.where(far, 1, size), jnp.where(far, size, 1)
    return jnp.where(far, 2 * jnp.log(away) + jnp.log1p((1 / away) ** 2), jnp.log1p(near**2))


def _cotangent(v: jax.Array) -> jax.Array:
    """cot(pi v) for v in (0, 1/2], accurate at both ends."""
    small = v < 0.25
    low = 1 / jnp.tan(math.pi * jnp.where(small, v, 0.25))
    high = jnp.tan(math.pi * (0.5 - jnp.where(small, 0.25, v)))
    return jnp.where(small, low, high)


class Cauchy(LocationScale):
    """The Cauchy distribution.

        q(x) = 1 / (pi scale (1 + ((x - loc) / scale)^2))
        z = loc + scale tan(pi (u - 1/2)),   u ~ U(0, 1)

    It has no mean and no variance.

    Args:
      loc: the median, any shape that broadcasts with `scale`.
      scale: half the interquartile range, positive.

    Raises:
      ValueError: a concrete `scale` that is not positive, or shapes that do not broadcast.

    Example:
      >>> round(float(Cauchy(1.0, 2.0).transform(0.75)), 5)
      3.0
    """

    _symmetric = True
    _standard_entropy = math.log(4 * math.pi)

    @staticmethod
    def _standard_icdf(u: jax.Array) -> jax.Array:
        below = u < 0.5
        size = _cotangent(jnp.where(below, u, 1 - u))
        return jnp.where(below, -size, size)

    @staticmethod
    def _standard_cdf(t: jax.Array) -> jax.Array:
        # The angle of (-t, 1), which keeps its relative precision if it is small.
        return jnp.arctan2(jnp.ones_like(t), -t) / math.pi

    @staticmethod
    def _standard_log_prob(t: jax.Array) -> jax.Array:
        return -log1p_square(t) - math.log(math.pi)


class HalfCauchy(Distribution):
    """The absolute value of a Cauchy variable centered at 0.

        q(x) = 2 / (pi scale (1 + (x / scale)^2)),   x >= 0
        z = scale cot(pi u / 2),   u ~ U(0, 1)

    Args:
      scale: the median, positive.

    Raises:
      ValueError: a concrete `scale` that is not positive.

    Example:
      >>> round(float(HalfCauchy(2.0).transform(0.5)), 5)
      2.0
    """

    scale: jax.Array
    arg_constraints: ClassVar = {"scale": constraints.positive}
    support = constraints.nonnegative
    noise_marginal = "uniform"

    def __init__(self, scale: ArrayLike) -> None:
        super().__init__(scale=scale)

    def _transform(self, eps: jax.Array) -> jax.Array:
        return self.scale * _cotangent(0.5 * eps)

    def _inverse(self, z: jax.Array) -> jax.Array:
        t = z / self.scale
        return jnp.arctan2(jnp.ones_like(t), t) * (2 / math.pi)

    def _log_prob(self, z: jax.Array) -> jax.Array:
        def inside(z: jax.Array) -> jax.Array:
            return math.log(2 / math.pi) - jnp.log(self.scale) - log1p_square(z / self.scale)

        return self._supported(z, 1.0, inside)

    def _cdf(self, x: jax.Array) -> jax.Array:
        return jnp.arctan(jnp.maximum(x, 0) / self.scale) * (2 / math.pi)

    def _icdf(self, u: jax.Array) -> jax.Array:
        # 1 - u is not formed for small u, which keep their relative precision.
        def quantile(u: jax.Array) -> jax.Array:
            low = u < 0.5
            below = jnp.tan(0.5 * math.pi * jnp.where(low, u, 0.5))
            above = _cotangent(0.5 * (1 - jnp.where(low, 0.5, u)))
            return self.scale * jnp.where(low, below, above)

        return on_unit_interval(quantile, u)

    def _entropy(self) -> jax.Array:
        return math.log(2 * math.pi) + jnp.log(self.scale)

    def _mean(self) -> jax.Array:
        return jnp.where(jnp.isnan(self.scale), jnp.nan, jnp.inf)

    def _variance(self) -> jax.Array:
        return self._mean()

    def _mode(self) -> jax.Array:
        return 0 * self.scale


class WrappedCauchy(Distribution):
    """The Cauchy distribution wrapped around the circle.

        q(x) = (1 - r^2) / (2 pi (1 + r^2 - 2 r cos(x - loc)))
        z = loc + 2 atan((1 - r) / (1 + r) tan(pi (u - 1/2))),   u ~ U(0, 1)

    Samples lie in [loc - pi, loc + pi] and are not wrapped to a fixed interval, so they follow
    `loc` smoothly. The density is periodic. Pathwise gradients are right for periodic functions,
    the only ones that are defined on a circle.

    Args:
      loc: the mean direction in radians, any shape that broadcasts with `concentration`.
      concentration: r, the length of the mean resultant, strictly between 0 and 1.

    Raises:
      ValueError: a concrete parameter out of range, or shapes that do not broadcast.

    References:
      Mardia and Jupp (2000), "Directional statistics", section 3.5.7,
      https://doi.org/10.1002/9780470316979

    Example:
      >>> float(WrappedCauchy(1.0, 0.5).transform(0.5))
      1.0
    """

    loc: jax.Array
    concentration: jax.Array
    arg_constraints: ClassVar = {
        "loc": constraints.real,
        "concentration": constraints.open_unit_interval,
    }
    support = constraints.real
    noise_marginal = "uniform"

    def __init__(self, loc: ArrayLike, concentration: ArrayLike) -> None:
        super().__init__(loc=loc, concentration=concentration)

    def _ratio(self) -> jax.Array:
        return (1 - self.concentration) / (1 + self.concentration)

    def _transform(self, eps: jax.Array) -> jax.Array:
        # Precision would be lost near the point opposite to loc, so a sine replaces the cosine.
        below = eps < 0.5
        v = jnp.where(below, eps, 1 - eps)
        size = 2 * jnp.arctan2(self._ratio() * jnp.cos(math.pi * v), jnp.sin(math.pi * v))
        return self.loc + jnp.where(below, -size, size)

    def _inverse(self, z: jax.Array) -> jax.Array:
        half = 0.5 * (z - self.loc)
        return 0.5 + jnp.arctan2(jnp.sin(half), self._ratio() * jnp.cos(half)) / math.pi

    def _log_prob(self, z: jax.Array) -> jax.Array:
        # 1 + r^2 - 2 r cos(x) = (1 - r)^2 + 4 r sin(x / 2)^2 does not cancel.
        r = self.concentration
        spread = (1 - r) ** 2 + 4 * r * jnp.sin(0.5 * (z - self.loc)) ** 2
        return jnp.log1p(-r) + jnp.log1p(r) - jnp.log(spread) - math.log(2 * math.pi)

    def _cdf(self, x: jax.Array) -> jax.Array:
        """The probability of [loc - pi, x]."""
        return self._inverse(self.loc + jnp.clip(x - self.loc, -math.pi, math.pi))

    def _icdf(self, u: jax.Array) -> jax.Array:
        return on_unit_interval(self._transform, u)

    def _entropy(self) -> jax.Array:
        r = self.concentration
        return math.log(2 * math.pi) + jnp.log1p(-r) + jnp.log1p(r)

    def _mode(self) -> jax.Array:
        return self.loc
