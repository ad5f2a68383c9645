"""The logistic-normal distribution on the simplex."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.base import Distribution, Shape
from repara.distributions.bijectors import StickBreaking
from repara.special.constants import HALF_LOG_2PI

__all__ = ["LogisticNormal"]


class LogisticNormal(Distribution):
    """The stick-breaking transform of a normal vector, as in `torch.distributions`.

        z = stick_breaking(loc + scale eps),   eps ~ N(0, I)

    Args:
      loc: the means, `[..., d]`; values lie in the simplex of d + 1 coordinates.
      scale: the standard deviations, `[..., d]`, positive.

    Raises:
      ValueError: a concrete `scale` that is not positive, or shapes that do not broadcast.

    References:
      Aitchison and Shen (1980), "Logistic-normal distributions: some properties and uses",
      https://doi.org/10.1093/biomet/67.2.261

    Example:
      >>> [round(float(v), 4) for v in LogisticNormal(jnp.zeros(1), jnp.ones(1)).transform([0.0])]
      [0.5, 0.5]
    """

    loc: jax.Array
    scale: jax.Array
    arg_constraints: ClassVar = {
        "loc": constraints.real_vector,
        "scale": constraints.positive_vector,
    }
    support = constraints.simplex

    def __init__(self, loc: ArrayLike, scale: ArrayLike) -> None:
        super().__init__(loc=loc, scale=scale)

    @property
    def noise_shape(self) -> Shape:
        return jnp.broadcast_shapes(self.loc.shape[-1:], self.scale.shape[-1:])

    @property
    def event_shape(self) -> Shape:
        return (self.noise_shape[0] + 1,)

    def _transform(self, eps: jax.Array) -> jax.Array:
        return StickBreaking().forward(self.loc + self.scale * eps)

    def _inverse(self, z: jax.Array) -> jax.Array:
        return (StickBreaking().inverse(z) - self.loc) / self.scale

    def _log_prob_of_noise(self, eps: jax.Array) -> jax.Array:
        normal = jnp.sum(-0.5 * eps**2 - HALF_LOG_2PI - jnp.log(self.scale), axis=-1)
        return normal - StickBreaking().log_det(self.loc + self.scale * eps)

    def _log_prob(self, z: jax.Array) -> jax.Array:
        valid = constraints.simplex.check(z) & jnp.all(z > 0, axis=-1)
        nan = jnp.any(jnp.isnan(z), axis=-1)
        safe = jnp.where((valid | nan)[..., None], z, 1 / z.shape[-1])
        value = self._log_prob_of_noise(self._inverse(safe))
        return jnp.where(valid | jnp.isnan(value), value, -jnp.inf)

    def _transform_and_log_prob(self, eps: jax.Array) -> tuple[jax.Array, jax.Array]:
        return self._transform(eps), self._log_prob_of_noise(eps)
