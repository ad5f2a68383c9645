"""The von Mises distribution: its quantile as a function of normal noise, and its CDF.

The density exp(k cos y) / (2 pi I0(k)) is symmetric, so half of it is one tail from 0 to pi:

    Q(y) = exp(-2 k sin^2(y / 2)) R(y) / (2 R(0)),
    R(y) = integral_0^(pi - y) exp(-2 k sin(t / 2) sin(y + t / 2)) dt

with no Bessel function in it and nothing that cancels or overflows for any k.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from repara.special.elementwise import as_floats, by_dtype, pointwise
from repara.special.normal import _log_ndtr, _ndtri_exp
from repara.special.tails import Rule, gauss, held, integral, last_step, rough_step

_FLOAT32 = (gauss(12), 17.0)
_FLOAT64 = (gauss(28), 36.0)
_ROUGH = (gauss(7), 10.0)


def von_mises_quantile(eps: ArrayLike, concentration: ArrayLike) -> Array:
    """A von Mises variate around 0 from standard-normal noise, by inversion of its CDF.

        F(z) = Phi(eps),  F(z) = integral_-pi^z exp(k cos t) / (2 pi I0(k)) dt

    Args:
        eps: Standard-normal noise; any shape that broadcasts with the concentration. -inf and inf
            give -pi and pi.
        concentration: k, from 0, the uniform distribution, to 1e5 and beyond.

    Returns:
        The angles in [-pi, pi], of the broadcast shape and the common dtype; odd in eps. NaN where
        the concentration is negative. Derivatives in both arguments, right to the second order.

    Raises:
        TypeError: If the common dtype is neither float32 nor float64.
        ValueError: If the shapes do not broadcast.

    Source: the derivatives, Figurnov, Mohamed & Mnih (2018), "Implicit reparameterization
    gradients", equation 5.

    Example:
        >>> round(float(von_mises_quantile(1.0, 0.0)), 4)  # 2 pi (Phi(1) - 1/2)
        2.1447
    """
    return _quantile(*as_floats("von_mises_quantile", eps, concentration))


def von_mises_normal_score(z: ArrayLike, concentration: ArrayLike) -> Array:
    """The standard-normal noise that `von_mises_quantile` makes z of: its inverse in eps.

        eps with Phi(eps) = F(z)

    Args:
        z: Angles in [-pi, pi]; any shape that broadcasts with the concentration.
        concentration: As in `von_mises_quantile`.

    Returns:
        The values, of the broadcast shape and the common dtype; NaN where z is out of range.

    Raises:
        TypeError: If the common dtype is neither float32 nor float64.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> round(float(von_mises_normal_score(von_mises_quantile(0.5, 3.0), 3.0)), 4)
        0.5
    """
    return _score(*as_floats("von_mises_normal_score", z, concentration))


def _ratio(y: Array, k: Array, rule: tuple[Rule, float]) -> Array:
    """R(y); y has no derivatives."""
    nodes, cut = rule
    # where the integrand has fallen by exp(-cut), or pi
    reach = jnp.sin(0.5 * y) ** 2 + 0.5 * cut / jnp.maximum(held(k), 1e-3)
    end = jnp.where(reach < 1, 2 * jnp.arcsin(jnp.sqrt(jnp.minimum(reach, 1.0))), math.pi) - y
    return integral(
        nodes, lambda t: jnp.exp(-2 * k * (jnp.sin(0.5 * t) * jnp.sin(y + 0.5 * t))), end
    )


def _log_tail(y: Array, k: Array, at_zero: Array, rule: tuple[Rule, float]) -> tuple[Array, Array]:
    """log Q and R at y >= 0."""
    ratio = _ratio(y, k, rule)
    return jnp.log(0.5 * ratio / at_zero) - 2 * k * jnp.sin(0.5 * y) ** 2, ratio


def _solved(size: Array, k: Array) -> Array:
    """The y >= 0 with Q(y) = Phi(-size), size > 0."""
    log_size = _log_ndtr(-size)
    rule = by_dtype(k, _FLOAT32, _FLOAT64)
    zero = jnp.zeros_like(k)
    at_zero = _ratio(zero, k, rule)

    def nearer(_: Array, y: Array) -> Array:
        log_tail, ratio = _log_tail(y, held(k), held(at_zero), _ROUGH)
        # In -log(pi - y) the tail is exponential where the density is flat.
        rest = math.pi - y
        slope = held(k) * jnp.sin(y) * rest + 1
        step = rough_step(held(log_size) - log_tail, ratio / rest, slope)
        return jnp.maximum(y - rest * jnp.expm1(-step), 0.0)

    y = held(jax.lax.fori_loop(0, by_dtype(k, 4, 5), nearer, zero))
    log_tail, ratio = _log_tail(y, k, at_zero, rule)
    step = last_step(log_size - log_tail, ratio, k * jnp.sin(y), k * jnp.cos(y))
    return jnp.minimum(y + step, math.pi)


def _central(e: Array, k: Array) -> Array:
    """To eps^5: dz/deps = phi(eps) / p(z), p(z) = exp(-k (1 - cos z)) / (2 R(0))."""
    rule = by_dtype(k, _FLOAT32, _FLOAT64)
    slope = _ratio(jnp.zeros_like(k), k, rule) * (2 / math.sqrt(2 * math.pi))
    square = slope * slope
    r = k * square
    cubic = (r - 1) / 6
    fifth = (7 * r * r - 10 * r + 3 - r * square) / 120
    s = e * e
    return slope * e * (1 + s * (cubic + s * fifth))


@pointwise
def _quantile(eps: Array, k: Array) -> Array:
    eps, k = jnp.broadcast_arrays(eps, k)
    valid = (k >= 0) & (k < jnp.inf)
    finite = valid & (jnp.abs(eps) < jnp.inf)
    e, safe = jnp.where(finite, eps, 1.0), jnp.where(valid, k, 1.0)
    # In the middle, where z is small beside the rounding of Q: the odd series in eps.
    middle = jnp.abs(e) < by_dtype(e, 0.12, 1e-3)
    size = jnp.where(middle, 1.0, jnp.where(e < 0, -e, e))
    outer = _solved(size, safe)
    z = jnp.where(
        middle, _central(jnp.where(middle, e, 0.0), safe), jnp.where(e < 0, -outer, outer)
    )
    z = jnp.where(finite, z, jnp.where(jnp.isnan(eps), jnp.nan, jnp.sign(eps) * math.pi))
    return jnp.where(valid, z, jnp.nan)


@pointwise
def _score(z: Array, k: Array) -> Array:
    z, k = jnp.broadcast_arrays(z, k)
    valid = (k >= 0) & (k < jnp.inf) & (jnp.abs(z) <= math.pi)
    inside = valid & (jnp.abs(z) < math.pi)
    safe, at = jnp.where(valid, k, 1.0), jnp.where(inside, jnp.where(z < 0, -z, z), 1.0)
    rule = by_dtype(k, _FLOAT32, _FLOAT64)
    fixed = held(at)
    log_tail, ratio = _log_tail(fixed, safe, _ratio(jnp.zeros_like(safe), safe, rule), rule)
    # From the fixed point to the angle itself: d log Q / dy = -1 / R, to the third order.
    move, rate = at - fixed, 1 / ratio
    bend = (safe * jnp.sin(fixed) * ratio - 1) * rate * rate
    log_tail = log_tail - move * (rate - 0.5 * move * bend)
    score = -_ndtri_exp(jnp.minimum(log_tail, -math.log(2)))
    score = jnp.where(inside, jnp.where(z < 0, -score, score), jnp.sign(z) * jnp.inf)
    return jnp.where(valid, score, jnp.nan)
