"""Absolute values of normal variables: half-normal and folded normal."""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.scipy.special import erf, erfinv, ndtr, ndtri
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.base import Distribution
from repara.distributions.unit_interval import on_unit_interval
from repara.special.constants import HALF_LOG_2PI

__all__ = ["FoldedNormal", "HalfNormal"]


class HalfNormal(Distribution):
    """The absolute value of a normal variable centered at 0.

        q(x) = sqrt(2 / pi) / scale exp(-x^2 / (2 scale^2)),   x >= 0
        z = -scale Phi^-1(u / 2),   u ~ U(0, 1)

    The noise u is the probability of values above z, so the tail keeps its relative precision.

    Args:
      scale: the standard deviation of the normal variable, positive.

    Raises:
      ValueError: a concrete `scale` that is not positive.

    Example:
      >>> round(float(HalfNormal(2.0).transform(0.3173105)), 4)
      2.0
    """

    scale: jax.Array
    arg_constraints: ClassVar = {"scale": constraints.positive}
    support = constraints.nonnegative
    noise_marginal = "uniform"

    def __init__(self, scale: ArrayLike) -> None:
        super().__init__(scale=scale)

    def _transform(self, eps: jax.Array) -> jax.Array:
        return -self.scale * ndtri(0.5 * eps)

    def _inverse(self, z: jax.Array) -> jax.Array:
        return 2 * ndtr(-z / self.scale)

    def _log_prob(self, z: jax.Array) -> jax.Array:
        def inside(z: jax.Array) -> jax.Array:
            log_two = math.log(2)
            return log_two - HALF_LOG_2PI - jnp.log(self.scale) - 0.5 * (z / self.scale) ** 2

        return self._supported(z, 0.0, inside)

    def _cdf(self, x: jax.Array) -> jax.Array:
        return erf(jnp.maximum(x, 0) / self.scale * math.sqrt(0.5))

    def _icdf(self, u: jax.Array) -> jax.Array:
        return on_unit_interval(lambda u: self.scale * (math.sqrt(2) * erfinv(u)), u)

    def _entropy(self) -> jax.Array:
        return 0.5 + HALF_LOG_2PI - math.log(2) + jnp.log(self.scale)

    def _mean(self) -> jax.Array:
        return self.scale * math.sqrt(2 / math.pi)

    def _variance(self) -> jax.Array:
        return self.scale**2 * (1 - 2 / math.pi)

    def _mode(self) -> jax.Array:
        return 0 * self.scale


class FoldedNormal(Distribution):
    """The absolute value of a normal variable.

        z = |loc + scale eps|,   eps ~ N(0, 1)

    The transform is not one-to-one: two noises give each value, and `inverse` raises.

    Args:
      loc: the mean of the normal variable, any shape that broadcasts with `scale`.
      scale: its standard deviation, positive.

    Raises:
      ValueError: a concrete `scale` that is not positive, or shapes that do not broadcast.

    Example:
      >>> float(FoldedNormal(-1.0, 2.0).transform(0.0))
      1.0
    """

    loc: jax.Array
    scale: jax.Array
    arg_constraints: ClassVar = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.nonnegative

    def __init__(self, loc: ArrayLike, scale: ArrayLike) -> None:
        super().__init__(loc=loc, scale=scale)

    def _transform(self, eps: jax.Array) -> jax.Array:
        return jnp.abs(self.loc + self.scale * eps)

    def _log_prob(self, z: jax.Array) -> jax.Array:
        def inside(z: jax.Array) -> jax.Array:
            near = -0.5 * ((z - self.loc) / self.scale) ** 2
            far = -0.5 * ((z + self.loc) / self.scale) ** 2
            return jnp.logaddexp(near, far) - jnp.log(self.scale) - HALF_LOG_2PI

        return self._supported(z, 0.0, inside)

    def _cdf(self, x: jax.Array) -> jax.Array:
        x = jnp.maximum(x, 0)
        root = math.sqrt(0.5) / self.scale
        # For |loc| <= x a sum of terms of one sign, otherwise a difference of small terms.
        size = jnp.abs(self.loc)
        low, high = (x - size) * root, (x + size) * root
        central = 0.5 * (erf(low) + erf(high))
        tail = ndtr(low * math.sqrt(2)) - ndtr(-high * math.sqrt(2))
        return jnp.where(low < -1, tail, central)

    def _mean(self) -> jax.Array:
        t = self.loc / self.scale
        normal = self.scale * math.sqrt(2 / math.pi) * jnp.exp(-0.5 * t**2)
        return normal + self.loc * erf(t * math.sqrt(0.5))

    def _variance(self) -> jax.Array:
        return self.loc**2 + self.scale**2 - self._mean() ** 2
