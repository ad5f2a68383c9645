"""The Pareto distribution and its generalization."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.base import Distribution
from repara.distributions.constraints import Constraint
from repara.distributions.extreme_value import generalized_support
from repara.distributions.unit_interval import on_unit_interval
from repara.special.elementary import expm1_over, log1p_over

__all__ = ["GeneralizedPareto", "Pareto"]


class Pareto(Distribution):
    """The Pareto distribution.

        q(x) = alpha scale^alpha / x^(alpha + 1),   x >= scale
        z = scale u^(-1 / alpha),   u ~ U(0, 1)

    Args:
      scale: the lower end, positive.
      alpha: the exponent of the tail, positive; moments of order alpha and above are infinite.

    Raises:
      ValueError: a concrete parameter that is not positive, or shapes that do not broadcast.

    Example:
      >>> round(float(Pareto(2.0, 1.0).transform(0.25)), 5)
      8.0
    """

    scale: jax.Array
    alpha: jax.Array
    arg_constraints: ClassVar = {"scale": constraints.positive, "alpha": constraints.positive}
    noise_marginal = "uniform"

    def __init__(self, scale: ArrayLike, alpha: ArrayLike) -> None:
        super().__init__(scale=scale, alpha=alpha)

    @property
    def support(self) -> Constraint:
        return constraints.at_least(self.scale)

    def _from_exponential(self, e: jax.Array) -> jax.Array:
        return self.scale * jnp.exp(e / self.alpha)

    def _to_exponential(self, z: jax.Array) -> jax.Array:
        return self.alpha * jnp.log1p((z - self.scale) / self.scale)

    def _transform(self, eps: jax.Array) -> jax.Array:
        return self._from_exponential(-jnp.log(eps))

    def _inverse(self, z: jax.Array) -> jax.Array:
        return jnp.exp(-self._to_exponential(z))

    def _log_prob(self, z: jax.Array) -> jax.Array:
        def inside(z: jax.Array) -> jax.Array:
            return jnp.log(self.alpha) - self._to_exponential(z) - jnp.log(z)

        return self._supported(z, self.scale, inside)

    def _cdf(self, x: jax.Array) -> jax.Array:
        return -jnp.expm1(-self._to_exponential(jnp.maximum(x, self.scale)))

    def _icdf(self, u: jax.Array) -> jax.Array:
        return on_unit_interval(lambda u: self._from_exponential(-jnp.log1p(-u)), u)

    def _entropy(self) -> jax.Array:
        return jnp.log(self.scale / self.alpha) + 1 + 1 / self.alpha

    def _mean(self) -> jax.Array:
        finite = ~(self.alpha <= 1)
        a = jnp.where(finite, self.alpha, 2)
        return jnp.where(finite, self.scale * a / (a - 1), jnp.inf)

    def _variance(self) -> jax.Array:
        finite = ~(self.alpha <= 2)
        a = jnp.where(finite, self.alpha, 3)
        return jnp.where(finite, self.scale**2 * a / ((a - 1) ** 2 * (a - 2)), jnp.inf)

    def _mode(self) -> jax.Array:
        return self.scale


class GeneralizedPareto(Distribution):
    """The generalized Pareto distribution: exceedances over a threshold.

        P(x) = 1 - (1 + c y)^(-1 / c),   y = (x - loc) / scale >= 0,   1 + c y > 0
        z = loc + scale (u^-c - 1) / c,   u ~ U(0, 1)

    With concentration c = 0 it is the exponential distribution. The formulas have a removable
    singularity there; the value and every derivative are exact there too.

    Args:
      loc: the threshold, any shape that broadcasts with the others.
      scale: positive.
      concentration: c, any real number: the tail is heavy for c > 0, bounded for c < 0.

    Raises:
      ValueError: a concrete `scale` that is not positive, a NaN, or shapes that do not broadcast.

    References:
      Coles (2001), "An introduction to statistical modeling of extreme values", section 4.2,
      https://doi.org/10.1007/978-1-4471-3675-0

    Example:
      >>> q = GeneralizedPareto(0.0, 1.0, 0.0)
      >>> gradient = jax.grad(lambda q: q.transform(jnp.exp(-1.0)))(q)
      >>> round(float(gradient.concentration), 6)
      0.5
    """

    loc: jax.Array
    scale: jax.Array
    concentration: jax.Array
    arg_constraints: ClassVar = {
        "loc": constraints.real,
        "scale": constraints.positive,
        "concentration": constraints.real,
    }
    noise_marginal = "uniform"

    def __init__(self, loc: ArrayLike, scale: ArrayLike, concentration: ArrayLike) -> None:
        super().__init__(loc=loc, scale=scale, concentration=concentration)

    @property
    def support(self) -> Constraint:
        return generalized_support(self.loc, self.scale, self.concentration, lower=0.0)

    def _from_exponential(self, e: jax.Array) -> jax.Array:
        return self.loc + self.scale * e * expm1_over(self.concentration * e)

    def _to_exponential(self, z: jax.Array) -> jax.Array:
        y = (z - self.loc) / self.scale
        return y * log1p_over(self.concentration * y)

    def _transform(self, eps: jax.Array) -> jax.Array:
        return self._from_exponential(-jnp.log(eps))

    def _inverse(self, z: jax.Array) -> jax.Array:
        return jnp.exp(-self._to_exponential(z))

    def _log_prob_of_exponential(self, e: jax.Array) -> jax.Array:
        return -jnp.log(self.scale) - (1 + self.concentration) * e

    def _log_prob(self, z: jax.Array) -> jax.Array:
        def inside(z: jax.Array) -> jax.Array:
            return self._log_prob_of_exponential(self._to_exponential(z))

        return self._supported(z, self.loc, inside)

    def _transform_and_log_prob(self, eps: jax.Array) -> tuple[jax.Array, jax.Array]:
        e = -jnp.log(eps)
        return self._from_exponential(e), self._log_prob_of_exponential(e)

    def _cdf(self, x: jax.Array) -> jax.Array:
        valid = self.support.check(x) | jnp.isnan(x)
        inside = -jnp.expm1(-self._to_exponential(jnp.where(valid, x, self.loc)))
        return jnp.where(valid | jnp.isnan(inside), inside, (x > self.loc).astype(x.dtype))

    def _icdf(self, u: jax.Array) -> jax.Array:
        return on_unit_interval(lambda u: self._from_exponential(-jnp.log1p(-u)), u)

    def _entropy(self) -> jax.Array:
        return jnp.log(self.scale) + self.concentration + 1

    def _mean(self) -> jax.Array:
        finite = ~(self.concentration >= 1)
        c = jnp.where(finite, self.concentration, 0)
        return jnp.where(finite, self.loc + self.scale / (1 - c), jnp.inf)

    def _variance(self) -> jax.Array:
        finite = ~(self.concentration >= 0.5)
        c = jnp.where(finite, self.concentration, 0)
        return jnp.where(finite, self.scale**2 / ((1 - c) ** 2 * (1 - 2 * c)), jnp.inf)

    def _mode(self) -> jax.Array:
        # For c < -1 the density grows up to the end of the support.
        inside = self.concentration >= -1
        end = self.loc - self.scale / jnp.where(inside, -1, self.concentration)
        return jnp.where(inside | jnp.isnan(self.concentration), self.loc, end)
