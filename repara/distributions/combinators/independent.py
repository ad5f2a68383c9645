"""A batch of independent distributions as one distribution of arrays."""

import copy
import math
from collections.abc import Mapping
from typing import ClassVar

import jax
import jax.numpy as jnp

from repara.distributions.base import Distribution, Shape
from repara.distributions.constraints import Constraint
from repara.noise import Marginal

__all__ = ["Independent"]


class Independent(Distribution):
    """A distribution that treats the last batch dimensions of `base` as part of the event.

        log q(z) = sum_j log base(z_j)

    Args:
      base: any distribution.
      reinterpreted_batch_ndims: the number of batch dimensions, counted from the last, that
        become event dimensions.

    Raises:
      ValueError: `base` has fewer batch dimensions.

    Example:
      >>> from repara.distributions import Normal
      >>> q = Independent(Normal(jnp.zeros((5, 3)), 1.0), 1)
      >>> q.batch_shape, q.event_shape
      ((5,), (3,))
    """

    base: Distribution
    reinterpreted_batch_ndims: int
    _children: ClassVar = ("base",)
    _static: ClassVar = ("reinterpreted_batch_ndims",)

    def __init__(self, base: Distribution, reinterpreted_batch_ndims: int) -> None:
        have = len(base.batch_shape)
        if not 0 <= reinterpreted_batch_ndims <= have:
            raise ValueError(
                f"Independent: reinterpreted_batch_ndims must be from 0 to {have}, the batch "
                f"dimensions of {type(base).__name__}, got {reinterpreted_batch_ndims}"
            )
        self._set("base", base)
        self._set("reinterpreted_batch_ndims", int(reinterpreted_batch_ndims))

    @property
    def _split(self) -> int:
        return len(self.base.batch_shape) - self.reinterpreted_batch_ndims

    @property
    def batch_shape(self) -> Shape:
        return self.base.batch_shape[: self._split]

    @property
    def event_shape(self) -> Shape:
        return self.base.batch_shape[self._split :] + self.base.event_shape

    @property
    def noise_shape(self) -> Shape:
        return self.base.batch_shape[self._split :] + self.base.noise_shape

    @property
    def noise_marginal(self) -> Marginal:
        return self.base.noise_marginal

    @property
    def has_rsample(self) -> bool:
        return self.base.has_rsample

    def _child_ranks(self) -> Mapping[str, int]:
        return {"base": self.reinterpreted_batch_ndims}

    @property
    def support(self) -> Constraint:
        inner, n = self.base.support, self.reinterpreted_batch_ndims
        return Constraint(
            f"{inner.name} in every coordinate",
            lambda x: jnp.all(inner.check(x), axis=_last(n)),
            inner.event_ndims + n,
        )

    def _sample(self, key: jax.Array, shape: Shape) -> jax.Array:
        inner = self.base.batch_shape[self._split :]
        return self.base._sample(key, (*shape, *inner))

    def _sum(self, x: jax.Array) -> jax.Array:
        return jnp.sum(x, axis=_last(self.reinterpreted_batch_ndims))

    def _transform(self, eps: jax.Array) -> jax.Array:
        return self.base._transform(eps)

    def _inverse(self, z: jax.Array) -> jax.Array:
        return self.base._inverse(z)

    def _log_prob(self, z: jax.Array) -> jax.Array:
        n, event = self.reinterpreted_batch_ndims, self.event_shape
        parameters = {name: getattr(self.base, name) for name in self.base._children}
        arrays = {name: x for name, x in parameters.items() if x is not None}
        if n < 2 or not all(getattr(x, "ndim", -1) == z.ndim for x in arrays.values()):
            return self._sum(self.base._log_prob(z))
        # One axis instead of several: XLA on a CPU vectorizes along the last one only, which is
        # short for images.
        flat = copy.copy(self.base)
        for name, x in arrays.items():
            flat._set(name, _merged(x, event))
        return jnp.sum(flat._log_prob(_merged(z, event)), axis=-1)

    def _transform_and_log_prob(self, eps: jax.Array) -> tuple[jax.Array, jax.Array]:
        z, log_prob = self.base._transform_and_log_prob(eps)
        return z, self._sum(log_prob)

    def _entropy(self) -> jax.Array:
        return self._sum(jnp.broadcast_to(self.base._entropy(), self.base.batch_shape))

    def _mean(self) -> jax.Array:
        return self.base._mean()

    def _variance(self) -> jax.Array:
        return self.base._variance()

    def _mode(self) -> jax.Array:
        return self.base._mode()


def _merged(x: jax.Array, event: Shape) -> jax.Array:
    """Merges the last axes into one, unless x is constant along them."""
    n = len(event)
    if math.prod(x.shape[-n:]) > 1:
        x = jnp.broadcast_to(x, (*x.shape[:-n], *event))
    return x.reshape(*x.shape[:-n], -1)


def _last(n: int) -> tuple[int, ...]:
    return tuple(range(-n, 0))
