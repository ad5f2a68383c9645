"""Polynomials with fixed coefficients by Horner's rule, unrolled, and the shared argument checks."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TypeVar

import jax
import jax.numpy as jnp
from jax import Array
from jax.custom_derivatives import SymbolicZero
from jax.typing import ArrayLike

Rows = tuple[tuple[float, ...], ...]
Tangent = Array | SymbolicZero
T = TypeVar("T")


def horner(coefficients: Sequence[float], x: Array) -> Array:
    """c_0 + c_1 x + c_2 x^2 + ...

    Args:
        coefficients: Python numbers, the constant term first.
        x: Any shape; float32 or float64, which is the precision of every step.

    Returns:
        The values, like x.

    Example:
        >>> float(horner((1.0, 2.0, 3.0), jnp.array(2.0)))
        17.0
    """
    value = jnp.full_like(x, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        value = value * x + c
    return value


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def horner_rows(rows: Rows, x: Array, y: Array) -> Array:
    """sum_ij rows[i][j] x^i y^j: the inner polynomials in y, the outer one in x.

    Args:
        rows: Tuples of Python numbers, one for each power of x; lengths may differ.
        x: Any shape.
        y: A shape that broadcasts with it, of the same rank.

    Returns:
        The values, of the broadcast shape; differentiated by `horner_rows_and_gradient`.

    Example:
        >>> float(horner_rows(((1.0,), (0.0, 1.0)), jnp.array(2.0), jnp.array(3.0)))  # 1 + x y
        7.0
    """
    value = horner(rows[-1], y)
    for row in reversed(rows[:-1]):
        value = value * x + horner(row, y)
    return value


@functools.partial(horner_rows.defjvp, symbolic_zeros=True)
def _horner_rows_jvp(
    rows: Rows, primals: tuple[Array, Array], tangents: tuple[Tangent, Tangent]
) -> tuple[Array, Array]:
    value, *gradient = horner_rows_and_gradient(rows, *primals)
    return value, tangent_sum(value.shape, *zip(gradient, tangents, strict=True))


def horner_rows_and_gradient(
    rows: Rows, x: Array, y: Array
) -> tuple[Array, Array, Array]:
    """`horner_rows` and its derivatives in x and in y from the same pass.

    About two multiplications and additions a coefficient; where the derivative in y is not used the
    compiler drops it, and what is left costs little more than the value.

    Args:
        rows: rows[i][j] multiplies x^i y^j.
        x: Any shape.
        y: A shape that broadcasts with it.

    Returns:
        The value, d/dx and d/dy, each of the broadcast shape.

    Example:
        >>> x, y = jnp.array(2.0), jnp.array(3.0)
        >>> [float(v) for v in horner_rows_and_gradient(((1.0,), (0.0, 1.0)), x, y)]  # 1 + x y
        [7.0, 3.0, 2.0]
    """
    value = in_x = in_y = jnp.zeros(jnp.broadcast_shapes(x.shape, y.shape), x.dtype)
    for row in reversed(rows):
        inner, slope = jnp.full_like(y, row[-1]), jnp.zeros_like(y)
        for c in reversed(row[:-1]):
            slope = slope * y + inner
            inner = inner * y + c
        in_x = in_x * x + value
        in_y = in_y * x + slope
        value = value * x + inner
    return value, in_x, in_y


def as_floats(name: str, *arguments: ArrayLike) -> list[Array]:
    """The arguments as arrays of one floating-point dtype and one rank, ready to broadcast.

    Axes of length 1 are put in front, so that no rank is promoted later on; lengths stay, so that
    what depends on a small argument alone is computed on that alone.

    Args:
        name: The calling function, for the error.
        *arguments: Numbers or arrays whose shapes broadcast; integers become the default float.

    Returns:
        Arrays of equal rank, float32 or float64.

    Raises:
        TypeError: If the common dtype is not float32 or float64.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> [v.shape for v in as_floats("f", jnp.ones((2, 3)), jnp.ones(3), 1.0)]
        [(2, 3), (1, 3), (1, 1)]
    """
    dtype = jnp.result_type(*arguments)
    if jnp.issubdtype(dtype, jnp.integer) or dtype == jnp.bool_:
        dtype = jnp.result_type(float)
    if dtype not in (jnp.float32, jnp.float64):
        raise TypeError(f"{name} computes in float32 or float64, got {dtype}; cast to one of them.")
    arrays = [jnp.asarray(x, dtype=dtype) for x in arguments]
    rank = len(jnp.broadcast_shapes(*(x.shape for x in arrays)))
    return [jnp.reshape(x, (1,) * (rank - x.ndim) + x.shape) for x in arrays]


def tangent_sum(shape: tuple[int, ...], *pairs: tuple[Array | None, Tangent]) -> Array:
    """sum of derivative x tangent over the arguments whose tangent is not known to be zero.

    Args:
        shape: The shape of the function's value.
        *pairs: A derivative and a tangent for each argument. The derivative is not used, and may be
            None, where `is_zero` says that the tangent is.

    Returns:
        The tangent of the value.
    """
    total: Array | None = None
    for derivative, tangent in pairs:
        if derivative is None or isinstance(tangent, SymbolicZero):
            continue
        term = derivative * tangent
        total = term if total is None else total + term
    if total is None:
        return jnp.zeros(shape, pairs[0][1].dtype)
    return jnp.broadcast_to(total, shape)


def is_zero(tangent: Tangent) -> bool:
    """Whether a tangent in a custom rule (`symbolic_zeros=True`) is known to be zero."""
    return isinstance(tangent, SymbolicZero)


def pointwise(f: Callable[..., Array]) -> Callable[..., Array]:
    """Makes the derivatives of an elementwise function coefficients computed beside its value.

    The tangent is sum_i df/dx_i x_dot_i with df/dx_i from one forward pass through `f`; so backward
    differentiation keeps one array an argument, not every step of every polynomial, and arguments that
    are not differentiated cost nothing. Derivatives of derivatives go through `f` again.

    Args:
        f: Elementwise in arguments of one rank and dtype whose shapes broadcast.

    Returns:
        A function like `f`.
    """
    wrapped = jax.custom_jvp(f)

    def rule(primals: tuple[Array, ...], tangents: tuple[Tangent, ...]) -> tuple[Array, Array]:
        active = [i for i, tangent in enumerate(tangents) if not is_zero(tangent)]
        derivatives: list[Array | None] = [None] * len(tangents)
        value = None
        for i in active:
            value, derivatives[i] = jax.jvp(
                lambda x, i=i: f(*primals[:i], x, *primals[i + 1 :]),
                (primals[i],),
                (jnp.ones_like(primals[i]),),
            )
        return value, tangent_sum(value.shape, *zip(derivatives, tangents, strict=True))

    wrapped.defjvp(rule, symbolic_zeros=True)
    return wrapped


def by_dtype(x: Array, single: T, double: T) -> T:
    """`single` for a float32 x, `double` for a float64 one."""
    return single if x.dtype == jnp.float32 else double
