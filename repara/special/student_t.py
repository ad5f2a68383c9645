"""Student's t distribution: its quantile as a function of normal noise.

In float32 nothing iterates: the quantile is a fit in variables in which it is smooth, one below and
one above 4 degrees of freedom (`repara.special.fits.student_t` derives them and makes the
coefficients). In float64 it is solved for, as a beta quantile.
"""

from __future__ import annotations

import math

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from repara.special import _student_t_coefficients as fitted
from repara.special._gamma_coefficients import EXPM1_FLOAT32
from repara.special.beta import _score, _solved
from repara.special.elementwise import as_floats, pointwise
from repara.special.polynomial import horner, horner_rows
from repara.special.tails import log_factorial_excess


def student_t_quantile(eps: ArrayLike, df: ArrayLike) -> Array:
    """A Student-t variate from standard-normal noise, by inversion of its CDF.

        z = sqrt(df) sinh(y / 2),  I_sigmoid(y)(df / 2, df / 2) = Phi(eps)

    as (1 + z / sqrt(df + z^2)) / 2 is a beta variate of concentrations df / 2.

    Args:
        eps: Standard-normal noise; any shape that broadcasts with df. -inf and inf give themselves.
        df: Degrees of freedom, from 0.3 to 1e5, beyond which z is eps to the last digit but one of
            float32; from 1e5 to infinity the first terms of the expansion in 1 / df are used.

    Returns:
        The values, of the broadcast shape and the common dtype; NaN where df is not positive.
        Derivatives of any order in both arguments.

    Raises:
        TypeError: If the common dtype is neither float32 nor float64.
        ValueError: If the shapes do not broadcast.

    Source: for large df, Abramowitz & Stegun 26.7.5.

    Example:
        >>> z = student_t_quantile(jnp.array([-1.0, 0.0, 1.0]), 1.0)  # tan(pi (Phi(eps) - 1/2))
        >>> [round(float(v), 3) + 0.0 for v in z]
        [-1.837, 0.0, 1.837]
    """
    return _quantile(*as_floats("student_t_quantile", eps, df))


def student_t_normal_score(z: ArrayLike, df: ArrayLike) -> Array:
    """The standard-normal noise that `student_t_quantile` makes z of: its inverse in eps.

        eps with Phi(eps) = F(z; df)

    Args:
        z: Any real number; any shape that broadcasts with df.
        df: As in `student_t_quantile`.

    Returns:
        The values, of the broadcast shape and the common dtype.

    Raises:
        TypeError: If the common dtype is neither float32 nor float64.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> round(float(student_t_normal_score(student_t_quantile(0.5, 3.0), 3.0)), 4)
        0.5
    """
    z, df = jnp.broadcast_arrays(*as_floats("student_t_normal_score", z, df))
    y = 2 * jnp.arcsinh(z / jnp.sqrt(df))
    return _score(y, 0.5 * df, 0.5 * df)


@pointwise
def _quantile(eps: Array, df: Array) -> Array:
    eps, df = jnp.broadcast_arrays(eps, df)
    return _fitted(eps, df) if eps.dtype == jnp.float32 else _from_beta(eps, df)


# --- float32: the fits ---


def _fitted(eps: Array, df: Array) -> Array:
    is_small = df <= fitted.SEAM
    bound = fitted.NOISE_BOUND
    valid = (df > 0) & (eps <= bound) & (eps >= -bound)
    safe = jnp.where(valid, eps, 1.0)
    # not abs(eps): its derivative at 0 is taken to be 0
    size = jnp.where(safe < 0, -safe, safe)
    small = _small(size, jnp.where(is_small & (df > 0), df, 1.0))
    large = _large(size, jnp.where(is_small | jnp.isnan(df), fitted.SEAM, df))
    z = jnp.where(is_small, small, large)
    z = jnp.where(safe < 0, -z, z)
    infinite = (df > 0) & (jnp.abs(eps) == jnp.inf)
    return jnp.where(valid, z, jnp.where(infinite, eps, jnp.nan))


