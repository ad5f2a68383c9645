"""What the quantiles by integration of a tail share.

For a density p = e^h in a coordinate y, the ratio of its tail to itself,

    R(y) = integral_0^inf exp(h(y + t) - h(y)) dt,   log Q(y) = h(y) + log R(y),

is smooth, positive and free of cancellation however far out y is. Gauss' rule of a fixed number of
nodes over [0, T], beyond which the integrand is below rounding, gives R; one high-order step
gives the y with log Q(y) = log Phi(-eps) from one close to it; and differentiating that step at a
fixed start gives derivatives of every order, as the step is exact to its order in the arguments.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from repara.special.coefficients import stirling as fitted
from repara.special.elementary import log1p
from repara.special.elementwise import by_dtype
from repara.special.normal import mills
from repara.special.polynomial import horner

Rule = tuple[np.ndarray, np.ndarray]
T = TypeVar("T")


def gauss(count: int) -> Rule:
    """Points and weights of Gauss' rule on [0, 1]."""
    points, weights = np.polynomial.legendre.leggauss(count)
    return (1 + points) / 2, weights / 2


def integral(rule: Rule, integrand: Callable[[Array], T], end: Array) -> T:
    """The integrals from 0 to `end` by Gauss' rule, in a loop: unrolled it compiles for long."""
    points, weights = (jnp.asarray(x, end.dtype) for x in rule)

    def add(i: Array, totals: T) -> T:
        values = integrand(end * points[i])
        return jax.tree.map(lambda total, value: total + weights[i] * value, totals, values)

    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(integrand, end))
    totals = jax.lax.fori_loop(0, len(rule[0]), add, zeros)
    return jax.tree.map(lambda total: end * total, totals)


def log_factorial_excess(x: Array) -> Array:
    """log Gamma(1 + x) - x log x + x for x > 0: 0 at 0, log(2 pi x) / 2 for large x.

    Nothing cancels, in value or derivative: 1 + x goes into Stirling's formula, whose remainder is
    a fitted polynomial in 1 / (1 + x).
    """
    w = 1 / (1 + x)
    remainder = w * horner(by_dtype(x, fitted.STIRLING_FLOAT32, fitted.STIRLING_FLOAT64), w + w - 1)
    return remainder + (x * log1p(1 / x) + 0.5 * log1p(x)) + (0.5 * math.log(2 * math.pi) - 1.0)


# (e^t - 1 - t) / t^2 and (atanh(s) - s) / s^3, for |t| < 1/2 and |s| < 0.15: cut where the next
# term is below rounding.
_EXP = [1 / math.factorial(n + 2) for n in range(13)]
_ATANH = [1 / (2 * n + 3) for n in range(9)]
# e^60 is far beyond the reciprocal of any probability and of rounding; e^88 overflows float32.
_LARGE = 60.0


def cumulant(p: Array, q: Array, t: Array) -> Array:
    """K(t) = log(q + p e^t) - p t, the log moment generating function of a centred Bernoulli(p).

    To a relative error of a few units of rounding, which no sum of logarithms has near t = 0, where
    K is p q t^2 / 2; q is 1 - p. Not to be differentiated.
    """
    flip = p > q
    # the smaller of the two: the terms of K then cancel to half of themselves at worst
    p, t = jnp.where(flip, q, p), jnp.where(flip, -t, t)
    top = jnp.minimum(t, _LARGE)
    power = jnp.exp(top)
    second = t * t * horner(_EXP[: by_dtype(t, 7, 13)], t)
    second = jnp.where(jnp.abs(t) < 0.5, second, power - 1 - top)
    x = p * (top + second)
    s = x / (2 + x)
    # log(1 + x) = 2 atanh(s), x - 2 s = x s
    series = p * second - x * s + 2 * s * (s * s) * horner(_ATANH[: by_dtype(t, 4, 9)], s * s)
    far = jnp.log(1 + x) + (t - top) - p * t
    return jnp.where(jnp.abs(s) < 0.15, series, far)


