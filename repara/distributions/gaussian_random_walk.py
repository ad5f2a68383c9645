"""The Gaussian random walk."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.base import Distribution, Shape
from repara.special.constants import HALF_LOG_2PI

__all__ = ["GaussianRandomWalk"]


class GaussianRandomWalk(Distribution):
    """A walk from 0 with independent normal steps.

        z_t = scale (eps_1 + ... + eps_t),   eps ~ N(0, I)

    Args:
      scale: the standard deviation of one step, positive.
      num_steps: the number of steps, which is the length of one value.

    Raises:
      ValueError: a concrete `scale` that is not positive, or fewer than one step.

    Example:
      >>> [float(v) for v in GaussianRandomWalk(2.0, 3).transform(jnp.ones(3))]
      [2.0, 4.0, 6.0]
    """

    scale: jax.Array
    num_steps: int
    arg_constraints: ClassVar = {"scale": constraints.positive}
    support = constraints.real_vector
    _static: ClassVar = ("num_steps",)

    def __init__(self, scale: ArrayLike, num_steps: int) -> None:
        if num_steps < 1:
            raise ValueError(f"GaussianRandomWalk: num_steps must be at least 1, got {num_steps}")
        super().__init__(scale=scale)
        self._set("num_steps", int(num_steps))

    @property
    def event_shape(self) -> Shape:
        return (self.num_steps,)

    def _transform(self, eps: jax.Array) -> jax.Array:
        return self.scale[..., None] * jnp.cumsum(eps, axis=-1)

    def _inverse(self, z: jax.Array) -> jax.Array:
        before = jnp.concatenate([jnp.zeros_like(z[..., :1]), z[..., :-1]], axis=-1)
        return (z - before) / self.scale[..., None]

    def _log_prob(self, z: jax.Array) -> jax.Array:
        return self._log_prob_of_noise(self._inverse(z))

    def _transform_and_log_prob(self, eps: jax.Array) -> tuple[jax.Array, jax.Array]:
        return self._transform(eps), self._log_prob_of_noise(eps)

    def _log_prob_of_noise(self, eps: jax.Array) -> jax.Array:
        normalizer = self.num_steps * (HALF_LOG_2PI + jnp.log(self.scale))
        return -0.5 * jnp.sum(eps**2, axis=-1) - normalizer

    def _entropy(self) -> jax.Array:
        return self.num_steps * (0.5 + HALF_LOG_2PI + jnp.log(self.scale))

    def _steps(self) -> jax.Array:
        steps = jnp.arange(1, self.num_steps + 1, dtype=self.scale.dtype)
        return steps.reshape((1,) * self.scale.ndim + (-1,))

    def _mean(self) -> jax.Array:
        return 0 * self.scale[..., None] * self._steps()

    def _variance(self) -> jax.Array:
        return self.scale[..., None] ** 2 * self._steps()

    def _mode(self) -> jax.Array:
        return self._mean()
