"""The uniform distribution and its relatives: triangular, log-uniform."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.base import Distribution
from repara.distributions.constraints import Constraint
from repara.distributions.unit_interval import on_unit_interval

__all__ = ["LogUniform", "Triangular", "Uniform"]


class Uniform(Distribution):
    """The uniform distribution on an interval.

        z = low + (high - low) u,   u ~ U(0, 1)

    Args:
      low: the lower end, any shape that broadcasts with `high`.
      high: the upper end, above `low`.

    Raises:
      ValueError: concrete ends that are not in order, a NaN, or shapes that do not broadcast.

    Example:
      >>> float(Uniform(1.0, 3.0).transform(0.25))
      1.5
    """

    low: jax.Array
    high: jax.Array
    arg_constraints: ClassVar = {"low": constraints.real, "high": constraints.real}
    noise_marginal = "uniform"

    def __init__(self, low: ArrayLike, high: ArrayLike) -> None:
        super().__init__(low=low, high=high)

    def _joint_constraints(self) -> dict[str, tuple[str, jax.Array]]:
        return {"high": ("greater than low", self.high > self.low)}

    @property
    def support(self) -> Constraint:
        return constraints.interval(self.low, self.high)

    def _transform(self, eps: jax.Array) -> jax.Array:
        return self.low + (self.high - self.low) * eps

    def _inverse(self, z: jax.Array) -> jax.Array:
        return (z - self.low) / (self.high - self.low)

    def _log_prob(self, z: jax.Array) -> jax.Array:
        return self._supported(z, self.low, lambda z: -jnp.log(self.high - self.low) + 0 * z)

    def _cdf(self, x: jax.Array) -> jax.Array:
        return self._inverse(jnp.clip(x, self.low, self.high))

    def _icdf(self, u: jax.Array) -> jax.Array:
        return on_unit_interval(self._transform, u)

    def _entropy(self) -> jax.Array:
        return jnp.log(self.high - self.low)

    def _mean(self) -> jax.Array:
        return 0.5 * self.low + 0.5 * self.high

    def _variance(self) -> jax.Array:
        return (self.high - self.low) ** 2 / 12

    def _mode(self) -> jax.Array:
        return self._mean()  # every point of the support is a mode


class Triangular(Distribution):
    """The triangular distribution.

        q(x) = 2 (x - low) / ((high - low) (peak - low))   below the peak, mirrored above it
        z = low + sqrt(u (high - low) (peak - low))        for u < (peak - low) / (high - low)

    Args:
      low: the lower end, any shape that broadcasts with the others.
      high: the upper end, above `low`.
      peak: the point of highest density, from `low` to `high`.

    Raises:
      ValueError: concrete values that are not in order, or shapes that do not broadcast.

    Example:
      >>> float(Triangular(0.0, 2.0, 1.0).transform(0.5))
      1.0
    """

    low: jax.Array
    high: jax.Array
    peak: jax.Array
    arg_constraints: ClassVar = {
        "low": constraints.real,
        "high": constraints.real,
        "peak": constraints.real,
    }
    noise_marginal = "uniform"

    def __init__(self, low: ArrayLike, high: ArrayLike, peak: ArrayLike) -> None:
        super().__init__(low=low, high=high, peak=peak)

    def _joint_constraints(self) -> dict[str, tuple[str, jax.Array]]:
        return {
            "high": ("greater than low", self.high > self.low),
            "peak": ("from low to high", (self.peak >= self.low) & (self.peak <= self.high)),
        }

    @property
    def support(self) -> Constraint:
        return constraints.interval(self.low, self.high)

    def _transform(self, eps: jax.Array) -> jax.Array:
        width, left, right = self.high - self.low, self.peak - self.low, self.high - self.peak
        below = eps * width < left
        square = width * jnp.where(below, eps * left, (1 - eps) * right)
        root = jnp.sqrt(jnp.where(square == 0, 1, square)) * (square != 0).astype(square.dtype)
        return jnp.where(below, self.low + root, self.high - root)

    def _inverse(self, z: jax.Array) -> jax.Array:
        width, below = self.high - self.low, z < self.peak
        reach = jnp.where(below, z - self.low, self.high - z)
        side = jnp.where(below, self.peak - self.low, self.high - self.peak)
        part = reach / jnp.where(side == 0, 1, side) * (reach / width)
        return jnp.where(below, part, 1 - part)

    def _log_prob(self, z: jax.Array) -> jax.Array:
        def inside(z: jax.Array) -> jax.Array:
            below = z < self.peak
            reach = jnp.where(below, z - self.low, self.high - z)
            side = jnp.where(below, self.peak - self.low, self.high - self.peak)
            # If the peak is an end of the interval, the density there is that of the peak.
            ratio = jnp.where(side == 0, 1, reach / jnp.where(side == 0, 1, side))
            return jnp.log(ratio) + jnp.log(2 / (self.high - self.low))

        return self._supported(z, self.peak, inside)

    def _cdf(self, x: jax.Array) -> jax.Array:
        return self._inverse(jnp.clip(x, self.low, self.high))

    def _icdf(self, u: jax.Array) -> jax.Array:
        return on_unit_interval(self._transform, u)

    def _entropy(self) -> jax.Array:
        return 0.5 + jnp.log(0.5 * (self.high - self.low))

    def _mean(self) -> jax.Array:
        return (self.low + self.high + self.peak) / 3

    def _variance(self) -> jax.Array:
        width, left, right = self.high - self.low, self.peak - self.low, self.high - self.peak
        return (width**2 - left * right) / 18

    def _mode(self) -> jax.Array:
        return self.peak


class LogUniform(Distribution):
    """The log-uniform distribution: the logarithm is uniform, the density is reciprocal.

        q(x) = 1 / (x log(high / low))
        z = low (high / low)^u,   u ~ U(0, 1)

    Args:
      low: the lower end, positive.
      high: the upper end, above `low`.

    Raises:
      ValueError: concrete values out of range or not in order, or shapes that do not broadcast.

    Example:
      >>> round(float(LogUniform(0.01, 1.0).transform(0.5)), 6)
      0.1
    """

    low: jax.Array
    high: jax.Array
    arg_constraints: ClassVar = {"low": constraints.positive, "high": constraints.positive}
    noise_marginal = "uniform"

    def __init__(self, low: ArrayLike, high: ArrayLike) -> None:
        super().__init__(low=low, high=high)

    def _joint_constraints(self) -> dict[str, tuple[str, jax.Array]]:
        return {"high": ("greater than low", self.high > self.low)}

    @property
    def support(self) -> Constraint:
        return constraints.interval(self.low, self.high)

    def _log_width(self) -> jax.Array:
        # log1p of the relative gap keeps its relative precision if the ends are close.
        return jnp.log1p((self.high - self.low) / self.low)

    def _transform(self, eps: jax.Array) -> jax.Array:
        z = self.low * jnp.exp(self._log_width() * eps)
        return jnp.clip(z, self.low, self.high)  # corrects the rounding of the exponential

    def _inverse(self, z: jax.Array) -> jax.Array:
        return jnp.log1p((z - self.low) / self.low) / self._log_width()

    def _log_prob(self, z: jax.Array) -> jax.Array:
        return self._supported(z, self.low, lambda z: -jnp.log(z) - jnp.log(self._log_width()))

    def _cdf(self, x: jax.Array) -> jax.Array:
        return self._inverse(jnp.clip(x, self.low, self.high))

    def _icdf(self, u: jax.Array) -> jax.Array:
        return on_unit_interval(self._transform, u)

    def _entropy(self) -> jax.Array:
        return 0.5 * (jnp.log(self.low) + jnp.log(self.high)) + jnp.log(self._log_width())

    def _mean(self) -> jax.Array:
        return (self.high - self.low) / self._log_width()

    def _variance(self) -> jax.Array:
        square = 0.5 * (self.high - self.low) * (self.high + self.low) / self._log_width()
        return square - self._mean() ** 2

    def _mode(self) -> jax.Array:
        return self.low
