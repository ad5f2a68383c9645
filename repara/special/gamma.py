"""The gamma distribution: variates from normal noise, the inverse, and the log CDF.

Nothing iterates. Each function is a fit in variables in which it is smooth
(`repara.special.fits.gamma` derives them and makes the coefficients). Value and derivatives cost
one pass of Horner's rule, and no precision is lost if P or Q is close to 0 or 1.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from repara.special.coefficients import gamma as fitted
from repara.special.constants import NOISE_BOUND_FLOAT32, NOISE_BOUND_FLOAT64
from repara.special.elementary import log1mexp, minus_log_complement
from repara.special.elementwise import as_floats, select_by_dtype, with_forward_derivatives
from repara.special.normal import log_ndtr, minus_log_tails, ndtri_exp
from repara.special.polynomial import Rows, horner, horner_rows

__all__ = [
    "GammaTails",
    "gamma_from_normal",
    "gamma_tails",
    "log_gamma_from_normal",
    "log_gammainc",
    "log_gammaincc",
    "log_growth_of_mass",
    "log_ratio_from_normal",
    "normal_from_gamma",
]

# These functions have few loops and hold few arrays: blocks would save no time.
_without_blocks = functools.partial(with_forward_derivatives, block=None)


def gamma_from_normal(eps: ArrayLike, concentration: ArrayLike) -> Array:
    """Computes a gamma variate of rate 1 from standard-normal noise, by inversion of its CDF.

        P(a, z) = Phi(eps),  dz/da = -(dP(a, z)/da) / p(z),  dz/deps = phi(eps) / p(z)

    Here a is the concentration, P the regularized lower incomplete gamma function and p the
    density.

    Args:
      eps: standard-normal noise; any shape that broadcasts with the concentration. In [-6, 6] for
        float32 and [-8.5, 8.5] for float64, ranges that no normal generator of that precision
        leaves. NaN outside, except that -inf gives 0 and inf gives inf.
      concentration: positive; anything else gives NaN.

    Returns:
      The variates, of the broadcast shape and the common dtype. Relative errors are below 4 eps
      (1 + condition number) in float32 and 1e-11 in float64, for concentrations from 1e-4 up. They
      underflow to 0 if z does; use `log_gamma_from_normal` for concentrations below about 0.1.
      Derivatives of any order exist; the first ones have the same accuracy.

    Raises:
      TypeError: the common dtype is neither float32 nor float64.
      ValueError: the shapes do not broadcast.

    References:
      Temme (1992), "Asymptotic inversion of incomplete gamma functions", Math. Comp. 58, for large
      concentrations, here with fitted coefficients; DLMF 8.12, https://dlmf.nist.gov/8.12

    Example:
      >>> z = gamma_from_normal(jnp.array([-1.0, 0.0, 1.0]), 1.0)  # -log(1 - Phi(eps))
      >>> [round(float(v), 3) for v in z]
      [0.173, 0.693, 1.841]
    """
    return _gamma(*as_floats("gamma_from_normal", eps, concentration))


def log_gamma_from_normal(eps: ArrayLike, concentration: ArrayLike) -> Array:
    """Computes the logarithm of `gamma_from_normal`, also if the variate itself underflows.

        log z,  P(a, z) = Phi(eps)

    Other variates follow from independent ones of these, each with its own noise, smoothly and
    without numbers that underflow. `softmax` of them over an axis is Dirichlet. The difference of
    two is the logit of a beta variate. eps exp(-(log z - log(df / 2)) / 2) with concentration
    df / 2 is Student's t.

    Args:
      eps: as in `gamma_from_normal`.
      concentration: as in `gamma_from_normal`.

    Returns:
      The logarithms, of the broadcast shape and the common dtype: about log(Phi(eps)) /
      concentration for small concentrations. eps = -inf gives -inf.

    Raises:
      TypeError: the common dtype is neither float32 nor float64.
      ValueError: the shapes do not broadcast.

    Example:
      >>> round(float(log_gamma_from_normal(-1.0, 1e-3)), 1)
      -1841.6
    """
    return _log_gamma(*as_floats("log_gamma_from_normal", eps, concentration))


def log_gammainc(concentration: ArrayLike, x: ArrayLike) -> Array:
    """Computes the log of the regularized lower incomplete gamma function: the gamma log CDF.

        log P(a, x),  P(a, x) = 1/Gamma(a) integral_0^x t^(a-1) e^-t dt

    Args:
      concentration: a, positive; any shape that broadcasts with x.
      x: nonnegative; 0 gives -inf, inf gives 0.

    Returns:
      The values, of the broadcast shape and the common dtype, accurate to rounding (about 1e-6 and
      1e-11 relative to the larger of |log P| and P), also if P underflows or rounds to 1. NaN if an
      argument is out of range. Derivatives exist in both arguments.

    Raises:
      TypeError: the common dtype is neither float32 nor float64.
      ValueError: the shapes do not broadcast.

    References:
      DLMF 8.2.4, https://dlmf.nist.gov/8.2.E4

    Example:
      >>> round(float(log_gammainc(1.0, 2.0)), 5)  # log(1 - e^-2)
      -0.14541
    """
    return _log_lower_tail(*as_floats("log_gammainc", concentration, x))


def log_gammaincc(concentration: ArrayLike, x: ArrayLike) -> Array:
    """Computes the logarithm of the regularized upper incomplete gamma function.

        log Q(a, x),  Q(a, x) = 1 - P(a, x)

    Args:
      concentration: as in `log_gammainc`.
      x: as in `log_gammainc`; 0 gives 0, inf gives -inf.

    Returns:
      As `log_gammainc`.

    Raises:
      TypeError: the common dtype is neither float32 nor float64.
      ValueError: the shapes do not broadcast.

    Example:
      >>> float(log_gammaincc(1.0, 200.0))
      -200.0
    """
    return _log_upper_tail(*as_floats("log_gammaincc", concentration, x))


def normal_from_gamma(z: ArrayLike, concentration: ArrayLike) -> Array:
    """Computes the noise from which `gamma_from_normal` makes z: its inverse in eps.

        eps with Phi(eps) = P(a, z)

    Args:
      z: positive; any shape that broadcasts with the concentration. 0 gives -inf, inf gives inf.
      concentration: a, positive.

    Returns:
      The noise, of the broadcast shape and the common dtype, accurate to rounding in both tails,
      also if P or Q underflows. NaN if an argument is out of range. Derivatives exist in both
      arguments.

    Raises:
      TypeError: the common dtype is neither float32 nor float64.
      ValueError: the shapes do not broadcast.

    Example:
      >>> float(normal_from_gamma(gamma_from_normal(0.5, 3.0), 3.0))
      0.5...
    """
    z, concentration = as_floats("normal_from_gamma", z, concentration)
    return _normal(concentration, z)


# --- variates ---


def log_growth_of_mass(m: Array, a: Array) -> Array:
    """Computes R in z = m exp(R), where P(a, z) = (1 - e^-m)^a.

    Args:
      m: nonnegative numbers.
      a: concentrations from 0 to the seam of the fits: 8 in float32, 16 in float64.

    Returns:
      R, of the broadcast shape.

    Example:
      >>> one = jnp.float32(1.0)
      >>> round(abs(float(log_growth_of_mass(one, one))), 5)  # z = m at a = 1
      0.0
    """
    rows, tau_end, b_end = select_by_dtype(
        a,
        (fitted.SMALL_FLOAT32, fitted.TAU_FLOAT32, fitted.B_FLOAT32),
        (fitted.SMALL_FLOAT64, fitted.TAU_FLOAT64, fitted.B_FLOAT64),
    )
    tau = 2 / tau_end * (m / (m + fitted.MIDPOINT)) - 1
    # log(1 + a), not log1p(a): only the absolute error counts
    b = 2 / b_end * jnp.log(1 + a) - 1
    return horner_rows(rows, tau, b)


class _Small(NamedTuple):
    """z = m e^R, for concentrations up to the seam."""

    x: Array  # -log(Phi(eps)) / a
    m: Array  # -log(1 - e^-x)
    log_growth: Array  # R


def _small(eps: Array, a: Array) -> _Small:
    x = minus_log_tails(eps)[0] / a
    m = minus_log_complement(x)
    return _Small(x, m, log_growth_of_mass(m, a))


def _large(eps: Array, a: Array) -> Array:
    """log(z / a) for a >= seam: powers of w = 1/a outside, of eps inside.

    Only the few outer steps depend on the concentration, so its derivative costs almost nothing.
    """
    even, odd = select_by_dtype(
        a,
        (fitted.LARGE_EVEN_FLOAT32, fitted.LARGE_ODD_FLOAT32),
        (fitted.LARGE_EVEN_FLOAT64, fitted.LARGE_ODD_FLOAT64),
    )
    scaled = eps / select_by_dtype(a, NOISE_BOUND_FLOAT32, NOISE_BOUND_FLOAT64)
    square, w = scaled * scaled, 1 / a
    root = jnp.sqrt(w)
    return root * eps + w * (_series(even, w, square) + scaled * root * _series(odd, w, square))


def _series(rows: Rows, w: Array, square: Array) -> Array:
    value = horner(rows[-1], square)
    for row in reversed(rows[:-1]):
        value = value * w + horner(row, square)
    return value


class _Regimes(NamedTuple):
    """Which regime, and arguments that are safe in each of the two."""

    is_small: Array  # a is at most the seam
    valid: Array  # both arguments are in range
    eps: Array
    a_small: Array
    a_large: Array


def _regimes(eps: Array, a: Array) -> _Regimes:
    seam = select_by_dtype(a, fitted.SEAM_FLOAT32, fitted.SEAM_FLOAT64)
    bound = select_by_dtype(a, NOISE_BOUND_FLOAT32, NOISE_BOUND_FLOAT64)
    is_small = a <= seam
    valid = (a > 0) & (eps <= bound) & (eps >= -bound)
    return _Regimes(
        is_small,
        valid,
        jnp.where(valid, eps, 0.0),
        jnp.where(is_small & (a > 0), a, 1.0),
        jnp.where(is_small | jnp.isnan(a), seam, a),
    )


@_without_blocks
def _gamma(eps: Array, a: Array) -> Array:
    at = _regimes(eps, a)
    small = _small(at.eps, at.a_small)
    log_growth = jnp.where(at.is_small, small.log_growth, _large(at.eps, at.a_large))
    z = jnp.where(at.is_small, small.m, at.a_large) * jnp.exp(log_growth)
    return jnp.where(at.valid, z, _at_infinity(eps, a, 0.0))


@_without_blocks
def _log_gamma(eps: Array, a: Array) -> Array:
    at = _regimes(eps, a)
    log_small, log_ratio = _logs(at)
    log_z = jnp.where(at.is_small, log_small, jnp.log(at.a_large) + log_ratio)
    return jnp.where(at.valid, log_z, _at_infinity(eps, a, -jnp.inf))


@_without_blocks
def log_ratio_from_normal(eps: Array, a: Array) -> Array:
    """Computes log(z / a) with the digits that log z loses if a is large.

        P(a, z) = Phi(eps)

    Args:
      eps: normal noise, float32 or float64.
      a: concentrations, of the same rank and dtype.

    Returns:
      The values, of the broadcast shape; NaN out of range.

    Example:
      >>> round(float(log_ratio_from_normal(jnp.float32(1.0), jnp.float32(1e8))), 7)  # about 1e-4
      0.0001
    """
    at = _regimes(eps, a)
    log_small, log_ratio = _logs(at)
    value = jnp.where(at.is_small, log_small - jnp.log(at.a_small), log_ratio)
    return jnp.where(at.valid, value, jnp.nan)


def _logs(at: _Regimes) -> tuple[Array, Array]:
    """log z for small a, and log(z / a) for large ones."""
    small = _small(at.eps, at.a_small)
    # m is e^-x (1 + e^-x / 2 + ...). Here it is e^-x to the last digit, long before it underflows.
    tiny = small.x > select_by_dtype(at.eps, 20.0, 40.0)
    log_m = jnp.where(tiny, -small.x, jnp.log(jnp.where(tiny, 1.0, small.m)))
    return log_m + small.log_growth, _large(at.eps, at.a_large)


def _at_infinity(eps: Array, a: Array, lower: float) -> Array:
    """`lower` and inf for infinite noise, NaN for anything else."""
    upper = jnp.where((eps == jnp.inf) & (a > 0), jnp.inf, jnp.nan)
    return jnp.where((eps == -jnp.inf) & (a > 0), lower, upper)


# --- the distribution function ---


def _log_kernel(a: Array, z: Array) -> Array:
    """log(z^a e^-z / Gamma(a + 1))."""
    return a * jnp.log(z) - z - jax.lax.lgamma(a + 1)


def _central_normal(a: Array, z: Array) -> Array:
    """eps for a >= 1 and log(z / a) within the fitted range: Temme's eta and its correction."""
    low, high = select_by_dtype(a, fitted.X_FLOAT32, fitted.X_FLOAT64)
    ratio = (z - a) / a  # exact near z = a, where eps is a difference
    x = jnp.log1p(ratio)
    s = (2 * x - (low + high)) / (high - low)
    w = 1 / a
    eta = x * horner(select_by_dtype(a, fitted.ETA_FLOAT32, fitted.ETA_FLOAT64), s)
    rows = select_by_dtype(a, fitted.SCORE_FLOAT32, fitted.SCORE_FLOAT64)
    return jnp.sqrt(a) * (eta + w * horner_rows(rows, s, (2 / fitted.OVERLAP_FLOAT64) * w - 1))


