"""Polynomials with fixed coefficients by Horner's rule, unrolled."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array

from repara.special.elementwise import Tangent, tangent_sum

Rows = tuple[tuple[float, ...], ...]


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
    return value, tangent_sum(value.shape, value.dtype, *zip(gradient, tangents, strict=True))


def horner_rows_and_gradient(rows: Rows, x: Array, y: Array) -> tuple[Array, Array, Array]:
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


def horner_tables_and_gradient(
    tables: tuple[Rows, ...], x: Array, y: Array, z: Array
) -> tuple[Array, Array, Array, Array]:
    """sum_ijk tables[i][j][k] x^i y^j z^k and its derivatives in x, in y and in z.

    Args:
        tables: Rows of Python numbers, one table for each power of x; lengths may differ.
        x: Any shape.
        y: A shape that broadcasts with it.
        z: A shape that broadcasts with both.

    Returns:
        The value, d/dx, d/dy and d/dz, each of the broadcast shape.

    Example:
        >>> x, y, z = jnp.array(2.0), jnp.array(3.0), jnp.array(4.0)
        >>> tables = (((1.0,),), ((0.0,), (0.0, 1.0)))  # 1 + x y z
        >>> [float(v) for v in horner_tables_and_gradient(tables, x, y, z)]
        [25.0, 12.0, 8.0, 6.0]
    """
    value = in_x = in_y = in_z = jnp.zeros(jnp.broadcast_shapes(x.shape, y.shape, z.shape), x.dtype)
    for rows in reversed(tables):
        inner, by_y, by_z = horner_rows_and_gradient(rows, y, z)
        in_x = in_x * x + value
        in_y = in_y * x + by_y
        in_z = in_z * x + by_z
        value = value * x + inner
    return value, in_x, in_y, in_z
