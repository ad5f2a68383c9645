"""The projected normal distribution on the unit sphere."""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.lax import stop_gradient
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.base import Distribution, Shape
from repara.special.elementwise import select_by_dtype
from repara.special.quadrature import gauss_legendre, integrate

__all__ = ["ProjectedNormal"]

# Nodes, and the exponent at which the integrand is cut.
_FLOAT32 = (gauss_legendre(20), 17.0)
_FLOAT64 = (gauss_legendre(44), 36.0)


class ProjectedNormal(Distribution):
    """The projected normal distribution: the direction of a normal vector.

        z = (concentration + eps) / |concentration + eps|,   eps ~ N(0, I)
        q(z) = (2 pi)^(-d/2) exp(-|c - t z|^2 / 2) int_0^inf r^(d-1) exp(-(r - t)^2 / 2) dr,
        c = concentration,   t = c . z

    The integral is computed numerically, to rounding error, in any dimension. The transform is not
    one-to-one; the mode is NaN at concentration 0, at which the distribution is uniform.

    Args:
      concentration: the mean of the normal vector, `[..., d]` with d at least 2.

    Raises:
      ValueError: fewer than two coordinates, or a scalar.

    References:
      Hernandez-Stumpfhauser, Breidt and van der Woerd (2017), "The general projected normal
      distribution of arbitrary dimension", https://doi.org/10.1214/15-BA989

    Example:
      >>> z = ProjectedNormal(jnp.array([3.0, 0.0])).transform(jnp.array([0.0, 4.0]))
      >>> [round(float(v), 4) for v in z]
      [0.6, 0.8]
    """

    concentration: jax.Array
    arg_constraints: ClassVar = {"concentration": constraints.real_vector}
    support = constraints.unit_vector

    def __init__(self, concentration: ArrayLike) -> None:
        super().__init__(concentration=concentration)
        if self.event_shape[0] < 2:
            raise ValueError(
                "ProjectedNormal: concentration must have at least 2 coordinates, got 1"
            )

    @property
    def event_shape(self) -> Shape:
        return jnp.shape(self.concentration)[-1:]

    def _transform(self, eps: jax.Array) -> jax.Array:
        x = self.concentration + eps
        return x / jnp.sqrt(jnp.sum(x * x, axis=-1, keepdims=True))

    def _log_prob(self, z: jax.Array) -> jax.Array:
        d, c = self.event_shape[0], self.concentration
        valid = self.support.check(z)
        t = jnp.sum(c * z, axis=-1)
        across = jnp.sum((c - t[..., None] * z) ** 2, axis=-1)
        value = _log_radial(t, d - 1) - 0.5 * across - 0.5 * d * math.log(2 * math.pi)
        return jnp.where(valid | jnp.isnan(value), value, -jnp.inf)

    def _mode(self) -> jax.Array:
        c = self.concentration
        return c / jnp.sqrt(jnp.sum(c * c, axis=-1, keepdims=True))


def _log_radial(t: jax.Array, m: int) -> jax.Array:
    """log int_0^inf r^m exp(-(r - t)^2 / 2) dr, m >= 1, by Gauss-Legendre rule around the peak."""
    nodes, cut = select_by_dtype(t, _FLOAT32, _FLOAT64)
    # The peak solves m / r = r - t; of the two forms of the root this is the one without
    # cancellation.
    size = jnp.sqrt(t * t + 4 * m)
    below = t < 0
    peak = stop_gradient(jnp.where(below, 2 * m / (size - jnp.minimum(t, 0.0)), 0.5 * (t + size)))
    # At peak (1 + x) the exponent is m (x - log(1 + x)) + (peak x)^2 / 2 below that at the peak,
    # which is more than m x^2 / (2 + 2 x) on the right and more than m x^2 / 2 on the left.
    width = math.sqrt(2 * cut) / peak
    right = jnp.minimum((cut + math.sqrt(cut * (cut + 2 * m))) / m, width)
    left = jnp.minimum(width / jnp.sqrt(1 + m / peak**2), 1.0)

    def integrand(x: jax.Array) -> jax.Array:
        x = x - left
        fall = m * (x - jnp.log1p(x)) + 0.5 * (peak * x) ** 2
        # The change of -(r - t)^2 / 2 since t was stopped: it is 0 and carries the derivative in t.
        change = (t - stop_gradient(t)) * (peak * (1 + x) - stop_gradient(t)) - 0.5 * (
            t - stop_gradient(t)
        ) ** 2
        return jnp.exp(change - fall)

    total = integrate(nodes, integrand, left + right)
    top = m * jnp.log(peak) - 0.5 * (peak - stop_gradient(t)) ** 2 + jnp.log(peak)
    return top + jnp.log(total)
