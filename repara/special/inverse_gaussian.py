"""The inverse Gaussian distribution of mean 1: log variates from normal noise, and the inverse.

The logarithm y of the variate has the log-concave density sqrt(c / 2 pi) e^(-y/2 - c (cosh y - 1)).
With alpha = 2 sqrt(c) sinh(y / 2) and beta = 2 sqrt(c) cosh(y / 2), and m Mills' ratio,

    p(y) = (beta - alpha) phi(alpha) / 2,
    F(y) = phi(alpha) (m(-alpha) + m(beta)),   1 - F(y) = phi(alpha) (m(alpha) - m(beta))

Here phi(alpha) m(beta) replaces exp(2 c) Phi(-beta), which overflows and cancels.
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
    mills_ratio,
    minus_mills_derivative,
    minus_mills_divided_difference,
    ndtri_exp,
)
from repara.special.tail_integral import halley_step, inverse_series_step

__all__ = ["log_inverse_gaussian_from_normal", "normal_from_inverse_gaussian"]


def log_inverse_gaussian_from_normal(eps: ArrayLike, concentration: ArrayLike) -> Array:
    """Computes the logarithm of an inverse Gaussian variate of mean 1 from standard-normal noise.

        y = log z,  F(z; c) = Phi(eps),  dy/dc = (1 - 2 sqrt(c z) m(beta)) / c

    Here F is the distribution function, m is Mills' ratio and beta = sqrt(c / z) (z + 1). A variate
    of mean mu and concentration lambda is mu z with c = lambda / mu.

    Args:
      eps: standard-normal noise; any shape that broadcasts with the concentration. -inf and inf
        give themselves.
      concentration: c = 1 / variance, at least 1e-6.

    Returns:
      The logarithms, of the broadcast shape and the common dtype. Absolute errors are below 4 eps
      (1 + condition number). NaN if the concentration is not positive. Derivatives of any order
      exist.

    Raises:
      TypeError: the common dtype is neither float32 nor float64.
      ValueError: the shapes do not broadcast.

    References:
      Shuster (1968), "On the inverse Gaussian distribution function", J. Amer. Statist. Assoc. 63.
      Figurnov, Mohamed and Mnih (2018), "Implicit reparameterization gradients", equation 5, for
      the derivatives, https://arxiv.org/abs/1805.08498

    Example:
      >>> y = log_inverse_gaussian_from_normal(jnp.array([-1.0, 0.0, 1.0]), 1e8)  # ~1e-4 eps
      >>> [round(1e4 * float(v), 2) for v in y]
      [-1.0, -0.0, 1.0]
    """
    return _log_inverse_gaussian(*as_floats("log_inverse_gaussian_from_normal", eps, concentration))


def normal_from_inverse_gaussian(y: ArrayLike, concentration: ArrayLike) -> Array:
    """Computes the noise from which `log_inverse_gaussian_from_normal` makes y: its inverse.

        eps with Phi(eps) = F(e^y; c)

    Args:
      y: the logarithm of a variate; any shape that broadcasts with the concentration.
      concentration: as in `log_inverse_gaussian_from_normal`.

    Returns:
      The noise, of the broadcast shape and the common dtype, accurate to rounding in both tails.

    Raises:
      TypeError: the common dtype is neither float32 nor float64.
      ValueError: the shapes do not broadcast.

    Example:
      >>> y = log_inverse_gaussian_from_normal(0.5, 3.0)
      >>> round(float(normal_from_inverse_gaussian(y, 3.0)), 4)
      0.5
    """
    return _normal(*as_floats("normal_from_inverse_gaussian", y, concentration))


def _coordinates(y: Array, c: Array) -> tuple[Array, Array, Array]:
    """alpha, beta and beta - alpha."""
    root = 2 * jnp.sqrt(c)
    return root * jnp.sinh(0.5 * y), root * jnp.cosh(0.5 * y), root * jnp.exp(-0.5 * y)


# Below this alpha F is less than 1/2 for every c, as F <= 2 Phi(alpha).
_LEFT = -0.8


def _log_upper(alpha: Array, gap: Array) -> Array:
    """log(1 - F) for alpha >= _LEFT."""
    return (
        jnp.log(gap * minus_mills_divided_difference(alpha, gap))
        - 0.5 * alpha * alpha
        - HALF_LOG_2PI
    )


def _log_lower(alpha: Array, beta: Array) -> Array:
    """log F for alpha <= 0."""
    return jnp.log(mills_ratio(-alpha) + mills_ratio(beta)) - 0.5 * alpha * alpha - HALF_LOG_2PI


def _step_toward(y: Array, c: Array, right: Array, log_size: Array, final: bool) -> Array:
    """One step from y toward the point at which the tail on one side is exp(log_size)."""
    alpha, beta, gap = _coordinates(y, c)
    upper = _log_upper(jnp.where(right, jnp.maximum(alpha, _LEFT), 1.0), gap)
    lower = _log_lower(jnp.where(right, -1.0, jnp.minimum(alpha, 0.0)), beta)
    log_tail = jnp.where(right, upper, lower)
    log_density = jnp.log(0.5 * gap) - 0.5 * alpha * alpha - HALF_LOG_2PI
    ratio = jnp.exp(log_tail - log_density)
    side = jnp.where(right, 1.0, -1.0)
    first = side * (0.5 + c * jnp.sinh(y))
    if not final:
        return y + side * halley_step(log_size - log_tail, ratio, first)
    return y + side * inverse_series_step(log_size - log_tail, ratio, first, c * jnp.cosh(y))


def _start(eps: Array, c: Array) -> Array:
    """A bound on y, close to y for large and small c, from which the steps converge."""
    root = 2 * jnp.sqrt(c)
    # 1 - F is below Phi(-alpha), and below the tail of p without its second factor
    flat = jnp.log((2 / math.pi) * c) - 2 * log_ndtr(-eps)
    upper = jnp.minimum(flat, 2 * jnp.arcsinh(eps / root))
    # F is between Phi(alpha) and 2 Phi(alpha)
    log_lower = log_ndtr(jnp.minimum(eps, 0.0))
    alpha = ndtri_exp(log_lower - math.log(2))
    more = mills_ratio(jnp.hypot(alpha, root)) / mills_ratio(-alpha)
    lower = 2 * jnp.arcsinh(ndtri_exp(log_lower - jnp.log1p(more)) / root)
    return jnp.where(eps > 0, upper, lower)


@jax.custom_jvp
def _solve(eps: Array, c: Array) -> Array:
    right = eps > 0
    log_size = log_ndtr(jnp.where(right, -eps, eps))

    def improve(_: Array, y: Array) -> Array:
        return _step_toward(y, stop_gradient(c), right, stop_gradient(log_size), final=False)

    y = jax.lax.fori_loop(0, select_by_dtype(c, 4, 5), improve, stop_gradient(_start(eps, c)))
    return _step_toward(stop_gradient(y), c, right, log_size, final=True)


@_solve.defjvp
def _solve_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    eps, c = primals
    y = _solve(eps, c)
    by_eps, by_c = _derivatives(y, eps, c)
    return y, by_eps * tangents[0] + by_c * tangents[1]


def _derivatives(y: Array, eps: Array, c: Array) -> tuple[Array, Array]:
    """dy/deps = phi(eps) / p(y), and dy/dc = -(dF/dc) / p(y), which contain no tail."""
    alpha, beta, gap = _coordinates(y, c)
    by_eps = 2 / gap * jnp.exp(0.5 * (alpha - eps) * (alpha + eps))
    # 1 - 2 u m(beta) with u = sqrt(c z) = (alpha + beta) / 2
    away = jnp.sqrt(c) * jnp.exp(0.5 * y)
    return by_eps, (2 * away * minus_mills_derivative(beta) - alpha) / (beta * c)


@with_forward_derivatives
def _log_inverse_gaussian(eps: Array, c: Array) -> Array:
    eps, c = jnp.broadcast_arrays(eps, c)
    valid = (c > 0) & (c < jnp.inf)
    inside = valid & (jnp.abs(eps) < jnp.inf)
    y = _solve(jnp.where(inside, eps, 0.0), jnp.where(inside, c, 1.0))
    return jnp.where(valid, jnp.where(inside, y, eps), jnp.nan)


@jax.custom_jvp
def _finite_normal(y: Array, c: Array) -> Array:
    alpha, beta, gap = _coordinates(y, c)
    upper = _log_upper(jnp.maximum(alpha, _LEFT), gap)
    lower = _log_lower(jnp.minimum(alpha, 0.0), beta)
    right = (alpha > 0) | ((alpha > _LEFT) & (upper < -math.log(2)))
    eps = ndtri_exp(jnp.minimum(jnp.where(right, upper, lower), -1e-30))
    return jnp.where(right, -eps, eps)


@_finite_normal.defjvp
def _finite_normal_jvp(
    primals: tuple[Array, Array], tangents: tuple[Array, Array]
) -> tuple[Array, Array]:
    y, c = primals
    eps = _finite_normal(y, c)
    by_eps, by_c = _derivatives(y, eps, c)
    return eps, (tangents[0] - by_c * tangents[1]) / by_eps


@with_forward_derivatives
def _normal(y: Array, c: Array) -> Array:
    y, c = jnp.broadcast_arrays(y, c)
    valid = (c > 0) & (c < jnp.inf)
    # p underflows if exp(|y|) is above 1e4 / c
    far = jnp.log(1 + 1e4 / jnp.where(valid, c, 1.0)) + 10.0
    inside = valid & (jnp.abs(y) < jnp.maximum(far, 10.0))
    eps = _finite_normal(jnp.where(inside, y, 0.0), jnp.where(inside, c, 1.0))
    return jnp.where(valid & ~jnp.isnan(y), jnp.where(inside, eps, jnp.sign(y) * jnp.inf), jnp.nan)
