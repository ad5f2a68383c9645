"""Polynomials with fixed coefficients, by Horner's rule without loops."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array

from repara.special.elementwise import Tangent, tangent_sum

__all__ = [
    "Rows",
    "horner",
    "horner_rows",
    "horner_rows_and_gradient",
    "horner_tables_and_gradient",
]

# Rows of coefficients, one for each power of the first variable; lengths may differ.
Rows = tuple[tuple[float, ...], ...]


def horner(coefficients: Sequence[float], x: Array) -> Array:
    """Computes the polynomial c_0 + c_1 x + c_2 x^2 + ... .

    Args:
      coefficients: python numbers, the constant term first.
      x: any shape, float32 or float64, which is the precision of every step.

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
    """Computes a polynomial in two variables.

        sum_ij rows[i][j] x^i y^j

    Args:
      rows: coefficients; rows[i][j] multiplies x^i y^j.
      x: any shape.
      y: a shape that broadcasts with it, of the same rank.

    Returns:
      The values, of the broadcast shape. The derivatives are those of `horner_rows_and_gradient`.

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
    """Computes `horner_rows` and its derivatives in x and y in one pass.

    This takes about two multiplications and additions per coefficient. If the derivative in y is
    not used, the compiler drops it, and the rest costs little more than the value.

    Args:
      rows: rows[i][j] multiplies x^i y^j.
      x: any shape.
      y: a shape that broadcasts with it.

    Returns:
      The value, d/dx and d/dy, each of the broadcast shape.

    Example:
      >>> x, y = jnp.array(2.0), jnp.array(3.0)
      >>> [float(v) for v in horner_rows_and_gradient(((1.0,), (0.0, 1.0)), x, y)]  # 1 + x y
      [7.0, 3.0, 2.0]
    """
    value = by_x = by_y = jnp.zeros(jnp.broadcast_shapes(x.shape, y.shape), x.dtype)
    for row in reversed(rows):
        inner, inner_by_y = jnp.full_like(y, row[-1]), jnp.zeros_like(y)
        for c in reversed(row[:-1]):
            inner_by_y = inner_by_y * y + inner
            inner = inner * y + c
        by_x = by_x * x + value
        by_y = by_y * x + inner_by_y
        value = value * x + inner
    return value, by_x, by_y


def horner_tables_and_gradient(
    tables: tuple[Rows, ...], x: Array, y: Array, z: Array
) -> tuple[Array, Array, Array, Array]:
    """Computes a polynomial in three variables and its gradient.

        sum_ijk tables[i][j][k] x^i y^j z^k

    Args:
      tables: rows of coefficients, one table for each power of x; lengths may differ.
      x: any shape.
      y: a shape that broadcasts with it.
      z: a shape that broadcasts with both.

    Returns:
      The value, d/dx, d/dy and d/dz, each of the broadcast shape.

    Example:
      >>> x, y, z = jnp.array(2.0), jnp.array(3.0), jnp.array(4.0)
      >>> tables = (((1.0,),), ((0.0,), (0.0, 1.0)))  # 1 + x y z
      >>> [float(v) for v in horner_tables_and_gradient(tables, x, y, z)]
      [25.0, 12.0, 8.0, 6.0]
    """
    value = by_x = by_y = by_z = jnp.zeros(jnp.broadcast_shapes(x.shape, y.shape, z.shape), x.dtype)
    for rows in reversed(tables):
        inner, inner_by_y, inner_by_z = horner_rows_and_gradient(rows, y, z)
        by_x = by_x * x + value
        by_y = by_y * x + inner_by_y
        by_z = by_z * x + inner_by_z
        value = value * x + inner
    return value, by_x, by_y, by_z
