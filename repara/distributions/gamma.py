"""The gamma distribution and its kin, by inversion of the distribution function."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.scipy.special import digamma, gammaln
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.base import Distribution
from repara.distributions.location_scale import _on_unit_interval
from repara.special import (
    gamma_normal_score,
    gamma_quantile,
    log_gamma_quantile,
    log_gammainc,
    ndtri,
)

__all__ = ["ExpGamma", "Gamma"]


class Gamma(Distribution):
    """The gamma distribution.

        z = G^-1(Phi(eps); concentration) / rate,   eps ~ N(0, 1)

    with G the distribution function of a standard gamma variable. One normal a sample and no
    rejection: the gradient in the concentration is the exact one, dz/da = -(dG/da) / g.

    Args:
      concentration: the shape, positive.
      rate: the inverse scale, positive.

    Raises:
      ValueError: a concrete value that is not positive, or shapes that do not broadcast.

    Source:
      Figurnov, Mohamed & Mnih (2018), "Implicit reparameterization gradients", for the gradient.

    Example:
      >>> q = Gamma(1.0, 2.0)
      >>> round(float(q.transform(0.0)), 5)  # the median, log(2) / 2
      0.34657
    """

    concentration: jax.Array
    rate: jax.Array
    arg_constraints: ClassVar = {
        "concentration": constraints.positive,
        "rate": constraints.positive,
    }
    support = constraints.nonnegative

    def __init__(self, concentration: ArrayLike, rate: ArrayLike) -> None:
        super().__init__(concentration=concentration, rate=rate)

    def _transform(self, eps: jax.Array) -> jax.Array:
        return gamma_quantile(eps, self.concentration) / self.rate

    def _inverse(self, z: jax.Array) -> jax.Array:
        return gamma_normal_score(self.rate * z, self.concentration)

    def _log_prob(self, z: jax.Array) -> jax.Array:
        def inside(z: jax.Array) -> jax.Array:
            a, x = self.concentration, self.rate * z
            return a * jnp.log(x) - x - gammaln(a) - jnp.log(z)

        return self._supported(z, 1.0, inside)

    def _cdf(self, x: jax.Array) -> jax.Array:
        positive = x > 0
        safe = jnp.where(positive | jnp.isnan(x), x, 1)
        inside = jnp.exp(log_gammainc(self.concentration, self.rate * safe))
        return jnp.where(positive | jnp.isnan(inside), inside, 0)

    def _icdf(self, u: jax.Array) -> jax.Array:
        return _on_unit_interval(lambda u: self._transform(ndtri(u)), u)

    def _entropy(self) -> jax.Array:
        a = self.concentration
        return a - jnp.log(self.rate) + gammaln(a) + (1 - a) * digamma(a)

    def _mean(self) -> jax.Array:
        return self.concentration / self.rate

    def _variance(self) -> jax.Array:
        return self.concentration / self.rate**2

    def _mode(self) -> jax.Array:
        return jnp.maximum(self.concentration - 1, 0) / self.rate


class ExpGamma(Distribution):
    """The logarithm of a gamma variable, for concentrations at which that underflows.

        z = log G^-1(Phi(eps); concentration) - log rate,   eps ~ N(0, 1)

    Args:
      concentration: the shape, positive.
      rate: the inverse scale of the gamma variable, positive.

    Raises:
      ValueError: a concrete value that is not positive, or shapes that do not broadcast.

    Example:
      >>> q = ExpGamma(1e-3, 1.0)
      >>> bool(jnp.isfinite(q.transform(-3.0)))  # about -6600: exp of it is no float
      True
    """

    concentration: jax.Array
    rate: jax.Array
    arg_constraints: ClassVar = {
        "concentration": constraints.positive,
        "rate": constraints.positive,
    }
    support = constraints.real

    def __init__(self, concentration: ArrayLike, rate: ArrayLike) -> None:
        super().__init__(concentration=concentration, rate=rate)

    def _transform(self, eps: jax.Array) -> jax.Array:
        return log_gamma_quantile(eps, self.concentration) - jnp.log(self.rate)

    def _log_prob(self, z: jax.Array) -> jax.Array:
        a, y = self.concentration, z + jnp.log(self.rate)
        return a * y - jnp.exp(y) - gammaln(a)

    def _entropy(self) -> jax.Array:
        a = self.concentration
        return gammaln(a) + a - a * digamma(a)

    def _mean(self) -> jax.Array:
        return digamma(self.concentration) - jnp.log(self.rate)

    def _variance(self) -> jax.Array:
        return jax.scipy.special.polygamma(1, self.concentration)

    def _mode(self) -> jax.Array:
        return jnp.log(self.concentration) - jnp.log(self.rate)
