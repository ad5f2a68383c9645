"""The float32 quantile of the beta distribution without iteration: fits in three variables.

`repara.special.fits.beta` says what is fitted and why it is smooth. Each regime treats one tail:
the other one is had by exchanging the concentrations and negating noise and logit.

XLA on a CPU evaluates again in each loop whatever it counts as cheap, and polynomials of hundreds
of coefficients in loops with other work exhaust its memory. So this goes in stages, each of which
is compiled apart (`repara._apart`) and leaves its results in pairs, as complex arrays: two real
ones would be two loops.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from repara._apart import apart
from repara.special.coefficients import beta as fitted
from repara.special.elementary import log1p
from repara.special.elementwise import Tangent, is_zero, tangent_sum
from repara.special.gamma import _log_ratio_quantile, minus_log_tails
from repara.special.polynomial import horner_rows_and_gradient, horner_tables_and_gradient


class _Case(NamedTuple):
    """Which tail is computed, and the arguments of both regimes, safe in each."""

    is_large: Array  # one concentration is above the seam
    sign: Array  # -1 where the concentrations are exchanged, and noise and logit negated; else 1
    size: Array  # -log of the tail
    low: Array  # the smaller concentration; 1 where both are small
    high: Array  # the larger one; the seam where both are small
    first: Array  # the concentration that belongs to the tail; 1/2 where one is large
    second: Array  # the other; 1/2 where one is large


@jax.custom_jvp
def logit_quantile(eps: Array, a: Array, b: Array) -> Array:
    """The logit y of the z with I_z(a, b) = Phi(eps), in float32.

    Args:
        eps: In [-6, 6]; NaN elsewhere.
        a: Positive and finite, of the shape of eps.
        b: Positive and finite, of the shape of eps.

    Returns:
        y, of the same shape.
    """
    tail = apart(_tail, eps, a, b)
    start = apart(_start, a, b, tail, _log_ratio_quantile(*_of_gamma(eps, a, b, tail)))
    return _logit(a, b, tail, start, apart(_fit, a, b, tail, start))


@functools.partial(logit_quantile.defjvp, symbolic_zeros=True)
def _logit_quantile_jvp(
    primals: tuple[Array, Array, Array], tangents: tuple[Tangent, Tangent, Tangent]
) -> tuple[Array, Array]:
    eps, a, b = primals
    tail = apart(_tail, eps, a, b)
    noise, low = _of_gamma(eps, a, b, tail)
    log_ratio, by_low = _slope(lambda low: _log_ratio_quantile(noise, low), low)
    start = apart(_start, a, b, tail, log_ratio)
    fit = apart(_fit_and_slopes, a, b, tail, start)
    y = _logit(a, b, tail, start, jax.lax.real(fit[0]))
    by_eps = by_a = by_b = None
    if not is_zero(tangents[0]):
        _, by_noise = _slope(lambda noise: _log_ratio_quantile(noise, low), noise)
        by_eps = _slope_in_noise(eps, a, b, tail, start, fit[0], by_noise)
    if not (is_zero(tangents[1]) and is_zero(tangents[2])):
        by_a, by_b = _parts(apart(_slopes, a, b, tail, start, fit, by_low))
    pairs = zip((by_eps, by_a, by_b), tangents, strict=True)
    return y, tangent_sum(y.shape, y.dtype, *pairs)


def _parts(pair: Array) -> tuple[Array, Array]:
    return jax.lax.real(pair), jax.lax.imag(pair)


def _slope(f: Callable[[Array], Array], x: Array) -> tuple[Array, Array]:
    return jax.jvp(f, (x,), (jnp.ones_like(x),))


def _tail(eps: Array, a: Array, b: Array) -> Array:
    """`_Case.sign` + i `_Case.size`."""
    left, right = minus_log_tails(eps)
    is_large, a_is_larger = jnp.maximum(a, b) > fitted.SEAM, a > b
    a, b = jnp.where(is_large, 0.5, a), jnp.where(is_large, 0.5, b)
    # The logit as its two tails have it, which for small concentrations change sign in nearly the
    # same place: of the two the tail with z < 1/2, or not much more.
    whole = a + b
    share = a / whole
    mixed = 1.645 / (1 + 0.687 * whole)  # to 5%
    rising = b * (left + jnp.log(1 - share) + a * b * mixed)
    falling = a * (right + jnp.log(share) + a * b * mixed)
    exchanged = jnp.where(is_large, a_is_larger, rising < falling)
    # Out of range NaN, as is the gamma variate where one concentration is large.
    size = jnp.where(jnp.abs(eps) <= fitted.BOUND, jnp.where(exchanged, right, left), jnp.nan)
    return jax.lax.complex(jnp.where(exchanged, -1.0, 1.0).astype(size.dtype), size)


def _case(a: Array, b: Array, tail: Array) -> _Case:
    sign, size = _parts(tail)
    is_large = jnp.maximum(a, b) > fitted.SEAM
    # Not by minimum and maximum, whose derivatives where a = b are halves.
    one, two = jnp.where(sign > 0, a, b), jnp.where(sign > 0, b, a)
    low, high = jnp.where(is_large, one, 1.0), jnp.where(is_large, two, fitted.SEAM)
    first, second = jnp.where(is_large, 0.5, one), jnp.where(is_large, 0.5, two)
    return _Case(is_large, sign, size, low, high, first, second)


def _of_gamma(eps: Array, a: Array, b: Array, tail: Array) -> tuple[Array, Array]:
    """Noise and concentration of the gamma variate that -log(1 - z) is like."""
    case = _case(a, b, tail)
    return jnp.where(case.is_large, case.sign * eps, 0.0), case.low


def _mixed(a: Array, b: Array) -> tuple[Array, Array, Array]:
    """H of `repara.special.fits.beta` and its derivatives in a and b."""
    scale, rest_a, rest_b = 2 / fitted.TOP, 1 / (1 + a), 1 / (1 + b)
    value, by_a, by_b = horner_rows_and_gradient(
        fitted.MIXED, scale * (1 - rest_a) - 1, scale * (1 - rest_b) - 1
    )
    return value, scale * rest_a * rest_a * by_a, scale * rest_b * rest_b * by_b


def _bend(a: Array, b: Array) -> tuple[Array, Array, Array]:
    """k = (1 - b) (1 - a b / 4) / (1 + a / 2) and its derivatives in a and b."""
    below, rest = 1 / (1 + 0.5 * a), 1 - 0.25 * a * b
    k = (1 - b) * rest * below
    return k, -below * (0.5 * k + 0.25 * (1 - b) * b), -below * (rest + 0.25 * a * (1 - b))


def _start(a: Array, b: Array, tail: Array, log_ratio: Array) -> Array:
    """The first variable x of the fit, + i times the log m or log s that it is made from."""
    case = _case(a, b, tail)
    # g and N over the smaller concentration: their logarithms keep their digits where it is large
    over = jnp.where(case.is_large, _rate(case) / case.low - 1, case.first / case.second)
    log = log1p(over)
    mixed, _, _ = _mixed(case.first, case.second)
    log_s = (log - case.size) / case.first - case.second * mixed
    start = jnp.where(case.is_large, log_ratio - log, log_s)
    power = jnp.exp(start)
    k, _, _ = _bend(case.first, case.second)
    root = 1 / (1 + power * jnp.where(case.is_large, 1 / 12, k - 0.75))
    return jax.lax.complex(jnp.where(case.is_large, 1 - root * root, power * root), start)


def _rate(case: _Case) -> Array:
    """N, of the gamma variate that -log(1 - z) is like."""
    return case.high + 0.3 * (case.low - 1)


def _surfaces(a: Array, b: Array, tail: Array, start: Array) -> tuple[Array, Array, Array, Array]:
    """V, or m C, and its derivatives in x and in low and high, or first and second."""
    case, x = _case(a, b, tail), jax.lax.real(start)
    size, below = 1 / (case.high + 0.1 * case.low), 1 / (case.high + 0.4)
    ratio = case.low * size
    s0, s1, s2 = (2 / end for end in fitted.ENDS_LARGE)
    value, by_x, by_ratio, by_below = horner_tables_and_gradient(
        fitted.LARGE, s0 * x - 1, s1 * ratio - 1, s2 * below - 1
    )
    by_ratio = s1 * size * size * by_ratio
    by_high = -case.low * by_ratio - s2 * below * below * by_below
    large = value, s0 * by_x, case.high * by_ratio, by_high
    rest = 1 / (1 + case.first)
    s0, s1, s2 = (2 / end for end in fitted.ENDS_SMALL)
    value, by_x, by_share, by_second = horner_tables_and_gradient(
        fitted.SMALL, s0 * x - 1, s1 * (1 - rest) - 1, s2 * case.second - 1
    )
    small = x * value, value + s0 * x * by_x, x * (s1 * rest * rest) * by_share, s2 * x * by_second
    value, by_x, by_one, by_two = (
        jnp.where(case.is_large, u, v) for u, v in zip(large, small, strict=True)
    )
    return value, by_x, by_one, by_two


def _fit(a: Array, b: Array, tail: Array, start: Array) -> Array:
    """What is added to log m, or to log s - log(1 + k s)."""
    return _surfaces(a, b, tail, start)[0]


def _fit_and_slopes(a: Array, b: Array, tail: Array, start: Array) -> tuple[Array, Array]:
    value, by_x, by_one, by_two = _surfaces(a, b, tail, start)
    return jax.lax.complex(value, by_x), jax.lax.complex(by_one, by_two)


class _Value(NamedTuple):
    """What y and its derivatives have in common."""

    size: Array  # m = -log(1 - z) where one concentration is large, z where both are small
    log_size: Array  # its logarithm, less that of `below`
    is_near: Array  # large, and m below 1/2
    rest: Array  # 1 - z; 1/2 where near
    k: Array
    part: Array  # s / (1 + k s); 0 where large
    below: Array  # 1 / (1 + k s); 1 where large


def _value(case: _Case, start: Array, more: Array) -> _Value:
    x, log_size = _parts(start)
    log_size = log_size + more
    k, _, _ = _bend(case.first, case.second)
    part = jnp.where(case.is_large, 0.0, x / (1 + 0.75 * x))
    below = 1 - k * part
    size = jnp.exp(log_size) * below
    is_near = case.is_large & (size < 0.5)
    far = jnp.where(is_near, math.log(2), size)
    rest = jnp.where(case.is_large, 1 - jnp.exp(-far), 1 - size)
    return _Value(size, log_size, is_near, rest, k, part, below)


def _logit(a: Array, b: Array, tail: Array, start: Array, more: Array) -> Array:
    case = _case(a, b, tail)
    v = _value(case, start, more)
    m = v.size
    # Only absolute errors count; near, of the series of log((e^m - 1) / m) what is above rounding.
    series = m * (1 / 2 + m * (1 / 24 - m * m / 2880))
    log_rest = jnp.log(jnp.where(case.is_large, v.rest, v.below / v.rest))
    start_of_y = jnp.where(case.is_large & ~v.is_near, m, v.log_size)
    return case.sign * (start_of_y + jnp.where(v.is_near, series, log_rest))


def _rates(case: _Case, start: Array, fit: Array) -> tuple[Array, Array, Array]:
    """Derivatives: of y in the logarithm of m or z; of that in the start, and in -k."""
    x = jax.lax.real(start)
    more, by_x = _parts(fit)
    v = _value(case, start, more)
    m = v.size
    # m / (1 - e^-m) and 1 / (1 - z)
    series = 1 + m * (1 / 2 + m * (1 / 12 - m * m / 720))
    factor = jnp.where(v.is_near, series, jnp.where(case.is_large, m, 1.0) / v.rest)
    root = jnp.sqrt(1 - jnp.where(case.is_large, x, 0.0))
    x_by_start = jnp.where(case.is_large, 2 * root * root * (1 - root), x * (1 - x * (v.k - 0.75)))
    rate = v.below + by_x * x_by_start
    return case.sign * factor, rate, jnp.where(case.is_large, 0.0, v.part + by_x * x * x)


def _slopes(
    a: Array, b: Array, tail: Array, start: Array, fit: tuple[Array, Array], by_low: Array
) -> Array:
    """The derivatives of the logit in a and b, as a complex array."""
    case = _case(a, b, tail)
    one, two = case.first, case.second
    factor, rate, share = _rates(case, start, fit[0])
    below = 1 / _rate(case)
    mixed, mixed_by_one, mixed_by_two = _mixed(one, two)
    _, *bends = _bend(one, two)
    small = (
        (1 / (one + two) - (jax.lax.imag(start) + two * mixed)) / one - two * mixed_by_one,
        -1 / (two * (one + two)) - mixed - two * mixed_by_two,
    )
    large = by_low + (1 / case.low - 0.3 * below), -below
    by_one, by_two = (
        factor * (rate * jnp.where(case.is_large, u, v) - share * bend + slope)
        for u, v, bend, slope in zip(large, small, bends, _parts(fit[1]), strict=True)
    )
    exchanged = case.sign < 0
    return jax.lax.complex(
        jnp.where(exchanged, by_two, by_one), jnp.where(exchanged, by_one, by_two)
    )


def _slope_in_noise(
    eps: Array, a: Array, b: Array, tail: Array, start: Array, fit: Array, by_noise: Array
) -> Array:
    case = _case(a, b, tail)
    factor, rate, _ = _rates(case, start, fit)
    # of log s: phi(eps) / Phi(eps) / first
    by_eps = jnp.exp(case.size - 0.5 * eps * eps - 0.5 * math.log(2 * math.pi)) / case.first
    return case.sign * factor * rate * jnp.where(case.is_large, by_noise, by_eps)
