"""The skew-normal distribution: variates from normal noise, and the inverse.

The density is 2 phi(x) Phi(a x). A negative skewness a is treated by reflection. With Owen's
function T, F(x) = Phi(x) - 2 T(x, a). For a > 0 each tail is a sum of positive terms: 1 - F from
this formula, or from T(h, a) = p / 2 + q / 2 - p q - T(a h, 1 / a) with p = Phi(-h) and
q = Phi(-a h); and F far to the left from

    F(-x) = exp(-x^2 / 2) / pi  integral_a^inf exp(-x^2 t^2 / 2) / (1 + t^2) dt.

References:
  Owen (1956), "Tables for computing bivariate normal probabilities", Ann. Math. Statist. 27
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax import Array
from jax.lax import stop_gradient
from jax.typing import ArrayLike

from repara.special.constants import HALF_LOG_2PI
from repara.special.elementwise import as_floats, select_by_dtype, with_forward_derivatives
from repara.special.normal import (
    log_ndtr,
    log_ndtr_derivative,
    mills_ratio,
    ndtri_exp,
)
from repara.special.quadrature import Rule, gauss_legendre, integrate
from repara.special.tail_integral import halley_step, inverse_series_step

__all__ = ["normal_from_skew_normal", "skew_normal_from_normal"]

# Nodes of the two integrals, and the exponent at which the integrands are cut.
_FLOAT32 = (gauss_legendre(9), gauss_legendre(12), 17.0)
_FLOAT64 = (gauss_legendre(22), gauss_legendre(30), 37.0)
# Two rules and the exponent.
Rules = tuple[Rule, Rule, float]


def skew_normal_from_normal(eps: ArrayLike, skewness: ArrayLike) -> Array:
    """Computes a skew-normal variate from standard-normal noise, by inversion of its CDF.

        F(z; a) = Phi(eps),   dz/da = phi(a z) / (Phi(a z) (1 + a^2))

    Here F is the distribution function of the density 2 phi(z) Phi(a z).

    Args:
      eps: standard-normal noise; any shape that broadcasts with the skewness. -inf and inf give
        themselves.
      skewness: a, any real number; 0 is the normal distribution.

    Returns:
      The variates, of the broadcast shape and the common dtype. Errors are below 4 eps (1 +
      condition number), plus as much relative to the scale 1 / |a| of the short tail. Derivatives
      of any order exist, also at a = 0.

    Raises:
      TypeError: the common dtype is neither float32 nor float64.
      ValueError: the shapes do not broadcast.

    References:
      Azzalini (1985), "A class of distributions which includes the normal ones", Scand. J. Statist.
      12. Figurnov, Mohamed and Mnih (2018), "Implicit reparameterization gradients", equation 5,
      for the derivatives, https://arxiv.org/abs/1805.08498

    Example:
      >>> z = skew_normal_from_normal(jnp.array([-1.0, 0.0, 1.0]), 1.0)  # larger of 2 normals
      >>> [round(float(v), 3) for v in z]
      [-0.258, 0.545, 1.387]
    """
    return _skew_normal(*as_floats("skew_normal_from_normal", eps, skewness))


def normal_from_skew_normal(z: ArrayLike, skewness: ArrayLike) -> Array:
    """Computes the noise from which `skew_normal_from_normal` makes z: its inverse in eps.

        eps with Phi(eps) = F(z; a)

    Args:
      z: any real number; any shape that broadcasts with the skewness.
      skewness: as in `skew_normal_from_normal`.

    Returns:
      The noise, of the broadcast shape and the common dtype, accurate to rounding in both tails.

    Raises:
      TypeError: the common dtype is neither float32 nor float64.
      ValueError: the shapes do not broadcast.

    Example:
      >>> round(float(normal_from_skew_normal(skew_normal_from_normal(0.5, 3.0), 3.0)), 4)
      0.5
    """
    return _normal(*as_floats("normal_from_skew_normal", z, skewness))


def _owen(h: Array, a: Array, rules: Rules) -> Array:
    """2 T(h, a) / phi(h) for h >= 0 and a in [0, 1]."""
    nodes, _, cut = rules
    end = jnp.minimum(a, math.sqrt(2 * cut) / jnp.maximum(stop_gradient(h), 1e-3))
    total = integrate(nodes, lambda t: jnp.exp(-0.5 * (h * t) ** 2) / (1 + t * t), end)
    return math.sqrt(2 / math.pi) * total


def _ratios(y: Array, a: Array, rules: Rules) -> tuple[Array, Array]:
    """F(y) and 1 - F(y) over the density, a >= 0: each valid if it is at most about 1/2."""
    x = jnp.where(y < 0, -y, y)
    k = a * x
    steep = a > 1
    # Owen's function with a second argument of at most 1
    b = jnp.where(steep, 1 / jnp.where(steep, a, 1.0), a)
    owen = _owen(jnp.where(steep, k, x), b, rules)
    near, far = mills_ratio(x), mills_ratio(k)
    tail_x, tail_k = _density(x) * near, _density(k) * far  # Phi(-x), Phi(-k)
    # phi(k) / phi(x) if k is the larger one
    drop = jnp.exp(-0.5 * jnp.where(steep, (k - x) * (k + x), 0.0))
    center = jax.lax.erf(math.sqrt(0.5) * x)
    # y >= 0: of the density 2 phi(x) Phi(k)
    tall = 2 * (1 - tail_k)
    upper = jnp.where(steep, 2 * near * (1 - tail_k) + drop * (far - owen), near + owen) / tall
    inside = jnp.where(y >= 0, x, 0.0)  # 1 / phi is used for points in the middle only
    growth = jnp.exp(jnp.minimum(0.5 * inside * inside, 30.0)) * math.sqrt(2 * math.pi)
    gap = center * (1 - tail_k) * growth + drop * owen
    flat = jnp.where(steep, gap, (1 - tail_x) * growth - owen)
    # y < 0: of the density 2 phi(x) Phi(-k)
    beyond = jnp.maximum(x, k) > 1
    short = jnp.where(steep, drop * (owen - center * far), near - owen)
    short = short / (2 * jnp.where(beyond, 1.0, tail_k))
    lower = jnp.where(beyond, _left(x, k, far, rules), short)
    # 1 - F is not needed for y < 0
    return jnp.where(y >= 0, flat / tall, lower), upper


def _left(x: Array, k: Array, mills_k: Array, rules: Rules) -> Array:
    """F(-x) over the density if x or k = a x is above 1: x / m(k) times an integral."""
    _, nodes, cut = rules
    h = stop_gradient(k)
    end = 2 * cut / (h + jnp.sqrt(h * h + 2 * cut))

    def remaining(r: Array) -> Array:
        return jnp.exp(-r * (k + 0.5 * r)) / (x * x + (k + r) ** 2)

    return x / mills_k * integrate(nodes, remaining, end)


def _density(x: Array) -> Array:
    return jnp.exp(-0.5 * x * x - HALF_LOG_2PI)


def _log_density(y: Array, a: Array) -> Array:
    return math.log(2) - 0.5 * y * y - HALF_LOG_2PI + log_ndtr(a * y)


def _step_toward(y: Array, a: Array, right: Array, log_size: Array, final: bool) -> Array:
    """One step from y toward the point at which the tail on one side is exp(log_size)."""
    lower, upper = _ratios(y, a, select_by_dtype(y, _FLOAT32, _FLOAT64))
    ratio, side = jnp.where(right, upper, lower), jnp.where(right, 1.0, -1.0).astype(y.dtype)
    hazard = log_ndtr_derivative(a * y)
    first = side * (y - a * hazard)
    gap = log_size - (_log_density(y, a) + jnp.log(ratio))
    if final:
        second = 1 + a * a * hazard * (a * y + hazard)
        return y + side * inverse_series_step(gap, ratio, first, second)
    moved = y + side * halley_step(gap, ratio, first)
    return jnp.where(right, jnp.maximum(moved, 0.0), moved)


def _start(eps: Array, a: Array) -> Array:
    """A bound on y from the outer side, close to y for large and small a."""
    upper = -ndtri_exp(log_ndtr(-jnp.maximum(eps, 0.0)) - math.log(2))
    # F(y) is at most erf(y / sqrt 2) + F(0) for y >= 0, and 2 Phi(y sqrt(1 + a^2)) for y <= 0
    log_size = log_ndtr(jnp.minimum(eps, 0.0))
    rest = jnp.exp(log_size) - jnp.arctan2(jnp.ones_like(a), a) / math.pi
    middle = math.sqrt(2) * jax.lax.erf_inv(jnp.maximum(rest, 0.0))
    outer = ndtri_exp(log_size - math.log(2)) / jnp.hypot(1.0, a)
    lower = jnp.where(rest > 0, middle, jnp.maximum(outer, eps))
    return jnp.where(eps > 0, upper, lower)


@jax.custom_jvp
def _solve(eps: Array, a: Array) -> Array:
    flip = a < 0
    e, a = jnp.where(flip, -eps, eps), jnp.where(flip, -a, a)
    right = e > 0
    log_size = log_ndtr(jnp.where(right, -e, e))

    def improve(_: Array, y: Array) -> Array:
        return _step_toward(y, stop_gradient(a), right, stop_gradient(log_size), final=False)

    y = jax.lax.fori_loop(0, select_by_dtype(a, 4, 5), improve, stop_gradient(_start(e, a)))
    y = _step_toward(stop_gradient(y), a, right, log_size, final=True)
    return jnp.where(flip, -y, y)


@_solve.defjvp
def _solve_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    eps, a = primals
    y = _solve(eps, a)
    by_eps, by_a = _derivatives(y, eps, a)
    return y, by_eps * tangents[0] + by_a * tangents[1]


def _derivatives(y: Array, eps: Array, a: Array) -> tuple[Array, Array]:
    """dy/deps = phi(eps) / p(y), and dy/da = -(dF/da) / p(y), which contain no tail."""
    log_ratio = 0.5 * (y - eps) * (y + eps) - math.log(2) - log_ndtr(a * y)
    return jnp.exp(log_ratio), log_ndtr_derivative(a * y) / (1 + a * a)


@with_forward_derivatives
def _skew_normal(eps: Array, a: Array) -> Array:
    eps, a = jnp.broadcast_arrays(eps, a)
    valid = jnp.abs(a) < jnp.inf
    inside = valid & (jnp.abs(eps) < jnp.inf)
    z = _solve(jnp.where(inside, eps, 0.0), jnp.where(inside, a, 0.0))
    return jnp.where(valid, jnp.where(inside, z, eps), jnp.nan)


@jax.custom_jvp
def _finite_normal(z: Array, a: Array) -> Array:
    flip = a < 0
    y, a = jnp.where(flip, -z, z), jnp.where(flip, -a, a)
    lower, upper = _ratios(y, a, select_by_dtype(y, _FLOAT32, _FLOAT64))
    log_density = _log_density(y, a)
    log_upper, log_lower = (log_density + jnp.log(ratio) for ratio in (upper, lower))
    right = (y > 0) & (log_upper < -math.log(2))
    eps = ndtri_exp(jnp.minimum(jnp.where(right, log_upper, log_lower), -math.log(2)))
    return jnp.where(right ^ flip, -eps, eps)


@_finite_normal.defjvp
def _finite_normal_jvp(
    primals: tuple[Array, Array], tangents: tuple[Array, Array]
) -> tuple[Array, Array]:
    z, a = primals
    eps = _finite_normal(z, a)
    by_eps, by_a = _derivatives(z, eps, a)
    return eps, (tangents[0] - by_a * tangents[1]) / by_eps


@with_forward_derivatives
def _normal(z: Array, a: Array) -> Array:
    z, a = jnp.broadcast_arrays(z, a)
    valid = jnp.abs(a) < jnp.inf
    inside = valid & (jnp.abs(z) < jnp.inf)
    eps = _finite_normal(jnp.where(inside, z, 0.0), jnp.where(inside, a, 0.0))
    return jnp.where(valid, jnp.where(inside, eps, z), jnp.nan)
