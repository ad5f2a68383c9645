"""The distribution of a bijector's value."""

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from repara.distributions.base import Distribution, Shape
from repara.distributions.bijectors import Bijector
from repara.distributions.constraints import Constraint
from repara.noise import Marginal

__all__ = ["Transformed"]


class Transformed(Distribution):
    """The distribution of a bijector's value at a random variable.

        z = forward(x),   x ~ base
        log q(z) = log base(x) - log |det dz/dx|

    Args:
      base: any distribution with a reparameterization.
      bijector: one of `repara.bijectors`; its parameters broadcast with the trailing dimensions of
        x and add no batch dimensions.

    Raises:
      ValueError: the bijector maps vectors and the base is scalar; use `Independent`.

    Example:
      >>> from repara.distributions import Normal
      >>> from repara.distributions.bijectors import Exp
      >>> float(Transformed(Normal(0.0, 1.0), Exp()).transform(0.0))
      1.0
    """

    base: Distribution
    bijector: Bijector
    _children: ClassVar = ("base", "bijector")

    def __init__(self, base: Distribution, bijector: Bijector) -> None:
        if bijector.event_ndims > len(base.event_shape):
            raise ValueError(
                f"Transformed: {type(bijector).__name__} maps vectors, {type(base).__name__} has "
                f"events of shape {base.event_shape}: wrap it in Independent"
            )
        self._set("base", base)
        self._set("bijector", bijector)

    @property
    def batch_shape(self) -> Shape:
        return self.base.batch_shape

    @property
    def event_shape(self) -> Shape:
        return self.bijector.forward_shape(self.base.event_shape)

    @property
    def noise_shape(self) -> Shape:
        return self.base.noise_shape

    @property
    def noise_marginal(self) -> Marginal:
        return self.base.noise_marginal

    @property
    def has_rsample(self) -> bool:
        return self.base.has_rsample

    @property
    def dtype(self) -> Any:
        return self.base.dtype

    @property
    def support(self) -> Constraint:
        inner = self.base.support
        return Constraint(
            f"the image of {inner.name} under {type(self.bijector).__name__}",
            lambda z: inner.check(self.bijector.inverse(z)),
            len(self.event_shape),
        )

    def _child_ranks(self) -> Mapping[str, int]:
        return {"base": 0}

    def _log_det(self, x: jax.Array) -> jax.Array:
        extra = len(self.base.event_shape) - self.bijector.event_ndims
        return jnp.sum(self.bijector.log_det(x), axis=tuple(range(-extra, 0)))

    def _transform(self, eps: jax.Array) -> jax.Array:
        return self.bijector.forward(self.base._transform(eps))

    def _inverse(self, z: jax.Array) -> jax.Array:
        return self.base._inverse(self.bijector.inverse(z))

    def _log_prob(self, z: jax.Array) -> jax.Array:
        x = self.bijector.inverse(z)
        if getattr(self.bijector, "onto_reals", False):
            return self.base._log_prob(x) - self._log_det(x)
        # If the inverse is NaN but neither z nor a parameter is, z is outside the image.
        inside = self.bijector.inverse(self.bijector.forward(jnp.zeros_like(x)))
        axes = tuple(range(-len(self.base.event_shape), 0))
        nan_x, nan_z, nan_b = (jnp.any(jnp.isnan(v), axis=axes) for v in (x, z, inside))
        outside = nan_x & ~nan_z & ~nan_b
        x = jnp.where(jnp.expand_dims(outside, axes), inside, x)
        return jnp.where(outside, -jnp.inf, self.base._log_prob(x) - self._log_det(x))

    def _transform_and_log_prob(self, eps: jax.Array) -> tuple[jax.Array, jax.Array]:
        x, log_prob = self.base._transform_and_log_prob(eps)
        return self.bijector.forward(x), log_prob - self._log_det(x)
