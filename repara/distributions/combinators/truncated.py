"""A scalar distribution truncated at one or both ends."""

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.base import Distribution, Shape
from repara.distributions.constraints import Constraint
from repara.distributions.unit_interval import on_unit_interval

__all__ = ["Truncated"]


class Truncated(Distribution):
    """A scalar distribution conditioned on an interval.

        z = F^-1(F(low) + u (F(high) - F(low))),   u ~ U(0, 1)

    Above the median of the base the formula uses probabilities of larger values, so both tails keep
    their relative precision until the probability of the interval underflows. Then samples and
    densities are NaN, never a wrong number.

    Args:
      base: a scalar distribution with cdf and icdf.
      low: the lower end, or None for none; it broadcasts with the base.
      high: the upper end, above `low`, or None for none.

    Raises:
      TypeError: neither end is given.
      ValueError: the base is not scalar, or concrete ends are not in order.

    Example:
      >>> from repara.distributions import Normal
      >>> q = Truncated(Normal(0.0, 1.0), 8.0, 9.0)
      >>> round(float(q.transform(0.5)), 3)
      8.085
    """

    base: Distribution
    low: Any  # an array or None
    high: Any  # an array or None
    arg_constraints: ClassVar = {"low": constraints.real, "high": constraints.real}
    _children: ClassVar = ("base", "low", "high")
    noise_marginal = "uniform"

    def __init__(
        self, base: Distribution, low: ArrayLike | None = None, high: ArrayLike | None = None
    ) -> None:
        if low is None and high is None:
            raise TypeError("Truncated takes low, high or both, got neither")
        if base.event_shape or not base.has_rsample:
            raise ValueError(
                f"Truncated: base must be a continuous scalar distribution, got "
                f"{type(base).__name__} with events of shape {base.event_shape}"
            )
        self._set("base", base)
        ends = {
            k: None if v is None else jnp.asarray(v).astype(base.dtype)
            for k, v in (("low", low), ("high", high))
        }
        super().__init__(**ends)

    def _joint_constraints(self) -> dict[str, tuple[str, jax.Array]]:
        if self.low is None or self.high is None:
            return {}
        return {"high": ("greater than low", self.high > self.low)}

    @property
    def batch_shape(self) -> Shape:
        ends = (jnp.shape(v) for v in (self.low, self.high) if v is not None)
        return jnp.broadcast_shapes(self.base.batch_shape, *ends)

    @property
    def support(self) -> Constraint:
        inner = self.base.support
        low = -jnp.inf if self.low is None else self.low
        high = jnp.inf if self.high is None else self.high
        cut = constraints.interval(low, high)
        return Constraint(f"{inner.name} and truncated", lambda x: inner.check(x) & cut.check(x))

    def _child_ranks(self) -> Mapping[str, int]:
        return {"base": 0}

    def _ends(self) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Returns whether the interval is above the median, and tail probabilities at its ends.

        The tail is that of larger values if the interval is above the median, otherwise that of
        smaller values. The lower end comes first.
        """
        base, like = self.base, self.high if self.low is None else self.low
        zero = 0 * like
        below = zero if self.low is None else base._cdf(self.low)
        upper = below > 0.5
        first = jnp.where(upper, zero if self.low is None else base._sf(self.low), below)
        if self.high is None:
            last = jnp.where(upper, zero, 1 + zero)
        else:
            last = jnp.where(upper, base._sf(self.high), base._cdf(self.high))
        return upper, first, last

    def _mass(self) -> jax.Array:
        """The probability of the interval, NaN if it underflows."""
        _, first, last = self._ends()
        mass = jnp.abs(last - first)
        return jnp.where(mass > 0, mass, jnp.nan)

    def _transform(self, eps: jax.Array) -> jax.Array:
        upper, first, last = self._ends()
        zero_or_nan = 0 * self._mass()
        p = first * (1 - eps) + last * eps
        above = self.base._isf(jnp.where(upper, p, 0.5))
        below = self.base._icdf(jnp.where(upper, 0.5, p))
        z = jnp.where(upper, above, below)
        # Corrects rounding at the ends.
        if self.low is not None:
            z = jnp.maximum(z, self.low)
        if self.high is not None:
            z = jnp.minimum(z, self.high)
        return z + zero_or_nan

    def _inverse(self, z: jax.Array) -> jax.Array:
        upper, first, last = self._ends()
        p = jnp.where(upper, self.base._sf(z), self.base._cdf(z))
        return (p - first) / (last - first)

    def _log_prob(self, z: jax.Array) -> jax.Array:
        valid = self.support.check(z)
        # Only a substitute: its derivatives are never used and would be most of the work.
        inside = jax.lax.stop_gradient(self._transform(jnp.full((), 0.5, z.dtype)))
        safe = jnp.where(valid | jnp.isnan(z), z, inside)
        value = self.base._log_prob(safe) - jnp.log(self._mass())
        return jnp.where(valid | jnp.isnan(value), value, -jnp.inf)

    def _cdf(self, x: jax.Array) -> jax.Array:
        if self.low is not None:
            x = jnp.maximum(x, self.low)
        if self.high is not None:
            x = jnp.minimum(x, self.high)
        return self._inverse(x)

    def _icdf(self, u: jax.Array) -> jax.Array:
        return on_unit_interval(self._transform, u)
