"""Scalar families whose transform rises with one normal noise: their quantiles."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtr

from repara.distributions.base import Distribution
from repara.distributions.unit_interval import on_unit_interval
from repara.special import ndtri
from repara.special.elementwise import select_by_dtype

__all__ = ["OfNormal"]


def at_any(
    transform: Callable[[jax.Array], jax.Array],
    beyond: Callable[[jax.Array], jax.Array],
    eps: jax.Array,
    *,
    only_single: bool = False,
) -> jax.Array:
    """transform(eps), and beyond(eps) for finite noise that no generator of its precision draws.

    An icdf may be asked for it. `beyond` takes many times as long, and runs where there is any;
    `only_single` says that in float64 `transform` needs none.
    """
    if only_single and eps.dtype == jnp.float64:
        return transform(eps)
    inside = (jnp.abs(eps) <= select_by_dtype(eps, 5.5, 8.0)) | ~jnp.isfinite(eps)
    near = transform(jnp.where(inside, eps, 0.0))

    def both() -> jax.Array:
        return jnp.where(inside, near, beyond(jnp.where(inside, 6.0, eps)))

    return jax.lax.cond(jnp.all(inside), lambda: near, both)


class OfNormal(Distribution, abstract=True):
    """A family on the line with z = transform(eps), increasing in eps ~ N(0, 1).

        F(x) = Phi(inverse(x)),   F^-1(u) = transform(Phi^-1(u))

    Both tails are as accurate as the transform and its inverse, since neither 1 - F nor 1 - u is
    formed.

    Args:
      **parameters: those of the family.

    Example:
      >>> from repara.distributions import StudentT
      >>> q = StudentT(3.0, 0.0, 1.0)
      >>> round(float(q.cdf(q.icdf(1e-20)) * 1e20), 3)
      1.0
    """

    def _at_any(self, eps: jax.Array) -> jax.Array:
        """The transform, also of noise farther out than any generator draws."""
        return self._transform(eps)

    def _cdf(self, x: jax.Array) -> jax.Array:
        return ndtr(self._inverse(x))

    def _sf(self, x: jax.Array) -> jax.Array:
        return ndtr(-self._inverse(x))

    def _icdf(self, u: jax.Array) -> jax.Array:
        return on_unit_interval(lambda u: self._at_any(ndtri(u)), u)

    def _isf(self, u: jax.Array) -> jax.Array:
        return on_unit_interval(lambda u: self._at_any(-ndtri(u)), u)
