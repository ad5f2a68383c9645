"""Student's t distribution: variates from normal noise, and the inverse.

The variate is a fit in variables in which it is smooth (`repara.special.fits.student_t` derives
them and makes the coefficients): one fit for up to 4 degrees of freedom and one beyond. In float64
the second fit starts at 64 degrees of freedom; below, a beta variate is solved for.
"""

from __future__ import annotations

import math

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from repara.special.beta import normal_from_beta
from repara.special.beta_integral import solve_logit
from repara.special.coefficients import student_t as fitted
from repara.special.constants import HALF_LOG_2PI
from repara.special.elementary import minus_expm1_minus_over
from repara.special.elementwise import as_floats, select_by_dtype, with_forward_derivatives
from repara.special.normal import scaled_radius
from repara.special.polynomial import horner, horner_rows
from repara.special.stirling import log_factorial_excess
from repara.special.tail_integral import central_series

__all__ = ["normal_from_student_t", "student_t_from_normal"]


def student_t_from_normal(eps: ArrayLike, df: ArrayLike) -> Array:
    """Computes a Student-t variate from standard-normal noise, by inversion of its CDF.

        z = sqrt(df) sinh(y / 2),  I_sigmoid(y)(df / 2, df / 2) = Phi(eps)

    because (1 + z / sqrt(df + z^2)) / 2 is a beta variate of concentrations df / 2.

    Args:
      eps: standard-normal noise; any shape that broadcasts with df. In [-13, 13] for float32 and
        [-38, 38] for float64, beyond which no probability is a normal floating-point number. NaN
        outside, except that -inf and inf give themselves.
      df: degrees of freedom, from 0.3 to infinity, which is the normal distribution.

    Returns:
      The variates, of the broadcast shape and the common dtype; NaN if df is not positive. Relative
      errors are below 4 eps (1 + condition number) in float32 and 1e-11 in float64. Derivatives of
      any order exist in both arguments; the first ones are accurate to 2e-5 and 1e-10.

    Raises:
      TypeError: the common dtype is neither float32 nor float64.
      ValueError: the shapes do not broadcast.

    References:
      Temme (1982), "The uniform asymptotic expansion of a class of integrals related to cumulative
      distribution functions", SIAM J. Math. Anal. 13, for large df, here with fitted
      coefficients; DLMF 8.18, https://dlmf.nist.gov/8.18

    Example:
      >>> z = student_t_from_normal(jnp.array([-1.0, 0.0, 1.0]), 1.0)  # tan(pi (Phi(eps) - 1/2))
      >>> [round(float(v), 3) + 0.0 for v in z]
      [-1.837, 0.0, 1.837]
    """
    return _student_t(*as_floats("student_t_from_normal", eps, df))


def normal_from_student_t(z: ArrayLike, df: ArrayLike) -> Array:
    """Computes the noise from which `student_t_from_normal` makes z: its inverse in eps.

        eps with Phi(eps) = F(z; df)

    Args:
      z: any real number; any shape that broadcasts with df.
      df: as in `student_t_from_normal`.

    Returns:
      The noise, of the broadcast shape and the common dtype.

    Raises:
      TypeError: the common dtype is neither float32 nor float64.
      ValueError: the shapes do not broadcast.

    Example:
      >>> round(float(normal_from_student_t(student_t_from_normal(0.5, 3.0), 3.0)), 4)
      0.5
    """
    z, df = jnp.broadcast_arrays(*as_floats("normal_from_student_t", z, df))
    y = 2 * jnp.arcsinh(z / jnp.sqrt(df))
    return normal_from_beta(y, 0.5 * df, 0.5 * df)


