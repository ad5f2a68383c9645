"""The normal distribution, the first example of the reparameterization trick."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtr, ndtri
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.base import Distribution
from repara.special.constants import HALF_LOG_2PI

__all__ = ["Normal"]


class Normal(Distribution):
    """The normal distribution.

        z = loc + scale * eps,   eps ~ N(0, 1)

    Args:
      loc: the mean, any shape that broadcasts with `scale`.
      scale: the standard deviation, positive.

    Raises:
      ValueError: a concrete `scale` that is not positive, a NaN, or shapes that do not broadcast.

    References:
      Kingma and Welling (2013), "Auto-encoding variational Bayes", section 2.4,
      https://arxiv.org/abs/1312.6114

    Example:
      >>> q = Normal(1.0, 2.0)
      >>> float(q.transform(0.5))
      2.0
      >>> float(jax.grad(lambda q: q.transform(0.5))(q).scale)
      0.5
    """

    loc: jax.Array
    scale: jax.Array
    arg_constraints: ClassVar = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real

    def __init__(self, loc: ArrayLike, scale: ArrayLike) -> None:
        super().__init__(loc=loc, scale=scale)

    def _transform(self, eps: jax.Array) -> jax.Array:
        return self.loc + self.scale * eps

    def _inverse(self, z: jax.Array) -> jax.Array:
        return (z - self.loc) / self.scale

    def _log_prob(self, z: jax.Array) -> jax.Array:
        return self._log_prob_of_noise(self._inverse(z))

    def _transform_and_log_prob(self, eps: jax.Array) -> tuple[jax.Array, jax.Array]:
        return self._transform(eps), self._log_prob_of_noise(eps)

    def _log_prob_of_noise(self, eps: jax.Array) -> jax.Array:
        return -0.5 * eps**2 - jnp.log(self.scale) - HALF_LOG_2PI

    def _cdf(self, x: jax.Array) -> jax.Array:
        return ndtr(self._inverse(x))

    def _icdf(self, u: jax.Array) -> jax.Array:
        return self._transform(ndtri(u))

    def _sf(self, x: jax.Array) -> jax.Array:
        return ndtr(-self._inverse(x))

    def _isf(self, u: jax.Array) -> jax.Array:
        return self.loc - self.scale * ndtri(u)

    def _entropy(self) -> jax.Array:
        return 0.5 + HALF_LOG_2PI + jnp.log(self.scale)

    def _mean(self) -> jax.Array:
        return self.loc

    def _variance(self) -> jax.Array:
        return self.scale**2

    def _mode(self) -> jax.Array:
        return self.loc
