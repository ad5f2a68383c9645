"""Batched linear algebra with lower triangular matrices."""

import math

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular

__all__ = [
    "matvec",
    "solve_lower",
    "solve_lower_matrix",
    "sum_log_diagonal",
    "symmetrize",
    "transpose",
]


def transpose(x: jax.Array) -> jax.Array:
    """Returns matrices with their last two dimensions exchanged.

    Args:
      x: matrices, `[..., m, n]`.

    Returns:
      `[..., n, m]`.

    Example:
      >>> transpose(jnp.zeros((5, 2, 3))).shape
      (5, 3, 2)
    """
    return jnp.swapaxes(x, -2, -1)


def symmetrize(x: jax.Array) -> jax.Array:
    """Returns the symmetric part (x + x^T) / 2.

    Args:
      x: matrices, `[..., n, n]`.

    Returns:
      The same shape.

    Example:
      >>> symmetrize(jnp.array([[0.0, 2.0], [0.0, 0.0]])).tolist()
      [[0.0, 1.0], [1.0, 0.0]]
    """
    return 0.5 * (x + transpose(x))


def matvec(matrix: jax.Array, x: jax.Array) -> jax.Array:
    """Multiplies vectors by matrices; as one matrix product if there is only one matrix.

    Args:
      matrix: `[..., m, n]`.
      x: `[..., n]`, of the same batch rank.

    Returns:
      `matrix @ x`, `[..., m]`.

    Example:
      >>> matvec(2 * jnp.eye(2)[None], jnp.ones((3, 2))).shape
      (3, 2)
    """
    if math.prod(matrix.shape[:-2]) == 1:
        return x @ matrix.reshape(matrix.shape[-2:]).T
    return (matrix @ x[..., None])[..., 0]


def solve_lower(root: jax.Array, x: jax.Array) -> jax.Array:
    """Solves root y = x for vectors; as one solve if there is only one matrix.

    Args:
      root: lower triangular matrices, `[..., d, d]`.
      x: `[..., d]`, of the same batch rank.

    Returns:
      `root^-1 x`, `[..., d]`.

    Example:
      >>> solve_lower(2 * jnp.eye(2)[None], jnp.ones((1, 2))).tolist()
      [[0.5, 0.5]]
    """
    d = x.shape[-1]
    if math.prod(root.shape[:-2]) == 1:
        flat = x.reshape(-1, d).T
        return solve_triangular(root.reshape(d, d), flat, lower=True).T.reshape(x.shape)
    batch = jnp.broadcast_shapes(root.shape[:-2], x.shape[:-1])
    root = jnp.broadcast_to(root, (*batch, d, d))
    x = jnp.broadcast_to(x, (*batch, d))
    return solve_triangular(root, x[..., None], lower=True)[..., 0]


def solve_lower_matrix(root: jax.Array, x: jax.Array) -> jax.Array:
    """Solves root y = x for matrices.

    Args:
      root: lower triangular matrices, `[..., d, d]`.
      x: `[..., d, n]`, of the same batch rank.

    Returns:
      `root^-1 x`, `[..., d, n]`.

    Example:
      >>> solve_lower_matrix(2 * jnp.eye(2), jnp.ones((2, 3))).shape
      (2, 3)
    """
    return transpose(solve_lower(root[..., None, :, :], transpose(x)))


def sum_log_diagonal(root: jax.Array) -> jax.Array:
    """Sums the logarithms of the diagonal: log |det root| of a triangular matrix.

    Args:
      root: `[..., d, d]`, with a positive diagonal.

    Returns:
      `[...]`.

    Example:
      >>> float(sum_log_diagonal(jnp.eye(3)))
      0.0
    """
    return jnp.sum(jnp.log(jnp.diagonal(root, axis1=-2, axis2=-1)), axis=-1)
