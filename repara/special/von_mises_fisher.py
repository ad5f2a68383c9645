"""The von Mises-Fisher distribution: the angle to the mean direction, and the normalizer.

The angle y between a sample and the mean direction has the density exp(k cos y) sin^(d-2) y on
[0, pi], up to a constant; d = 2 is half a von Mises density. The decrease of its logarithm,

    h(y) - h(y + t) = 2 k sin(t / 2) sin(y + t / 2) - (d - 2) log(sin(y + t) / sin y),

gives both tails and, at the mode, the constant. No Bessel function is evaluated.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax import Array
from jax.lax import stop_gradient
from jax.typing import ArrayLike

from repara.special.constants import NOISE_BOUND_FLOAT64
from repara.special.elementwise import as_floats, select_by_dtype, with_forward_derivatives
from repara.special.normal import log_ndtr
from repara.special.quadrature import Rule, gauss_legendre, integrate
from repara.special.tail_integral import halley_step, inverse_series_step

__all__ = ["von_mises_fisher_angle", "von_mises_fisher_log_normalizer"]

# Nodes, and the exponent at which the integrand is cut.
_FLOAT32 = (gauss_legendre(16), 17.0)
_FLOAT64 = (gauss_legendre(40), 36.0)
_ROUGH = (gauss_legendre(8), 10.0)
# The smallest distance to pi.
_LEAST = 1e-6


def von_mises_fisher_angle(eps: ArrayLike, concentration: ArrayLike, dimension: int) -> Array:
    """Computes the angle to the mean direction of a von Mises-Fisher variate from normal noise.

        F(y) = Phi(eps),  F(y) proportional to integral_0^y exp(k cos t) sin^(d-2) t dt

    The CDF is inverted. The cosine of the angle is the component along the mean direction; the
    angle keeps the digits that 1 - cos y would lose.

    Args:
      eps: standard-normal noise in [-8.5, 8.5]; any shape that broadcasts.
      concentration: k, nonnegative.
      dimension: d of the space that contains the sphere, from 2 to 1000.

    Returns:
      The angles in [0, pi], of the broadcast shape and the common dtype; NaN if the
      concentration is negative. Derivatives exist in eps and the concentration.

    Raises:
      TypeError: the common dtype is neither float32 nor float64.
      ValueError: the shapes do not broadcast, or the dimension is not an integer of at least 2.

    References:
      Figurnov, Mohamed and Mnih (2018), "Implicit reparameterization gradients", equation 5, for
      the derivatives, https://arxiv.org/abs/1805.08498

    Example:
      >>> y = von_mises_fisher_angle(0.5, 0.0, 3)  # cos y is uniform: (1 - cos y) / 2 = Phi(1/2)
      >>> round(float((1 - jnp.cos(y)) / 2), 4)
      0.6915
    """
    if not isinstance(dimension, int) or dimension < 2:
        raise ValueError(f"dimension must be an integer of at least 2, got {dimension!r}")
    eps, k = as_floats("von_mises_fisher_angle", eps, concentration)
    return _angle(eps, k, jnp.full_like(k, dimension - 2))


def von_mises_fisher_log_normalizer(concentration: ArrayLike, dimension: int) -> Array:
    """Computes the logarithm of the von Mises-Fisher normalizer, minus the concentration.

        log of the integral over the unit sphere of exp(k (mu . x - 1))

    Args:
      concentration: k, nonnegative.
      dimension: d of the space that contains the sphere, from 2 to 1000.

    Returns:
      The logarithms, like the concentration. The derivative is E[mu . x] - 1.

    Raises:
      TypeError: the dtype is neither float32 nor float64.

    Example:
      >>> round(float(von_mises_fisher_log_normalizer(0.0, 3)), 4)  # log(4 pi)
      2.531
    """
    (k,) = as_floats("von_mises_fisher_log_normalizer", concentration)
    return _log_normalizer(k, jnp.full_like(k, dimension - 2))


def _sine_change(y: Array, t: Array) -> Array:
    """sin(y + t) / sin y - 1."""
    # cos t + sin t cot y, less 1
    return jnp.sin(t) * (jnp.cos(y) / jnp.sin(y)) - 2 * jnp.sin(0.5 * t) ** 2


def _decrease_by_log_sine(y: Array, t: Array, k: Array, m: Array, log_sine_ratio: Array) -> Array:
    """h(y) - h(y + t) from log(sin(y + t) / sin y), m = d - 2."""
    return 2 * k * (jnp.sin(0.5 * t) * jnp.sin(y + 0.5 * t)) - m * log_sine_ratio


def _decrease(y: Array, t: Array, k: Array, m: Array) -> Array:
    """h(y) - h(y + t), m = d - 2."""
    inside = jnp.maximum(_sine_change(y, t), -1 + 1e-7)
    return _decrease_by_log_sine(y, t, k, m, jnp.log1p(inside))


def _decrease_to(y: Array, end: Array, k: Array, m: Array) -> Array:
    """h(y) - h(end), for an `end` so close to 0 or pi that y + t would lose its digits."""
    change = _sine_change(y, end - y)
    near = jnp.log1p(jnp.maximum(change, -0.5))
    log_ratio = jnp.where(change < -0.5, jnp.log(jnp.sin(end) / jnp.sin(y)), near)
    return _decrease_by_log_sine(y, end - y, k, m, log_ratio)


def _ratio(y: Array, k: Array, m: Array, sign: Array, rule: tuple[Rule, float]) -> Array:
    """The tail above y (sign 1) or below (sign -1) over the density; y has no derivatives."""
    nodes, cut = rule
    fixed, room = stop_gradient(k), jnp.where(sign > 0, math.pi - y, y)

    def halve(_: Array, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = jnp.sqrt(low * high)
        inside = _decrease(y, sign * middle, fixed, m) < cut
        return jnp.where(inside, middle, low), jnp.where(inside, high, middle)

    # The t at which the density has decreased by exp(-cut), by bisection in log t.
    _, end = jax.lax.fori_loop(0, 10, halve, (1e-7 * room, room))
    return integrate(nodes, lambda t: jnp.exp(-_decrease(y, sign * t, k, m)), stop_gradient(end))


def _mode(k: Array, m: Array) -> Array:
    """The y with k sin^2 y = m cos y; for m = 0, a point about one standard deviation from 0."""
    cosine = 2 * k / (m + jnp.sqrt(m * m + 4 * k * k) + 1e-30)
    return jnp.where(m == 0, 0.5 * math.pi / jnp.sqrt(1 + 4 * k), jnp.arccos(cosine))


def _central(k: Array, m: Array) -> tuple[Array, Array, Array]:
    """A fixed point near the mode, and the tails above and below over the density there."""
    rule = select_by_dtype(k, _FLOAT32, _FLOAT64)
    center = stop_gradient(jnp.clip(_mode(k, m), 1e-6, math.pi - 1e-6))
    one = jnp.ones_like(k)
    return center, _ratio(center, k, m, one, rule), _ratio(center, k, m, -one, rule)


def _solve(eps: Array, k: Array, m: Array) -> Array:
    rule = select_by_dtype(k, _FLOAT32, _FLOAT64)
    one = jnp.ones_like(k)
    center, above, below = _central(k, m)
    total = jnp.log(above + below)
    upper = stop_gradient(jnp.log(above) - total) > log_ndtr(stop_gradient(-eps))
    sign = jnp.where(upper, one, -one)
    log_size = log_ndtr(-sign * eps)

    def log_tail(y: Array, k: Array, total: Array, rule: tuple[Rule, float]) -> tuple[Array, Array]:
        ratio = _ratio(y, k, m, sign, rule)
        return jnp.log(ratio) - total - _decrease_to(center, y, k, m), ratio

    def derivatives(y: Array) -> tuple[Array, Array]:
        """-h' outward, and -h''."""
        sine = jnp.sin(y)
        return sign * (k * sine - m * jnp.cos(y) / sine), k * jnp.cos(y) + m / (sine * sine)

    def improve(_: Array, y: Array) -> Array:
        tail, ratio = log_tail(y, stop_gradient(k), stop_gradient(total), _ROUGH)
        # As a function of -log(room) the tail is exponential.
        room = jnp.where(upper, math.pi - y, y)
        first = stop_gradient(derivatives(y)[0]) * room + 1
        step = halley_step(stop_gradient(log_size) - tail, ratio / room, first)
        return jnp.clip(y - sign * room * jnp.expm1(-step), 1e-30, math.pi - _LEAST)

    y = stop_gradient(jax.lax.fori_loop(0, select_by_dtype(k, 4, 7), improve, center))
    tail, ratio = log_tail(y, k, total, rule)
    gap = log_size - tail
    # Closer to pi than that, which hardly ever happens for d > 2: y as it is.
    opposite = upper & (gap < -0.1) & (y > math.pi - 2 * _LEAST)
    step = inverse_series_step(jnp.where(opposite, 0.0, gap), ratio, *derivatives(y))
    converged = opposite | (jnp.abs(gap) < 0.1)
    return jnp.where(converged, y + sign * step, jnp.nan)


@with_forward_derivatives
def _log_normalizer(k: Array, m: Array) -> Array:
    k, m = jnp.broadcast_arrays(k, m)
    valid = (k >= 0) & (k < jnp.inf)
    safe = jnp.where(valid, k, 1.0)
    m = stop_gradient(m)
    center, above, below = _central(safe, m)
    # area of the unit sphere in the other d - 1 coordinates
    half = 0.5 * (m + 1)
    area = math.log(2) + half * math.log(math.pi) - jax.lax.lgamma(half)
    peak = m * jnp.log(jnp.sin(center)) - 2 * safe * jnp.sin(0.5 * center) ** 2
    return jnp.where(valid, area + peak + jnp.log(above + below), jnp.nan)


@with_forward_derivatives
def _angle(eps: Array, k: Array, m: Array) -> Array:
    eps, k, m = jnp.broadcast_arrays(eps, k, m)
    valid = (k >= 0) & (k < jnp.inf) & (jnp.abs(eps) <= NOISE_BOUND_FLOAT64)
    y = _solve(jnp.where(valid, eps, 0.0), jnp.where(valid, k, 1.0), stop_gradient(m))
    return jnp.where(valid, y, jnp.nan)