def _fall(x: Array) -> Array:
    """(1 - e^-x) / x for x >= 0."""
    near = x < math.log(2)
    safe = jnp.where(near, 1.0, x)
    return jnp.where(
        near, horner(EXPM1_FLOAT32, jnp.where(near, x, 0.0)), (1 - jnp.exp(-safe)) / safe
    )


def _small(e: Array, df: Array) -> Array:
    """sqrt(df) sinh(x / 2) e^R with x = 2 l / df, l = -log(2 Phi(-e)), for df <= seam."""
    t = (2 / (1 - fitted.T)) * ((4 - e) / (4 + e)) - (1 + fitted.T) / (1 - fitted.T)
    log_size = e * (0.5 * e + horner(fitted.NOISE, t))
    x = 2 * log_size / df
    p = jnp.exp(-x)
    # log(1 + df), not log1p(df): only the absolute error counts
    r = horner_rows(fitted.SMALL, 2 * (p / (2 - p)) - 1, (2 / fitted.B) * jnp.log(1 + df) - 1)
    # in two halves, as the exponential may overflow where z does not
    half = jnp.exp(0.5 * (0.5 * x + r))
    return (log_size / jnp.sqrt(df) * _fall(x) * half) * half


def _large(e: Array, df: Array) -> Array:
    """z = sqrt(df (e^u - 1)), u = q (1 + w g) with q = e^2 / df and w = 1 / df, for df >= seam."""
    w = 1 / df
    q = e * e * w
    g = horner_rows(fitted.LARGE, (2 / fitted.Q) * (q / (q + 6)) - 1, (2 / fitted.W) * w - 1)
    growth = 1 + w * g
    u = q * growth
    return e * jnp.exp(0.5 * u) * jnp.sqrt(growth * _fall(u))


# --- float64: a beta quantile ---

_LARGE = 1e5


def _from_beta(eps: Array, df: Array) -> Array:
    finite = (jnp.abs(eps) < jnp.inf) & (df > 0)
    e, nu = jnp.where(finite, eps, 1.0), jnp.where(finite & (df < _LARGE), df, 10.0)
    # In the middle, where z is small beside the rounding of y: the odd series in eps.
    middle = jnp.abs(e) < 1e-3
    half = 0.5 * nu
    y = _solved(jnp.where(middle, 1.0, e), half, half)
    outer = jnp.sqrt(nu) * jnp.sinh(0.5 * y)
    z = jnp.where(middle, _central(jnp.where(middle, e, 0.0), nu), outer)
    z = jnp.where(df >= _LARGE, _nearly_normal(e, 1 / jnp.where(df >= _LARGE, df, _LARGE)), z)
    return jnp.where(df > 0, jnp.where(finite, z, eps), jnp.nan)


def _central(e: Array, nu: Array) -> Array:
    """To eps^5: dz/deps = phi(eps) / p(z), p(z) = p(0) (1 + z^2 / nu)^(-(nu + 1) / 2)."""
    # p_y(0) = 2^-nu / B(nu / 2, nu / 2), and z = sqrt(nu) y / 2 there
    excess = log_factorial_excess(nu) - 2 * log_factorial_excess(0.5 * nu)
    log_peak = excess + 0.5 * jnp.log(nu) - math.log(2)
    slope = jnp.exp(-0.5 * math.log(2 * math.pi) - log_peak)
    r = (nu + 1) / nu * slope * slope
    cubic = (r - 1) / 6
    square = slope * slope / nu
    fifth = (7 * r * r - 10 * r + 3 - 6 * r * square) / 120
    s = e * e
    return slope * e * (1 + s * (cubic + s * fifth))


def _nearly_normal(e: Array, w: Array) -> Array:
    s = e * e
    first = (s + 1) / 4
    second = ((5 * s + 16) * s + 3) / 96
    third = (((3 * s + 19) * s + 17) * s - 15) / 384
    return e * (1 + w * (first + w * (second + w * third)))
