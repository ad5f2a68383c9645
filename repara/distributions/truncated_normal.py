"""The truncated normal distribution, accurate also for intervals far in a tail."""

import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.constraints import Constraint
from repara.distributions.increasing_in_normal import IncreasingInNormal
from repara.special import log_ndtr, ndtri, truncated_normal_from_normal
from repara.special.constants import HALF_LOG_2PI
from repara.special.normal import mills_ratio
from repara.special.quadrature import gauss_legendre
from repara.special.truncated_normal import minus_log_tail_ratio

__all__ = ["TruncatedNormal"]

# Exact to rounding for normal or exponential integrands that fall by exp(-40).
_RULE = gauss_legendre(40)


def _drop(a: jax.Array, b: jax.Array) -> jax.Array:
    """log(Phi(-a) / Phi(-b)) for 0 <= a < b, without cancellation."""
    return minus_log_tail_ratio(a, b)


def _log_mass(a: jax.Array, b: jax.Array) -> jax.Array:
    """log(Phi(b) - Phi(a)) for a < b."""
    flip = a + b < 0
    a, b = jnp.where(flip, -b, a), jnp.where(flip, -a, b)
    tail = a >= 0
    start, end = jnp.where(tail, a, 0.0), jnp.where(tail, b, 1.0)
    far = log_ndtr(-start) + jnp.log(-jnp.expm1(-_drop(start, end)))
    root = math.sqrt(0.5)
    low, high = jnp.where(tail, -1.0, root * a), jnp.where(tail, 1.0, root * b)
    across = jnp.log(0.5 * (jax.lax.erf(high) - jax.lax.erf(low)))
    return jnp.where(tail, far, across)


