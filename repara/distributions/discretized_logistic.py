"""The logistic distribution rounded to integers: a likelihood for 8-bit images."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.base import Shape
from repara.distributions.constraints import Constraint
from repara.distributions.discrete import Discrete
from repara.noise import open_uniform

__all__ = ["DiscretizedLogistic"]


class DiscretizedLogistic(Discrete):
    """A logistic variable rounded to the integers 0, ..., num_values - 1.

        q(k) = sigmoid((k + 1/2 - loc) / scale) - sigmoid((k - 1/2 - loc) / scale)

    The first and the last value get the tails, so that the probabilities sum to one. The
    distribution is discrete: `has_rsample` is False.

    Args:
      loc: the location in units of the values, such as 0 to 255 for 8-bit images.
      scale: the scale of the logistic, positive, in the same units.
      num_values: the number of values; 256 for 8-bit images.

    Raises:
      ValueError: a concrete `scale` that is not positive, or fewer than two values.

    References:
      Kingma et al. (2016), "Improved variational inference with inverse autoregressive flow",
      section 5.2, https://arxiv.org/abs/1606.04934

    Example:
      >>> q = DiscretizedLogistic(127.5, 10.0)
      >>> round(float(jnp.sum(jnp.exp(q.log_prob(jnp.arange(256.0))))), 4)
      1.0
    """

    loc: jax.Array
    scale: jax.Array
    num_values: int
    arg_constraints: ClassVar = {"loc": constraints.real, "scale": constraints.positive}
    _static: ClassVar = ("num_values",)

    def __init__(self, loc: ArrayLike, scale: ArrayLike, num_values: int = 256) -> None:
        if num_values < 2:
            raise ValueError(
                f"DiscretizedLogistic: num_values must be at least 2, got {num_values}"
            )
        super().__init__(loc=loc, scale=scale)
        self._set("num_values", int(num_values))

    @property
    def support(self) -> Constraint:
        return constraints.integer_interval(0, self.num_values - 1)

    def _sample(self, key: jax.Array, shape: Shape) -> jax.Array:
        u = open_uniform(key, shape, self.scale.dtype)
        z = jnp.round(self.loc + self.scale * (jnp.log(u) - jnp.log1p(-u)))
        return jnp.clip(z, 0, self.num_values - 1)

    def _log_prob(self, z: jax.Array) -> jax.Array:
        # sigmoid(b) - sigmoid(a) = sigmoid(b) sigmoid(-a) (1 - exp(a - b)) does not cancel.
        upper = (z + 0.5 - self.loc) / self.scale
        lower = (z - 0.5 - self.loc) / self.scale
        width = -jnp.expm1(-1 / self.scale)
        first, last = z == 0, z == self.num_values - 1
        inside = (
            jnp.where(last, 0, jax.nn.log_sigmoid(upper))
            + jnp.where(first, 0, jax.nn.log_sigmoid(-lower))
            + jnp.where(first | last, 0, jnp.log(width))
        )
        valid = self.support.check(z) | jnp.isnan(inside)
        return jnp.where(valid, inside, -jnp.inf)

    def _mode(self) -> jax.Array:
        return jnp.clip(jnp.round(self.loc), 0, self.num_values - 1)

    def enumerate_support(self) -> jax.Array:
        """Returns all values, [num_values] + [1] * len(batch_shape), to broadcast."""
        values = jnp.arange(self.num_values, dtype=self.dtype)
        return values.reshape((-1,) + (1,) * len(self.batch_shape))
