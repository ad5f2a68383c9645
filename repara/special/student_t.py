"""Student's t distribution: its quantile as a function of normal noise.

The quantile is a fit in variables in which it is smooth (`repara.special.fits.student_t` derives
them and makes the coefficients): one up to 4 degrees of freedom and one beyond. In float64 the
first is up to 64, and is no fit: a beta quantile is solved for.
"""

from __future__ import annotations

import math

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from repara.special.beta import _score, _solved
from repara.special.coefficients import student_t as fitted
from repara.special.coefficients.gamma import EXPM1_FLOAT32, EXPM1_FLOAT64
from repara.special.elementwise import as_floats, select_by_dtype, with_forward_derivatives
from repara.special.polynomial import horner, horner_rows
from repara.special.stirling import log_factorial_excess
from repara.special.tail_integral import central_series


def student_t_from_normal(eps: ArrayLike, df: ArrayLike) -> Array:
    """A Student-t variate from standard-normal noise, by inversion of its CDF.

        z = sqrt(df) sinh(y / 2),  I_sigmoid(y)(df / 2, df / 2) = Phi(eps)

    as (1 + z / sqrt(df + z^2)) / 2 is a beta variate of concentrations df / 2.

    Args:
        eps: Standard-normal noise; any shape that broadcasts with df. In [-13, 13] for float32 and
            [-38, 38] for float64, beyond which no probability is a normal number; outside NaN, but
            -inf and inf, which give themselves.
        df: Degrees of freedom, from 0.3 to infinity, the normal distribution.

    Returns:
        The values, of the broadcast shape and the common dtype; NaN where df is not positive.
        Relative errors are below 4 eps (1 + condition number) in float32 and 1e-11 in float64.
        Derivatives of any order in both arguments; the first to 2e-5 and 1e-10.

    Raises:
        TypeError: If the common dtype is neither float32 nor float64.
        ValueError: If the shapes do not broadcast.

    Source: large df, Temme (1982), "The uniform asymptotic expansion of a class of integrals
    related to cumulative distribution functions", SIAM J. Math. Anal. 13, with fitted coefficients;
    small ones, `repara.special.fits.student_t`.

    Example:
        >>> z = student_t_from_normal(jnp.array([-1.0, 0.0, 1.0]), 1.0)  # tan(pi (Phi(eps) - 1/2))
        >>> [round(float(v), 3) + 0.0 for v in z]
        [-1.837, 0.0, 1.837]
    """
    return _quantile(*as_floats("student_t_from_normal", eps, df))


def normal_from_student_t(z: ArrayLike, df: ArrayLike) -> Array:
    """The standard-normal noise that `student_t_from_normal` makes z of: its inverse in eps.

        eps with Phi(eps) = F(z; df)

    Args:
        z: Any real number; any shape that broadcasts with df.
        df: As in `student_t_from_normal`.

    Returns:
        The values, of the broadcast shape and the common dtype.

    Raises:
        TypeError: If the common dtype is neither float32 nor float64.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> round(float(normal_from_student_t(student_t_from_normal(0.5, 3.0), 3.0)), 4)
        0.5
    """
    z, df = jnp.broadcast_arrays(*as_floats("normal_from_student_t", z, df))
    y = 2 * jnp.arcsinh(z / jnp.sqrt(df))
    return _score(y, 0.5 * df, 0.5 * df)


@with_forward_derivatives
def _quantile(eps: Array, df: Array) -> Array:
    eps, df = jnp.broadcast_arrays(eps, df)
    seam, bound = select_by_dtype(
        eps,
        (fitted.SEAM_FLOAT32, fitted.BOUND_FLOAT32),
        (fitted.SEAM_FLOAT64, fitted.BOUND_FLOAT64),
    )
    is_small = df <= seam
    valid = (df > 0) & (eps <= bound) & (eps >= -bound)
    safe = jnp.where(valid, eps, 1.0)
    # not abs(eps): its derivative at 0 is taken to be 0
    size = jnp.where(safe < 0, -safe, safe)
    small = select_by_dtype(eps, _small, _small_solved)(
        size, jnp.where(is_small & (df > 0), df, 1.0)
    )
    large = _large(size, jnp.where(is_small | jnp.isnan(df), seam, df))
    z = jnp.where(is_small, small, large)
    z = jnp.where(safe < 0, -z, z)
    infinite = (df > 0) & (jnp.abs(eps) == jnp.inf)
    return jnp.where(valid, z, jnp.where(infinite, eps, jnp.nan))