@with_forward_derivatives
def _student_t(eps: Array, df: Array) -> Array:
    eps, df = jnp.broadcast_arrays(eps, df)
    seam, bound = select_by_dtype(
        eps,
        (fitted.SEAM_FLOAT32, fitted.BOUND_FLOAT32),
        (fitted.SEAM_FLOAT64, fitted.BOUND_FLOAT64),
    )
    is_small = df <= seam
    valid = (df > 0) & (eps <= bound) & (eps >= -bound)
    safe = jnp.where(valid, eps, 1.0)
    # not abs(eps), whose derivative at 0 jax defines as 0
    size = jnp.where(safe < 0, -safe, safe)
    small = select_by_dtype(eps, _small_by_fit, _small_by_integral)(
        size, jnp.where(is_small & (df > 0), df, 1.0)
    )
    large = _large(size, jnp.where(is_small | jnp.isnan(df), seam, df))
    z = jnp.where(is_small, small, large)
    z = jnp.where(safe < 0, -z, z)
    infinite = (df > 0) & (jnp.abs(eps) == jnp.inf)
    return jnp.where(valid, z, jnp.where(infinite, eps, jnp.nan))


def _large(e: Array, df: Array) -> Array:
    """z = sqrt(df (e^u - 1)), u = q (1 + w g) with q = e^2 / df and w = 1 / df, for df >= seam."""
    rows, w_top, t_top = select_by_dtype(
        e,
        (fitted.LARGE_FLOAT32, fitted.W_FLOAT32, fitted.T_FLOAT32),
        (fitted.LARGE_FLOAT64, fitted.W_FLOAT64, fitted.T_FLOAT64),
    )
    w = 1 / df
    q = e * e * w
    t = (2 / t_top) * (q / (q + fitted.MIDPOINT)) - 1
    growth = 1 + w * horner_rows(rows, t, (2 / w_top) * w - 1)
    u = q * growth
    return e * jnp.exp(0.5 * u) * jnp.sqrt(growth * minus_expm1_minus_over(u))


def _small_by_fit(e: Array, df: Array) -> Array:
    """sqrt(df) sinh(x / 2) e^R with x = 2 l / df, l = -log(2 Phi(-e)), for df <= seam; float32."""
    t = scaled_radius(e, fitted.LEAST_FLOAT32)
    log_size = e * (0.5 * e + horner(fitted.NOISE_FLOAT32, t))
    x = 2 * log_size / df
    p = jnp.exp(-x)
    # log(1 + df), not log1p(df): only the absolute error counts
    b = (2 / fitted.B_FLOAT32) * jnp.log(1 + df) - 1
    r = horner_rows(fitted.SMALL_FLOAT32, 2 * (p / (2 - p)) - 1, b)
    # in two halves, because the exponential may overflow although z does not
    half = jnp.exp(0.5 * (0.5 * x + r))
    return (0.5 * jnp.sqrt(df) * (x * minus_expm1_minus_over(x)) * half) * half


def _small_by_integral(e: Array, df: Array) -> Array:
    """The same in float64, from a beta variate."""
    derivative = _derivative_at_zero(df)
    rate = derivative * derivative * (df + 1) / df
    # In the middle, where z is smaller than the rounding error of y: the odd series in eps.
    middle = e * e * rate < 0.035**2
    half = 0.5 * df
    y = solve_logit(jnp.where(middle, 1.0, e), half, half)
    outer = jnp.sqrt(df) * jnp.sinh(0.5 * y)
    # log p decreases by (df + 1) / 2 log(1 + z^2 / df)
    first = 0.5 * (df + 1) / df
    decrease = first, -0.5 * first / df, first / (3 * df * df)
    inner = central_series(jnp.where(middle, e, 0.0), derivative, decrease)
    return jnp.where(middle, inner, outer)


def _derivative_at_zero(df: Array) -> Array:
    """dz/deps at 0."""
    # The density at 0 is that of y / (2 sqrt(df)), 2^-df / B(df / 2, df / 2), by sqrt(df) / 2.
    excess = log_factorial_excess(df) - 2 * log_factorial_excess(0.5 * df)
    log_peak = excess + 0.5 * jnp.log(df) - math.log(2)
    return jnp.exp(-HALF_LOG_2PI - log_peak)
