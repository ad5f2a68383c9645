"""The exponential and the sigmoid of a normal variable: log-normal and logit-normal."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtr, ndtri
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.increasing_in_normal import IncreasingInNormal
from repara.distributions.probabilities import logit
from repara.distributions.unit_interval import on_unit_interval
from repara.special.constants import HALF_LOG_2PI
from repara.special.elementary import sigmoid, softplus

__all__ = ["LogNormal", "LogitNormal"]


class LogNormal(IncreasingInNormal):
    """The log-normal distribution.

        z = exp(loc + scale eps),   eps ~ N(0, 1)

    Args:
      loc: the mean of the logarithm, any shape that broadcasts with `scale`.
      scale: the standard deviation of the logarithm, positive.

    Raises:
      ValueError: a concrete `scale` that is not positive, or shapes that do not broadcast.

    Example:
      >>> float(LogNormal(0.0, 2.0).transform(0.0))
      1.0
    """

    loc: jax.Array
    scale: jax.Array
    arg_constraints: ClassVar = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.positive

    def __init__(self, loc: ArrayLike, scale: ArrayLike) -> None:
        super().__init__(loc=loc, scale=scale)

    def _transform(self, eps: jax.Array) -> jax.Array:
        return jnp.exp(self.loc + self.scale * eps)

    def _inverse(self, z: jax.Array) -> jax.Array:
        return (jnp.log(z) - self.loc) / self.scale

    def _log_prob(self, z: jax.Array) -> jax.Array:
        def inside(z: jax.Array) -> jax.Array:
            return self._log_prob_of_noise(self._inverse(z), jnp.log(z))

        return self._supported(z, 1.0, inside)

    def _transform_and_log_prob(self, eps: jax.Array) -> tuple[jax.Array, jax.Array]:
        y = self.loc + self.scale * eps
        return jnp.exp(y), self._log_prob_of_noise(eps, y)

    def _log_prob_of_noise(self, eps: jax.Array, y: jax.Array) -> jax.Array:
        return -0.5 * eps**2 - HALF_LOG_2PI - jnp.log(self.scale) - y

    def _cdf(self, x: jax.Array) -> jax.Array:
        positive = x > 0
        inside = ndtr(self._inverse(jnp.where(positive | jnp.isnan(x), x, 1)))
        return jnp.where(positive | jnp.isnan(inside), inside, 0)

    def _entropy(self) -> jax.Array:
        return 0.5 + HALF_LOG_2PI + jnp.log(self.scale) + self.loc

    def _mean(self) -> jax.Array:
        return jnp.exp(self.loc + 0.5 * self.scale**2)

    def _variance(self) -> jax.Array:
        return jnp.expm1(self.scale**2) * jnp.exp(2 * self.loc + self.scale**2)

    def _mode(self) -> jax.Array:
        return jnp.exp(self.loc - self.scale**2)


class LogitNormal(IncreasingInNormal):
    """The logit-normal distribution on the unit interval.

        z = sigmoid(loc + scale eps),   eps ~ N(0, 1)

    Its moments have no closed form. Extreme samples round to 0 or 1, at which the density is not
    defined; `rsample_and_log_prob` works from the noise and stays finite.

    Args:
      loc: the mean of the logit, any shape that broadcasts with `scale`.
      scale: the standard deviation of the logit, positive.

    Raises:
      ValueError: a concrete `scale` that is not positive, or shapes that do not broadcast.

    Example:
      >>> float(LogitNormal(0.0, 2.0).transform(0.0))
      0.5
    """

    loc: jax.Array
    scale: jax.Array
    arg_constraints: ClassVar = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.open_unit_interval

    def __init__(self, loc: ArrayLike, scale: ArrayLike) -> None:
        super().__init__(loc=loc, scale=scale)

    def _transform(self, eps: jax.Array) -> jax.Array:
        return sigmoid(self.loc + self.scale * eps)

    def _inverse(self, z: jax.Array) -> jax.Array:
        return (logit(z) - self.loc) / self.scale

    def _log_prob(self, z: jax.Array) -> jax.Array:
        def inside(z: jax.Array) -> jax.Array:
            return self._log_prob_of_noise(self._inverse(z), logit(z))

        return self._supported(z, 0.5, inside)

    def _transform_and_log_prob(self, eps: jax.Array) -> tuple[jax.Array, jax.Array]:
        y = self.loc + self.scale * eps
        return sigmoid(y), self._log_prob_of_noise(eps, y)

    def _log_prob_of_noise(self, eps: jax.Array, y: jax.Array) -> jax.Array:
        # dz/dy = z (1 - z), whose logarithm is -softplus(y) - softplus(-y).
        normal = -0.5 * eps**2 - HALF_LOG_2PI - jnp.log(self.scale)
        return normal + softplus(y) + softplus(-y)

    def _cdf(self, x: jax.Array) -> jax.Array:
        return ndtr(self._inverse(jnp.clip(x, 0, 1)))

    def _icdf(self, u: jax.Array) -> jax.Array:
        return on_unit_interval(lambda u: self._transform(ndtri(u)), u)
