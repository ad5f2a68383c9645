"""Scalar families whose transform increases in one normal noise: their cdf and icdf."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtr

from repara.distributions.base import Distribution
from repara.distributions.unit_interval import on_unit_interval
from repara.special import ndtri
from repara.special.constants import SLOW_PATH_NOISE_FLOAT32, SLOW_PATH_NOISE_FLOAT64
from repara.special.elementwise import select_by_dtype

__all__ = ["IncreasingInNormal"]

# The argument of the slow function for elements that do not need it.
_ANY_FAR_NOISE = 6.0


def for_any_noise(
    transform: Callable[[jax.Array], jax.Array],
    far: Callable[[jax.Array], jax.Array],
    eps: jax.Array,
    *,
    only_in_float32: bool = False,
) -> jax.Array:
    """Returns transform(eps), or far(eps) for noise beyond what normal generators draw.

    `icdf` can reach such noise. `far` is slow and runs only if an element needs it.

    Args:
      transform: an elementwise function, accurate for noise that generators draw.
      far: the same function, accurate for any larger noise.
      eps: normal noise.
      only_in_float32: whether `transform` is accurate for any noise in float64.

    Returns:
      The values, of the shape of eps.
    """
    if only_in_float32 and eps.dtype == jnp.float64:
        return transform(eps)
    inside = (
        jnp.abs(eps) <= select_by_dtype(eps, SLOW_PATH_NOISE_FLOAT32, SLOW_PATH_NOISE_FLOAT64)
    ) | ~jnp.isfinite(eps)
    near = transform(jnp.where(inside, eps, 0.0))

    def both() -> jax.Array:
        return jnp.where(inside, near, far(jnp.where(inside, _ANY_FAR_NOISE, eps)))

    values: jax.Array = jax.lax.cond(jnp.all(inside), lambda: near, both)
    return values


class IncreasingInNormal(Distribution, abstract=True):
    """A family on the line with z = transform(eps), increasing in eps ~ N(0, 1).

        F(x) = Phi(inverse(x)),   F^-1(u) = transform(Phi^-1(u))

    Both tails are as accurate as the transform and its inverse, because neither 1 - F nor 1 - u is
    computed.

    Args:
      **parameters: those of the family.

    Example:
      >>> from repara.distributions import StudentT
      >>> q = StudentT(3.0, 0.0, 1.0)
      >>> round(float(q.cdf(q.icdf(1e-20)) * 1e20), 3)
      1.0
    """

    def _transform_any(self, eps: jax.Array) -> jax.Array:
        """The transform, also for noise beyond what normal generators draw."""
        return self._transform(eps)

    def _cdf(self, x: jax.Array) -> jax.Array:
        return ndtr(self._inverse(x))

    def _sf(self, x: jax.Array) -> jax.Array:
        return ndtr(-self._inverse(x))

    def _icdf(self, u: jax.Array) -> jax.Array:
        return on_unit_interval(lambda u: self._transform_any(ndtri(u)), u)

    def _isf(self, u: jax.Array) -> jax.Array:
        return on_unit_interval(lambda u: self._transform_any(-ndtri(u)), u)
