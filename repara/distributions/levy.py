"""The Levy distribution, one over a squared normal, and its logarithm, the Moyal distribution."""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtr, ndtri
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.base import Distribution
from repara.distributions.constraints import Constraint
from repara.distributions.location_scale import LocationScale
from repara.distributions.unit_interval import on_unit_interval
from repara.special.constants import EULER_GAMMA, HALF_LOG_2PI

__all__ = ["Levy", "Moyal"]


def _half_normal_isf(u: jax.Array) -> jax.Array:
    """The value that a half-normal variable exceeds with probability u."""
    return -ndtri(0.5 * u)


class Levy(Distribution):
    """The Levy distribution.

        P(x) = erfc(sqrt(scale / (2 (x - loc)))),   x > loc
        z = loc + scale / Phi^-1(u / 2)^2,   u ~ U(0, 1)

    All its moments are infinite.

    Args:
      loc: the lower end, any shape that broadcasts with `scale`.
      scale: positive.

    Raises:
      ValueError: a concrete `scale` that is not positive, or shapes that do not broadcast.

    Example:
      >>> round(float(Levy(0.0, 2.0).transform(0.3173105)), 4)
      2.0
    """

    loc: jax.Array
    scale: jax.Array
    arg_constraints: ClassVar = {"loc": constraints.real, "scale": constraints.positive}
    noise_marginal = "uniform"

    def __init__(self, loc: ArrayLike, scale: ArrayLike) -> None:
        super().__init__(loc=loc, scale=scale)

    @property
    def support(self) -> Constraint:
        return constraints.at_least(self.loc)

    def _transform(self, eps: jax.Array) -> jax.Array:
        return self.loc + self.scale / _half_normal_isf(eps) ** 2

    def _inverse(self, z: jax.Array) -> jax.Array:
        return 2 * ndtr(-jnp.sqrt(self.scale / (z - self.loc)))

    def _log_prob(self, z: jax.Array) -> jax.Array:
        def inside(z: jax.Array) -> jax.Array:
            square = self.scale / (z - self.loc)
            return 1.5 * jnp.log(square) - jnp.log(self.scale) - HALF_LOG_2PI - 0.5 * square

        above = jnp.where(z == self.loc, -jnp.inf, z)  # the density at the end is 0
        return self._supported(above, self.loc + self.scale, inside)

    def _cdf(self, x: jax.Array) -> jax.Array:
        above = x > self.loc
        inside = self._inverse(jnp.where(above | jnp.isnan(x), x, self.loc + self.scale))
        return jnp.where(above | jnp.isnan(inside), inside, 0)

    def _icdf(self, u: jax.Array) -> jax.Array:
        return on_unit_interval(self._transform, u)

    def _entropy(self) -> jax.Array:
        return 0.5 * (1 + 3 * EULER_GAMMA + math.log(16 * math.pi)) + jnp.log(self.scale)

    def _mean(self) -> jax.Array:
        return jnp.where(jnp.isnan(self.loc + self.scale), jnp.nan, jnp.inf)

    def _variance(self) -> jax.Array:
        return self._mean()

    def _mode(self) -> jax.Array:
        return self.loc + self.scale / 3


class Moyal(LocationScale):
    """The Moyal distribution, an approximation of the energy loss of a fast particle.

        q(x) = exp(-(t + exp(-t)) / 2) / (sqrt(2 pi) scale),   t = (x - loc) / scale
        z = loc - 2 scale log(-Phi^-1(u / 2)),   u ~ U(0, 1)

    Args:
      loc: the mode, any shape that broadcasts with `scale`.
      scale: positive.

    Raises:
      ValueError: a concrete `scale` that is not positive, or shapes that do not broadcast.

    References:
      Moyal (1955), "Theory of ionization fluctuations",
      https://doi.org/10.1080/14786440308521076

    Example:
      >>> round(float(Moyal(1.0, 2.0).transform(0.3173105)), 4)
      1.0
    """

    _standard_mean = EULER_GAMMA + math.log(2)
    _standard_variance = math.pi**2 / 2
    _standard_entropy = 0.5 * (1 + EULER_GAMMA + math.log(4 * math.pi))

    @staticmethod
    def _standard_icdf(u: jax.Array) -> jax.Array:
        return -2 * jnp.log(_half_normal_isf(u))

    @staticmethod
    def _standard_cdf(t: jax.Array) -> jax.Array:
        return 2 * ndtr(-jnp.exp(-0.5 * t))

    @staticmethod
    def _standard_log_prob(t: jax.Array) -> jax.Array:
        return -0.5 * (t + jnp.exp(-t)) - HALF_LOG_2PI
