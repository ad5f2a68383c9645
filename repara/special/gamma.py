"""The gamma distribution: its quantile as a function of normal noise, its log CDF, its score.

Nothing iterates. Each function is a fit in variables in which it is smooth
(`repara.special.fits.gamma` derives them and makes the coefficients), so value and derivatives
cost one pass of Horner's rule and no precision is lost where P or Q is close to 0 or 1.
"""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from repara.special.coefficients import gamma as fitted
from repara.special.elementary import log1mexp
from repara.special.elementwise import as_floats, select_by_dtype, with_forward_derivatives
from repara.special.normal import log_ndtr, ndtri_exp
from repara.special.polynomial import Rows, horner, horner_rows

# Few loops leave little on the way: a million elements take no longer than in blocks.
_at_once = functools.partial(with_forward_derivatives, block=None)


def gamma_from_normal(eps: ArrayLike, concentration: ArrayLike) -> Array:
    """A gamma variate of rate 1 from standard-normal noise, by inversion of its CDF.

        P(a, z) = Phi(eps),  dz/da = -(dP(a, z)/da) / p(z),  dz/deps = phi(eps) / p(z)

    with a the concentration, P the regularized lower incomplete gamma function and p the density.

    Args:
        eps: Standard-normal noise; any shape that broadcasts with the concentration. In [-6, 6] for
            float32 and [-8.5, 8.5] for float64, which no normal generator of that precision leaves;
            outside NaN, but -inf and inf, which give 0 and inf.
        concentration: Positive; NaN gives NaN, and so does anything that is not positive.

    Returns:
        The values, of the broadcast shape and the common dtype. Relative errors are below 4 eps
        (1 + condition number) in float32 and 1e-11 in float64, for concentrations from 1e-4 up;
        they underflow to 0 where z does (use `log_gamma_from_normal` below a concentration of about
        0.1). Derivatives of any order; the first of the same accuracy.

    Raises:
        TypeError: If the common dtype is neither float32 nor float64.
        ValueError: If the shapes do not broadcast.

    Source: large concentrations, Temme (1992), "Asymptotic inversion of incomplete gamma
    functions", Math. Comp. 58, with fitted coefficients; small ones, `repara.special.fits.gamma`.

    Example:
        >>> z = gamma_from_normal(jnp.array([-1.0, 0.0, 1.0]), 1.0)  # -log(1 - Phi(eps))
        >>> [round(float(v), 3) for v in z]
        [0.173, 0.693, 1.841]
    """
    return _quantile(*as_floats("gamma_from_normal", eps, concentration))


def log_gamma_from_normal(eps: ArrayLike, concentration: ArrayLike) -> Array:
    """The logarithm of `gamma_from_normal`, for concentrations so small that z itself underflows.

        log z,  P(a, z) = Phi(eps)

    Args:
        eps: As in `gamma_from_normal`.
        concentration: As in `gamma_from_normal`.

    Returns:
        The values, of the broadcast shape and the common dtype: about log(Phi(eps)) / concentration
        for small concentrations. eps = -inf gives -inf.

    Other variates are made of independent ones of these, each with noise of its own, smoothly and
    with no number that underflows: `softmax` of them over an axis is Dirichlet, the difference of
    two is the logit of a beta variate, and eps exp(-(log z - log(df / 2)) / 2) with concentration
    df / 2 is Student's t.

    Raises:
        TypeError: If the common dtype is neither float32 nor float64.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> round(float(log_gamma_from_normal(-1.0, 1e-3)), 1)
        -1841.6
    """
    return _log_quantile(*as_floats("log_gamma_from_normal", eps, concentration))


def log_gammainc(concentration: ArrayLike, x: ArrayLike) -> Array:
    """The logarithm of the regularized lower incomplete gamma function: the gamma log CDF.

        log P(a, x),  P(a, x) = 1/Gamma(a) integral_0^x t^(a-1) e^-t dt

    Args:
        concentration: Positive; any shape that broadcasts with x.
        x: Not negative; 0 gives -inf, inf gives 0.

    Returns:
        The values, of the broadcast shape and the common dtype, right to rounding (about 1e-6 and
        1e-11 relative to the larger of |log P| and P) also where P underflows or rounds to 1.
        NaN where an argument is out of range. Derivatives in both arguments.

    Raises:
        TypeError: If the common dtype is neither float32 nor float64.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> round(float(log_gammainc(1.0, 2.0)), 5)  # log(1 - e^-2)
        -0.14541
    """
    return _log_lower(*as_floats("log_gammainc", concentration, x))


