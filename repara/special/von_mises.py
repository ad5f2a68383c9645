"""The von Mises distribution: angles from normal noise, and the inverse.

The density exp(k cos y) / (2 pi I0(k)) is symmetric. Half of it is one tail from 0 to pi:

    Q(y) = exp(-2 k sin^2(y / 2)) R(y) / (2 R(0)),
    R(y) = integral_0^(pi - y) exp(-2 k sin(t / 2) sin(y + t / 2)) dt

This contains no Bessel function, and nothing cancels or overflows for any k. In float64 the angle
is solved for with it. In float32 the angle is a fit in variables in which it is smooth: one fit
near 0 and one far from it for k up to 14, and one beyond (`repara.special.fits.von_mises` derives
them and makes the coefficients).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array
from jax.lax import stop_gradient
from jax.typing import ArrayLike

from repara.special.autodiff import straight_through_minimum
from repara.special.coefficients import von_mises as fitted
from repara.special.constants import NOISE_BOUND_FLOAT32
from repara.special.elementwise import as_floats, select_by_dtype, with_forward_derivatives
from repara.special.normal import log_ndtr, minus_log_tail_excess, ndtri_exp
from repara.special.polynomial import horner, horner_rows
from repara.special.quadrature import Rule, gauss_legendre, integrate
from repara.special.tail_integral import central_series, halley_step, inverse_series_step

__all__ = ["far_von_mises_from_normal", "normal_from_von_mises", "von_mises_from_normal"]

# Nodes, and the exponent at which the integrand is cut.
_FLOAT32 = (gauss_legendre(12), 17.0)
_FLOAT64 = (gauss_legendre(28), 36.0)
_ROUGH = (gauss_legendre(7), 10.0)


def von_mises_from_normal(eps: ArrayLike, concentration: ArrayLike) -> Array:
    """Computes a von Mises angle around 0 from standard-normal noise, by inversion of its CDF.

        F(z) = Phi(eps),  F(z) = integral_-pi^z exp(k cos t) / (2 pi I0(k)) dt

    Args:
      eps: standard-normal noise; any shape that broadcasts with the concentration. In [-6, 6] for
        float32, a range that no normal generator of that precision leaves, and NaN outside; any
        number for float64. -inf and inf give -pi and pi.
      concentration: k, from 0, which is the uniform distribution, to 1e5 and beyond.

    Returns:
      The angles in [-pi, pi], of the broadcast shape and the common dtype; odd in eps. NaN if
      the concentration is negative. Relative errors are below 3e-6 in float32 and 1e-11 in
      float64. Derivatives exist in both arguments and are accurate up to the second order; the
      first ones to 2e-5 and 1e-10.

    Raises:
      TypeError: the common dtype is neither float32 nor float64.
      ValueError: the shapes do not broadcast.

    References:
      Figurnov, Mohamed and Mnih (2018), "Implicit reparameterization gradients", equation 5, for
      the derivatives, https://arxiv.org/abs/1805.08498

    Example:
      >>> round(float(von_mises_from_normal(1.0, 0.0)), 4)  # 2 pi (Phi(1) - 1/2)
      2.1447
    """
    return _angle(*as_floats("von_mises_from_normal", eps, concentration))


def far_von_mises_from_normal(eps: ArrayLike, concentration: ArrayLike) -> Array:
    """Computes `von_mises_from_normal` for noise of any size, also in float32.

    The tail is integrated, which takes many times as long as the fit.

    Args:
      eps: of any size; as in `von_mises_from_normal`.
      concentration: as in `von_mises_from_normal`.

    Returns:
      As in `von_mises_from_normal`.

    Raises:
      TypeError: the common dtype is neither float32 nor float64.
      ValueError: the shapes do not broadcast.

    Example:
      >>> round(float(far_von_mises_from_normal(-9.0, 1e4)), 3)  # about -9 / sqrt(1e4)
      -0.09
    """
    return _far_angle(*as_floats("far_von_mises_from_normal", eps, concentration))


def normal_from_von_mises(z: ArrayLike, concentration: ArrayLike) -> Array:
    """Computes the noise from which `von_mises_from_normal` makes z: its inverse in eps.

        eps with Phi(eps) = F(z)

    Args:
      z: angles in [-pi, pi]; any shape that broadcasts with the concentration.
      concentration: as in `von_mises_from_normal`.

    Returns:
      The noise, of the broadcast shape and the common dtype; NaN if z is out of range.

    Raises:
      TypeError: the common dtype is neither float32 nor float64.
      ValueError: the shapes do not broadcast.

    Example:
      >>> round(float(normal_from_von_mises(von_mises_from_normal(0.5, 3.0), 3.0)), 4)
      0.5
    """
    return _normal(*as_floats("normal_from_von_mises", z, concentration))


def _ratio(y: Array, rest: Array, k: Array, rule: tuple[Rule, float]) -> Array:
    """R(y), rest being pi - y with all its digits; neither has derivatives."""
    nodes, cut = rule
    # where the integrand has decreased by exp(-cut), or pi
    reach = jnp.sin(0.5 * y) ** 2 + 0.5 * cut / jnp.maximum(stop_gradient(k), 1e-3)
    end = jnp.where(reach < 1, 2 * jnp.arcsin(jnp.sqrt(jnp.minimum(reach, 1.0))) - y, rest)
    sign, start = jnp.where(rest < 1, -1.0, 1.0), jnp.where(rest < 1, rest, y)
    return integrate(
        nodes, lambda t: jnp.exp(-2 * k * (jnp.sin(0.5 * t) * jnp.sin(start + 0.5 * sign * t))), end
    )


def _ratio_at_zero(k: Array, rule: tuple[Rule, float]) -> Array:
    return _ratio(jnp.zeros_like(k), jnp.full_like(k, math.pi), k, rule)


def _log_tail(
    y: Array, rest: Array, k: Array, at_zero: Array, rule: tuple[Rule, float]
) -> tuple[Array, Array]:
    """log Q and R at y >= 0."""
    ratio = _ratio(y, rest, k, rule)
    return jnp.log(0.5 * ratio / at_zero) - 2 * k * jnp.sin(0.5 * y) ** 2, ratio


def _extended(half: Callable[[Array, Array], Array], bound: float, eps: Array, k: Array) -> Array:
    """The angle for noise of both signs up to `bound`, from `half` for nonnegative noise."""
    eps, k = jnp.broadcast_arrays(eps, k)
    valid = (k >= 0) & (k < jnp.inf)
    finite = valid & (jnp.abs(eps) <= bound) & (jnp.abs(eps) < jnp.inf)
    e, safe = jnp.where(finite, eps, 1.0), jnp.where(valid, k, 1.0)
    # not abs(e), whose derivative at 0 jax defines as 0
    z = half(jnp.where(e < 0, -e, e), safe)
    ends = jnp.where(jnp.abs(eps) == jnp.inf, jnp.sign(eps) * math.pi, jnp.nan)
    return jnp.where(finite, jnp.where(e < 0, -z, z), jnp.where(valid, ends, jnp.nan))


@with_forward_derivatives
def _angle(eps: Array, k: Array) -> Array:
    half, bound = select_by_dtype(
        eps, (_half_by_fit, NOISE_BOUND_FLOAT32), (_half_by_integral, math.inf)
    )
    return _extended(half, bound, eps, k)


@with_forward_derivatives
def _far_angle(eps: Array, k: Array) -> Array:
    return _extended(_half_by_integral, math.inf, eps, k)


# --- float32: the fits ---


def _half_by_fit(e: Array, k: Array) -> Array:
    """The angle for e >= 0."""
    is_small = k <= fitted.SEAM
    k_small, k_large = jnp.where(is_small, k, 1.0), jnp.where(is_small, fitted.SEAM, k)
    half = 0.5 * k_small
    root = jnp.sqrt(jnp.where(is_small, half * half + 1, k_large))
    # not arcsinh: only the absolute error counts
    b = (2 / fitted.B) * jnp.log(half + jnp.where(is_small, root, 1.0)) - 1
    log_derivative = horner(fitted.SLOPE, b)
    linear = e * jnp.exp(log_derivative)
    r = linear * linear
    is_near = r <= fitted.SPLIT
    near = linear * (1 + r * horner_rows(fitted.NEAR, (2 / fitted.R) * r - 1, b))
    far = math.pi - _rest(jnp.where(is_near, NOISE_BOUND_FLOAT32, e), k_small, log_derivative, b)
    return jnp.where(is_small, jnp.where(is_near, near, far), _large(e, k_large, root))


def _rest(e: Array, k: Array, log_derivative: Array, b: Array) -> Array:
    """pi - z = d H, d^2 = log(1 + k q^2) / k."""
    log_tail = -0.5 * e * e - minus_log_tail_excess(e)
    # Everything used several times below is an exponential, logarithm, root or quotient. XLA on a
    # CPU computes those once, but repeats products and sums, with all that leads to them, in every
    # use.
    q = jnp.exp(2 * k + log_tail + log_derivative + 0.5 * math.log(0.5 * math.pi))
    v = k * q * q
    low = v < 1
    series = horner(fitted.LOG1P, jnp.where(low, v, 0.0))
    ratio = jnp.where(low, series, jnp.log(1 + v) / jnp.where(low, 1.0, v))
    square = q * q * ratio
    x = square * (k + 1 + fitted.MIDPOINT / fitted.FAR_END) / (square * (k + 1) + fitted.MIDPOINT)
    return q * jnp.sqrt(ratio) * horner_rows(fitted.FAR, 2 * x - 1, b)


def _large(e: Array, k: Array, root: Array) -> Array:
    """z = e / root G(e^2 / k, 1 / k), root = sqrt(k), for k >= seam."""
    w = 1 / k
    q = (2 / fitted.Q) * (e * e * w) - 1
    return e / root * horner_rows(fitted.LARGE, q, (2 / fitted.W) * w - 1)


# --- float64, and far noise: from the tail ---


def _half_by_integral(e: Array, k: Array) -> Array:
    """The angle for e >= 0."""
    derivative = _ratio_at_zero(k, _FLOAT64) * (2 / math.sqrt(2 * math.pi))
    # In the middle, where z is smaller than the rounding error of Q: the odd series in eps.
    middle = e < 1e-2
    # log p decreases by k (1 - cos z)
    decrease = k / 2, -k / 24, k / 720
    central = central_series(jnp.where(middle, e, 0.0), derivative, decrease)
    return jnp.where(middle, central, _solve(jnp.where(middle, 1.0, e), k))


def _solve(size: Array, k: Array) -> Array:
    """The y >= 0 with Q(y) = Phi(-size), size > 0."""
    log_size = log_ndtr(-size)
    at_zero = _ratio_at_zero(k, _FLOAT64)

    def improve(_: Array, rest: Array) -> Array:
        y = math.pi - rest
        log_tail, ratio = _log_tail(y, rest, stop_gradient(k), stop_gradient(at_zero), _ROUGH)
        # In -log(pi - y) the tail is exponential where the density is flat.
        first = stop_gradient(k) * jnp.sin(rest) * rest + 1
        step = halley_step(stop_gradient(log_size) - log_tail, ratio / rest, first)
        return jnp.minimum(rest * jnp.exp(-step), math.pi)

    # pi - y, because near pi y does not hold its digits
    rest = stop_gradient(jax.lax.fori_loop(0, 5, improve, jnp.full_like(k, math.pi)))
    y = math.pi - rest
    log_tail, ratio = _log_tail(y, rest, k, at_zero, _FLOAT64)
    sine = jnp.where(rest < 1, jnp.sin(rest), jnp.sin(y))
    step = inverse_series_step(log_size - log_tail, ratio, k * sine, k * jnp.cos(y))
    return jnp.minimum(y + step, math.pi)


# --- the inverse ---


@with_forward_derivatives
def _normal(z: Array, k: Array) -> Array:
    z, k = jnp.broadcast_arrays(z, k)
    valid = (k >= 0) & (k < jnp.inf) & (jnp.abs(z) <= math.pi)
    inside = valid & (jnp.abs(z) < math.pi)
    safe, at = jnp.where(valid, k, 1.0), jnp.where(inside, jnp.where(z < 0, -z, z), 1.0)
    rule = select_by_dtype(k, _FLOAT32, _FLOAT64)
    fixed = stop_gradient(at)
    log_tail, ratio = _log_tail(fixed, math.pi - fixed, safe, _ratio_at_zero(safe, rule), rule)
    # From the fixed point to the angle itself: d log Q / dy = -1 / R, to the third order.
    move, rate = at - fixed, 1 / ratio
    second = (safe * jnp.sin(fixed) * ratio - 1) * rate * rate
    log_tail = log_tail - move * (rate - 0.5 * move * second)
    eps = -ndtri_exp(straight_through_minimum(log_tail, -math.log(2)))
    eps = jnp.where(inside, jnp.where(z < 0, -eps, eps), jnp.sign(z) * jnp.inf)
    return jnp.where(valid, eps, jnp.nan)