def _log_lower_of_small(a: Array, z: Array) -> Array:
    """log P for a <= 1 and z up to 12: a log(1 - e^-m), m = z e^-S."""
    rows = select_by_dtype(a, fitted.MASS_FLOAT32, fitted.MASS_FLOAT64)
    top = select_by_dtype(a, fitted.Z_FLOAT32, fitted.Z_FLOAT64)
    t = (2 * (top + fitted.MIDPOINT) / top) * (z / (z + fitted.MIDPOINT)) - 1
    m = z * jnp.exp(
        -horner_rows(rows, t, (2 / math.log1p(fitted.OVERLAP_FLOAT64)) * jnp.log(1 + a) - 1)
    )
    return a * log1mexp(-m)


def _log_lower_of_left(a: Array, z: Array) -> Array:
    """log P for z <= a e^-3 by the power series, DLMF 8.7.1, each term 1/20 of the last."""
    total = term = jnp.ones_like(z)
    for n in range(1, select_by_dtype(a, 7, 14)):
        term = term * (z / (a + n))
        total = total + term
    return _log_kernel(a, z) + jnp.log(total)


def _log_upper_of_right(a: Array, z: Array) -> Array:
    """log Q for z >= 12 max(a, 1) by the continued fraction DLMF 8.9.2, from its tail."""
    f = jnp.zeros_like(z)
    for n in range(select_by_dtype(a, 8, 20), 0, -1):
        f = n * (a - n) / (z + (2 * n + 1) - a + f)
    return _log_kernel(a, z) + jnp.log(a) - jnp.log(z + 1 - a + f)


