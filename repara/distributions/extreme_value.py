"""Extreme value distributions: Gumbel, Frechet, and the generalized family."""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.base import Distribution
from repara.distributions.constraints import Constraint
from repara.distributions.location_scale import LocationScale
from repara.distributions.unit_interval import on_unit_interval
from repara.special.constants import EULER_GAMMA
from repara.special.elementary import expm1_over, log1p_over
from repara.special.polynomial import horner

__all__ = ["Frechet", "GeneralizedExtremeValue", "Gumbel"]


def _gumbel(u: jax.Array) -> jax.Array:
    return -jnp.log(-jnp.log(u))


class Gumbel(LocationScale):
    """The Gumbel distribution.

        q(x) = exp(-t - exp(-t)) / scale,   t = (x - loc) / scale
        z = loc - scale log(-log u),   u ~ U(0, 1)

    Args:
      loc: the mode, any shape that broadcasts with `scale`.
      scale: positive.

    Raises:
      ValueError: a concrete `scale` that is not positive, or shapes that do not broadcast.

    Example:
      >>> round(float(Gumbel(1.0, 2.0).transform(jnp.exp(-1.0))), 6)
      1.0
    """

    _standard_mean = EULER_GAMMA
    _standard_variance = math.pi**2 / 6
    _standard_entropy = 1 + EULER_GAMMA

    @staticmethod
    def _standard_icdf(u: jax.Array) -> jax.Array:
        return _gumbel(u)

    @staticmethod
    def _standard_cdf(t: jax.Array) -> jax.Array:
        return jnp.exp(-jnp.exp(-t))

    @staticmethod
    def _standard_log_prob(t: jax.Array) -> jax.Array:
        return -t - jnp.exp(-t)


class Frechet(Distribution):
    """The Frechet distribution: the inverse of a Weibull variable.

        P(x) = exp(-((x - loc) / scale)^-a),   x > loc
        z = loc + scale (-log u)^(-1 / a),   u ~ U(0, 1)

    Args:
      loc: the lower end, any shape that broadcasts with the others.
      scale: positive.
      concentration: a, positive; moments of order a and above are infinite.

    Raises:
      ValueError: a concrete parameter out of range, or shapes that do not broadcast.

    Example:
      >>> round(float(Frechet(0.0, 2.0, 3.0).transform(jnp.exp(-1.0))), 6)
      2.0
    """

    loc: jax.Array
    scale: jax.Array
    concentration: jax.Array
    arg_constraints: ClassVar = {
        "loc": constraints.real,
        "scale": constraints.positive,
        "concentration": constraints.positive,
    }
    noise_marginal = "uniform"

    def __init__(self, loc: ArrayLike, scale: ArrayLike, concentration: ArrayLike) -> None:
        super().__init__(loc=loc, scale=scale, concentration=concentration)

    @property
    def support(self) -> Constraint:
        return constraints.at_least(self.loc)

    def _transform(self, eps: jax.Array) -> jax.Array:
        return self.loc + self.scale * jnp.exp(_gumbel(eps) / self.concentration)

    def _scaled_log(self, z: jax.Array) -> jax.Array:
        return self.concentration * jnp.log((z - self.loc) / self.scale)

    def _inverse(self, z: jax.Array) -> jax.Array:
        return jnp.exp(-jnp.exp(-self._scaled_log(z)))

    def _log_prob(self, z: jax.Array) -> jax.Array:
        def inside(z: jax.Array) -> jax.Array:
            t = self._scaled_log(z)
            return jnp.log(self.concentration) - t - jnp.log(z - self.loc) - jnp.exp(-t)

        above = jnp.where(z == self.loc, -jnp.inf, z)  # the density at the end is 0
        return self._supported(above, self.loc + self.scale, inside)

    def _cdf(self, x: jax.Array) -> jax.Array:
        above = x > self.loc
        inside = self._inverse(jnp.where(above | jnp.isnan(x), x, self.loc + self.scale))
        return jnp.where(above | jnp.isnan(inside), inside, 0)

    def _icdf(self, u: jax.Array) -> jax.Array:
        return on_unit_interval(self._transform, u)

    def _entropy(self) -> jax.Array:
        a = self.concentration
        return 1 + EULER_GAMMA * (1 + 1 / a) + jnp.log(self.scale / a)

    def _mean(self) -> jax.Array:
        finite = ~(self.concentration <= 1)
        a = jnp.where(finite, self.concentration, 2)
        mean = self.loc + self.scale * jnp.exp(gammaln(1 - 1 / a))
        return jnp.where(finite, mean, jnp.inf)

    def _variance(self) -> jax.Array:
        finite = ~(self.concentration <= 2)
        a = jnp.where(finite, self.concentration, 4)
        first, second = gammaln(1 - 1 / a), gammaln(1 - 2 / a)
        variance = self.scale**2 * jnp.exp(2 * first) * jnp.expm1(second - 2 * first)
        return jnp.where(finite, variance, jnp.inf)

    def _mode(self) -> jax.Array:
        a = self.concentration
        return self.loc + self.scale * jnp.exp(-jnp.log1p(1 / a) / a)


