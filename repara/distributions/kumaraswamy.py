"""The Kumaraswamy distribution."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.scipy.special import betaln, digamma
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.base import Distribution
from repara.distributions.unit_interval import on_unit_interval
from repara.special.constants import EULER_GAMMA
from repara.special.elementary import log1mexp

__all__ = ["Kumaraswamy"]


class Kumaraswamy(Distribution):
    """The Kumaraswamy distribution: similar to the beta, with a closed-form quantile function.

        P(x) = 1 - (1 - x^a)^b,   0 <= x <= 1
        z = (1 - u^(1 / b))^(1 / a),   u ~ U(0, 1)

    Args:
      concentration1: a, positive.
      concentration0: b, positive.

    Raises:
      ValueError: a concrete parameter that is not positive, or shapes that do not broadcast.

    References:
      Kumaraswamy (1980), "A generalized probability density function for double-bounded random
      processes", https://doi.org/10.1016/0022-1694(80)90036-0
      Nalisnick and Smyth (2017), "Stick-breaking variational autoencoders",
      https://arxiv.org/abs/1605.06197

    Example:
      >>> float(Kumaraswamy(1.0, 1.0).transform(0.25))
      0.75
    """

    concentration1: jax.Array
    concentration0: jax.Array
    arg_constraints: ClassVar = {
        "concentration1": constraints.positive,
        "concentration0": constraints.positive,
    }
    support = constraints.unit_interval
    noise_marginal = "uniform"

    def __init__(self, concentration1: ArrayLike, concentration0: ArrayLike) -> None:
        super().__init__(concentration1=concentration1, concentration0=concentration0)

    def _log_from_exponential(self, e: jax.Array) -> jax.Array:
        """log z for e = -log of the probability of values above z."""
        return log1mexp(-e / self.concentration0) / self.concentration1

    def _from_exponential(self, e: jax.Array) -> jax.Array:
        return jnp.exp(self._log_from_exponential(e))

    def _to_exponential(self, z: jax.Array) -> jax.Array:
        return -self.concentration0 * log1mexp(self.concentration1 * jnp.log(z))

    def _transform(self, eps: jax.Array) -> jax.Array:
        return self._from_exponential(-jnp.log(eps))

    def _inverse(self, z: jax.Array) -> jax.Array:
        return jnp.exp(-self._to_exponential(z))

    def _log_prob(self, z: jax.Array) -> jax.Array:
        def inside(z: jax.Array) -> jax.Array:
            log_z = jnp.log(z)
            return self._log_prob_of_logs(log_z, log1mexp(self.concentration1 * log_z))

        return self._supported(z, 0.5, inside)

    def _log_prob_of_logs(self, log_z: jax.Array, log_rest: jax.Array) -> jax.Array:
        """From log z and log(1 - z^a)."""
        a, b = self.concentration1, self.concentration0
        return jnp.log(a) + jnp.log(b) + (a - 1) * log_z + (b - 1) * log_rest

    def _transform_and_log_prob(self, eps: jax.Array) -> tuple[jax.Array, jax.Array]:
        # Both logarithms come from the noise: they are finite even if z rounds to 0 or 1.
        e = -jnp.log(eps)
        log_z = self._log_from_exponential(e)
        return jnp.exp(log_z), self._log_prob_of_logs(log_z, -e / self.concentration0)

    def _cdf(self, x: jax.Array) -> jax.Array:
        positive = x > 0
        x = jnp.where(positive | jnp.isnan(x), jnp.minimum(x, 1), 0.5)
        inside = -jnp.expm1(-self._to_exponential(x))
        return jnp.where(positive | jnp.isnan(inside), inside, 0)

    def _icdf(self, u: jax.Array) -> jax.Array:
        return on_unit_interval(lambda u: self._from_exponential(-jnp.log1p(-u)), u)

    def _moment(self, n: int) -> jax.Array:
        a, b = self.concentration1, self.concentration0
        return b * jnp.exp(betaln(1 + n / a, b))

    def _entropy(self) -> jax.Array:
        a, b = self.concentration1, self.concentration0
        harmonic = digamma(b + 1) + EULER_GAMMA
        return (1 - 1 / b) + (1 - 1 / a) * harmonic - jnp.log(a) - jnp.log(b)

    def _mean(self) -> jax.Array:
        return self._moment(1)

    def _variance(self) -> jax.Array:
        return self._moment(2) - self._moment(1) ** 2

    def _mode(self) -> jax.Array:
        # Inside for a > 1 and b > 1; otherwise an end at which the density is highest.
        a, b = self.concentration1, self.concentration0
        inner = (a > 1) & (b > 1)
        x, y = jnp.where(inner, a, 2), jnp.where(inner, b, 2)
        inside = ((x - 1) / (x * y - 1)) ** (1 / x)
        outside = jnp.where(b < 1, 1, jnp.where(a < 1, 0, jnp.where(b > 1, 0, 1)))
        mode = jnp.where(inner, inside, outside.astype(a.dtype))
        return mode * (a / a) * (b / b)  # NaN if a parameter is NaN