def gaussian_tail_ratio(slope: Array, curvature: Array, third: Array) -> Array:
    """Close to integral_0^inf exp(-slope t - curvature t^2 / 2 - third t^3 / 6) dt, slope >= 0.

    The first term of the expansion in `third`, in a form that stays positive.
    """
    root = jnp.sqrt(curvature)
    v = slope / root
    zeroth = mills(v)
    first = 1 - v * zeroth
    cubed = 2 * first - v * (zeroth - v * first)
    change = third / (6 * root * curvature) * cubed / zeroth
    return zeroth / root * jnp.where(change > 0, 1 / (1 + jnp.abs(change)), 1 + jnp.abs(change))


def rough_step(gap: Array, ratio: Array, slope: Array) -> Array:
    """The step in y that adds `gap` to log Q, to the third order, and sensible for large gaps.

    With R' = slope R - 1 it is exact for an exponential tail and nearly so for a normal one.
    """
    root = jnp.sqrt(jnp.maximum(1 - 2 * (1 - slope * ratio) * gap, 0.25))
    return -2 * ratio * gap / (1 + root)


def last_step(gap: Array, ratio: Array, slope: Array, curvature: Array) -> Array:
    """The step in y that adds a small `gap` to log Q, to the fourth order.

    With l = log Q: dy/dl = -R, d2y/dl2 = R R', d3y/dl3 = -R (R'^2 + R R''), where
    R' = slope R - 1, R'' = curvature R + slope R', slope = -h', curvature = -h''.
    """
    first = slope * ratio - 1
    second = curvature * ratio + slope * first
    bend = first - gap * (first * first + ratio * second) / 3
    return -ratio * gap * (1 - 0.5 * gap * bend)


def central_series(e: Array, slope: Array, fall: tuple[Array, Array, Array]) -> Array:
    """The odd series to e^7 of a quantile of a symmetric density in normal noise e near 0.

    Where z is small beside the rounding of log Q. With z = slope e (1 + a e^2 + b e^4 + c e^6) the
    coefficients are those of dz/de = phi(e) / p(z), in logarithms.

    Args:
        e: Noise close to 0.
        slope: dz/de at 0.
        fall: What log p(0) - log p(z) has as coefficients of z^2, z^4 and z^6.

    Returns:
        z.
    """
    square = slope * slope
    u, v, w = fall[0] * square, fall[1] * (square * square), fall[2] * (square * square * square)
    first = u - 0.5
    a = first / 3
    second = 2 * a * u + v
    b = (second + 0.5 * first * first) / 5
    third = (a * a + 2 * b) * u + 4 * a * v + w
    c = (third + first * (second + first * first / 6)) / 7
    s = e * e
    return slope * e * (1 + s * (a + s * (b + s * c)))


def log1mexp(x: Array) -> Array:
    """log(1 - e^x) for x < 0."""
    near = x > -math.log(2)
    return jnp.where(
        near,
        jnp.log(-jnp.expm1(jnp.where(near, x, -1.0))),
        log1p(-jnp.exp(jnp.where(near, -1.0, x))),
    )


def at_most(x: Array, bound: float) -> Array:
    """The smaller of the two, with the derivatives of x also where rounding put x at the bound."""
    return x + held(jnp.minimum(bound - x, 0))


def held(x: Array) -> Array:
    """The value of x without its derivatives."""
    return jax.lax.stop_gradient(x)


@jax.custom_jvp
def primitive(x: Array, slope: Array) -> Array:
    """Zero, with the derivative `slope` in x, and with the derivatives of `slope` as its second.

    Of a sum of these over several x the mixed derivatives are right if they are symmetric.
    """
    return jnp.zeros(jnp.broadcast_shapes(x.shape, slope.shape), x.dtype)


@primitive.defjvp
def _primitive_jvp(
    primals: tuple[Array, Array], tangents: tuple[Array, Array]
) -> tuple[Array, Array]:
    (x, slope), (x_dot, _) = primals, tangents
    return primitive(x, slope), slope * x_dot