# log Gamma(1 - x) = euler x + sum_{k >= 2} zeta(k) x^k / k, DLMF 5.7.3. The values of zeta up to
# k = 12 are tabulated, later ones are 1 + 2^-k + 3^-k + 4^-k + ... cut below 2^-53.
_ZETA = [1.6449340668482264, 1.2020569031595942, 1.0823232337111382, 1.03692775514337,
         1.0173430619844491, 1.008349277381923, 1.0040773561979444, 1.0020083928260821,
         1.000994575127818, 1.0004941886041194, 1.000246086553308]  # fmt: skip
_ZETA += [1 + sum(float(n) ** -k for n in range(2, 20)) for k in range(13, 31)]
_LOG_GAMMA = [EULER_GAMMA] + [z / k for k, z in enumerate(_ZETA, start=2)]
# The series of (log Gamma(1 - 2 x) - 2 log Gamma(1 - x)) / x^2.
_LOG_GAMMA_GAP = [z * (2**k - 2) / k for k, z in enumerate(_ZETA, start=2)]


def _log_gamma_over(x: jax.Array) -> jax.Array:
    """log Gamma(1 - x) / x for x < 1, Euler's constant at 0."""
    near = jnp.abs(x) < 0.25
    small, large = jnp.where(near, x, 0), jnp.where(near, 0.5, x)
    return jnp.where(near, horner(_LOG_GAMMA, small), gammaln(1 - large) / large)


def _log_gamma_gap_over(x: jax.Array) -> jax.Array:
    """(log Gamma(1 - 2 x) - 2 log Gamma(1 - x)) / x^2 for x < 1/2, pi^2 / 6 at 0."""
    near = jnp.abs(x) < 0.125
    small, large = jnp.where(near, x, 0), jnp.where(near, 0.25, x)
    far = (gammaln(1 - 2 * large) - 2 * gammaln(1 - large)) / large**2
    return jnp.where(near, horner(_LOG_GAMMA_GAP, small), far)


