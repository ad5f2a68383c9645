"""Scalar families whose transform rises with one normal noise: their quantiles."""

import jax
from jax.scipy.special import ndtr

from repara.distributions.base import Distribution
from repara.distributions.location_scale import _on_unit_interval
from repara.special import ndtri

__all__ = ["OfNormal"]


class OfNormal(Distribution):
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
        return _on_unit_interval(lambda u: self._at_any(ndtri(u)), u)

    def _isf(self, u: jax.Array) -> jax.Array:
        return _on_unit_interval(lambda u: self._at_any(-ndtri(u)), u)
