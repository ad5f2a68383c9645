"""The exponential distribution and transforms of it: Weibull, Rayleigh, Gompertz.

The noise u of each is the probability of a value above z, so the right tail, at small u, keeps its
relative precision in float32.
"""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.base import Distribution
from repara.distributions.unit_interval import on_unit_interval
from repara.special.constants import EULER_GAMMA

__all__ = ["Exponential", "Gompertz", "Rayleigh", "Weibull"]


class Exponential(Distribution):
    """The exponential distribution.

        q(x) = rate exp(-rate x),   x >= 0
        z = -log(u) / rate,   u ~ U(0, 1)

    Args:
      rate: one over the mean, positive.

    Raises:
      ValueError: a concrete `rate` that is not positive.

    Example:
      >>> round(float(Exponential(2.0).transform(jnp.exp(-1.0))), 6)
      0.5
    """

    rate: jax.Array
    arg_constraints: ClassVar = {"rate": constraints.positive}
    support = constraints.nonnegative
    noise_marginal = "uniform"

    def __init__(self, rate: ArrayLike) -> None:
        super().__init__(rate=rate)

    def _transform(self, eps: jax.Array) -> jax.Array:
        return -jnp.log(eps) / self.rate

    def _inverse(self, z: jax.Array) -> jax.Array:
        return jnp.exp(-self.rate * z)

    def _log_prob(self, z: jax.Array) -> jax.Array:
        return self._supported(z, 0.0, lambda z: jnp.log(self.rate) - self.rate * z)

    def _cdf(self, x: jax.Array) -> jax.Array:
        return -jnp.expm1(-self.rate * jnp.maximum(x, 0))

    def _icdf(self, u: jax.Array) -> jax.Array:
        return on_unit_interval(lambda u: -jnp.log1p(-u) / self.rate, u)

    def _sf(self, x: jax.Array) -> jax.Array:
        return self._inverse(jnp.maximum(x, 0))

    def _isf(self, u: jax.Array) -> jax.Array:
        return self._transform(u)

    def _entropy(self) -> jax.Array:
        return 1 - jnp.log(self.rate)

    def _mean(self) -> jax.Array:
        return 1 / self.rate

    def _variance(self) -> jax.Array:
        return 1 / self.rate**2

    def _mode(self) -> jax.Array:
        return 0 * self.rate


class Weibull(Distribution):
    """The Weibull distribution.

        q(x) = (k / scale) (x / scale)^(k - 1) exp(-(x / scale)^k)
        z = scale (-log u)^(1 / k),   u ~ U(0, 1)

    Args:
      scale: the scale, positive.
      concentration: k, positive.

    Raises:
      ValueError: a concrete parameter that is not positive, or shapes that do not broadcast.

    Example:
      >>> round(float(Weibull(2.0, 1.0).transform(jnp.exp(-1.0))), 6)
      2.0
    """

    scale: jax.Array
    concentration: jax.Array
    arg_constraints: ClassVar = {
        "scale": constraints.positive,
        "concentration": constraints.positive,
    }
    support = constraints.positive
    noise_marginal = "uniform"

    def __init__(self, scale: ArrayLike, concentration: ArrayLike) -> None:
        super().__init__(scale=scale, concentration=concentration)

    def _from_exponential(self, e: jax.Array) -> jax.Array:
        return self.scale * jnp.exp(jnp.log(e) / self.concentration)

    def _power(self, z: jax.Array) -> jax.Array:
        return jnp.exp(self.concentration * jnp.log(z / self.scale))

    def _transform(self, eps: jax.Array) -> jax.Array:
        return self._from_exponential(-jnp.log(eps))

    def _inverse(self, z: jax.Array) -> jax.Array:
        return jnp.exp(-self._power(z))

    def _log_prob(self, z: jax.Array) -> jax.Array:
        def inside(z: jax.Array) -> jax.Array:
            k, log_ratio = self.concentration, jnp.log(z / self.scale)
            return jnp.log(k / self.scale) + (k - 1) * log_ratio - jnp.exp(k * log_ratio)

        return self._supported(z, 1.0, inside)

    def _cdf(self, x: jax.Array) -> jax.Array:
        positive = x > 0
        return jnp.where(positive, -jnp.expm1(-self._power(jnp.where(positive, x, 1))), 0 * x)

    def _icdf(self, u: jax.Array) -> jax.Array:
        return on_unit_interval(lambda u: self._from_exponential(-jnp.log1p(-u)), u)

    def _entropy(self) -> jax.Array:
        k = self.concentration
        return EULER_GAMMA * (1 - 1 / k) + jnp.log(self.scale / k) + 1

    def _mean(self) -> jax.Array:
        return self.scale * jnp.exp(gammaln(1 + 1 / self.concentration))

    def _variance(self) -> jax.Array:
        first = gammaln(1 + 1 / self.concentration)
        second = gammaln(1 + 2 / self.concentration)
        return self.scale**2 * jnp.exp(2 * first) * jnp.expm1(second - 2 * first)

    def _mode(self) -> jax.Array:
        k = self.concentration
        above = k > 1
        safe = jnp.where(above, k, 2)
        inside = self.scale * jnp.exp(jnp.log1p(-1 / safe) / safe)
        return jnp.where(above | jnp.isnan(k), inside * (k / k), 0 * self.scale)


