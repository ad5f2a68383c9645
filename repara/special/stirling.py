"""The logarithm of the factorial less the leading terms of Stirling's formula."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from repara.special.coefficients import stirling as fitted
from repara.special.constants import HALF_LOG_2PI
from repara.special.elementary import log1p
from repara.special.elementwise import select_by_dtype
from repara.special.polynomial import horner

__all__ = ["log_factorial_excess", "log_factorial_excess_of_count"]


def log_factorial_excess(x: Array) -> Array:
    """Computes what log Gamma(1 + x) exceeds x log x - x by, for positive x.

        log Gamma(1 + x) - x log x + x

    It tends to 0 for x -> 0 and is about log(2 pi x) / 2 for large x. Nothing cancels, in value or
    derivative: 1 + x goes into Stirling's formula, whose remainder is a fitted polynomial in
    1 / (1 + x).

    Args:
      x: positive numbers, float32 or float64.

    Returns:
      The values, like x; NaN at 0 (see `log_factorial_excess_of_count`) and below.

    References:
      DLMF 5.11.1, https://dlmf.nist.gov/5.11.E1

    Example:
      >>> round(float(log_factorial_excess(jnp.float32(1.0))), 6)  # log 1! - 0 + 1
      1.0
    """
    w = 1 / (1 + x)
    polynomial = select_by_dtype(x, fitted.STIRLING_FLOAT32, fitted.STIRLING_FLOAT64)
    remainder = w * horner(polynomial, w + w - 1)
    return remainder + (x * log1p(1 / x) + 0.5 * log1p(x)) + (HALF_LOG_2PI - 1.0)


def log_factorial_excess_of_count(x: Array) -> Array:
    """Computes `log_factorial_excess` for counts from 0 up; it is 0 at 0.

        log x! - x log x + x

    Args:
      x: numbers from 0 up, float32 or float64.

    Returns:
      The values, like x.

    Example:
      >>> [round(float(v), 4) for v in log_factorial_excess_of_count(jnp.array([0.0, 2.0]))]
      [0.0, 1.3069]
    """
    positive = x > 0
    return jnp.where(positive, log_factorial_excess(jnp.where(positive, x, 1)), 0)