class TruncatedNormal(IncreasingInNormal):
    """The normal distribution truncated to an interval.

        q(x) = N(x; loc, scale^2) / (Phi(b) - Phi(a)),   a = (low - loc) / scale, b likewise
        z = loc + scale Phi^-1((1 - Phi(eps)) Phi(a) + Phi(eps) Phi(b)),   eps ~ N(0, 1)

    The quantile is computed from logarithms of tails, so samples and gradients are accurate even if
    the interval lies many scales from `loc` and its probability underflows.

    Args:
      loc: the location of the normal, any shape that broadcasts with the others; it need not lie in
        the interval.
      scale: the scale of the normal, positive.
      low: the lower end; -inf for none.
      high: the upper end, above `low`; inf for none.

    Raises:
      ValueError: a concrete `scale` that is not positive, ends that are not in order, or shapes
        that do not broadcast.

    Example:
      >>> q = TruncatedNormal(0.0, 1.0, 40.0, 41.0)
      >>> bool(40.0 < q.transform(0.0) < 40.1)
      True
    """

    loc: jax.Array
    scale: jax.Array
    low: jax.Array
    high: jax.Array
    arg_constraints: ClassVar = {
        "loc": constraints.real,
        "scale": constraints.positive,
        "low": constraints.real,
        "high": constraints.real,
    }

    def __init__(
        self,
        loc: ArrayLike,
        scale: ArrayLike,
        low: ArrayLike = -jnp.inf,
        high: ArrayLike = jnp.inf,
    ) -> None:
        super().__init__(loc=loc, scale=scale, low=low, high=high)

    def _joint_constraints(self) -> dict[str, tuple[str, jax.Array]]:
        return {"high": ("greater than low", self.high > self.low)}

    @property
    def support(self) -> Constraint:
        return constraints.interval(self.low, self.high)

    def _standardized(self, x: Any) -> jax.Array:
        finite = jnp.isfinite(x) | jnp.isnan(x)
        return jnp.where(finite, (jnp.where(finite, x, 0.0) - self.loc) / self.scale, x)

    def _ends(self) -> tuple[jax.Array, jax.Array]:
        return self._standardized(self.low), self._standardized(self.high)

    def _tail(self) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        """Returns whether the interval is on one side of `loc`, on which, and |a| <= |b| of it.

        Otherwise the two are 0 and 1, which are safe.
        """
        low, high = self._ends()
        left = high <= 0
        tail = left | (low >= 0)
        near = jnp.where(tail, jnp.where(left, -high, low), 0.0)
        return tail, left, near, jnp.where(tail, jnp.where(left, -low, high), 1.0)

    def _transform(self, eps: jax.Array) -> jax.Array:
        z = self.loc + self.scale * truncated_normal_from_normal(eps, *self._ends())
        # Corrects rounding at the ends without changing the gradient.
        return z + jax.lax.stop_gradient(jnp.clip(z, self.low, self.high) - z)

    def _log_prob(self, z: jax.Array) -> jax.Array:
        low, high = self._ends()
        tail, left, near, far = self._tail()
        nearest = jnp.where(left, self.high, self.low)
        nearest = jnp.where(tail, nearest, self.loc)
        log_mass = _log_mass(jnp.where(tail, -1.0, low), jnp.where(tail, 1.0, high))
        # With a >= 0 the end nearest to loc and m Mills' ratio, the mass is m(a) phi(a) times
        # 1 - Phi(-b) / Phi(-a), and a large phi(a) goes into the exponent.
        in_tail = -jnp.log(mills_ratio(near)) - jnp.log(-jnp.expm1(-_drop(near, far)))
        constant = jnp.where(tail, in_tail, -log_mass - HALF_LOG_2PI) - jnp.log(self.scale)

        def inside(z: jax.Array) -> jax.Array:
            far = jnp.abs(z - nearest) / self.scale
            return constant - 0.5 * far * (far + 2 * near)

        return self._supported(z, jnp.clip(self.loc, self.low, self.high), inside)

    def _cdf(self, x: jax.Array) -> jax.Array:
        return self._part(self._ends()[0], self._standardized(x))

    def _sf(self, x: jax.Array) -> jax.Array:
        return self._part(self._standardized(x), self._ends()[1])

    def _part(self, a: jax.Array, b: jax.Array) -> jax.Array:
        """The fraction of the interval's probability that lies between a and b."""
        low, high = self._ends()
        tail, left, near, far = self._tail()
        a, b = jnp.clip(a, low, high), jnp.clip(b, low, high)
        empty = a >= b
        a, b = jnp.where(empty, low, a), jnp.where(empty, high, b)
        # In a tail use only differences of logarithms of tails, which do not underflow.
        first = jnp.where(tail, jnp.where(left, -b, a), 0.25)
        last = jnp.where(tail, jnp.where(left, -a, b), 0.5)
        starts_later = first > near
        skipped = jnp.where(
            starts_later, _drop(near, jnp.where(starts_later, first, near + 1)), 0.0
        )
        shares = jnp.expm1(-_drop(first, last)) / jnp.expm1(-_drop(near, far))
        in_tail = jnp.exp(-skipped) * shares
        safe = jnp.where(tail, -1.0, a), jnp.where(tail, 1.0, b)
        ends = jnp.where(tail, -1.0, low), jnp.where(tail, 1.0, high)
        across = jnp.exp(_log_mass(*safe) - _log_mass(*ends))
        share = jnp.where(tail, in_tail, across)
        return jnp.where(empty, 0 * share, share)

    def _inverse(self, z: jax.Array) -> jax.Array:
        below, above = self._cdf(z), self._sf(z)
        smaller = below < above
        eps = ndtri(jnp.where(smaller, below, above))
        return jnp.where(smaller, eps, -eps)

    def _moments(self) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        """Moments of s, the distance from the mode in scales, with density exp(-c s - s^2 / 2).

        They are Gauss-Legendre integrals on both sides of the mode. All terms are positive, even if
        the interval lies in a tail or is so narrow that moments are small differences.

        Returns:
          The logarithm of the integral of the density relative to the mode, E s, E s^2, and the
          mean of c s + s^2 / 2, with c the distance of the mode from `loc` in scales.
        """
        low, high = self._ends()
        mode = jnp.clip(jnp.zeros_like(low + high), low, high)
        sums = []
        for side, room in ((-1, mode - low), (1, high - mode)):
            rate = side * mode  # negative only if there is no room on this side
            # The density has fallen by exp(-40) there.
            end = jnp.minimum(room, 80 / (rate + jnp.sqrt(rate * rate + 80)))
            points, weights = (
                jnp.asarray(v, low.dtype).reshape(-1, *(1,) * end.ndim) for v in _RULE
            )
            s = points * end[None]
            fall = s * (rate[None] + 0.5 * s)
            density = weights * end[None] * jnp.exp(-fall)
            moments = [density, side * s * density, s * s * density, fall * density]
            sums.append([jnp.sum(m, axis=0) for m in moments])
        mass, *moments = (a + b for a, b in zip(*sums, strict=True))
        first, second, fall = (m / mass for m in moments)
        return jnp.log(mass), first, second, fall

    def _mean(self) -> jax.Array:
        return self._mode() + self.scale * self._moments()[1]

    def _variance(self) -> jax.Array:
        _, first, second, _ = self._moments()
        return self.scale**2 * (second - first * first)

    def _entropy(self) -> jax.Array:
        log_mass, _, _, fall = self._moments()
        return jnp.log(self.scale) + log_mass + fall

    def _mode(self) -> jax.Array:
        return jnp.clip(self.loc, self.low, self.high) + 0 * self.scale
