"""The normal distribution, accurate far into its tails: log CDF and quantile functions.

Everything rests on Mills' ratio m(x) = Phi(-x) / phi(x), which is smooth, positive and between
1 / (x + 1) and 1.26 for x >= 0. It is m(x) = t M(t), t = 4 / (4 + x), with a polynomial M that is
fitted over [0, inf). No density is divided by a tail that underflows.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from repara.special.coefficients import normal as fitted
from repara.special.constants import HALF_LOG_2PI
from repara.special.elementary import log1p
from repara.special.elementwise import as_floats, select_by_dtype
from repara.special.polynomial import horner
from repara.special.quadrature import gauss_legendre_pairs

__all__ = [
    "log_ndtr",
    "log_ndtr_derivative",
    "mills_ratio",
    "minus_log_tail_excess",
    "minus_log_tails",
    "minus_mills_derivative",
    "minus_mills_divided_difference",
    "ndtri",
    "ndtri_exp",
    "scaled_radius",
]


def mills_ratio(x: Array) -> Array:
    """Computes Mills' ratio Phi(-x) / phi(x) of the normal distribution.

    Args:
      x: nonnegative numbers, float32 or float64.

    Returns:
      The ratios, like x, with a relative error of a few units of rounding.

    Example:
      >>> round(float(mills_ratio(jnp.float32(0.0))), 5)  # sqrt(pi / 2)
      1.25331
    """
    t = fitted.MIDPOINT / (fitted.MIDPOINT + x)
    return t * horner(select_by_dtype(x, fitted.MILLS_FLOAT32, fitted.MILLS_FLOAT64), 2 * t - 1)


def scaled_radius(r: Array, least: float) -> Array:
    """Computes the variable in which functions of |eps| are fitted.

        s = (4 - r) / (4 + r), scaled from [least, 1] to [-1, 1]

    Args:
      r: nonnegative numbers.
      least: the value of s at the largest r.

    Returns:
      The values, like r: 1 at r = 0, -1 at the largest r.

    Example:
      >>> float(scaled_radius(jnp.float32(4.0), 0.0))
      -1.0
    """
    s = (fitted.MIDPOINT - r) / (fitted.MIDPOINT + r)
    return (2 / (1 - least)) * s - (1 + least) / (1 - least)


def minus_log_tail_excess(r: Array) -> Array:
    """Computes -log Phi(-r) - r^2 / 2 by a fitted polynomial.

    Args:
      r: numbers from 0 to `NOISE_BOUND_FLOAT32` or `NOISE_BOUND_FLOAT64`.

    Returns:
      The values, like r.

    Example:
      >>> round(float(minus_log_tail_excess(jnp.float32(0.0))), 5)  # log 2
      0.69315
    """
    left, least = select_by_dtype(
        r, (fitted.LEFT_FLOAT32, fitted.LEAST_FLOAT32), (fitted.LEFT_FLOAT64, fitted.LEAST_FLOAT64)
    )
    return horner(left, scaled_radius(r, least))


def minus_log_tails(eps: Array) -> tuple[Array, Array]:
    """Computes -log Phi(eps) and -log Phi(-eps) with one exponential and no logarithm.

    Args:
      eps: numbers of absolute value up to `NOISE_BOUND_FLOAT32` or `NOISE_BOUND_FLOAT64`.

    Returns:
      Both values, like eps, by fitted polynomials.

    Example:
      >>> [round(float(v), 5) for v in minus_log_tails(jnp.float32(0.0))]  # log 2
      [0.69315, 0.69315]
    """
    left, right, least = select_by_dtype(
        eps,
        (fitted.LEFT_FLOAT32, fitted.RIGHT_FLOAT32, fitted.LEAST_FLOAT32),
        (fitted.LEFT_FLOAT64, fitted.RIGHT_FLOAT64, fitted.LEAST_FLOAT64),
    )
    r = jnp.where(eps > 0, eps, -eps)
    s = scaled_radius(r, least)
    half = 0.5 * r * r
    large, small = half + horner(left, s), jnp.exp(-half - horner(right, s))
    return jnp.where(eps > 0, small, large), jnp.where(eps > 0, large, small)


def log_ndtr(x: ArrayLike) -> Array:
    """Computes the logarithm of the standard normal distribution function.

        log Phi(x),  d/dx = phi(x) / Phi(x)

    Args:
      x: real numbers of any shape, -inf and inf included.

    Returns:
      The values, like x, in [-inf, 0], accurate to rounding, also if Phi underflows or rounds to 1.
      Derivatives of any order are accurate too.

    Raises:
      TypeError: the dtype is neither float32 nor float64.

    Example:
      >>> float(log_ndtr(0.0)), float(log_ndtr(-40.0))
      (-0.6931..., -804.608...)
    """
    (x,) = as_floats("log_ndtr", x)
    return _log_ndtr(x)


@jax.custom_jvp
def _log_ndtr(x: Array) -> Array:
    r = mills_ratio(jnp.abs(x))
    log_tail = -0.5 * x * x - HALF_LOG_2PI + jnp.log(r)
    right = jnp.where(x > 0, log_tail, -1.0)
    return jnp.where(x > 0, log1p(-jnp.exp(right)), log_tail)


@_log_ndtr.defjvp
def _log_ndtr_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (x_dot,) = primals, tangents
    return _log_ndtr(x), log_ndtr_derivative(x) * x_dot


def log_ndtr_derivative(x: Array) -> Array:
    """Computes phi(x) / Phi(x), the derivative of `log_ndtr`.

    Args:
      x: real numbers, float32 or float64.

    Returns:
      The values, like x. They are plain arithmetic and can be differentiated term by term.

    Example:
      >>> round(float(log_ndtr_derivative(jnp.float32(0.0))), 5)  # sqrt(2 / pi)
      0.79788
    """
    r = mills_ratio(jnp.where(x > 0, x, -x))  # not abs(x), whose derivative at 0 jax defines as 0
    right = jnp.where(x > 0, x, 0.0)
    density = jnp.exp(-0.5 * right * right - HALF_LOG_2PI)
    return jnp.where(x > 0, density / (1 - density * r), 1 / r)


def _tail_quantile(log_tail: Array) -> Array:
    """The x >= 0 with log Phi(-x) = log_tail <= log(1/2), by a fixed number of steps.

    With l = -log_tail and s = sqrt(2 l), l = x^2 / 2 + log(x sqrt(2 pi)) + ... gives
    x = s - log(s sqrt(2 pi)) / s; the denominator s - 0.304 / s makes x = 0 at l = log 2,
    and this start is within 0.06 everywhere. Halley's step for g(x) = -log Phi(-x) - l, where
    g' = 1/m and g'' = g' (g' - x), triples the digits: two steps for float32, three for float64.
    """
    l = -log_tail  # noqa: E741
    s = jnp.sqrt(2 * l)
    x = jnp.maximum(s - (jnp.log(s) + HALF_LOG_2PI) / (s - 0.304 / s), 0.0)
    for _ in range(select_by_dtype(l, 2, 3)):
        r = mills_ratio(x)
        gap = 0.5 * x * x + HALF_LOG_2PI - jnp.log(r) - l
        step = gap * r
        x = jnp.maximum(x - step / (1 - 0.5 * step * (1 / r - x)), 0.0)
    return x


def ndtri_exp(log_p: ArrayLike) -> Array:
    """Computes the normal quantile of a probability given by its logarithm.

        x with log Phi(x) = log_p,  dx/dlog_p = Phi(x) / phi(x)

    Args:
      log_p: any shape; in [-inf, 0].

    Returns:
      The values, like log_p, accurate to rounding for probabilities that underflow (log_p = -1e6 is
      1,414 standard deviations from 0) and for those that round to 1 (log_p = -1e-30). -inf gives
      -inf, 0 gives inf, and a positive log_p gives NaN.

    Raises:
      TypeError: the dtype is neither float32 nor float64.

    Example:
      >>> float(ndtri_exp(-1e4))
      -141.37...
    """
    (log_p,) = as_floats("ndtri_exp", log_p)
    return _ndtri_exp(log_p)


@jax.custom_jvp
def _ndtri_exp(log_p: Array) -> Array:
    lower = log_p < -math.log(2)
    inside = (log_p < 0) & (log_p > -jnp.inf)
    safe = jnp.where(inside, log_p, -1.0)
    log_tail = jnp.where(lower, safe, jnp.log(-jnp.expm1(safe)))
    x = _tail_quantile(jnp.minimum(log_tail, -math.log(2)))
    x = jnp.where(inside, x, jnp.inf)
    x = jnp.where(lower, -x, x)
    return jnp.where(log_p <= 0, x, jnp.nan)


@_ndtri_exp.defjvp
def _ndtri_exp_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (log_p,), (log_p_dot,) = primals, tangents
    x = _ndtri_exp(log_p)
    # Phi(x) / phi(x) is m(-x) on the left; on the right m(x) Phi(x) / Phi(-x).
    lower = log_p < -math.log(2)
    odds = 1 / jnp.expm1(-jnp.where(lower, -1.0, log_p))
    return x, mills_ratio(jnp.where(lower, -x, x)) * jnp.where(lower, 1.0, odds) * log_p_dot


def ndtri(p: ArrayLike) -> Array:
    """Computes the standard normal quantile.

        x with Phi(x) = p,  dx/dp = 1 / phi(x)

    Args:
      p: any shape; a probability in [0, 1]. For the upper tail, use
        `-ndtri(q)` with q = 1 - p, which keeps the digits that p has lost.

    Returns:
      The values, like p; 0 gives -inf, 1 gives inf, and anything outside [0, 1] gives NaN.

    Raises:
      TypeError: the dtype is neither float32 nor float64.

    Example:
      >>> float(ndtri(0.975))
      1.9599...
    """
    (p,) = as_floats("ndtri", p)
    return _ndtri(p)


@jax.custom_jvp
def _ndtri(p: Array) -> Array:
    tail = jnp.minimum(p, 1 - p)
    outer = (tail < 0.1) & (tail > 0)
    center = math.sqrt(2) * jax.lax.erf_inv(2 * jnp.where(outer, 0.5, p) - 1)
    x = _tail_quantile(jnp.log(jnp.where(outer, tail, 0.1)))
    return jnp.where(outer, jnp.where(p < 0.5, -x, x), center)


@_ndtri.defjvp
def _ndtri_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (p,), (p_dot,) = primals, tangents
    x = _ndtri(p)
    tail = jnp.where(p < 0.5, p, 1 - p)
    return x, mills_ratio(jnp.where(p < 0.5, -x, x)) / tail * p_dot


# For integrals over at most one unit of a function as smooth as Mills' ratio.
_RULES = {count: gauss_legendre_pairs(count) for count in (4, 8)}


def minus_mills_divided_difference(x: Array, width: Array) -> Array:
    """Computes minus the divided difference of Mills' ratio m, without cancellation.

        (m(x) - m(x + width)) / width

    For small widths this is the mean of -m'(t) = 1 - t m(t), by quadrature.

    Args:
      x: numbers from -1 up, float32 or float64.
      width: positive numbers, of the shape of x.

    Returns:
      The values, like x.

    Example:
      >>> x = jnp.float32(0.0)
      >>> round(float(minus_mills_divided_difference(x, x + 1e-6)), 4)  # -m'(0) = 1
      1.0
    """
    narrow = width < 1
    near, far = jnp.where(narrow, width, 0.5), jnp.where(narrow, 2.0, width)
    total = jnp.zeros_like(near)
    for point, weight in _RULES[select_by_dtype(x, 4, 8)]:
        t = x + point * near
        total = total + weight * (1 - t * _mills_from_left(t))
    return jnp.where(narrow, total, (_mills_from_left(x) - mills_ratio(x + far)) / far)


def minus_mills_derivative(x: Array) -> Array:
    """Computes minus the derivative of Mills' ratio m, without cancellation for large x.

        -m'(x) = 1 - x m(x)

    From 5 on it is r / (x + r), with the continued fraction m = 1 / (x + r),
    r = 1 / (x + 2 / (x + 3 / (x + ...))).

    Args:
      x: nonnegative numbers, float32 or float64.

    Returns:
      The values, like x.

    References:
      DLMF 7.9.1, https://dlmf.nist.gov/7.9.E1

    Example:
      >>> round(float(minus_mills_derivative(jnp.float32(100.0))) * 1e4, 3)  # about x^-2
      1.0
    """
    large = x > 5
    far, near = jnp.where(large, x, 5.0), jnp.where(large, 0.0, x)
    r = jnp.zeros_like(far)
    for k in range(select_by_dtype(x, 8, 24), 0, -1):
        r = k / (far + r)
    return jnp.where(large, r / (far + r), 1 - near * mills_ratio(near))


def _mills_from_left(x: Array) -> Array:
    """Mills' ratio, also for negative x close to 0: m(x) + m(-x) = 1 / phi(x)."""
    r = mills_ratio(jnp.where(x < 0, -x, x))
    left = jnp.where(x < 0, x, 0.0)
    return jnp.where(x < 0, math.sqrt(2 * math.pi) * jnp.exp(0.5 * left * left) - r, r)
