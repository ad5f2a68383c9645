"""The normal distribution far into its tails: log CDF, quantiles, the truncated quantile.

Everything rests on Mills' ratio m(x) = Phi(-x) / phi(x), which is smooth, positive and between
1/(x + 1) and 1.26 for x >= 0: m(x) = t M(t), t = 4 / (4 + x), with M a fitted polynomial over
[0, infinity). No density is divided by a tail that underflows.
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


def mills_ratio(x: Array) -> Array:
    """Mills' ratio Phi(-x) / phi(x) for x >= 0, to a relative error of a few units of rounding."""
    t = 4 / (4 + x)
    return t * horner(select_by_dtype(x, fitted.MILLS_FLOAT32, fitted.MILLS_FLOAT64), 2 * t - 1)


def log_ndtr(x: ArrayLike) -> Array:
    """The logarithm of the standard normal distribution function.

        log Phi(x),  d/dx = phi(x) / Phi(x)

    Args:
        x: Any shape; any real number, -inf and inf included.

    Returns:
        The values, like x, in (-inf, 0]; right to rounding where Phi underflows and, for large x,
        where it rounds to 1. The derivative of any order is right too.

    Raises:
        TypeError: If the dtype is neither float32 nor float64.

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
    """phi(x) / Phi(x); plain arithmetic, so that it is differentiated term by term."""
    r = mills_ratio(jnp.where(x > 0, x, -x))  # not abs(x): its derivative at 0 is taken to be 0
    right = jnp.where(x > 0, x, 0.0)
    density = jnp.exp(-0.5 * right * right - HALF_LOG_2PI)
    return jnp.where(x > 0, density / (1 - density * r), 1 / r)


def _tail_quantile(log_tail: Array) -> Array:
    """The x >= 0 with log Phi(-x) = log_tail <= log(1/2): a start and a fixed number of steps.

    With l = -log_tail and s = sqrt(2 l), l = x^2 / 2 + log(x sqrt(2 pi)) + ... gives
    x = s - log(s sqrt(2 pi)) / s; the denominator s - 0.304 / s makes x = 0 at l = log 2,
    and the start is then within 0.06 everywhere. Halley's step for g(x) = -log Phi(-x) - l, where
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
    """The normal quantile of a probability given by its logarithm.

        x with log Phi(x) = log_p,  dx/dlog_p = Phi(x) / phi(x)

    Args:
        log_p: Any shape; in [-inf, 0].

    Returns:
        The values, like log_p; right to rounding for probabilities that underflow (log_p = -1e6 is
        1,414 scales out) and for those that round to 1 (log_p = -1e-30). -inf gives -inf, 0 inf,
        a positive log_p NaN.

    Raises:
        TypeError: If the dtype is neither float32 nor float64.

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
    """The standard normal quantile.

        x with Phi(x) = p,  dx/dp = 1 / phi(x)

    Args:
        p: Any shape; a probability in [0, 1]. For the upper tail `-ndtri(q)` of q = 1 - p keeps the
            digits that p itself has lost.

    Returns:
        The values, like p; 0 gives -inf, 1 gives inf, anything outside NaN.

    Raises:
        TypeError: If the dtype is neither float32 nor float64.

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
    centre = math.sqrt(2) * jax.lax.erf_inv(2 * jnp.where(outer, 0.5, p) - 1)
    x = _tail_quantile(jnp.log(jnp.where(outer, tail, 0.1)))
    return jnp.where(outer, jnp.where(p < 0.5, -x, x), centre)


@_ndtri.defjvp
def _ndtri_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (p,), (p_dot,) = primals, tangents
    x = _ndtri(p)
    tail = jnp.where(p < 0.5, p, 1 - p)
    return x, mills_ratio(jnp.where(p < 0.5, -x, x)) / tail * p_dot


# Gauss-Legendre on [0, 1], over at most one unit of a function as smooth as Mills' ratio.
_RULES = {count: gauss_legendre_pairs(count) for count in (4, 8)}


def minus_mills_divided_difference(x: Array, width: Array) -> Array:
    """(m(x) - m(x + width)) / width for x >= -1 and width > 0, m Mills' ratio: no digit is lost.

    The mean of -m'(t) = 1 - t m(t) where the width is small.
    """
    narrow = width < 1
    near, far = jnp.where(narrow, width, 0.5), jnp.where(narrow, 2.0, width)
    total = jnp.zeros_like(near)
    for point, weight in _RULES[select_by_dtype(x, 4, 8)]:
        t = x + point * near
        total = total + weight * (1 - t * _mills_from_left(t))
    return jnp.where(narrow, total, (_mills_from_left(x) - mills_ratio(x + far)) / far)


def minus_mills_derivative(x: Array) -> Array:
    """-m'(x) = 1 - x m(x) for x >= 0, m Mills' ratio: no digit is lost for large x.

    From 5 on by the continued fraction m = 1 / (x + r), r = 1 / (x + 2 / (x + 3 / (x + ...))),
    Abramowitz & Stegun 26.2.14, of which the difference is r / (x + r).
    """
    large = x > 5
    far, near = jnp.where(large, x, 5.0), jnp.where(large, 0.0, x)
    r = jnp.zeros_like(far)
    for k in range(select_by_dtype(x, 8, 24), 0, -1):
        r = k / (far + r)
    return jnp.where(large, r / (far + r), 1 - near * mills_ratio(near))


def _mills_from_left(x: Array) -> Array:
    """Mills' ratio, for negative x not far from 0 too: m(x) + m(-x) = 1 / phi(x)."""
    r = mills_ratio(jnp.where(x < 0, -x, x))
    left = jnp.where(x < 0, x, 0.0)
    return jnp.where(x < 0, math.sqrt(2 * math.pi) * jnp.exp(0.5 * left * left) - r, r)
