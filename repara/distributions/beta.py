"""The beta distribution, from one normal noise."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.scipy.special import digamma
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.base import Distribution
from repara.distributions.location_scale import _on_unit_interval
from repara.special import beta_normal_score, beta_quantile, log_betainc, ndtri
from repara.special.tails import log_factorial_excess

__all__ = ["Beta"]


class Beta(Distribution):
    """The beta distribution.

        q(x) = x^(a - 1) (1 - x)^(b - 1) / B(a, b),   0 <= x <= 1
        z = I^-1(Phi(eps); a, b),   eps ~ N(0, 1)

    with a = concentration1, b = concentration0 and I the regularized incomplete beta function.
    Samples of small concentrations are often so near an end that they round to it;
    `repara.special.logit_beta_quantile` gives their logits.

    Args:
      concentration1: the power of x, from 1e-2 to 1e5, any shape that broadcasts.
      concentration0: the power of 1 - x, from 1e-2 to 1e5.

    Raises:
      ValueError: a concrete concentration that is not positive, or shapes that do not broadcast.

    Source:
      Figurnov, Mohamed & Mnih (2018), "Implicit reparameterization gradients".

    Example:
      >>> round(float(Beta(1.0, 1.0).transform(0.5)), 4)  # Phi(1/2)
      0.6915
    """

    concentration1: jax.Array
    concentration0: jax.Array
    arg_constraints: ClassVar = {
        "concentration1": constraints.positive,
        "concentration0": constraints.positive,
    }
    support = constraints.unit_interval

    def __init__(self, concentration1: ArrayLike, concentration0: ArrayLike) -> None:
        super().__init__(concentration1=concentration1, concentration0=concentration0)

    def _transform(self, eps: jax.Array) -> jax.Array:
        return beta_quantile(eps, self.concentration1, self.concentration0)

    def _inverse(self, z: jax.Array) -> jax.Array:
        y = jnp.log(z) - jnp.log1p(-z)
        return beta_normal_score(y, self.concentration1, self.concentration0)

    def _log_prob(self, z: jax.Array) -> jax.Array:
        a, b = self.concentration1, self.concentration0

        def inside(z: jax.Array) -> jax.Array:
            # 0 log 0 = 0 where a concentration is 1.
            left = jnp.where((a == 1) & (z == 0), 0.0, (a - 1) * jnp.log(z))
            right = jnp.where((b == 1) & (z == 1), 0.0, (b - 1) * jnp.log1p(-z))
            return left + right - self._log_beta()

        return self._supported(z, 0.5, inside)

    def _log_beta(self) -> jax.Array:
        a, b = self.concentration1, self.concentration0
        n = a + b
        # by Stirling's formula: differences of log Gamma lose digits
        excess = log_factorial_excess(a) + log_factorial_excess(b) - log_factorial_excess(n)
        return excess + (a - 1) * jnp.log(a / n) + (b - 1) * jnp.log(b / n) - jnp.log(n)

    def _cdf(self, x: jax.Array) -> jax.Array:
        x = jnp.clip(x, 0, 1)
        return jnp.exp(log_betainc(self.concentration1, self.concentration0, x))

    def _icdf(self, u: jax.Array) -> jax.Array:
        return _on_unit_interval(lambda u: self._transform(ndtri(u)), u)

    def _entropy(self) -> jax.Array:
        a, b = self.concentration1, self.concentration0
        spread = (a - 1) * digamma(a) + (b - 1) * digamma(b) - (a + b - 2) * digamma(a + b)
        return self._log_beta() - spread

    def _mean(self) -> jax.Array:
        return self.concentration1 / (self.concentration1 + self.concentration0)

    def _variance(self) -> jax.Array:
        total = self.concentration1 + self.concentration0
        return self.concentration1 / total * (self.concentration0 / total) / (total + 1)
