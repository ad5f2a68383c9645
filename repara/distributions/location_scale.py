"""The base of families with a location and a scale: a standard variable, shifted and scaled."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.base import Distribution
from repara.distributions.unit_interval import on_unit_interval

__all__ = ["LocationScale"]


class LocationScale(Distribution, abstract=True):
    """The base of families z = loc + scale s, with s a standard variable made from uniform noise.

        z = loc + scale * F^-1(u),   u ~ U(0, 1)

    Attributes:
      loc: the location, any shape that broadcasts with `scale`.
      scale: the scale, positive.
    """

    loc: jax.Array
    scale: jax.Array
    arg_constraints: ClassVar = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    noise_marginal = "uniform"
    # Moments, mode and entropy of the standard member; None if there is no closed form.
    _standard_mean: ClassVar[float | None] = None
    _standard_variance: ClassVar[float | None] = None
    _standard_entropy: ClassVar[float | None] = None
    _standard_mode: ClassVar[float] = 0.0
    _symmetric: ClassVar[bool] = False

    def __init__(self, loc: ArrayLike, scale: ArrayLike) -> None:
        super().__init__(loc=loc, scale=scale)

    @staticmethod
    def _standard_icdf(u: jax.Array) -> jax.Array:
        raise NotImplementedError

    @staticmethod
    def _standard_cdf(t: jax.Array) -> jax.Array:
        raise NotImplementedError

    @staticmethod
    def _standard_log_prob(t: jax.Array) -> jax.Array:
        raise NotImplementedError

    def _standardized(self, z: jax.Array) -> jax.Array:
        return (z - self.loc) / self.scale

    def _transform(self, eps: jax.Array) -> jax.Array:
        return self.loc + self.scale * self._standard_icdf(eps)

    def _inverse(self, z: jax.Array) -> jax.Array:
        return self._standard_cdf(self._standardized(z))

    def _log_prob(self, z: jax.Array) -> jax.Array:
        return self._standard_log_prob(self._standardized(z)) - jnp.log(self.scale)

    def _transform_and_log_prob(self, eps: jax.Array) -> tuple[jax.Array, jax.Array]:
        t = self._standard_icdf(eps)
        return self.loc + self.scale * t, self._standard_log_prob(t) - jnp.log(self.scale)

    def _cdf(self, x: jax.Array) -> jax.Array:
        return self._standard_cdf(self._standardized(x))

    def _icdf(self, u: jax.Array) -> jax.Array:
        return on_unit_interval(self._transform, u)

    def _sf(self, x: jax.Array) -> jax.Array:
        if self._symmetric:
            return self._standard_cdf(-self._standardized(x))
        return super()._sf(x)

    def _isf(self, u: jax.Array) -> jax.Array:
        if self._symmetric:
            return self.loc - self.scale * self._standard_icdf(u)
        return super()._isf(u)

    def _entropy(self) -> jax.Array:
        if self._standard_entropy is None:
            return super()._entropy()
        return self._standard_entropy + jnp.log(self.scale)

    def _mean(self) -> jax.Array:
        if self._standard_mean is None:
            return super()._mean()
        return self.loc + self.scale * self._standard_mean

    def _variance(self) -> jax.Array:
        if self._standard_variance is None:
            return super()._variance()
        return self.scale**2 * self._standard_variance

    def _mode(self) -> jax.Array:
        return self.loc + self.scale * self._standard_mode
