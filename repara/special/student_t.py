"""Student's t distribution: its quantile as a function of normal noise."""

from __future__ import annotations

import math

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from repara.special.beta import _score, _solved
from repara.special.elementwise import as_floats, by_dtype, pointwise
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


_LARGE = 1e5


@pointwise
def _quantile(eps: Array, df: Array) -> Array:
    eps, df = jnp.broadcast_arrays(eps, df)
    finite = (jnp.abs(eps) < jnp.inf) & (df > 0)
    e, nu = jnp.where(finite, eps, 1.0), jnp.where(finite & (df < _LARGE), df, 10.0)
    # In the middle, where z is small beside the rounding of y: the odd series in eps.
    middle = jnp.abs(e) < by_dtype(e, 0.06, 1e-3)
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
