"""Quantiles by integration of a tail: the steps and expansions that several families share.

For a density p = e^h in a coordinate y, the ratio of the tail above y to the density,

    R(y) = integral_0^inf exp(h(y + t) - h(y)) dt,   log Q(y) = h(y) + log R(y),

is smooth, positive and free of cancellation however far out y is. A Gauss-Legendre rule over
[0, T], beyond which the integrand is below rounding, gives R. One step of high order from a point
close to the solution gives the y with log Q(y) = log Phi(-eps). Differentiating that step, with the
starting point held constant, gives the derivatives: the step is exact to its order in all
arguments.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from repara.special.constants import ATANH_SERIES, EXPM1_MINUS_SERIES
from repara.special.elementwise import select_by_dtype
from repara.special.normal import mills_ratio
from repara.special.polynomial import horner

__all__ = [
    "LARGEST_EXPONENT",
    "bernoulli_cumulant",
    "central_series",
    "gaussian_tail_ratio",
    "halley_step",
    "inverse_series_step",
]

# e^60 is far above the reciprocal of every probability that matters and of rounding; e^89
# overflows float32.
LARGEST_EXPONENT = 60.0


def bernoulli_cumulant(p: Array, q: Array, t: Array) -> Array:
    """Computes the cumulant generating function of a centered Bernoulli variable.

        K(t) = log(q + p e^t) - p t = p q t^2 / 2 + ...

    The relative error is a few units of rounding, also near t = 0, where a sum of logarithms would
    cancel. It is not meant to be differentiated.

    Args:
      p: the probability of 1.
      q: 1 - p, with all its digits.
      t: any real numbers.

    Returns:
      The values, nonnegative.

    Example:
      >>> half = jnp.float32(0.5)
      >>> round(float(bernoulli_cumulant(half, half, jnp.float32(2.0))), 5)  # log cosh 1
      0.43378
    """
    flip = p > q
    # With the smaller of p and q the terms of K cancel to no less than half of themselves.
    p, t = jnp.where(flip, q, p), jnp.where(flip, -t, t)
    top = jnp.minimum(t, LARGEST_EXPONENT)
    power = jnp.exp(top)
    second = t * t * horner(EXPM1_MINUS_SERIES[: select_by_dtype(t, 7, 13)], t)
    second = jnp.where(jnp.abs(t) < 0.5, second, power - 1 - top)
    x = p * (top + second)
    s = x / (2 + x)
    # log(1 + x) = 2 atanh(s) and x - 2 s = x s. The series is (atanh(s) - s) / s^3, cut where the
    # next term is below rounding for |s| < 0.15.
    atanh = ATANH_SERIES[1 : 1 + select_by_dtype(t, 4, 9)]
    series = p * second - x * s + 2 * s * (s * s) * horner(atanh, s * s)
    far = jnp.log(1 + x) + (t - top) - p * t
    return jnp.where(jnp.abs(s) < 0.15, series, far)


def gaussian_tail_ratio(first: Array, second: Array, third: Array) -> Array:
    """Approximates the ratio of tail to density of a density that is close to normal.

        integral_0^inf exp(-first t - second t^2 / 2 - third t^3 / 6) dt

    This is the first term of the expansion in `third`, in a form that stays positive.

    Args:
      first: minus the first derivative of the log density, nonnegative.
      second: minus the second derivative, positive.
      third: minus the third derivative.

    Returns:
      The approximate integrals.

    Example:
      >>> one = jnp.float32(1.0)
      >>> round(float(gaussian_tail_ratio(0 * one, one, 0 * one)), 5)  # sqrt(pi / 2)
      1.25331
    """
    root = jnp.sqrt(second)
    v = first / root
    zeroth = mills_ratio(v)
    moment = 1 - v * zeroth
    cubed = 2 * moment - v * (zeroth - v * moment)
    change = third / (6 * root * second) * cubed / zeroth
    return zeroth / root * jnp.where(change > 0, 1 / (1 + jnp.abs(change)), 1 + jnp.abs(change))


def halley_step(gap: Array, ratio: Array, first: Array) -> Array:
    """Computes a step of Halley's irrational method for the logarithm of a tail.

        -2 R gap / (1 + sqrt(1 - 2 (1 - first R) gap))

    The step adds `gap` to log Q, up to terms of the third order, and is sensible for large gaps.
    It is exact for an exponential tail and nearly so for a normal one, as R' = first R - 1.

    Args:
      gap: what to add to log Q.
      ratio: R, tail over density.
      first: minus the derivative of the log density.

    Returns:
      The step in y.

    Example:
      >>> float(halley_step(jnp.float32(-1.0), jnp.float32(2.0), jnp.float32(0.5)))  # exponential
      2.0
    """
    root = jnp.sqrt(jnp.maximum(1 - 2 * (1 - first * ratio) * gap, 0.25))
    return -2 * ratio * gap / (1 + root)


def inverse_series_step(gap: Array, ratio: Array, first: Array, second: Array) -> Array:
    """Computes the step that adds a small `gap` to log Q, by the Taylor series of the inverse.

    With l = log Q: dy/dl = -R, d2y/dl2 = R R', d3y/dl3 = -R (R'^2 + R R''), where
    R' = first R - 1 and R'' = second R + first R'. The error is of the fourth order in the gap.

    Args:
      gap: what to add to log Q; small.
      ratio: R, tail over density.
      first: minus the first derivative of the log density.
      second: minus the second derivative.

    Returns:
      The step in y.

    Example:
      >>> x = jnp.float32(0.01)
      >>> round(float(inverse_series_step(-x, 2 + 0 * x, 0.5 + 0 * x, 0 * x)), 6)  # exponential
      0.02
    """
    by_y = first * ratio - 1
    by_y_twice = second * ratio + first * by_y
    bracket = by_y - gap * (by_y * by_y + ratio * by_y_twice) / 3
    return -ratio * gap * (1 - 0.5 * gap * bracket)


def central_series(e: Array, derivative: Array, decrease: tuple[Array, Array, Array]) -> Array:
    """Computes a quantile of a symmetric density for normal noise near 0, by its odd series.

        z = derivative e (1 + a e^2 + b e^4 + c e^6)

    The coefficients are those of dz/de = phi(e) / p(z), in logarithms. It is needed where z is
    smaller than the rounding error of log Q.

    Args:
      e: noise close to 0.
      derivative: dz/de at 0.
      decrease: the coefficients of z^2, z^4 and z^6 in log p(0) - log p(z).

    Returns:
      z.

    Example:
      >>> one = jnp.float32(1.0)
      >>> normal = central_series(0.1 * one, one, (0.5 * one, 0 * one, 0 * one))
      >>> round(float(normal), 6)
      0.1
    """
    square = derivative * derivative
    u, v, w = (
        decrease[0] * square,
        decrease[1] * (square * square),
        decrease[2] * (square * square * square),
    )
    first = u - 0.5
    a = first / 3
    second = 2 * a * u + v
    b = (second + 0.5 * first * first) / 5
    third = (a * a + 2 * b) * u + 4 * a * v + w
    c = (third + first * (second + first * first / 6)) / 7
    s = e * e
    return derivative * e * (1 + s * (a + s * (b + s * c)))
