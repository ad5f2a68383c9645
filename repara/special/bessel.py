"""The logarithm of the scaled modified Bessel function K1."""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from repara.special.constants import EULER_GAMMA
from repara.special.elementwise import as_floats, select_by_dtype, with_forward_derivatives
from repara.special.polynomial import horner
from repara.special.quadrature import Rule, integrate

__all__ = ["log_k1e"]


def log_k1e(x: ArrayLike) -> Array:
    """Computes the logarithm of the scaled modified Bessel function of the second kind K1.

        log(e^x K1(x)),   K1(x) = integral_0^inf exp(-x cosh t) cosh t dt

    It does not underflow for large x.

    Args:
      x: positive numbers of any shape.

    Returns:
      The values, like x, with absolute errors of a few units of rounding; inf at 0, NaN for
      negative x. Derivatives of any order exist.

    Raises:
      TypeError: the dtype is neither float32 nor float64.

    References:
      DLMF 10.32.9 for the integral, in which x (cosh t - 1) = s^2 is substituted, and 10.31.1 for
      the series below 1, https://dlmf.nist.gov/10.32.E9, https://dlmf.nist.gov/10.31.E1

    Example:
      >>> round(float(log_k1e(2.0)), 5)
      0.03293
    """
    return _log_k1e(*as_floats("log_k1e", x))


def _trapezoids(count: int, step: float) -> Rule:
    """Points and weights for an even function that vanishes beyond count * step."""
    weights = np.full(count, step)
    weights[0] = 0.5 * step
    return step * np.arange(count), weights


# The error is exp(-2 pi d / step). d is the distance of the singularity, sqrt(2 x), or that at
# which exp(-s^2) grows as fast, pi / step, whichever is smaller. At the last point exp(-s^2) is
# below rounding.
_FLOAT32 = _trapezoids(9, 0.5)
_FLOAT64 = _trapezoids(27, 0.23)
# With w = x^2 / 4: K1(x) = 1 / x + log(x / 2) I1(x) - (x / 4) sum_k (psi(k + 1) + psi(k + 2)) w^k /
# (k! (k + 1)!), I1(x) = (x / 2) sum_k w^k / (k! (k + 1)!). At x = 1 each term is 1/4 / k^2 of the
# last.
_PSI = np.cumsum([-EULER_GAMMA, *(1 / k for k in range(1, 12))]).tolist()
_I1 = [1 / (math.factorial(k) * math.factorial(k + 1)) for k in range(10)]
_SUM = [c * (_PSI[k] + _PSI[k + 1]) for k, c in enumerate(_I1)]


@with_forward_derivatives
def _log_k1e(x: Array) -> Array:
    near = x < 1
    small, large = jnp.where(near & (x > 0), x, 0.5), jnp.where(near | ~(x < jnp.inf), 1.0, x)
    half = 0.5 * small
    w, terms = half * half, select_by_dtype(x, 6, 10)
    series = 1 + small * half * (
        jnp.log(half) * horner(_I1[:terms], w) - 0.5 * horner(_SUM[:terms], w)
    )

    def integrand(s: Array) -> Array:
        square = s * s
        ratio = square / large
        return jnp.exp(-square) * (1 + ratio) / jnp.sqrt(1 + 0.5 * ratio)

    far = integrate(select_by_dtype(x, _FLOAT32, _FLOAT64), integrand, jnp.ones_like(large))
    outer = jnp.log(far) + 0.5 * (math.log(2) - jnp.log(jnp.where(x < jnp.inf, large, x)))
    value = jnp.where(near, jnp.log(series) - jnp.log(small) + small, outer)
    return jnp.where(x > 0, value, jnp.where(x == 0, jnp.inf, jnp.nan))
