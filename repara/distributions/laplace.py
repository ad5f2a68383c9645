"""The Laplace distribution, symmetric and asymmetric."""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.base import Distribution
from repara.distributions.location_scale import LocationScale
from repara.distributions.unit_interval import on_unit_interval

__all__ = ["AsymmetricLaplace", "Laplace"]


class Laplace(LocationScale):
    """The Laplace distribution.

        q(x) = exp(-|x - loc| / scale) / (2 scale)
        z = loc + scale log(2 u) for u < 1/2,   loc - scale log(2 (1 - u)) otherwise

    Args:
      loc: the mean and median, any shape that broadcasts with `scale`.
      scale: the mean distance from `loc`, positive.

    Raises:
      ValueError: a concrete `scale` that is not positive, or shapes that do not broadcast.

    Example:
      >>> round(float(Laplace(1.0, 2.0).transform(0.25)), 4)
      -0.3863
    """

    _standard_mean = 0.0
    _standard_variance = 2.0
    _symmetric = True
    _standard_entropy = 1 + math.log(2)

    @staticmethod
    def _standard_icdf(u: jax.Array) -> jax.Array:
        below = u < 0.5
        log = jnp.log(2 * jnp.where(below, u, 1 - u))
        return jnp.where(below, log, -log)

    @staticmethod
    def _standard_cdf(t: jax.Array) -> jax.Array:
        half = 0.5 * jnp.exp(-jnp.abs(t))
        return jnp.where(t < 0, half, 1 - half)

    @staticmethod
    def _standard_log_prob(t: jax.Array) -> jax.Array:
        return -jnp.abs(t) - math.log(2)


class AsymmetricLaplace(Distribution):
    """The Laplace distribution with two scales, one to each side.

        q(x) = exp(-(x - loc) / right) / (left + right)   for x >= loc
               exp((x - loc) / left) / (left + right)     for x < loc
        left = scale * asymmetry,   right = scale / asymmetry

    Args:
      loc: the mode, any shape that broadcasts with the others.
      scale: the geometric mean of the two scales, positive.
      asymmetry: positive; 1 is the Laplace distribution, above 1 the left tail is longer.

    Raises:
      ValueError: a concrete parameter out of range, or shapes that do not broadcast.

    References:
      Kotz, Kozubowski and Podgorski (2001), "The Laplace distribution and generalizations",
      chapter 3, https://doi.org/10.1007/978-1-4612-0173-1

    Example:
      >>> q = AsymmetricLaplace(0.0, 1.0, 2.0)
      >>> round(float(q.cdf(0.0)), 6)
      0.8
    """

    loc: jax.Array
    scale: jax.Array
    asymmetry: jax.Array
    arg_constraints: ClassVar = {
        "loc": constraints.real,
        "scale": constraints.positive,
        "asymmetry": constraints.positive,
    }
    support = constraints.real
    noise_marginal = "uniform"

    def __init__(self, loc: ArrayLike, scale: ArrayLike, asymmetry: ArrayLike) -> None:
        super().__init__(loc=loc, scale=scale, asymmetry=asymmetry)

    def _sides(self) -> tuple[jax.Array, jax.Array]:
        return self.scale * self.asymmetry, self.scale / self.asymmetry

    def _transform(self, eps: jax.Array) -> jax.Array:
        left, right = self._sides()
        below = eps * (left + right) < left
        side = jnp.where(below, left, right)
        part = jnp.where(below, eps, 1 - eps) * (left + right) / side
        return self.loc + jnp.where(below, side, -side) * jnp.log(part)

    def _inverse(self, z: jax.Array) -> jax.Array:
        left, right = self._sides()
        below = z < self.loc
        side = jnp.where(below, left, right)
        part = side / (left + right) * jnp.exp(-jnp.abs(z - self.loc) / side)
        return jnp.where(below, part, 1 - part)

    def _log_prob(self, z: jax.Array) -> jax.Array:
        left, right = self._sides()
        side = jnp.where(z < self.loc, left, right)
        return -jnp.abs(z - self.loc) / side - jnp.log(left + right)

    def _cdf(self, x: jax.Array) -> jax.Array:
        return self._inverse(x)

    def _icdf(self, u: jax.Array) -> jax.Array:
        return on_unit_interval(self._transform, u)

    def _entropy(self) -> jax.Array:
        left, right = self._sides()
        return 1 + jnp.log(left + right)

    def _mean(self) -> jax.Array:
        left, right = self._sides()
        return self.loc + right - left

    def _variance(self) -> jax.Array:
        left, right = self._sides()
        return left**2 + right**2

    def _mode(self) -> jax.Array:
        return self.loc
