"""The power spherical distribution on the unit sphere."""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.base import Distribution, Shape
from repara.distributions.derivatives import derivative
from repara.distributions.matrices import log_gamma_ratio
from repara.distributions.von_mises_fisher import NONZERO_VECTOR, direction_around
from repara.special import logit_beta_from_normal
from repara.special.elementary import softplus

__all__ = ["PowerSpherical"]


class PowerSpherical(Distribution):
    """The power spherical distribution of a direction.

        q(x) proportional to (1 + mu . x)^concentration,   |x| = 1
        z = cos y mu + sin y v,   (1 + cos y) / 2 = I^-1(Phi(eps_1); concentration + b, b)

    with b = (d - 1) / 2, I the regularized incomplete beta function and v a uniform direction
    orthogonal to mu, made from the other noises as in `VonMisesFisher`. The transform is not
    one-to-one, as the lengths of those noises do not matter.

    Args:
      mean_direction: mu, `[..., d]` with d at least 2; of any length except 0; only the direction
        matters.
      concentration: nonnegative, at most 1e5; 0 gives the uniform distribution.

    Raises:
      ValueError: a zero direction, a concentration that is negative, or shapes that do not
        broadcast.

    References:
      De Cao and Aziz (2020), "The power spherical distribution",
      https://arxiv.org/abs/2006.04437

    Example:
      >>> q = PowerSpherical(jnp.array([0.0, 2.0, 0.0]), 3.0)
      >>> [round(float(v), 4) for v in q.mean]  # concentration / (concentration + d - 1)
      [0.0, 0.6, 0.0]
    """

    mean_direction: jax.Array
    concentration: jax.Array
    arg_constraints: ClassVar = {
        "mean_direction": NONZERO_VECTOR,
        "concentration": constraints.nonnegative,
    }
    support = constraints.unit_vector

    def __init__(self, mean_direction: ArrayLike, concentration: ArrayLike) -> None:
        super().__init__(mean_direction=mean_direction, concentration=concentration)
        if self.event_shape[0] < 2:
            raise ValueError(
                "PowerSpherical: mean_direction must have at least 2 coordinates, got 1"
            )

    @property
    def event_shape(self) -> Shape:
        return jnp.shape(self.mean_direction)[-1:]

    def _unit(self) -> jax.Array:
        mu = self.mean_direction
        return mu / jnp.sqrt(jnp.sum(mu * mu, axis=-1, keepdims=True))

    def _half(self) -> float:
        """b = (d - 1) / 2."""
        return 0.5 * (self.event_shape[0] - 1)

    def _cosine(self, eps: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """cos y, sin y and log((1 + cos y) / 2), from the logit of (1 + cos y) / 2."""
        k, b = self.concentration, self._half()
        logit = logit_beta_from_normal(eps, k + b, jnp.full_like(k, b))
        log_up, log_down = -softplus(-logit), -softplus(logit)
        return jnp.tanh(0.5 * logit), 2 * jnp.exp(0.5 * (log_up + log_down)), log_up

    def _transform(self, eps: jax.Array) -> jax.Array:
        return self._transform_and_log_prob(eps)[0]

    def _transform_and_log_prob(self, eps: jax.Array) -> tuple[jax.Array, jax.Array]:
        cosine, sine, log_up = self._cosine(eps[..., 0])
        z = direction_around(self._unit(), cosine[..., None], sine[..., None], eps[..., 1:])
        return z, self.concentration * log_up - self._log_normalizer()

    def _log_normalizer(self) -> jax.Array:
        return _log_normalizer(self.concentration, self._half())

    def _log_prob(self, z: jax.Array) -> jax.Array:
        k = self.concentration
        # (1 + mu . x) / 2 = |mu + x|^2 / 4, which keeps its relative precision if it is small.
        up = 0.25 * jnp.sum((self._unit() + z) ** 2, axis=-1)
        opposite = (up == 0) & ~(k > 0)
        power = k * jnp.log(jnp.where(opposite, 1.0, up))
        value = power - self._log_normalizer()
        return jnp.where(self.support.check(z) | jnp.isnan(value), value, -jnp.inf)

    def _resultant(self) -> jax.Array:
        """E[mu . z]."""
        return self.concentration / (self.concentration + 2 * self._half())

    def _mean_log(self) -> jax.Array:
        """E log((1 + mu . z) / 2), the derivative of the logarithm of the normalizer."""

        def log_normalizer(k: jax.Array) -> jax.Array:
            return _log_normalizer(k, self._half())

        return derivative(log_normalizer, self.concentration)

    def _entropy(self) -> jax.Array:
        return self._log_normalizer() - self.concentration * self._mean_log()

    def _mean(self) -> jax.Array:
        return self._resultant()[..., None] * self._unit()

    def _variance(self) -> jax.Array:
        # E (mu . z)^2 from the beta variable (1 + mu . z) / 2, the rest is shared by the other
        # coordinates.
        k, b, mu = self.concentration, self._half(), self._unit()
        total = k + 2 * b
        along = 4 * (k + b) / total * (b / total) / (total + 1)
        across = (1 - along - self._resultant() ** 2) / (2 * b)
        along, across = along[..., None], across[..., None]
        return along * mu**2 + across * (1 - mu**2)

    def _mode(self) -> jax.Array:
        return self._unit()


def _log_normalizer(k: jax.Array, b: float) -> jax.Array:
    """The logarithm of the integral of ((1 + mu . x) / 2)^k over the sphere.

    (4 pi)^b Gamma(k + b) / Gamma(k + 2 b)
    """
    return b * math.log(4 * math.pi) - log_gamma_ratio(k + b, b)