class GammaTails(NamedTuple):
    """The gamma distribution function at a point.

    Attributes:
      normal: the eps with Phi(eps) = P(a, z).
      log_lower: log P.
      log_upper: log Q.
    """

    normal: Array
    log_lower: Array
    log_upper: Array


def gamma_tails(a: Array, z: Array) -> GammaTails:
    """Computes eps with Phi(eps) = P(a, z), log P and log Q.

    Each comes from whichever of four pieces holds at (a, z): a power series, a continued fraction,
    and two fits.

    Args:
      a: positive concentrations.
      z: positive numbers, of a shape that broadcasts with a.

    Returns:
      The three values; those at a = z = 1 if an argument is invalid.

    References:
      DLMF 8.7.1 and 8.9.2, https://dlmf.nist.gov/8.7.E1, https://dlmf.nist.gov/8.9.E2

    Example:
      >>> tails = gamma_tails(jnp.float32(1.0), jnp.float32(2.0))
      >>> round(float(tails.log_upper), 5)  # e^-2
      -2.0
    """
    a, z = jnp.broadcast_arrays(a, z)
    valid = (a > 0) & (a < jnp.inf) & (z > 0) & (z < jnp.inf)
    a, z = jnp.where(valid, a, 1.0), jnp.where(valid, z, 1.0)
    small = (a < 1) & (z <= 12)
    left = (a >= 1) & (z < a * math.exp(-3))
    right = ~small & ~left & (z > 12 * jnp.maximum(a, 1))
    central = ~(small | left | right)
    normal = _central_normal(jnp.where(central, a, 1.0), jnp.where(central, z, 1.0))
    lower = jnp.where(
        left,
        _log_lower_of_left(jnp.where(left, a, 1.0), jnp.where(left, z, 0.01)),
        _log_lower_of_small(jnp.where(small, a, 1.0), jnp.where(small, z, 1.0)),
    )
    upper = _log_upper_of_right(jnp.where(right, a, 1.0), jnp.where(right, z, 20.0))
    return _assemble(normal, lower, upper, central, right)