def _fall(x: Array) -> Array:
    """(1 - e^-x) / x for x >= 0."""
    near = x < math.log(2)
    safe = jnp.where(near, 1.0, x)
    series = horner(select_by_dtype(x, EXPM1_FLOAT32, EXPM1_FLOAT64), jnp.where(near, x, 0.0))
    return jnp.where(near, series, (1 - jnp.exp(-safe)) / safe)


def _large(e: Array, df: Array) -> Array:
    """z = sqrt(df (e^u - 1)), u = q (1 + w g) with q = e^2 / df and w = 1 / df, for df >= seam."""
    rows, w_top, t_top = select_by_dtype(
        e,
        (fitted.LARGE_FLOAT32, fitted.W_FLOAT32, fitted.T_FLOAT32),
        (fitted.LARGE_FLOAT64, fitted.W_FLOAT64, fitted.T_FLOAT64),
    )
    w = 1 / df
    q = e * e * w
    growth = 1 + w * horner_rows(rows, (2 / t_top) * (q / (q + 6)) - 1, (2 / w_top) * w - 1)
    u = q * growth
    return e * jnp.exp(0.5 * u) * jnp.sqrt(growth * _fall(u))


def _small(e: Array, df: Array) -> Array:
    """sqrt(df) sinh(x / 2) e^R with x = 2 l / df, l = -log(2 Phi(-e)), for df <= seam; float32."""
    least = fitted.LEAST_FLOAT32
    t = (2 / (1 - least)) * ((4 - e) / (4 + e)) - (1 + least) / (1 - least)
    log_size = e * (0.5 * e + horner(fitted.NOISE_FLOAT32, t))
    x = 2 * log_size / df
    p = jnp.exp(-x)
    # log(1 + df), not log1p(df): only the absolute error counts
    b = (2 / fitted.B_FLOAT32) * jnp.log(1 + df) - 1
    r = horner_rows(fitted.SMALL_FLOAT32, 2 * (p / (2 - p)) - 1, b)
    # in two halves, as the exponential may overflow where z does not
    half = jnp.exp(0.5 * (0.5 * x + r))
    return (0.5 * jnp.sqrt(df) * (x * _fall(x)) * half) * half


def _small_solved(e: Array, df: Array) -> Array:
    """The same in float64, from the beta quantile."""
    slope = _slope(df)
    rate = slope * slope * (df + 1) / df
    # In the middle, where z is small beside the rounding of y: the odd series in eps.
    middle = e * e * rate < 0.035**2
    half = 0.5 * df
    y = _solved(jnp.where(middle, 1.0, e), half, half)
    outer = jnp.sqrt(df) * jnp.sinh(0.5 * y)
    # log p falls by (df + 1) / 2 log(1 + z^2 / df)
    first = 0.5 * (df + 1) / df
    fall = first, -0.5 * first / df, first / (3 * df * df)
    return jnp.where(middle, central_series(jnp.where(middle, e, 0.0), slope, fall), outer)


def _slope(df: Array) -> Array:
    """dz/deps at 0."""
    # The density at 0 is that of y / (2 sqrt(df)), 2^-df / B(df / 2, df / 2), by sqrt(df) / 2.
    excess = log_factorial_excess(df) - 2 * log_factorial_excess(0.5 * df)
    log_peak = excess + 0.5 * jnp.log(df) - math.log(2)
    return jnp.exp(-0.5 * math.log(2 * math.pi) - log_peak)