def log_gammaincc(concentration: ArrayLike, x: ArrayLike) -> Array:
    """The logarithm of the regularized upper incomplete gamma function.

        log Q(a, x),  Q(a, x) = 1 - P(a, x)

    Args:
        concentration: As in `log_gammainc`.
        x: As in `log_gammainc`.

    Returns:
        As `log_gammainc`.

    Raises:
        TypeError: If the common dtype is neither float32 nor float64.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> float(log_gammaincc(1.0, 200.0))
        -200.0
    """
    return _log_upper(*as_floats("log_gammaincc", concentration, x))


def normal_from_gamma(z: ArrayLike, concentration: ArrayLike) -> Array:
    """The standard-normal noise that `gamma_from_normal` makes z of: its inverse in eps.

        eps with Phi(eps) = P(a, z)

    Args:
        z: Positive; any shape that broadcasts with the concentration. 0 gives -inf, inf gives inf.
        concentration: Positive.

    Returns:
        The values, of the broadcast shape and the common dtype; right to rounding in both tails,
        also where P or Q underflows. NaN where an argument is out of range. Derivatives in both
        arguments.

    Raises:
        TypeError: If the common dtype is neither float32 nor float64.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> float(normal_from_gamma(gamma_from_normal(0.5, 3.0), 3.0))
        0.5...
    """
    z, concentration = as_floats("normal_from_gamma", z, concentration)
    return _score(concentration, z)


# --- the quantile ---


def _minus_log_ndtr(eps: Array) -> Array:
    """-log Phi(eps) within the fitted range."""
    return minus_log_tails(eps)[0]


def minus_log_tails(eps: Array) -> tuple[Array, Array]:
    """-log Phi(eps) and -log Phi(-eps) in the fitted range: one exponential, no logarithm."""
    left, right, least = select_by_dtype(
        eps,
        (fitted.LEFT_FLOAT32, fitted.RIGHT_FLOAT32, fitted.S_FLOAT32),
        (fitted.LEFT_FLOAT64, fitted.RIGHT_FLOAT64, fitted.S_FLOAT64),
    )
    r = jnp.where(eps > 0, eps, -eps)
    s = (2 / (1 - least)) * ((4 - r) / (4 + r)) - (1 + least) / (1 - least)
    half = 0.5 * r * r
    large, small = half + horner(left, s), jnp.exp(-half - horner(right, s))
    return jnp.where(eps > 0, small, large), jnp.where(eps > 0, large, small)


@jax.custom_jvp
def _mass(x: Array) -> Array:
    """M = -log(1 - e^-x), x > 0, with one exponential and one logarithm."""
    _, y, v = _odds(x)
    u = v / (2 - v)
    series = u * horner(select_by_dtype(x, fitted.LOG1P_FLOAT32, fitted.LOG1P_FLOAT64), u * u)
    return jnp.where(x < math.log(2), -jnp.log(y), series)


def _odds(x: Array) -> tuple[Array, Array, Array]:
    """V / (1 - v), 1 - v without cancellation, and v = e^-x kept to at most 1/2."""
    near = x < math.log(2)
    v = jnp.exp(-x)
    small = jnp.where(near, x, 0.5)
    series = small * horner(select_by_dtype(x, fitted.EXPM1_FLOAT32, fitted.EXPM1_FLOAT64), small)
    y = jnp.where(near, series, 1 - v)
    return v / y, y, jnp.where(near, 0.5, v)


@_mass.defjvp
def _mass_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    return _mass(*primals), -_odds(*primals)[0] * tangents[0]


def _small(eps: Array, a: Array) -> tuple[Array, Array, Array]:
    """X = -log(Phi(eps)) / a, m = -log(1 - e^-x) and R with z = m e^R, for a <= seam."""
    x = _minus_log_ndtr(eps) / a
    m = _mass(x)
    rows = select_by_dtype(a, fitted.SMALL_FLOAT32, fitted.SMALL_FLOAT64)
    tau = 2 / select_by_dtype(a, fitted.TAU_FLOAT32, fitted.TAU_FLOAT64) * (m / (m + 8)) - 1
    # log(1 + a), not log1p(a): only the absolute error counts
    b = 2 / select_by_dtype(a, fitted.B_FLOAT32, fitted.B_FLOAT64) * jnp.log(1 + a) - 1
    return x, m, horner_rows(rows, tau, b)


