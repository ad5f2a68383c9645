"""The sum of a normal and an exponential variable."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtr
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.base import Distribution, Shape
from repara.special import log_ndtr
from repara.special.constants import HALF_LOG_2PI
from repara.special.normal import mills_ratio, minus_mills_divided_difference
from repara.special.quadrature import gauss_legendre_pairs

__all__ = ["ExponentiallyModifiedGaussian"]

_RULE = gauss_legendre_pairs(8)


class ExponentiallyModifiedGaussian(Distribution):
    """The exponentially modified Gaussian distribution: a normal plus an exponential variable.

        q(x) = rate exp(k^2 / 2 - k t) Phi(t - k),   t = (x - loc) / scale, k = rate scale
        z = loc + scale eps_1 - log Phi(-eps_2) / rate,   eps ~ N(0, I)

    A sample takes two normal noises: the transform is not one-to-one, and `inverse` raises.

    Args:
      loc: the mean of the normal variable, any shape that broadcasts with the others.
      scale: its standard deviation, positive.
      rate: the rate of the exponential variable, positive.

    Raises:
      ValueError: a concrete `scale` or `rate` that is not positive, or shapes that do not
        broadcast.

    Example:
      >>> q = ExponentiallyModifiedGaussian(1.0, 0.5, 2.0)
      >>> float(q.mean), float(q.variance)
      (1.5, 0.5)
    """

    loc: jax.Array
    scale: jax.Array
    rate: jax.Array
    arg_constraints: ClassVar = {
        "loc": constraints.real,
        "scale": constraints.positive,
        "rate": constraints.positive,
    }
    support = constraints.real

    def __init__(self, loc: ArrayLike, scale: ArrayLike, rate: ArrayLike) -> None:
        super().__init__(loc=loc, scale=scale, rate=rate)

    @property
    def noise_shape(self) -> Shape:
        return (2,)

    def _transform(self, eps: jax.Array) -> jax.Array:
        return self.loc + self.scale * eps[..., 0] - log_ndtr(-eps[..., 1]) / self.rate

    def _log_excess(self, t: jax.Array, k: jax.Array) -> jax.Array:
        """log(exp(k^2 / 2 - k t) Phi(t - k)), which is log(phi(t) m(k - t)), m Mills' ratio."""
        left = t < k
        ratio = jnp.log(mills_ratio(jnp.where(left, k - t, 0.0)))
        right = log_ndtr(jnp.where(left, 0.0, t - k)) + jnp.where(left, 0.0, k * (0.5 * k - t))
        return jnp.where(left, ratio - 0.5 * t**2 - HALF_LOG_2PI, right)

    def _standardized(self, z: jax.Array) -> tuple[jax.Array, jax.Array]:
        t, k = jnp.broadcast_arrays((z - self.loc) / self.scale, self.rate * self.scale)
        return t, k

    def _log_prob(self, z: jax.Array) -> jax.Array:
        return jnp.log(self.rate) + self._log_excess(*self._standardized(z))

    def _cdf(self, x: jax.Array) -> jax.Array:
        t, k = self._standardized(x)
        # Phi(t) minus the excess: on the left phi(t) (m(-t) - m(k - t)), on the right, where the
        # two are nearly equal, the sum of Phi(t) - Phi(t - k) and the rest of the exponential.
        left, narrow = t < 1, k < 1
        density = jnp.exp(-0.5 * jnp.where(left, t, 1.0) ** 2 - HALF_LOG_2PI)
        tail = density * k * minus_mills_divided_difference(jnp.where(left, -t, 0.0), k)
        short = jnp.where(narrow, k, 0.5)
        between = sum(
            weight * jnp.exp(-0.5 * (t - short * point) ** 2 - HALF_LOG_2PI)
            for point, weight in _RULE
        )
        rest = -jnp.expm1(jnp.minimum(short * (0.5 * short - t), 0.0)) * ndtr(t - short)
        wide = ndtr(t) - jnp.exp(self._log_excess(t, k))
        return jnp.where(left, tail, jnp.where(narrow, short * between + rest, wide))

    def _sf(self, x: jax.Array) -> jax.Array:
        t, k = self._standardized(x)
        return ndtr(-t) + jnp.exp(self._log_excess(t, k))

    def _mean(self) -> jax.Array:
        return self.loc + 1 / self.rate + 0 * self.scale

    def _variance(self) -> jax.Array:
        return self.scale**2 + 1 / self.rate**2
