"""Functions whose derivatives are set by hand."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array
from jax.lax import stop_gradient

__all__ = ["straight_through_minimum", "zero_with_derivative"]


def straight_through_minimum(x: Array, bound: float) -> Array:
    """Computes min(x, bound) with the derivatives of x throughout.

    It is for an x that only rounding can put at or above the bound: there the derivative of
    `jnp.minimum` would be 1/2 or 0.

    Args:
      x: any shape.
      bound: the upper bound.

    Returns:
      The smaller of the two, like x.

    Example:
      >>> float(jax.grad(straight_through_minimum)(1.0, 1.0))
      1.0
    """
    return x + stop_gradient(jnp.minimum(bound - x, 0))


@jax.custom_jvp
def zero_with_derivative(x: Array, derivative: Array) -> Array:
    """Returns zeros that differentiate as a function of x with the given derivative.

    The derivative may depend on x: its own derivatives are the second ones. In a sum of these over
    several x the mixed second derivatives are right if they are symmetric.

    Args:
      x: the variable.
      derivative: the derivative in x, of a shape that broadcasts with it.

    Returns:
      Zeros of the broadcast shape.

    Example:
      >>> float(jax.grad(lambda x: zero_with_derivative(x, 2 * x))(jnp.float32(3.0)))
      6.0
    """
    return jnp.zeros(jnp.broadcast_shapes(x.shape, derivative.shape), x.dtype)


@zero_with_derivative.defjvp
def _zero_with_derivative_jvp(
    primals: tuple[Array, Array], tangents: tuple[Array, Array]
) -> tuple[Array, Array]:
    (x, derivative), (x_dot, _) = primals, tangents
    return zero_with_derivative(x, derivative), derivative * x_dot
