"""Beta variates from normal noise in float32 without iteration: fits in three variables.

`repara.special.fits.beta` says what is fitted and why it is smooth. There are two regimes: one
concentration is large, or both are small. Each regime computes one tail; the other tail follows by
exchanging the concentrations and negating noise and logit.

The computation is a line of five stages (`repara._cpu.stage`): the tail, a gamma variate, a first
guess, the fitted correction, and the logit, or its derivatives.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from repara._cpu import stage, unpack
from repara.special.coefficients import beta as fitted
from repara.special.constants import HALF_LOG_2PI, NOISE_BOUND_FLOAT32
from repara.special.elementary import log1p
from repara.special.elementwise import Tangent, is_zero, tangent_sum
from repara.special.gamma import log_ratio_from_normal
from repara.special.normal import minus_log_tails
from repara.special.polynomial import horner_rows_and_gradient, horner_tables_and_gradient

__all__ = [
    "MASS_SCALE",
    "MASS_SHIFT",
    "gamma_rate",
    "large_coordinates",
    "logit_beta_from_normal_by_fit",
    "quadratic_coefficient",
]


class Tail(NamedTuple):
    """The tail that is computed."""

    sign: Array  # -1 if concentrations are exchanged, and noise and logit negated; otherwise 1
    minus_log: Array  # minus the logarithm of its probability


class Arguments(NamedTuple):
    """The arguments of both regimes, safe in each."""

    is_large: Array  # one concentration is above the seam
    low: Array  # the smaller concentration; 1 if both are small
    high: Array  # the larger one; the seam if both are small
    first: Array  # the concentration that belongs to the tail; 1/2 if one is large
    second: Array  # the other one; 1/2 if one is large


class Guess(NamedTuple):
    """The starting point."""

    x: Array  # first variable of the fit
    log_size: Array  # log m in the large regime, log s in the small one


class Surface(NamedTuple):
    """The fitted function and its derivatives.

    In the large regime it is V, and the concentrations are `low` and `high`. In the small one it is
    m C, and they are `first` and `second`.
    """

    value: Array
    by_x: Array
    by_one: Array
    by_two: Array


class Gradient(NamedTuple):
    """Derivatives of the logit in both concentrations."""

    by_a: Array
    by_b: Array


# --- coordinates, which `repara.special.fits.beta` uses too ---

# N, the rate of the gamma variate, is b + RATE_SHIFT (a - 1). Wise (1950), whom
# `repara.special.fits.beta` cites, has 1/2; with 0.3 N stays positive.
RATE_SHIFT = 0.3
# Shifts that make the second and third variable of the large regime nearly linear in the fit.
RATIO_SHIFT = 0.1
RECIPROCAL_SHIFT = 0.4
# m = g / N at which x = 1 - (1 + m / MASS_SCALE)^-2 has used up 3/4 of its range.
MASS_SCALE = 12
# m = s / (1 + (k - MASS_SHIFT) s), so that z = x exp(m C) at x = m / (1 + MASS_SHIFT m).
MASS_SHIFT = 0.75


def gamma_rate(low: Array, high: Array) -> Array:
    """Computes N, the rate of the gamma variate that -log(1 - z) resembles.

        N = high + RATE_SHIFT (low - 1)

    Args:
      low: the smaller concentration.
      high: the larger one.

    Returns:
      The rate, positive.

    Example:
      >>> gamma_rate(1.0, 2.0)
      2.0
    """
    return high + RATE_SHIFT * (low - 1)


def large_coordinates(low: Array, high: Array) -> tuple[Array, Array]:
    """Computes 1 / (high + RATIO_SHIFT low) and 1 / (high + RECIPROCAL_SHIFT).

    The second and third variable of the large regime are `low` times the first one, and the second
    one.

    Args:
      low: the smaller concentration.
      high: the larger one.

    Returns:
      Both reciprocals.

    Example:
      >>> [round(v, 4) for v in large_coordinates(1.0, 2.0)]
      [0.4762, 0.4167]
    """
    return 1 / (high + RATIO_SHIFT * low), 1 / (high + RECIPROCAL_SHIFT)


def quadratic_coefficient(a: Array, b: Array) -> Array:
    """Computes k in x = s / (1 + k s), which has nearly the second-order term of z in s.

        k = (1 - b) (1 - a b / 4) / (1 + a / 2)

    Args:
      a: the concentration that belongs to the tail.
      b: the other one.

    Returns:
      The coefficient.

    Example:
      >>> quadratic_coefficient(2.0, 0.0)
      0.5
    """
    return _quadratic_coefficient_and_gradient(a, b)[0]


def _quadratic_coefficient_and_gradient(a: Array, b: Array) -> tuple[Array, Array, Array]:
    inverse, factor = 1 / (1 + 0.5 * a), 1 - 0.25 * a * b
    k = (1 - b) * factor * inverse
    by_a = -inverse * (0.5 * k + 0.25 * (1 - b) * b)
    by_b = -inverse * (factor + 0.25 * a * (1 - b))
    return k, by_a, by_b


# --- the function and its derivatives ---


@jax.custom_jvp
def logit_beta_from_normal_by_fit(eps: Array, a: Array, b: Array) -> Array:
    """Computes the logit y of the z with I_z(a, b) = Phi(eps), in float32.

    Args:
      eps: normal noise in [-6, 6]; NaN elsewhere.
      a: positive and finite, of the shape of eps.
      b: positive and finite, of the shape of eps.

    Returns:
      y, of the same shape.

    Example:
      >>> half, one = jnp.float32(0.5), jnp.float32(1.0)
      >>> round(float(logit_beta_from_normal_by_fit(half, one, one)), 4)  # logit Phi(1/2)
      0.807
    """
    tail = _choose_tail(eps, a, b)
    guess = _first_guess(a, b, tail, log_ratio_from_normal(*_of_gamma(eps, a, b, unpack(tail))))
    correction = _correction(a, b, tail, guess)
    return _logit(a, b, unpack(tail), unpack(guess), unpack(correction))


@functools.partial(logit_beta_from_normal_by_fit.defjvp, symbolic_zeros=True)
def _logit_beta_from_normal_by_fit_jvp(
    primals: tuple[Array, Array, Array], tangents: tuple[Tangent, Tangent, Tangent]
) -> tuple[Array, Array]:
    eps, a, b = primals
    tail = _choose_tail(eps, a, b)
    noise, low = _of_gamma(eps, a, b, unpack(tail))
    log_ratio, by_low = _value_and_derivative(lambda low: log_ratio_from_normal(noise, low), low)
    guess = _first_guess(a, b, tail, log_ratio)
    surface = _correction_and_gradient(a, b, tail, guess)
    y = _logit(a, b, unpack(tail), unpack(guess), unpack(surface).value)
    by_eps = by_a = by_b = None
    if not is_zero(tangents[0]):
        _, by_noise = _value_and_derivative(lambda noise: log_ratio_from_normal(noise, low), noise)
        known = (unpack(x) for x in (tail, guess, surface))
        by_eps = _derivative_in_noise(eps, a, b, *known, by_noise)
    if not (is_zero(tangents[1]) and is_zero(tangents[2])):
        by_a, by_b = unpack(_gradient(a, b, tail, guess, surface, by_low))
    pairs = zip((by_eps, by_a, by_b), tangents, strict=True)
    return y, tangent_sum(y.shape, y.dtype, *pairs)


def _value_and_derivative(f: Callable[[Array], Array], x: Array) -> tuple[Array, Array]:
    return jax.jvp(f, (x,), (jnp.ones_like(x),))


@stage
def _choose_tail(eps: Array, a: Array, b: Array) -> Tail:
    left, right = minus_log_tails(eps)
    is_large, a_is_larger = jnp.maximum(a, b) > fitted.SEAM, a > b
    a, b = jnp.where(is_large, 0.5, a), jnp.where(is_large, 0.5, b)
    # Rough logits from both tails. For small concentrations they change sign in nearly the same
    # place; the tail with z < 1/2, or not much more, is computed.
    total = a + b
    share = a / total
    # H below to 5%: pi^2 / 6 at a = b = 0, and a slope that is good up to the seam.
    remainder = 1.645 / (1 + 0.687 * total)
    rising = b * (left + jnp.log(1 - share) + a * b * remainder)
    falling = a * (right + jnp.log(share) + a * b * remainder)
    exchanged = jnp.where(is_large, a_is_larger, rising < falling)
    # NaN out of range; so is the gamma variate if one concentration is large.
    inside = jnp.abs(eps) <= NOISE_BOUND_FLOAT32
    minus_log = jnp.where(inside, jnp.where(exchanged, right, left), jnp.nan)
    return Tail(jnp.where(exchanged, -1.0, 1.0).astype(minus_log.dtype), minus_log)


def _arguments(a: Array, b: Array, tail: Tail) -> Arguments:
    is_large = jnp.maximum(a, b) > fitted.SEAM
    # Not by minimum and maximum, whose derivatives are halves where a = b.
    one, two = jnp.where(tail.sign > 0, a, b), jnp.where(tail.sign > 0, b, a)
    low, high = jnp.where(is_large, one, 1.0), jnp.where(is_large, two, fitted.SEAM)
    first, second = jnp.where(is_large, 0.5, one), jnp.where(is_large, 0.5, two)
    return Arguments(is_large, low, high, first, second)


def _of_gamma(eps: Array, a: Array, b: Array, tail: Tail) -> tuple[Array, Array]:
    """Noise and concentration of the gamma variate that -log(1 - z) resembles."""
    at = _arguments(a, b, tail)
    return jnp.where(at.is_large, tail.sign * eps, 0.0), at.low


def _log_beta_remainder_and_gradient(a: Array, b: Array) -> tuple[Array, Array, Array]:
    """H in log(a B(a, b)) = log(1 + a / b) - a b H, and its derivatives in a and b."""
    scale, rest_a, rest_b = 2 / fitted.TOP, 1 / (1 + a), 1 / (1 + b)
    value, by_a, by_b = horner_rows_and_gradient(
        fitted.MIXED, scale * (1 - rest_a) - 1, scale * (1 - rest_b) - 1
    )
    return value, scale * rest_a * rest_a * by_a, scale * rest_b * rest_b * by_b


@stage
def _first_guess(a: Array, b: Array, tail: Tail, log_ratio: Array) -> Guess:
    at = _arguments(a, b, tail)
    # g and N are divided by the smaller concentration: their logarithms keep their digits if it is
    # large.
    rate = gamma_rate(at.low, at.high)
    log = log1p(jnp.where(at.is_large, rate / at.low - 1, at.first / at.second))
    remainder, _, _ = _log_beta_remainder_and_gradient(at.first, at.second)
    log_s = (log - tail.minus_log) / at.first - at.second * remainder
    log_size = jnp.where(at.is_large, log_ratio - log, log_s)
    size = jnp.exp(log_size)
    k = quadratic_coefficient(at.first, at.second)
    root = 1 / (1 + size * jnp.where(at.is_large, 1 / MASS_SCALE, k - MASS_SHIFT))
    return Guess(jnp.where(at.is_large, 1 - root * root, size * root), log_size)


def _surface(a: Array, b: Array, tail: Tail, guess: Guess) -> Surface:
    at, x = _arguments(a, b, tail), guess.x
    inverse, reciprocal = large_coordinates(at.low, at.high)
    ratio = at.low * inverse
    s0, s1, s2 = (2 / end for end in fitted.ENDS_LARGE)
    value, by_x, by_ratio, by_reciprocal = horner_tables_and_gradient(
        fitted.LARGE, s0 * x - 1, s1 * ratio - 1, s2 * reciprocal - 1
    )
    by_ratio = s1 * inverse * inverse * by_ratio
    by_high = -at.low * by_ratio - s2 * reciprocal * reciprocal * by_reciprocal
    large = Surface(value, s0 * by_x, at.high * by_ratio, by_high)
    rest = 1 / (1 + at.first)
    s0, s1, s2 = (2 / end for end in fitted.ENDS_SMALL)
    value, by_x, by_share, by_second = horner_tables_and_gradient(
        fitted.SMALL, s0 * x - 1, s1 * (1 - rest) - 1, s2 * at.second - 1
    )
    small = Surface(
        x * value,
        value + s0 * x * by_x,
        x * (s1 * rest * rest) * by_share,
        s2 * x * by_second,
    )
    return Surface(*(jnp.where(at.is_large, u, v) for u, v in zip(large, small, strict=True)))


@stage
def _correction(a: Array, b: Array, tail: Tail, guess: Guess) -> Array:
    """The fitted correction of log m, or of log s - log(1 + k s)."""
    return _surface(a, b, tail, guess).value


_correction_and_gradient = stage(_surface)


class _Variate(NamedTuple):
    """The common part of y and its derivatives."""

    size: Array  # m = -log(1 - z) in the large regime, z in the small one
    log_size: Array  # its logarithm, less that of `inverse`
    is_near: Array  # large regime, and m below 1/2
    rest: Array  # 1 - z; 1/2 if near
    k: Array
    part: Array  # s / (1 + k s); 0 in the large regime
    inverse: Array  # 1 / (1 + k s); 1 in the large regime


def _variate(at: Arguments, guess: Guess, correction: Array) -> _Variate:
    log_size = guess.log_size + correction
    k = quadratic_coefficient(at.first, at.second)
    part = jnp.where(at.is_large, 0.0, guess.x / (1 + MASS_SHIFT * guess.x))
    inverse = 1 - k * part
    size = jnp.exp(log_size) * inverse
    is_near = at.is_large & (size < 0.5)
    far = jnp.where(is_near, math.log(2), size)
    rest = jnp.where(at.is_large, 1 - jnp.exp(-far), 1 - size)
    return _Variate(size, log_size, is_near, rest, k, part, inverse)


def _logit(a: Array, b: Array, tail: Tail, guess: Guess, correction: Array) -> Array:
    at = _arguments(a, b, tail)
    v = _variate(at, guess, correction)
    m = v.size
    # Only absolute errors count. If near, this is the series of log((e^m - 1) / m), up to terms
    # below rounding.
    series = m * (1 / 2 + m * (1 / 24 - m * m / 2880))
    log_rest = jnp.log(jnp.where(at.is_large, v.rest, v.inverse / v.rest))
    leading = jnp.where(at.is_large & ~v.is_near, m, v.log_size)
    return tail.sign * (leading + jnp.where(v.is_near, series, log_rest))


class _ChainRule(NamedTuple):
    """The factors of the derivatives of y."""

    y_by_log: Array  # of y in the logarithm of m or z, with the sign of the tail
    log_by_guess: Array  # of that logarithm in the guess
    log_by_minus_k: Array  # and in -k


def _chain_rule(at: Arguments, tail: Tail, guess: Guess, surface: Surface) -> _ChainRule:
    x, by_x = guess.x, surface.by_x
    v = _variate(at, guess, surface.value)
    m = v.size
    # m / (1 - e^-m) and 1 / (1 - z)
    series = 1 + m * (1 / 2 + m * (1 / 12 - m * m / 720))
    factor = jnp.where(v.is_near, series, jnp.where(at.is_large, m, 1.0) / v.rest)
    root = jnp.sqrt(1 - jnp.where(at.is_large, x, 0.0))
    x_by_guess = jnp.where(
        at.is_large, 2 * root * root * (1 - root), x * (1 - x * (v.k - MASS_SHIFT))
    )
    by_guess = v.inverse + by_x * x_by_guess
    by_minus_k = jnp.where(at.is_large, 0.0, v.part + by_x * x * x)
    return _ChainRule(tail.sign * factor, by_guess, by_minus_k)


@stage
def _gradient(
    a: Array, b: Array, tail: Tail, guess: Guess, surface: Surface, by_low: Array
) -> Gradient:
    """`by_low` is the derivative of `log_ratio_from_normal` in the concentration."""
    at = _arguments(a, b, tail)
    one, two = at.first, at.second
    chain = _chain_rule(at, tail, guess, surface)
    inverse = 1 / gamma_rate(at.low, at.high)
    remainder, remainder_by_one, remainder_by_two = _log_beta_remainder_and_gradient(one, two)
    _, *k_by = _quadratic_coefficient_and_gradient(one, two)
    small = (
        (1 / (one + two) - (guess.log_size + two * remainder)) / one - two * remainder_by_one,
        -1 / (two * (one + two)) - remainder - two * remainder_by_two,
    )
    large = by_low + (1 / at.low - RATE_SHIFT * inverse), -inverse
    surface_by = surface.by_one, surface.by_two
    by_one, by_two = (
        chain.y_by_log
        * (chain.log_by_guess * jnp.where(at.is_large, u, v) - chain.log_by_minus_k * k + direct)
        for u, v, k, direct in zip(large, small, k_by, surface_by, strict=True)
    )
    exchanged = tail.sign < 0
    return Gradient(jnp.where(exchanged, by_two, by_one), jnp.where(exchanged, by_one, by_two))


def _derivative_in_noise(
    eps: Array, a: Array, b: Array, tail: Tail, guess: Guess, surface: Surface, by_noise: Array
) -> Array:
    """`by_noise` is the derivative of `log_ratio_from_normal` in the noise."""
    at = _arguments(a, b, tail)
    chain = _chain_rule(at, tail, guess, surface)
    # of log s: phi(eps) / Phi(eps) / first
    by_eps = jnp.exp(tail.minus_log - 0.5 * eps * eps - HALF_LOG_2PI) / at.first
    derivative = jnp.where(at.is_large, by_noise, by_eps)
    return tail.sign * chain.y_by_log * chain.log_by_guess * derivative