def _large(eps: Array, a: Array) -> Array:
    """L = log(z / a) for a >= seam: powers of w = 1/a outside, of eps inside.

    Only the few outer steps depend on the concentration; its derivative costs next to nothing.
    """
    even, odd = select_by_dtype(
        a,
        (fitted.LARGE_EVEN_FLOAT32, fitted.LARGE_ODD_FLOAT32),
        (fitted.LARGE_EVEN_FLOAT64, fitted.LARGE_ODD_FLOAT64),
    )
    scaled = eps / select_by_dtype(a, fitted.NOISE_FLOAT32, fitted.NOISE_FLOAT64)
    square, w = scaled * scaled, 1 / a
    root = jnp.sqrt(w)
    return root * eps + w * (_outer(even, w, square) + scaled * root * _outer(odd, w, square))


def _outer(rows: Rows, w: Array, square: Array) -> Array:
    value = horner(rows[-1], square)
    for row in reversed(rows[:-1]):
        value = value * w + horner(row, square)
    return value


def _regimes(eps: Array, a: Array) -> tuple[Array, Array, Array, Array, Array]:
    """Which regime, whether in range, and arguments that are safe in each of the two regimes."""
    seam = select_by_dtype(a, fitted.SEAM_FLOAT32, fitted.SEAM_FLOAT64)
    bound = select_by_dtype(a, fitted.NOISE_FLOAT32, fitted.NOISE_FLOAT64)
    is_small = a <= seam
    valid = (a > 0) & (eps <= bound) & (eps >= -bound)
    return (
        is_small,
        valid,
        jnp.where(valid, eps, 0.0),
        jnp.where(is_small & (a > 0), a, 1.0),
        jnp.where(is_small | jnp.isnan(a), seam, a),
    )


@_at_once
def _quantile(eps: Array, a: Array) -> Array:
    is_small, valid, safe, a_small, a_large = _regimes(eps, a)
    _, m, r = _small(safe, a_small)
    z = jnp.where(is_small, m, a_large) * jnp.exp(jnp.where(is_small, r, _large(safe, a_large)))
    return jnp.where(valid, z, jnp.where((eps == -jnp.inf) & (a > 0), 0.0, _above(eps, a)))


@_at_once
def _log_quantile(eps: Array, a: Array) -> Array:
    log_small, log_ratio, (is_small, valid, _, _, a_large) = _logs(eps, a)
    log_z = jnp.where(is_small, log_small, jnp.log(a_large) + log_ratio)
    return jnp.where(valid, log_z, jnp.where((eps == -jnp.inf) & (a > 0), -jnp.inf, _above(eps, a)))


@_at_once
def _log_ratio_quantile(eps: Array, a: Array) -> Array:
    """log(z / a), with the digits that log z loses where a is large; NaN out of range."""
    log_small, log_ratio, (is_small, valid, _, a_small, _) = _logs(eps, a)
    return jnp.where(valid, jnp.where(is_small, log_small - jnp.log(a_small), log_ratio), jnp.nan)


def _logs(eps: Array, a: Array) -> tuple[Array, Array, tuple[Array, ...]]:
    """log z for small a, log(z / a) for large ones, and `_regimes`."""
    regimes = _regimes(eps, a)
    _, _, safe, a_small, a_large = regimes
    x, m, r = _small(safe, a_small)
    # m is e^-x (1 + e^-x / 2 + ...): to the last digit e^-x here, long before it underflows.
    tiny = x > select_by_dtype(a, 20.0, 40.0)
    log_m = jnp.where(tiny, -x, jnp.log(jnp.where(tiny, 1.0, m)))
    return log_m + r, _large(safe, a_large), regimes


def _above(eps: Array, a: Array) -> Array:
    return jnp.where((eps == jnp.inf) & (a > 0), jnp.inf, jnp.nan)


# --- the distribution function ---


def _log_kernel(a: Array, z: Array) -> Array:
    """log(z^a e^-z / Gamma(a + 1))."""
    return a * jnp.log(z) - z - jax.lax.lgamma(a + 1)


def _central_score(a: Array, z: Array) -> Array:
    """Eps for a >= 1 and log(z / a) within the fitted range: Temme's eta and its correction."""
    low, high = select_by_dtype(a, fitted.X_FLOAT32, fitted.X_FLOAT64)
    ratio = (z - a) / a  # exact near z = a, where the score is a difference
    x = jnp.log1p(ratio)
    s = (2 * x - (low + high)) / (high - low)
    w = 1 / a
    eta = x * horner(select_by_dtype(a, fitted.ETA_FLOAT32, fitted.ETA_FLOAT64), s)
    rows = select_by_dtype(a, fitted.SCORE_FLOAT32, fitted.SCORE_FLOAT64)
    return jnp.sqrt(a) * (eta + w * horner_rows(rows, s, (2 / fitted.OVERLAP_FLOAT64) * w - 1))


