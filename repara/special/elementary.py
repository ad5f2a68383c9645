"""Elementary functions whose values and derivatives lose no digits to cancellation."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from repara.special.coefficients import elementary as fitted
from repara.special.constants import (
    ATANH_SERIES,
    BERNOULLI_NUMBERS,
    EXPM1_MINUS_SERIES,
    EXPM1_SERIES,
)
from repara.special.elementwise import select_by_dtype
from repara.special.polynomial import horner

__all__ = [
    "expm1_minus",
    "expm1_over",
    "log1mexp",
    "log1p",
    "log1p_over",
    "log_sinh_over",
    "minus_expm1_minus_over",
    "minus_log_complement",
    "sigmoid",
    "softplus",
    "tanh",
]


# log(sinh(x) / x) = sum_n 4^n B_2n x^2n / (2n (2n)!), DLMF 4.19.7 at an imaginary argument.
_LOG_SINH = [0.0] + [
    4**n * b / (2 * n * math.factorial(2 * n)) for n, b in enumerate(BERNOULLI_NUMBERS, start=1)
]


def expm1_minus(x: jax.Array) -> jax.Array:
    """Computes exp(x) - 1 - x, without cancellation near 0.

    Args:
      x: any real numbers.

    Returns:
      The difference, of the shape and dtype of x; nonnegative, inf if exp(x) overflows.

    Example:
      >>> float(expm1_minus(jnp.float32(0.0)))
      0.0
    """
    near = jnp.abs(x) < 0.5
    small = jnp.where(near, x, 0)
    return jnp.where(near, small**2 * horner(EXPM1_MINUS_SERIES, small), jnp.expm1(x) - x)


def expm1_over(x: jax.Array) -> jax.Array:
    """Computes expm1(x) / x, which is 1 at x = 0.

    Args:
      x: any real numbers.

    Returns:
      The quotient, of the shape and dtype of x; positive, inf if exp(x) overflows.

    Example:
      >>> float(jax.grad(expm1_over)(0.0))
      0.5
    """
    near = jnp.abs(x) < 0.5
    small, large = jnp.where(near, x, 0), jnp.where(near, 1, x)
    return jnp.where(near, horner(EXPM1_SERIES, small), jnp.expm1(large) / large)


@jax.custom_jvp
def log1p(x: jax.Array) -> jax.Array:
    """Computes log(1 + x), faster than `jnp.log1p` on a CPU.

        log(1 + x) = 2 atanh(s) = 2 s (1 + s^2/3 + s^4/5 + ...),   s = x / (2 + x)

    The series is for |x| < 1/4; otherwise it is the plain logarithm. The usual correction for the
    rounding of 1 + x would be wrong here: compiled into two kernels, with and without a fused
    multiplication, 1 + x can be two different numbers.

    Args:
      x: numbers above -1.

    Returns:
      The logarithm, of the shape and dtype of x, to a few units in the last place.

    Example:
      >>> float(log1p(jnp.float32(1e-10))) == float(jnp.float32(1e-10))
      True
    """
    near = jnp.abs(x) < 0.25
    small = jnp.where(near, x, 0)
    # The next term is below a quarter of the rounding error: 7^-8 / 9 and 7^-18 / 19.
    terms = 4 if jnp.finfo(x.dtype).bits <= 32 else 9
    s = small / (2 + small)
    return jnp.where(near, 2 * s * horner(ATANH_SERIES[:terms], s * s), jnp.log(1 + x))


@log1p.defjvp
def _log1p_jvp(
    primals: tuple[jax.Array], tangents: tuple[jax.Array]
) -> tuple[jax.Array, jax.Array]:
    (x,), (dx,) = primals, tangents
    return log1p(x), dx / (1 + x)


def log1p_over(x: jax.Array) -> jax.Array:
    """Computes log1p(x) / x, which is 1 at x = 0.

    Args:
      x: numbers above -1.

    Returns:
      The quotient, of the shape and dtype of x; positive.

    Example:
      >>> float(jax.grad(log1p_over)(0.0))
      -0.5
    """
    near = jnp.abs(x) < 0.5
    small, large = jnp.where(near, x, 0), jnp.where(near, 1, x)
    # log1p(x) = 2 atanh(s), s = x / (2 + x): |s| <= 1/3 and the series runs in s^2.
    s = small / (2 + small)
    return jnp.where(near, 2 / (2 + small) * horner(ATANH_SERIES, s * s), jnp.log1p(large) / large)


def log_sinh_over(x: jax.Array) -> jax.Array:
    """Computes log(sinh(x) / x), which is 0 at x = 0.

    Args:
      x: any real numbers.

    Returns:
      The logarithm, of the shape and dtype of x; nonnegative, and close to |x| - log(2 |x|) for
      large |x|, for which sinh itself would overflow.

    Example:
      >>> float(log_sinh_over(jnp.float32(0.0)))
      0.0
    """
    near = jnp.abs(x) < 0.5
    small, large = jnp.where(near, x, 0), jnp.abs(jnp.where(near, 1, x))
    far = large + jnp.log1p(-jnp.exp(-2 * large)) - jnp.log(2 * large)
    return jnp.where(near, horner(_LOG_SINH, small * small), far)


def log1mexp(x: jax.Array) -> jax.Array:
    """Computes log(1 - e^x) for negative x without cancellation.

    Args:
      x: negative numbers.

    Returns:
      The logarithm, like x; -inf at 0.

    References:
      Maechler (2012), "Accurately computing log(1 - exp(-|a|))",
      https://cran.r-project.org/web/packages/Rmpfr/vignettes/log1mexp-note.pdf

    Example:
      >>> round(float(log1mexp(jnp.float32(-1e-10))), 3)  # log(1e-10)
      -23.026
    """
    near = x > -math.log(2)
    return jnp.where(
        near,
        jnp.log(-jnp.expm1(jnp.where(near, x, -1.0))),
        log1p(-jnp.exp(jnp.where(near, -1.0, x))),
    )


def minus_expm1_minus_over(x: jax.Array) -> jax.Array:
    """Computes (1 - e^-x) / x for nonnegative x, with one exponential.

    Args:
      x: numbers from 0 up, float32 or float64.

    Returns:
      The quotient in (0, 1], like x.

    Example:
      >>> round(float(minus_expm1_minus_over(jnp.float32(1e-6))), 6)
      1.0
    """
    near = x < math.log(2)
    safe = jnp.where(near, 1.0, x)
    series = horner(
        select_by_dtype(x, fitted.EXPM1_FLOAT32, fitted.EXPM1_FLOAT64), jnp.where(near, x, 0.0)
    )
    return jnp.where(near, series, (1 - jnp.exp(-safe)) / safe)


@jax.custom_jvp
def minus_log_complement(x: jax.Array) -> jax.Array:
    """Computes -log(1 - e^-x) for positive x, with one exponential and one logarithm.

    If x is minus the logarithm of a probability, the value is that of the complementary one.

    Args:
      x: positive numbers, float32 or float64.

    Returns:
      The values, like x; the function is its own inverse.

    Example:
      >>> round(float(minus_log_complement(jnp.float32(1.0))), 5)
      0.45868
    """
    complement = _complement(x)
    v = complement.small
    u = v / (2 - v)
    series = u * horner(select_by_dtype(x, fitted.LOG1P_FLOAT32, fitted.LOG1P_FLOAT64), u * u)
    return jnp.where(x < math.log(2), -jnp.log(complement.value), series)


class _Complement(NamedTuple):
    """1 - v for v = e^-x."""

    odds: jax.Array  # v / (1 - v)
    value: jax.Array  # 1 - v, without cancellation
    small: jax.Array  # v, or 1/2 if it is larger


def _complement(x: jax.Array) -> _Complement:
    near = x < math.log(2)
    v = jnp.exp(-x)
    small = jnp.where(near, x, 0.5)
    series = small * horner(select_by_dtype(x, fitted.EXPM1_FLOAT32, fitted.EXPM1_FLOAT64), small)
    y = jnp.where(near, series, 1 - v)
    return _Complement(v / y, y, jnp.where(near, 0.5, v))


@minus_log_complement.defjvp
def _minus_log_complement_jvp(
    primals: tuple[jax.Array], tangents: tuple[jax.Array]
) -> tuple[jax.Array, jax.Array]:
    return minus_log_complement(*primals), -_complement(*primals).odds * tangents[0]


@jax.custom_jvp
def softplus(x: jax.Array) -> jax.Array:
    """Computes log(1 + exp(x)), faster than `jax.nn.softplus`.

    The logarithm is the series 2 atanh(s) = 2 s (1 + s^2/3 + s^4/5 + ...) at
    s = exp(-|x|) / (2 + exp(-|x|)) <= 1/3: one exponential, one division and a short polynomial,
    which are vectorized, unlike a general log1p.

    Args:
      x: any real numbers.

    Returns:
      The value, of the shape and dtype of x, to a few units in the last place; positive until
      exp(x) underflows.

    Example:
      >>> round(float(softplus(jnp.float32(0.0))), 6)
      0.693147
    """
    # The next term is below a quarter of the rounding error: 9^-8 / 17 and 9^-17 / 35.
    terms = 8 if jnp.finfo(x.dtype).bits <= 32 else 17
    u = jnp.exp(-jnp.abs(x))
    s = u / (2 + u)
    # Not 2 s times the series: s underflows before u does.
    return jnp.maximum(x, 0) + u * (2 / (2 + u) * horner(ATANH_SERIES[:terms], s * s))


@softplus.defjvp
def _softplus_jvp(
    primals: tuple[jax.Array], tangents: tuple[jax.Array]
) -> tuple[jax.Array, jax.Array]:
    (x,), (dx,) = primals, tangents
    return softplus(x), sigmoid(x) * dx


@jax.custom_jvp
def sigmoid(x: jax.Array) -> jax.Array:
    """Computes 1 / (1 + exp(-x)), with accurate derivatives also if the value rounds to 1.

        dsigmoid/dx = sigmoid(x) sigmoid(-x)

    In sigmoid(x) (1 - sigmoid(x)) the second factor would cancel: in float32 it is 0 from x = 17
    on.

    Args:
      x: any real numbers.

    Returns:
      The value in [0, 1], of the shape and dtype of x.

    Example:
      >>> bool(jax.grad(sigmoid)(jnp.float32(30.0)) > 0)
      True
    """
    return jax.nn.sigmoid(x)


@sigmoid.defjvp
def _sigmoid_jvp(
    primals: tuple[jax.Array], tangents: tuple[jax.Array]
) -> tuple[jax.Array, jax.Array]:
    (x,), (dx,) = primals, tangents
    value = sigmoid(x)
    return value, value * sigmoid(-x) * dx


@jax.custom_jvp
def tanh(x: jax.Array) -> jax.Array:
    """Computes the hyperbolic tangent, with accurate derivatives also if it rounds to 1.

        dtanh/dx = 4 sigmoid(2 x) sigmoid(-2 x)

    Args:
      x: any real numbers.

    Returns:
      The value in [-1, 1], of the shape and dtype of x.

    Example:
      >>> bool(jax.grad(tanh)(jnp.float32(15.0)) > 0)
      True
    """
    return jnp.tanh(x)


@tanh.defjvp
def _tanh_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    (x,), (dx,) = primals, tangents
    return tanh(x), 4 * sigmoid(2 * x) * sigmoid(-2 * x) * dx
