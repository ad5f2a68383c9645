"""The von Mises-Fisher distribution on the unit sphere."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.base import Distribution, Shape
from repara.distributions.constraints import Constraint
from repara.distributions.derivatives import derivative
from repara.special import von_mises_fisher_angle, von_mises_fisher_log_normalizer

__all__ = ["VonMisesFisher"]

NONZERO_VECTOR = Constraint(
    "a vector of numbers that are not all zero",
    lambda x: jnp.any(x != 0, axis=-1) & ~jnp.any(jnp.isnan(x), axis=-1),
    1,
)


class VonMisesFisher(Distribution):
    """The von Mises-Fisher distribution of a direction.

        q(x) proportional to exp(concentration mu . x),   |x| = 1
        z = cos y mu + sin y v,   y = F^-1(Phi(eps_1)),   v a uniform direction orthogonal to mu

    v is the direction of the other noises, rotated by the shortest way from the first axis to mu,
    or from its opposite if mu is nearer to that: no mu is singular. The transform is
    not one-to-one, as the lengths of those noises do not matter, and `inverse` raises.

    Args:
      mean_direction: mu, `[..., d]` with d from 2 to 1000; of any length except 0; only the
        direction matters.
      concentration: nonnegative; 0 gives the uniform distribution.

    Raises:
      ValueError: a zero direction, a concentration that is negative, or shapes that do not
        broadcast.

    References:
      Figurnov, Mohamed and Mnih (2018), "Implicit reparameterization gradients", for the angle,
      https://arxiv.org/abs/1805.08498

    Example:
      >>> q = VonMisesFisher(jnp.array([1.0, 0.0, 0.0]), 10.0)
      >>> round(float(jnp.linalg.norm(q.transform(jnp.array([0.3, -1.0, 0.5])))), 4)
      1.0
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
        if jnp.shape(self.mean_direction)[-1] < 2:
            raise ValueError(
                "VonMisesFisher: mean_direction must have at least 2 coordinates, got 1"
            )

    @property
    def event_shape(self) -> Shape:
        return jnp.shape(self.mean_direction)[-1:]

    def _unit(self) -> jax.Array:
        mu = self.mean_direction
        return mu / jnp.sqrt(jnp.sum(mu * mu, axis=-1, keepdims=True))

    def _transform(self, eps: jax.Array) -> jax.Array:
        mu, d = self._unit(), self.event_shape[0]
        angle = von_mises_fisher_angle(eps[..., 0], self.concentration, d)[..., None]
        return direction_around(mu, jnp.cos(angle), jnp.sin(angle), eps[..., 1:])

    def _log_prob(self, z: jax.Array) -> jax.Array:
        log_normalizer = von_mises_fisher_log_normalizer(self.concentration, self.event_shape[0])
        cosine = jnp.sum(self._unit() * z, axis=-1)
        value = self.concentration * (cosine - 1) - log_normalizer
        return jnp.where(self.support.check(z) | jnp.isnan(value), value, -jnp.inf)

    def _shortfall(self, k: jax.Array) -> jax.Array:
        """1 - E[mu . z] at concentration k: minus the derivative of the log-normalizer."""

        def log_normalizer(k: jax.Array) -> jax.Array:
            return von_mises_fisher_log_normalizer(k, self.event_shape[0])

        return -derivative(log_normalizer, k)

    def _resultant(self) -> jax.Array:
        """E[mu . z]."""
        return 1 - self._shortfall(self.concentration)

    def _entropy(self) -> jax.Array:
        log_normalizer = von_mises_fisher_log_normalizer(self.concentration, self.event_shape[0])
        return log_normalizer + self.concentration * self._shortfall(self.concentration)

    def _mean(self) -> jax.Array:
        return self._resultant()[..., None] * self._unit()

    def _variance(self) -> jax.Array:
        # Along mu it is the derivative of the resultant; the other coordinates share the rest of
        # 1 = E[z . z].
        k = self.concentration
        missing: jax.Array
        fall: jax.Array
        missing, fall = jax.jvp(self._shortfall, (k,), (jnp.ones_like(k),))
        across = (missing * (2 - missing) + fall) / (self.event_shape[0] - 1)
        square = self._unit() ** 2
        return -fall[..., None] * square + across[..., None] * (1 - square)

    def _mode(self) -> jax.Array:
        return self._unit()


def direction_around(
    mu: jax.Array, cosine: jax.Array, sine: jax.Array, rest: jax.Array
) -> jax.Array:
    """Returns cosine mu + sine v, v the direction of `rest` rotated to be orthogonal to mu."""
    rest = rest / jnp.sqrt(jnp.sum(rest * rest, axis=-1, keepdims=True))
    pole = jnp.where(mu[..., :1] < 0, -1.0, 1.0).astype(mu.dtype)
    # The rotation of the plane of pole and mu takes v to v - (mu . v) (pole + mu) / (1 + c) with
    # c >= 0 the cosine between the two.
    along = jnp.sum(mu[..., 1:] * rest, axis=-1, keepdims=True)
    share = along / (1 + pole * mu[..., :1])
    first = -share * (pole + mu[..., :1])
    v = jnp.concatenate([first, rest - share * mu[..., 1:]], axis=-1)
    return cosine * mu + sine * v
