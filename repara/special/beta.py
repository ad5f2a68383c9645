"""The beta distribution: its quantile as a function of normal noise, in logits, and its log CDF.

The quantile in float32 is a fit (`repara.special.beta_by_fit`); all else is made of the following.
In y = logit z the density is exp(a log sigmoid(y) + b log sigmoid(-y)) / B(a, b): smooth and
log-concave for all a and b, and exponential in both tails, which are treated as one: for the left
one y, a, b become -y, b, a. What is left of the density after a step t is

    h(y + t) - h(y) = a t - (a + b) log(1 + z (e^t - 1)),

and the tail ratio R of `repara.special.tail_integral` obeys R(a, b) = (1 + (a + b) (1 - z) R(a, b + 1)) / b
(DLMF 8.17.20 in other letters), all terms of which are positive. Four such steps leave a density
that has no long flat piece for any a and b, and for which a few nodes suffice.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.lax import stop_gradient
from jax.typing import ArrayLike

from repara.special import beta_by_fit
from repara.special.autodiff import zero_with_derivative
from repara.special.elementary import log1mexp, log1p, sigmoid
from repara.special.elementwise import (
    as_floats,
    isolated,
    select_by_dtype,
    with_forward_derivatives,
)
from repara.special.normal import log_ndtr, ndtri_exp
from repara.special.quadrature import Rule, gauss_legendre, integrate
from repara.special.stirling import log_factorial_excess
from repara.special.tail_integral import (
    LARGEST_EXPONENT,
    bernoulli_cumulant,
    gaussian_tail_ratio,
    halley_step,
    inverse_series_step,
)

RAISED = 4
# Less at a time than elsewhere: some 80 arrays are made on the way.
_in_blocks = functools.partial(with_forward_derivatives, block=320_000)

# Nodes, and the exponent at which the integrand is cut. Worst relative errors of R for
# concentrations of 1e-2 to 1e5: 1.4e-6, 2e-11, 5e-8, of which y has R times as much.
_FLOAT32 = (gauss_legendre(9), 16.0)
_FLOAT64 = (gauss_legendre(22), 36.0)
_ROUGH = (gauss_legendre(12), 20.0)


def logit_beta_from_normal(
    eps: ArrayLike, concentration1: ArrayLike, concentration0: ArrayLike
) -> Array:
    """The logit of a beta variate from standard-normal noise, by inversion of the CDF.

        y = log z - log(1 - z),  I_z(a, b) = Phi(eps),  dy/da = -(dF/da) / p(y)

    with a, b the concentrations, I the regularized incomplete beta function and p the density of y.
    log z is -softplus(-y) and log(1 - z) is -softplus(y): neither is lost where z rounds to 0 or 1.

    Args:
        eps: Standard-normal noise; any shape that broadcasts with the concentrations. For float32
            in [-6, 6], which no normal generator of that precision leaves; outside NaN. -inf and
            inf give -inf and inf.
        concentration1: a, the power of z; from 1e-2 to 1e5 in float64, any in float32 (checked from
            1e-6 to 3e6).
        concentration0: b, the power of 1 - z; as concentration1.

    Returns:
        The values, of the broadcast shape and the common dtype; absolute errors below 4 eps (1 +
        condition number) or 3e-6 in float32 and 1e-11 in float64. NaN where a concentration is not
        positive, or in float64 so far out of its range that no value is found. Derivatives in all
        arguments, right to the second order.

    Raises:
        TypeError: If the common dtype is neither float32 nor float64.
        ValueError: If the shapes do not broadcast.

    Source: the derivatives, Figurnov, Mohamed & Mnih (2018), "Implicit reparameterization
    gradients", equation 5.

    Example:
        >>> y = logit_beta_from_normal(jnp.array([-1.0, 0.0, 1.0]), 1.0, 1.0)  # logit Phi(eps)
        >>> [round(float(v), 3) + 0.0 for v in y]
        [-1.668, 0.0, 1.668]
    """
    arguments = as_floats("logit_beta_from_normal", eps, concentration1, concentration0)
    return _logit_quantile(*arguments)


def far_logit_beta_from_normal(
    eps: ArrayLike, concentration1: ArrayLike, concentration0: ArrayLike
) -> Array:
    """`logit_beta_from_normal` for noise farther out than any generator draws, in float32 too.

    By the integral of the tail, which takes some five times as long.

    Args:
        eps: Of any size; as in `logit_beta_from_normal`.
        concentration1: As in `logit_beta_from_normal`; from 1e-2 to 1e5.
        concentration0: As in `logit_beta_from_normal`; from 1e-2 to 1e5.

    Returns:
        The values, of the broadcast shape and the common dtype; absolute errors in float32 up to
        4e-5 where a concentration is below 0.05 and the mode of y is near.

    Raises:
        TypeError: If the common dtype is neither float32 nor float64.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> round(float(far_logit_beta_from_normal(-12.0, 1.0, 1.0)), 2)  # log Phi(-12)
        -75.41
    """
    arguments = as_floats("far_logit_beta_from_normal", eps, concentration1, concentration0)
    return _by_integral(*arguments)


def beta_from_normal(eps: ArrayLike, concentration1: ArrayLike, concentration0: ArrayLike) -> Array:
    """A beta variate from standard-normal noise, by inversion of its CDF.

        I_z(a, b) = Phi(eps)

    Args:
        eps: As in `logit_beta_from_normal`.
        concentration1: As in `logit_beta_from_normal`.
        concentration0: As in `logit_beta_from_normal`.

    Returns:
        The values in [0, 1], of the broadcast shape and the common dtype: 0 or 1 where that is what
        z rounds to, which is usual for small concentrations (use `logit_beta_from_normal` there).

    Raises:
        TypeError: If the common dtype is neither float32 nor float64.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> round(float(beta_from_normal(0.5, 1.0, 1.0)), 4)  # Phi(1/2)
        0.6915
    """
    arguments = as_floats("beta_from_normal", eps, concentration1, concentration0)
    return _quantile(*arguments)


def log_betainc(concentration1: ArrayLike, concentration0: ArrayLike, x: ArrayLike) -> Array:
    """The logarithm of the regularized incomplete beta function: the beta log CDF.

        log I_x(a, b),  I_x(a, b) = 1/B(a, b) integral_0^x t^(a-1) (1-t)^(b-1) dt

    The upper tail is I_{1-x}(b, a): `log_betainc(b, a, 1 - x)`.

    Args:
        concentration1: a, from 1e-2 to 1e5; any shape that broadcasts with x.
        concentration0: b, from 1e-2 to 1e5.
        x: In [0, 1]; 0 gives -inf, 1 gives 0.

    Returns:
        The values, of the broadcast shape and the common dtype, right to rounding also where I
        underflows. NaN where an argument is out of range. Derivatives in all arguments.

    Raises:
        TypeError: If the common dtype is neither float32 nor float64.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> round(float(log_betainc(2.0, 1.0, 0.5)), 5)  # log(1/4)
        -1.38629
    """
    return _log_lower(*as_floats("log_betainc", concentration1, concentration0, x))


def normal_from_beta(y: ArrayLike, concentration1: ArrayLike, concentration0: ArrayLike) -> Array:
    """The standard-normal noise that `logit_beta_from_normal` makes y of: its inverse in eps.

        eps with Phi(eps) = I_z(a, b),  y = log z - log(1 - z)

    Args:
        y: The logit of a beta variate; any shape that broadcasts with the concentrations.
        concentration1: As in `logit_beta_from_normal`.
        concentration0: As in `logit_beta_from_normal`.

    Returns:
        The values, of the broadcast shape and the common dtype; -inf and inf at -inf and inf.
        Derivatives in all arguments.

    Raises:
        TypeError: If the common dtype is neither float32 nor float64.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> round(float(normal_from_beta(logit_beta_from_normal(0.5, 3.0, 2.0), 3.0, 2.0)), 4)
        0.5
    """
    return _score(*as_floats("normal_from_beta", y, concentration1, concentration0))


class _Tail:
    """The right tail at y = log(a / b) + u. Neither y nor u has derivatives; a and b may have."""

    def __init__(self, a: Array, b: Array, constants: Array, u: Array) -> None:
        self.a, self.b, self.n = a, b, a + b
        self.constants = constants
        self.u = u = stop_gradient(u)
        p, q = stop_gradient(a / self.n), stop_gradient(b / self.n)
        # z = p e^u / (q + p e^u), from the exponential that does not overflow
        right = u > 0
        small, fallen = jnp.exp(-jnp.abs(u)), -jnp.expm1(-jnp.abs(u))
        this, other = jnp.where(right, p, q), jnp.where(right, q, p)
        whole = this + other * small
        below = 1 / whole
        self.z = jnp.where(right, p, p * small) * below
        self.q = jnp.where(right, q * small, q) * below
        # log p - log z and log q - log(1 - z), which may be close to 0 each
        missing = other * fallen
        near = missing < 0.5
        less = jnp.where(near, log1p(-jnp.where(near, missing, 0)), jnp.log(whole))
        least = math.exp(-LARGEST_EXPONENT)
        more = log1p(this * fallen / jnp.maximum(small, least))
        more = more + jnp.maximum(jnp.abs(u) - LARGEST_EXPONENT, 0)
        self.moved = jnp.where(right, less, more), jnp.where(right, more, less)
        # -h' = (a + b) z - a, from u: near the centre the two terms are nearly the same
        slope = stop_gradient(b) * p * jnp.where(right, fallen, -fallen) * below
        self.slope = slope - zero_with_derivative(a, self.q) + zero_with_derivative(b, self.z)
        self.curvature = self.n * self.z * self.q

    def log_density_over_b(self) -> Array:
        """h(y) - log b, h the log-density of y."""
        a, b, n = self.a, self.b, self.n
        share = jnp.where(a < b, jnp.log(a / n), log1p(-b / n))
        # a log sigmoid(y) + b log sigmoid(-y) is n K(u) below its value at the centre. At fixed y
        # its derivatives in a and b are the two logarithms, against those at the centre.
        by_a = self.moved[0] + (
            zero_with_derivative(a, b / (a * n)) - zero_with_derivative(b, 1 / n)
        )
        by_b = self.moved[1] + (
            zero_with_derivative(b, a / (b * n)) - zero_with_derivative(a, 1 / n)
        )
        moved = zero_with_derivative(a, by_a) + zero_with_derivative(b, by_b)
        return (
            self.constants
            + share
            - stop_gradient(n * bernoulli_cumulant(a / n, b / n, self.u))
            - moved
        )

    def exact(self, rule: tuple[Rule, float]) -> tuple[Array, Array]:
        """R and log(b R)."""
        nodes, cut = rule
        slope = stop_gradient(self.slope + RAISED * self.z)
        fixed = (self.z, self.q, slope, stop_gradient(self.n + RAISED), self._end(slope, cut))
        return self._lowered(_raised(nodes, fixed, self.a, self.b))

    def _end(self, slope: Array, cut: float) -> Array:
        """Where the raised density has fallen by exp(-cut)."""
        z, q, n = self.z, self.q, stop_gradient(self.n + RAISED)
        end = 2 * cut / (slope + jnp.sqrt(slope * slope + 2 * cut * (n * z * q)))
        # where its asymptote, (b + 4) t + n log z, has: beyond
        bound = (cut - n * jnp.log(z)) / stop_gradient(self.b + RAISED)
        end = jnp.minimum(end, bound)
        for _ in range(3):
            # a rough value will do
            growth = jnp.exp(jnp.minimum(end, LARGEST_EXPONENT))
            weight = q + z * growth
            log_weight = jnp.log(weight) + jnp.maximum(end - LARGEST_EXPONENT, 0.0)
            fall = slope * end + jnp.maximum(n * (log_weight - z * end), 0.0)
            rise = slope + n * (z * q) * (growth - 1) / weight
            # Newton's step for log fall as a function of log t, the logarithm and the exponential
            # as quotients that agree with them to the fourth and the third order
            x = jnp.minimum(fall / cut, 1e3)
            step = fall / (end * rise) * (3 * (x - 1) * (x + 1) / (1 + x * (4 + x)))
            half = 0.5 * jnp.clip(step, -1.2, 1.5)
            end = jnp.minimum(end * (1 - half) / (1 + half), bound)
        return stop_gradient(end)

    def _lowered(self, ratio: Array) -> tuple[Array, Array]:
        for k in range(RAISED - 1, 0, -1):
            ratio = (1 + (self.n + k) * self.q * ratio) / (self.b + k)
        more = self.n * self.q * ratio
        return (1 + more) / self.b, log1p(more)


_Fixed = tuple[Array, Array, Array, Array, Array]


def _raised_moments(nodes: Rule, fixed: _Fixed, a: Array, b: Array) -> tuple[Array, Array, Array]:
    """The tail ratio of the raised density, and less its slopes in a and in b."""
    z, q, slope, n, end = fixed

    def integrands(t: Array) -> tuple[Array, Array, Array]:
        bent = bernoulli_cumulant(z, q, t)
        by_a, by_b = bent - q * t, bent + z * t
        moved = zero_with_derivative(a, by_a) + zero_with_derivative(b, by_b)
        left = jnp.exp(-(slope * t + n * bent + moved))
        return left, left * by_a, left * by_b

    return integrate(nodes, integrands, end)


# With its derivatives by hand: those of the loop in two directions would be made twice in part.
@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _raised(nodes: Rule, fixed: _Fixed, a: Array, b: Array) -> Array:
    """The tail ratio of the raised density."""
    return _raised_moments(nodes, fixed, a, b)[0]


@_raised.defjvp
def _raised_jvp(
    nodes: Rule, primals: tuple[_Fixed, Array, Array], tangents: tuple[_Fixed, Array, Array]
) -> tuple[Array, Array]:
    ratio, by_a, by_b = _raised_moments(nodes, *primals)
    _, a_dot, b_dot = tangents
    return ratio, -(by_a * a_dot + by_b * b_dot)


def _constants(a: Array, b: Array) -> Array:
    return log_factorial_excess(a + b) - (log_factorial_excess(a) + log_factorial_excess(b))


@jax.custom_jvp
def _found(constants: Array, a: Array, b: Array) -> Array:
    """`_constants(a, b)`, whose value is at hand."""
    return constants


@_found.defjvp
def _found_jvp(
    primals: tuple[Array, Array, Array], tangents: tuple[Array, Array, Array]
) -> tuple[Array, Array]:
    constants, a, b = primals
    return _found(constants, a, b), jax.jvp(_constants, (a, b), tangents[1:])[1]


def _solved(eps: Array, a: Array, b: Array) -> Array:
    """y, for valid arguments."""
    # Apart, as several arrays leave what follows and each would be made with a start of its own.
    u, sign, constants = isolated(_begun, stop_gradient(eps), stop_gradient(a), stop_gradient(b))
    constants = _found(constants, a, b)
    right = sign > 0
    a, b = jnp.where(right, a, b), jnp.where(right, b, a)
    log_size = log_ndtr(jnp.where(right, -eps, eps))
    tail = _Tail(a, b, constants, u)
    ratio, log_ratio = tail.exact(select_by_dtype(u, _FLOAT32, _FLOAT64))
    gap = log_size - (tail.log_density_over_b() + log_ratio)
    y = stop_gradient(jnp.log(a) - jnp.log(b) + u) + inverse_series_step(
        gap, ratio, tail.slope, tail.curvature
    )
    # Not found: out of the range that the start is made for.
    y = jnp.where(jnp.abs(gap) < 0.1, y, jnp.nan)
    return jnp.where(right, y, -y)


class _Rough(NamedTuple):
    """A right tail at y = log(a / b) + u, to a few per cent."""

    m: Array  # -log(1 - z)
    z: Array
    rest: Array  # 1 - z
    slope: Array
    ratio: Array
    log_tail: Array


def _rough(a: Array, b: Array, constants: Array, u: Array) -> _Rough:
    """By a normal approximation of the raised density."""
    n = a + b
    p, q = a / n, b / n
    far = jnp.maximum(u - LARGEST_EXPONENT, 0.0)
    growth = jnp.exp(jnp.clip(u, -select_by_dtype(u, 80.0, 600.0), LARGEST_EXPONENT))
    # As in `cumulant`, from the smaller of p and q, with which the terms cancel to half at worst.
    flip = p > q
    share, t = jnp.where(flip, q, p), jnp.where(flip, -u, u)
    grown = jnp.where(flip, 1 / growth, growth)
    near = t * (1 + t * (1 / 2 + t * (1 / 6)))
    more = share * jnp.where(jnp.abs(t) < 0.05, near, grown - 1)
    above = jnp.where(flip, 0.0, far)
    level = constants + jnp.log(p) - n * (log1p(more) + above - share * t)
    below = 1 / (1 + more)
    part, other = share * grown * below, jnp.where(flip, p, q) * below
    z, rest = jnp.where(flip, other, part), jnp.where(flip, part, other)
    slope = jnp.where(flip, -a, b) * more * below
    raised = (n + RAISED) * z * rest + 1e-6
    ratio = gaussian_tail_ratio(jnp.maximum(slope + RAISED * z, 0.0), raised, raised * (rest - z))
    for k in range(RAISED - 1, -1, -1):
        ratio = (1 + (n + k) * rest * ratio) / (b + k)
    m = log1p(p / q * growth) + far
    return _Rough(m, z, rest, slope, ratio, level + jnp.log(b * ratio))


def _begun(eps: Array, a: Array, b: Array) -> tuple[Array, Array, Array]:
    """A u with the right log Q up to 0.01, in float64 1e-8; 1 where that is a right tail, else -1.

    And the constants of the density. Of the two tails the smaller one, as the larger determines y
    to fewer digits; but the larger one where the smaller begins far before the mode of its raised
    density, and is long to compute.
    """
    constants = _constants(a, b)
    positive = eps > 0
    a, b = jnp.where(positive, a, b), jnp.where(positive, b, a)
    # Between that mode and the one with a and b raised by 1: chosen by the errors on both sides.
    first = _rough(a, b, constants, jnp.log((1 + 0.25 / a) / (1 + 1 / b)))
    log_upper = jnp.minimum(first.log_tail, -1e-6)
    log_size = log_ndtr(-jnp.abs(eps))
    short = log_upper > log_size
    # The same point as one of the left tail, which is what the right one leaves.
    log_lower = _rough_log1mexp(log_upper)
    ratio_below = first.ratio * jnp.exp(jnp.minimum(log_lower - log_upper, LARGEST_EXPONENT))
    log_size = jnp.where(short, log_size, log1p(-jnp.exp(log_size)))
    other = _Rough(
        -_rough_log1mexp(-first.m), first.rest, first.z, -first.slope, ratio_below, log_lower
    )
    start = jax.tree.map(lambda x, y: jnp.where(short, x, y), first, other)
    a, b = jnp.where(short, a, b), jnp.where(short, b, a)
    centre = jnp.log(a) - jnp.log(b)

    def body(_: Array, u: Array) -> Array:
        return _nearer(_rough(a, b, constants, u), log_size) - centre

    u = jax.lax.fori_loop(0, 2, body, _nearer(start, log_size) - centre)
    if u.dtype == jnp.float64:
        tail = _Tail(a, b, constants, u)
        ratio, log_ratio = tail.exact(_ROUGH)
        gap = log_size - (tail.log_density_over_b() + log_ratio)
        u = u + inverse_series_step(gap, ratio, tail.slope, tail.curvature)
    return u, jnp.where(short == positive, 1.0, -1.0).astype(u.dtype), constants


def _nearer(tail: _Rough, log_size: Array) -> Array:
    """The y where log Q is `log_size`, roughly.

    In m = -log(1 - z), dm/dy = z, as the far tail is exponential in it.
    """
    gap = log_size - tail.log_tail
    step = halley_step(gap, tail.ratio * tail.z, (tail.slope + tail.rest) / tail.z)
    m = jnp.maximum(tail.m + step, 0.1 * tail.m)
    return m + _rough_log1mexp(-m)


def _rough_log1mexp(x: Array) -> Array:
    """log(1 - e^x) for x < 0, up to 1e-5."""
    near = x > -0.05
    rest = log1p(-jnp.exp(jnp.where(near, -1.0, x)))
    return jnp.where(near, jnp.log(-x * (1 + x * (1 / 2 + x * (1 / 6)))), rest)


def _guarded(eps: Array, a: Array, b: Array) -> tuple[Array, Array, Array, Array]:
    valid = (a > 0) & (a < jnp.inf) & (b > 0) & (b < jnp.inf)
    inside = valid & (jnp.abs(eps) < jnp.inf)
    one = jnp.ones_like(a)
    return (
        valid,
        jnp.where(inside, eps, 0.0),
        jnp.where(inside, a, one),
        jnp.where(inside, b, one),
    )


def _by(solve: Callable[[Array, Array, Array], Array], eps: Array, a: Array, b: Array) -> Array:
    valid, safe, a, b = _guarded(*jnp.broadcast_arrays(eps, a, b))
    y = jnp.where(jnp.abs(eps) < jnp.inf, solve(safe, a, b), eps)
    return jnp.where(valid, y, jnp.nan)


_by_fit = with_forward_derivatives(functools.partial(_by, beta_by_fit.logit_quantile))
_by_integral = _in_blocks(functools.partial(_by, _solved))


def _logit_quantile(eps: Array, a: Array, b: Array) -> Array:
    return select_by_dtype(eps, _by_fit, _by_integral)(eps, a, b)


# The sigmoid outside of what is computed beside the slopes: there it would be made in their loop.
@jax.jit
def _quantile(eps: Array, a: Array, b: Array) -> Array:
    return sigmoid(_logit_quantile(eps, a, b))


def _log_tails(y: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """log I and log(1 - I) at a finite y."""
    u = y - (jnp.log(a) - jnp.log(b))
    # The tail on the side of y that does not hold the mode of the raised density.
    right = y > jnp.log((a + 1) / (b + 1))
    u = stop_gradient(jnp.where(right, u, -u))
    tail = _Tail(jnp.where(right, a, b), jnp.where(right, b, a), _constants(a, b), u)
    ratio, log_ratio = tail.exact(select_by_dtype(y, _FLOAT32, _FLOAT64))
    size = tail.log_density_over_b() + log_ratio
    # From the fixed point of the tail to y itself: d log Q / dy = -1 / R, to the third order.
    move = jnp.where(right, y, -y) - stop_gradient(jnp.where(right, y, -y))
    rate = 1 / ratio
    bend = (tail.slope * ratio - 1) * rate * rate
    size = size - move * (rate - 0.5 * move * bend)
    rest = log1mexp(jnp.minimum(size, -jnp.finfo(size.dtype).tiny))
    return jnp.where(right, rest, size), jnp.where(right, size, rest)


@_in_blocks
def _log_lower(a: Array, b: Array, x: Array) -> Array:
    a, b, x = jnp.broadcast_arrays(a, b, x)
    valid = (a > 0) & (a < jnp.inf) & (b > 0) & (b < jnp.inf)
    inside = valid & (x > 0) & (x < 1)
    x_safe = jnp.where(inside, x, 0.5)
    y = jnp.log(x_safe) - log1p(-x_safe)
    lower, _ = _log_tails(y, jnp.where(inside, a, 1.0), jnp.where(inside, b, 1.0))
    value = jnp.where(inside, lower, jnp.nan)
    value = jnp.where(valid & (x == 0), -jnp.inf, value)
    return jnp.where(valid & (x == 1), 0.0, value)


@_in_blocks
def _score(y: Array, a: Array, b: Array) -> Array:
    valid, safe, a, b = _guarded(*jnp.broadcast_arrays(y, a, b))
    lower, upper = _log_tails(safe, a, b)
    left = lower < upper
    score = ndtri_exp(jnp.where(left, lower, upper))
    score = jnp.where(left, score, -score)
    return jnp.where(valid, jnp.where(jnp.abs(y) < jnp.inf, score, y), jnp.nan)
