"""Beta variates from normal noise and the beta CDF by integration of a tail.

In y = logit z the density is exp(a log sigmoid(y) + b log sigmoid(-y)) / B(a, b): smooth and
log-concave for all a and b, and exponential in both tails. Both tails are treated as right tails:
for the left one y, a, b become -y, b, a. The density changes over a step t by

    h(y + t) - h(y) = a t - (a + b) log(1 + z (e^t - 1)).

The tail ratio R of `repara.special.tail_integral` obeys the recurrence

    R(a, b) = (1 + (a + b) (1 - z) R(a, b + 1)) / b,

all terms of which are positive. Four such steps, which raise b by 4, leave a density without a long
flat piece for any a and b. A few nodes then suffice.

References:
  DLMF 8.17.20 for the recurrence, https://dlmf.nist.gov/8.17.E20
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.lax import stop_gradient

from repara._cpu import elementwise_stage
from repara.special.autodiff import zero_with_derivative
from repara.special.elementary import log1mexp, log1p
from repara.special.elementwise import select_by_dtype
from repara.special.normal import log_ndtr
from repara.special.quadrature import Rule, gauss_legendre, integrate
from repara.special.stirling import log_factorial_excess
from repara.special.tail_integral import (
    LARGEST_EXPONENT,
    bernoulli_cumulant,
    gaussian_tail_ratio,
    halley_step,
    inverse_series_step,
)

__all__ = ["log_beta_tails", "solve_logit"]

# Steps of the recurrence.
RAISES = 4
# Nodes, and the exponent at which the integrand is cut. Worst relative errors of R for
# concentrations of 1e-2 to 1e5: 1.4e-6, 2e-11, 5e-8, of which y has R times as much.
_FLOAT32 = (gauss_legendre(9), 16.0)
_FLOAT64 = (gauss_legendre(22), 36.0)
_ROUGH = (gauss_legendre(12), 20.0)


class _RightTail:
    """The right tail at y = log(a / b) + u.

    Neither y nor u has derivatives; a and b may have.
    """

    def __init__(self, a: Array, b: Array, log_normalizer: Array, u: Array) -> None:
        self.a, self.b, self.n = a, b, a + b
        self.log_normalizer = log_normalizer
        self.u = u = stop_gradient(u)
        p, q = stop_gradient(a / self.n), stop_gradient(b / self.n)
        # z = p e^u / (q + p e^u), from the exponential that does not overflow
        right = u > 0
        small, decrease = jnp.exp(-jnp.abs(u)), -jnp.expm1(-jnp.abs(u))
        this, other = jnp.where(right, p, q), jnp.where(right, q, p)
        denominator = this + other * small
        inverse = 1 / denominator
        self.z = jnp.where(right, p, p * small) * inverse
        self.q = jnp.where(right, q * small, q) * inverse
        # log p - log z and log q - log(1 - z), both of which may be close to 0
        missing = other * decrease
        near = missing < 0.5
        less = jnp.where(near, log1p(-jnp.where(near, missing, 0)), jnp.log(denominator))
        least = math.exp(-LARGEST_EXPONENT)
        more = log1p(this * decrease / jnp.maximum(small, least))
        more = more + jnp.maximum(jnp.abs(u) - LARGEST_EXPONENT, 0)
        self.log_changes = jnp.where(right, less, more), jnp.where(right, more, less)
        # -h' = (a + b) z - a, from u: near the center the two terms are nearly equal
        first = stop_gradient(b) * p * jnp.where(right, decrease, -decrease) * inverse
        self.first = first - zero_with_derivative(a, self.q) + zero_with_derivative(b, self.z)
        self.second = self.n * self.z * self.q  # -h''

    def log_density_over_b(self) -> Array:
        """h(y) - log b, h being the log density of y."""
        a, b, n = self.a, self.b, self.n
        share = jnp.where(a < b, jnp.log(a / n), log1p(-b / n))
        # a log sigmoid(y) + b log sigmoid(-y) is n K(u) below its value at the center. At fixed y
        # its derivatives in a and b are the two logarithms, less those at the center.
        by_a = self.log_changes[0] + (
            zero_with_derivative(a, b / (a * n)) - zero_with_derivative(b, 1 / n)
        )
        by_b = self.log_changes[1] + (
            zero_with_derivative(b, a / (b * n)) - zero_with_derivative(a, 1 / n)
        )
        derivatives = zero_with_derivative(a, by_a) + zero_with_derivative(b, by_b)
        decrease = stop_gradient(n * bernoulli_cumulant(a / n, b / n, self.u))
        return self.log_normalizer + share - decrease - derivatives

    def ratio(self, rule: tuple[Rule, float]) -> tuple[Array, Array]:
        """R and log(b R)."""
        nodes, cut = rule
        first = stop_gradient(self.first + RAISES * self.z)
        end = self._end(first, cut)
        fixed = _Raised(self.z, self.q, first, stop_gradient(self.n + RAISES), end)
        return self._lower(_raised_ratio(nodes, fixed, self.a, self.b))

    def _end(self, first: Array, cut: float) -> Array:
        """The t at which the raised density has decreased by exp(-cut)."""
        z, q, n = self.z, self.q, stop_gradient(self.n + RAISES)
        end = 2 * cut / (first + jnp.sqrt(first * first + 2 * cut * (n * z * q)))
        # The asymptote (b + 4) t + n log z reaches the cut later.
        bound = (cut - n * jnp.log(z)) / stop_gradient(self.b + RAISES)
        end = jnp.minimum(end, bound)
        for _ in range(3):
            # a rough value is enough
            growth = jnp.exp(jnp.minimum(end, LARGEST_EXPONENT))
            weight = q + z * growth
            log_weight = jnp.log(weight) + jnp.maximum(end - LARGEST_EXPONENT, 0.0)
            decrease = first * end + jnp.maximum(n * (log_weight - z * end), 0.0)
            derivative = first + n * (z * q) * (growth - 1) / weight
            # Newton's step for log(decrease) as a function of log t. The logarithm and the
            # exponential are quotients that agree with them to the fourth and the third order.
            x = jnp.minimum(decrease / cut, 1e3)
            step = decrease / (end * derivative) * (3 * (x - 1) * (x + 1) / (1 + x * (4 + x)))
            half = 0.5 * jnp.clip(step, -1.2, 1.5)
            end = jnp.minimum(end * (1 - half) / (1 + half), bound)
        return stop_gradient(end)

    def _lower(self, ratio: Array) -> tuple[Array, Array]:
        """R and log(b R) from the ratio of the raised density."""
        for k in range(RAISES - 1, 0, -1):
            ratio = (1 + (self.n + k) * self.q * ratio) / (self.b + k)
        more = self.n * self.q * ratio
        return (1 + more) / self.b, log1p(more)


class _Raised(NamedTuple):
    """The density with b raised by 4, without derivatives."""

    z: Array
    q: Array  # 1 - z
    first: Array  # minus the derivative of its logarithm
    n: Array  # a + b, raised
    end: Array  # upper limit of the integral


def _raised_moments(nodes: Rule, fixed: _Raised, a: Array, b: Array) -> tuple[Array, Array, Array]:
    """The tail ratio of the raised density, and minus its derivatives in a and in b."""

    def integrands(t: Array) -> tuple[Array, Array, Array]:
        cumulant = bernoulli_cumulant(fixed.z, fixed.q, t)
        by_a, by_b = cumulant - fixed.q * t, cumulant + fixed.z * t
        derivatives = zero_with_derivative(a, by_a) + zero_with_derivative(b, by_b)
        left = jnp.exp(-(fixed.first * t + fixed.n * cumulant + derivatives))
        return left, left * by_a, left * by_b

    return integrate(nodes, integrands, fixed.end)


# Derivatives by hand: those of the loop in two directions would be computed twice in part.
@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _raised_ratio(nodes: Rule, fixed: _Raised, a: Array, b: Array) -> Array:
    """The tail ratio of the raised density."""
    return _raised_moments(nodes, fixed, a, b)[0]


@_raised_ratio.defjvp
def _raised_ratio_jvp(
    nodes: Rule, primals: tuple[_Raised, Array, Array], tangents: tuple[_Raised, Array, Array]
) -> tuple[Array, Array]:
    ratio, by_a, by_b = _raised_moments(nodes, *primals)
    _, a_dot, b_dot = tangents
    return ratio, -(by_a * a_dot + by_b * b_dot)


def _log_normalizer(a: Array, b: Array) -> Array:
    """-log B(a, b), less its leading terms."""
    return log_factorial_excess(a + b) - (log_factorial_excess(a) + log_factorial_excess(b))


@jax.custom_jvp
def _log_normalizer_of_value(value: Array, a: Array, b: Array) -> Array:
    """`value`, which is `_log_normalizer(a, b)`, with the derivatives of that function."""
    return value


@_log_normalizer_of_value.defjvp
def _log_normalizer_of_value_jvp(
    primals: tuple[Array, Array, Array], tangents: tuple[Array, Array, Array]
) -> tuple[Array, Array]:
    value, a, b = primals
    derivative = jax.jvp(_log_normalizer, (a, b), tangents[1:])[1]
    return _log_normalizer_of_value(value, a, b), derivative


def solve_logit(eps: Array, a: Array, b: Array) -> Array:
    """Computes the logit y of the z with I_z(a, b) = Phi(eps), for valid arguments.

    Args:
      eps: finite normal noise.
      a: a concentration from 1e-2 to 1e5, of the shape of eps.
      b: the other one.

    Returns:
      y, of the same shape; NaN far outside these ranges.

    Example:
      >>> one = jnp.ones(1)
      >>> round(float(solve_logit(0.5 * one, one, one)[0]), 4)  # logit Phi(1/2)
      0.807
    """
    # A stage, because several arrays leave what follows, and the loops of each would otherwise
    # recompute the start.
    u, sign, value = elementwise_stage(
        _start, stop_gradient(eps), stop_gradient(a), stop_gradient(b)
    )
    log_normalizer = _log_normalizer_of_value(value, a, b)
    right = sign > 0
    a, b = jnp.where(right, a, b), jnp.where(right, b, a)
    log_size = log_ndtr(jnp.where(right, -eps, eps))
    tail = _RightTail(a, b, log_normalizer, u)
    ratio, log_ratio = tail.ratio(select_by_dtype(u, _FLOAT32, _FLOAT64))
    gap = log_size - (tail.log_density_over_b() + log_ratio)
    step = inverse_series_step(gap, ratio, tail.first, tail.second)
    y = stop_gradient(jnp.log(a) - jnp.log(b) + u) + step
    # A large gap means that the start was too far away: the arguments are out of range.
    y = jnp.where(jnp.abs(gap) < 0.1, y, jnp.nan)
    return jnp.where(right, y, -y)


class _RoughTail(NamedTuple):
    """A right tail at y = log(a / b) + u, to a few per cent."""

    m: Array  # -log(1 - z)
    z: Array
    rest: Array  # 1 - z
    first: Array  # minus the derivative of the log density
    ratio: Array
    log_tail: Array


def _rough_tail(a: Array, b: Array, log_normalizer: Array, u: Array) -> _RoughTail:
    """By a normal approximation of the raised density."""
    n = a + b
    p, q = a / n, b / n
    far = jnp.maximum(u - LARGEST_EXPONENT, 0.0)
    growth = jnp.exp(jnp.clip(u, -select_by_dtype(u, 80.0, 600.0), LARGEST_EXPONENT))
    # As in `bernoulli_cumulant`, from the smaller of p and q, with which the terms cancel to no
    # less than half of themselves.
    flip = p > q
    share, t = jnp.where(flip, q, p), jnp.where(flip, -u, u)
    grown = jnp.where(flip, 1 / growth, growth)
    near = t * (1 + t * (1 / 2 + t * (1 / 6)))
    more = share * jnp.where(jnp.abs(t) < 0.05, near, grown - 1)
    above = jnp.where(flip, 0.0, far)
    log_density = log_normalizer + jnp.log(p) - n * (log1p(more) + above - share * t)
    inverse = 1 / (1 + more)
    part, other = share * grown * inverse, jnp.where(flip, p, q) * inverse
    z, rest = jnp.where(flip, other, part), jnp.where(flip, part, other)
    first = jnp.where(flip, -a, b) * more * inverse
    # 1e-6 keeps the curvature positive where z rounds to 0 or 1.
    second = (n + RAISES) * z * rest + 1e-6
    ratio = gaussian_tail_ratio(jnp.maximum(first + RAISES * z, 0.0), second, second * (rest - z))
    for k in range(RAISES - 1, -1, -1):
        ratio = (1 + (n + k) * rest * ratio) / (b + k)
    m = log1p(p / q * growth) + far
    return _RoughTail(m, z, rest, first, ratio, log_density + jnp.log(b * ratio))


def _start(eps: Array, a: Array, b: Array) -> tuple[Array, Array, Array]:
    """A starting point u, 1 if it is for a right tail and otherwise -1, and the log normalizer.

    The error in log Q at u is at most 0.01, in float64 1e-8. The smaller of the two tails is
    used, because it determines y to more digits. The larger one is used if the smaller one begins
    far before the mode of its raised density and would be expensive to compute.
    """
    log_normalizer = _log_normalizer(a, b)
    positive = eps > 0
    a, b = jnp.where(positive, a, b), jnp.where(positive, b, a)
    # Between that mode and the one with a and b raised by 1: 0.25 balances the errors on both
    # sides.
    first = _rough_tail(a, b, log_normalizer, jnp.log((1 + 0.25 / a) / (1 + 1 / b)))
    log_upper = jnp.minimum(first.log_tail, -1e-6)
    log_size = log_ndtr(-jnp.abs(eps))
    short = log_upper > log_size
    # The same point as one of the left tail: what the right one leaves.
    log_lower = _rough_log1mexp(log_upper)
    lower_ratio = first.ratio * jnp.exp(jnp.minimum(log_lower - log_upper, LARGEST_EXPONENT))
    log_size = jnp.where(short, log_size, log1p(-jnp.exp(log_size)))
    other = _RoughTail(
        -_rough_log1mexp(-first.m), first.rest, first.z, -first.first, lower_ratio, log_lower
    )
    start = jax.tree.map(lambda x, y: jnp.where(short, x, y), first, other)
    a, b = jnp.where(short, a, b), jnp.where(short, b, a)
    center = jnp.log(a) - jnp.log(b)

    def improve(_: Array, u: Array) -> Array:
        return _improved_logit(_rough_tail(a, b, log_normalizer, u), log_size) - center

    u = jax.lax.fori_loop(0, 2, improve, _improved_logit(start, log_size) - center)
    if u.dtype == jnp.float64:
        tail = _RightTail(a, b, log_normalizer, u)
        ratio, log_ratio = tail.ratio(_ROUGH)
        gap = log_size - (tail.log_density_over_b() + log_ratio)
        u = u + inverse_series_step(gap, ratio, tail.first, tail.second)
    return u, jnp.where(short == positive, 1.0, -1.0).astype(u.dtype), log_normalizer


def _improved_logit(tail: _RoughTail, log_size: Array) -> Array:
    """A y with log Q closer to `log_size`.

    The step is in m = -log(1 - z), dm/dy = z, as the far tail is exponential in it.
    """
    gap = log_size - tail.log_tail
    step = halley_step(gap, tail.ratio * tail.z, (tail.first + tail.rest) / tail.z)
    m = jnp.maximum(tail.m + step, 0.1 * tail.m)
    return m + _rough_log1mexp(-m)


def _rough_log1mexp(x: Array) -> Array:
    """log(1 - e^x) for x < 0, up to 1e-5."""
    near = x > -0.05
    rest = log1p(-jnp.exp(jnp.where(near, -1.0, x)))
    return jnp.where(near, jnp.log(-x * (1 + x * (1 / 2 + x * (1 / 6)))), rest)


def log_beta_tails(y: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """Computes log I_z(a, b) and log(1 - I_z(a, b)) at y = logit z.

    Args:
      y: finite logits.
      a: a concentration from 1e-2 to 1e5, of the shape of y.
      b: the other one.

    Returns:
      Both logarithms, of the same shape.

    Example:
      >>> one = jnp.ones(1)
      >>> [round(float(v[0]), 4) for v in log_beta_tails(0 * one, one, one)]  # log(1/2)
      [-0.6931, -0.6931]
    """
    u = y - (jnp.log(a) - jnp.log(b))
    # The tail on the side of y that does not hold the mode of the raised density.
    right = y > jnp.log((a + 1) / (b + 1))
    u = stop_gradient(jnp.where(right, u, -u))
    tail = _RightTail(jnp.where(right, a, b), jnp.where(right, b, a), _log_normalizer(a, b), u)
    ratio, log_ratio = tail.ratio(select_by_dtype(y, _FLOAT32, _FLOAT64))
    size = tail.log_density_over_b() + log_ratio
    # From the fixed point of the tail to y itself: d log Q / dy = -1 / R, to the third order.
    move = jnp.where(right, y, -y) - stop_gradient(jnp.where(right, y, -y))
    rate = 1 / ratio
    second = (tail.first * ratio - 1) * rate * rate
    size = size - move * (rate - 0.5 * move * second)
    rest = log1mexp(jnp.minimum(size, -jnp.finfo(size.dtype).tiny))
    return jnp.where(right, rest, size), jnp.where(right, size, rest)