def _assemble(
    normal: Array, lower: Array, upper: Array, central: Array, right: Array
) -> GammaTails:
    """All three values, from `normal` where central, from `upper` where right, or from `lower`."""
    lower = jnp.where(right, log1mexp(upper), lower)
    upper = jnp.where(right, upper, log1mexp(lower))
    flipped = lower > upper
    outer = ndtri_exp(jnp.where(central, -1.0, jnp.minimum(lower, upper)))
    inner = jnp.where(central, normal, 0.0)
    return GammaTails(
        jnp.where(central, normal, jnp.where(flipped, -outer, outer)),
        jnp.where(central, log_ndtr(inner), lower),
        jnp.where(central, log_ndtr(-inner), upper),
    )


def _with_limits(a: Array, z: Array, value: Array, at_zero: float, at_infinity: float) -> Array:
    """The limits at z = 0 and z = inf, and NaN out of range."""
    inside = (a > 0) & (a < jnp.inf)
    value = jnp.where(inside & (z > 0) & (z < jnp.inf), value, jnp.nan)
    value = jnp.where(inside & (z == 0), at_zero, value)
    return jnp.where(inside & (z == jnp.inf), at_infinity, value)


@_without_blocks
def _normal(a: Array, z: Array) -> Array:
    return _with_limits(a, z, gamma_tails(a, z).normal, -jnp.inf, jnp.inf)


@_without_blocks
def _log_lower_tail(a: Array, z: Array) -> Array:
    return _with_limits(a, z, gamma_tails(a, z).log_lower, -jnp.inf, 0.0)


@_without_blocks
def _log_upper_tail(a: Array, z: Array) -> Array:
    return _with_limits(a, z, gamma_tails(a, z).log_upper, 0.0, -jnp.inf)