def _small_log_lower(a: Array, z: Array) -> Array:
    """Log P for a <= 1 and z up to 12: a log(1 - e^-m), m = z e^-S."""
    rows = select_by_dtype(a, fitted.MASS_FLOAT32, fitted.MASS_FLOAT64)
    top = select_by_dtype(a, fitted.Z_FLOAT32, fitted.Z_FLOAT64)
    t = (2 * (top + 8) / top) * (z / (z + 8)) - 1
    m = z * jnp.exp(
        -horner_rows(rows, t, (2 / math.log1p(fitted.OVERLAP_FLOAT64)) * jnp.log(1 + a) - 1)
    )
    return a * log1mexp(-m)


def _left_log_lower(a: Array, z: Array) -> Array:
    """Log P for z <= a e^-3 by the power series, DLMF 8.7.1, each term 1/20 of the last."""
    total = term = jnp.ones_like(z)
    for n in range(1, select_by_dtype(a, 7, 14)):
        term = term * (z / (a + n))
        total = total + term
    return _log_kernel(a, z) + jnp.log(total)


def _right_log_upper(a: Array, z: Array) -> Array:
    """Log Q for z >= 12 max(a, 1) by the continued fraction DLMF 8.9.2, from its tail."""
    f = jnp.zeros_like(z)
    for n in range(select_by_dtype(a, 8, 20), 0, -1):
        f = n * (a - n) / (z + (2 * n + 1) - a + f)
    return _log_kernel(a, z) + jnp.log(a) - jnp.log(z + 1 - a + f)


def _tails(a: Array, z: Array) -> tuple[Array, Array, Array]:
    """The score, log P and log Q; each from whichever of the four pieces holds at (a, z)."""
    a, z = jnp.broadcast_arrays(a, z)
    valid = (a > 0) & (a < jnp.inf) & (z > 0) & (z < jnp.inf)
    a, z = jnp.where(valid, a, 1.0), jnp.where(valid, z, 1.0)
    small = (a < 1) & (z <= 12)
    left = (a >= 1) & (z < a * math.exp(-3))
    right = ~small & ~left & (z > 12 * jnp.maximum(a, 1))
    central = ~(small | left | right)
    score = _central_score(jnp.where(central, a, 1.0), jnp.where(central, z, 1.0))
    lower = jnp.where(
        left,
        _left_log_lower(jnp.where(left, a, 1.0), jnp.where(left, z, 0.01)),
        _small_log_lower(jnp.where(small, a, 1.0), jnp.where(small, z, 1.0)),
    )
    upper = _right_log_upper(jnp.where(right, a, 1.0), jnp.where(right, z, 20.0))
    return _assemble(score, lower, upper, central, right)


def _assemble(
    score: Array, lower: Array, upper: Array, central: Array, right: Array
) -> tuple[Array, Array, Array]:
    lower = jnp.where(right, log1mexp(upper), lower)
    upper = jnp.where(right, upper, log1mexp(lower))
    flipped = lower > upper
    outer = ndtri_exp(jnp.where(central, -1.0, jnp.minimum(lower, upper)))
    inner = jnp.where(central, score, 0.0)
    return (
        jnp.where(central, score, jnp.where(flipped, -outer, outer)),
        jnp.where(central, log_ndtr(inner), lower),
        jnp.where(central, log_ndtr(-inner), upper),
    )


def _edges(a: Array, z: Array, value: Array, at_zero: float, at_infinity: float) -> Array:
    """The limits at z = 0 and z = inf, and NaN out of range."""
    inside = (a > 0) & (a < jnp.inf)
    value = jnp.where(inside & (z > 0) & (z < jnp.inf), value, jnp.nan)
    value = jnp.where(inside & (z == 0), at_zero, value)
    return jnp.where(inside & (z == jnp.inf), at_infinity, value)


@_at_once
def _score(a: Array, z: Array) -> Array:
    return _edges(a, z, _tails(a, z)[0], -jnp.inf, jnp.inf)


@_at_once
def _log_lower(a: Array, z: Array) -> Array:
    return _edges(a, z, _tails(a, z)[1], -jnp.inf, 0.0)


@_at_once
def _log_upper(a: Array, z: Array) -> Array:
    return _edges(a, z, _tails(a, z)[2], 0.0, -jnp.inf)