class Rayleigh(Distribution):
    """The Rayleigh distribution: the length of a normal vector in the plane.

        q(x) = x / scale^2 exp(-x^2 / (2 scale^2))
        z = scale sqrt(-2 log u),   u ~ U(0, 1)

    Args:
      scale: the standard deviation of a coordinate, positive.

    Raises:
      ValueError: a concrete `scale` that is not positive.

    Example:
      >>> round(float(Rayleigh(2.0).transform(jnp.exp(-0.5))), 6)
      2.0
    """

    scale: jax.Array
    arg_constraints: ClassVar = {"scale": constraints.positive}
    support = constraints.positive
    noise_marginal = "uniform"

    def __init__(self, scale: ArrayLike) -> None:
        super().__init__(scale=scale)

    def _transform(self, eps: jax.Array) -> jax.Array:
        return self.scale * jnp.sqrt(-2 * jnp.log(eps))

    def _inverse(self, z: jax.Array) -> jax.Array:
        return jnp.exp(-0.5 * (z / self.scale) ** 2)

    def _log_prob(self, z: jax.Array) -> jax.Array:
        def inside(z: jax.Array) -> jax.Array:
            t = z / self.scale
            return jnp.log(t) - jnp.log(self.scale) - 0.5 * t**2

        return self._supported(z, 1.0, inside)

    def _cdf(self, x: jax.Array) -> jax.Array:
        return -jnp.expm1(-0.5 * (jnp.maximum(x, 0) / self.scale) ** 2)

    def _icdf(self, u: jax.Array) -> jax.Array:
        return on_unit_interval(lambda u: self.scale * jnp.sqrt(-2 * jnp.log1p(-u)), u)

    def _entropy(self) -> jax.Array:
        return 1 + 0.5 * EULER_GAMMA - 0.5 * math.log(2) + jnp.log(self.scale)

    def _mean(self) -> jax.Array:
        return self.scale * math.sqrt(0.5 * math.pi)

    def _variance(self) -> jax.Array:
        return self.scale**2 * (2 - 0.5 * math.pi)

    def _mode(self) -> jax.Array:
        return self.scale


class Gompertz(Distribution):
    """The Gompertz distribution: lifetimes whose hazard grows exponentially.

        P(x) = 1 - exp(-concentration (exp(rate x) - 1)),   x >= 0
        z = log(1 - log(u) / concentration) / rate,   u ~ U(0, 1)

    Args:
      concentration: the shape, positive.
      rate: how fast the hazard grows, positive.

    Raises:
      ValueError: a concrete parameter that is not positive, or shapes that do not broadcast.

    Example:
      >>> float(Gompertz(1.0, 2.0).cdf(0.0))
      0.0
    """

    concentration: jax.Array
    rate: jax.Array
    arg_constraints: ClassVar = {
        "concentration": constraints.positive,
        "rate": constraints.positive,
    }
    support = constraints.nonnegative
    noise_marginal = "uniform"

    def __init__(self, concentration: ArrayLike, rate: ArrayLike) -> None:
        super().__init__(concentration=concentration, rate=rate)

    def _transform(self, eps: jax.Array) -> jax.Array:
        return jnp.log1p(-jnp.log(eps) / self.concentration) / self.rate

    def _inverse(self, z: jax.Array) -> jax.Array:
        return jnp.exp(-self.concentration * jnp.expm1(self.rate * z))

    def _log_prob(self, z: jax.Array) -> jax.Array:
        def inside(z: jax.Array) -> jax.Array:
            a, t = self.concentration, self.rate * z
            return jnp.log(a) + jnp.log(self.rate) + t - a * jnp.expm1(t)

        return self._supported(z, 0.0, inside)

    def _cdf(self, x: jax.Array) -> jax.Array:
        return -jnp.expm1(-self.concentration * jnp.expm1(self.rate * jnp.maximum(x, 0)))

    def _icdf(self, u: jax.Array) -> jax.Array:
        def quantile(u: jax.Array) -> jax.Array:
            return jnp.log1p(-jnp.log1p(-u) / self.concentration) / self.rate

        return on_unit_interval(quantile, u)

    def _mode(self) -> jax.Array:
        # The logarithm of the density is t - a exp(t) up to a constant, t = rate x.
        return jnp.maximum(-jnp.log(self.concentration), 0) / self.rate