class GeneralizedExtremeValue(Distribution):
    """The generalized extreme value distribution.

        P(x) = exp(-(1 + c y)^(-1 / c)),   y = (x - loc) / scale,   1 + c y > 0
        z = loc + scale ((-log u)^-c - 1) / c,   u ~ U(0, 1)

    With concentration c = 0 it is the Gumbel distribution. The formulas have a removable
    singularity there; the value and every derivative are exact there too.

    Args:
      loc: the location, any shape that broadcasts with the others.
      scale: positive.
      concentration: c, any real number: the tail is heavy for c > 0, bounded for c < 0.

    Raises:
      ValueError: a concrete `scale` that is not positive, a NaN, or shapes that do not broadcast.

    References:
      Coles (2001), "An introduction to statistical modeling of extreme values", section 3.1,
      https://doi.org/10.1007/978-1-4471-3675-0

    Example:
      >>> u = jnp.exp(-jnp.exp(-1.0))
      >>> round(float(GeneralizedExtremeValue(0.0, 1.0, 0.0).transform(u)), 6)
      1.0
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
        return generalized_support(self.loc, self.scale, self.concentration, lower=None)

    def _from_gumbel(self, w: jax.Array) -> jax.Array:
        return self.loc + self.scale * w * expm1_over(self.concentration * w)

    def _to_gumbel(self, z: jax.Array) -> jax.Array:
        y = (z - self.loc) / self.scale
        return y * log1p_over(self.concentration * y)

    def _transform(self, eps: jax.Array) -> jax.Array:
        return self._from_gumbel(_gumbel(eps))

    def _inverse(self, z: jax.Array) -> jax.Array:
        return jnp.exp(-jnp.exp(-self._to_gumbel(z)))

    def _log_prob_of_gumbel(self, w: jax.Array) -> jax.Array:
        return -jnp.log(self.scale) - (1 + self.concentration) * w - jnp.exp(-w)

    def _log_prob(self, z: jax.Array) -> jax.Array:
        def inside(z: jax.Array) -> jax.Array:
            return self._log_prob_of_gumbel(self._to_gumbel(z))

        return self._supported(z, self.loc, inside)

    def _transform_and_log_prob(self, eps: jax.Array) -> tuple[jax.Array, jax.Array]:
        w = _gumbel(eps)
        return self._from_gumbel(w), self._log_prob_of_gumbel(w)

    def _cdf(self, x: jax.Array) -> jax.Array:
        valid = self.support.check(x) | jnp.isnan(x)
        inside = self._inverse(jnp.where(valid, x, self.loc))
        outside = (self.concentration < 0).astype(x.dtype)
        return jnp.where(valid | jnp.isnan(inside), inside, outside)

    def _icdf(self, u: jax.Array) -> jax.Array:
        return on_unit_interval(self._transform, u)

    def _entropy(self) -> jax.Array:
        return jnp.log(self.scale) + EULER_GAMMA * self.concentration + EULER_GAMMA + 1

    def _mean(self) -> jax.Array:
        finite = ~(self.concentration >= 1)
        c = jnp.where(finite, self.concentration, 0)
        ratio = _log_gamma_over(c)
        mean = self.loc + self.scale * ratio * expm1_over(c * ratio)
        return jnp.where(finite, mean, jnp.inf)

    def _variance(self) -> jax.Array:
        finite = ~(self.concentration >= 0.5)
        c = jnp.where(finite, self.concentration, 0)
        gap = _log_gamma_gap_over(c)
        square = jnp.exp(2 * c * _log_gamma_over(c))
        variance = self.scale**2 * square * gap * expm1_over(c**2 * gap)
        return jnp.where(finite, variance, jnp.inf)

    def _mode(self) -> jax.Array:
        # The log-density -(1 + c) w - exp(-w) has the derivative -(1 + c) + exp(-w), which is zero
        # at the mode. For c <= -1 the density grows up to the end of the support.
        inside = self.concentration > -1
        c = jnp.where(inside | jnp.isnan(self.concentration), self.concentration, 0)
        mode = self._from_gumbel(-jnp.log1p(c))
        end = self.loc - self.scale / jnp.where(inside, -1, self.concentration)
        return jnp.where(inside | jnp.isnan(mode), mode, end)


def generalized_support(
    loc: jax.Array, scale: jax.Array, concentration: jax.Array, lower: float | None
) -> Constraint:
    """Returns the constraint 1 + concentration y > 0 and y >= lower, with y = (x - loc) / scale."""

    def check(x: jax.Array) -> jax.Array:
        m, s, c = (constraints.like(v, x) for v in (loc, scale, concentration))
        y = (x - m) / s
        reached = 1 + c * y > 0
        return reached if lower is None else reached & (y >= lower)

    return Constraint("within its support", check)
