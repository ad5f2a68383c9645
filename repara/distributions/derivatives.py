"""The derivative of an elementwise function, for moments that are derivatives of normalizers."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

__all__ = ["derivative"]


def derivative(function: Callable[[jax.Array], jax.Array], x: jax.Array) -> jax.Array:
    """Computes the derivative of an elementwise function.

    Args:
      function: an elementwise function.
      x: its argument.

    Returns:
      The derivative at each element of x.

    Example:
      >>> derivative(jnp.square, jnp.array([1.0, 3.0])).tolist()
      [2.0, 6.0]
    """
    tangent: jax.Array = jax.jvp(function, (x,), (jnp.ones_like(x),))[1]
    return tangent
