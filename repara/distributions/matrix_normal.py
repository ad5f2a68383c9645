"""The matrix normal distribution."""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.base import Distribution, Shape
from repara.distributions.linear_algebra import solve_lower_matrix, sum_log_diagonal, transpose
from repara.distributions.matrices import check_lengths

__all__ = ["MatrixNormal"]


class MatrixNormal(Distribution):
    """The matrix normal distribution: covariances among rows and among columns.

        z = loc + A eps B^T,   Cov(z_ij, z_kl) = (A A^T)_ik (B B^T)_jl,   eps_ij ~ N(0, 1)

    Args:
      loc: the mean, `[..., n, p]`.
      scale_tril_row: A, `[..., n, n]`, lower triangular with a positive diagonal.
      scale_tril_column: B, `[..., p, p]`, lower triangular with a positive diagonal.

    Raises:
      ValueError: a concrete matrix that is not what it must be, or shapes that do not fit.

    References:
      Gupta and Nagar (1999), "Matrix variate distributions", chapter 2,
      https://doi.org/10.1201/9780203749289

    Example:
      >>> q = MatrixNormal(jnp.zeros((1, 2)), 2.0 * jnp.eye(1), jnp.array([[1.0, 0.0], [1.0, 1.0]]))
      >>> [float(v) for v in q.transform(jnp.ones((1, 2)))[0]]
      [2.0, 4.0]
    """

    loc: jax.Array
    scale_tril_row: jax.Array
    scale_tril_column: jax.Array
    arg_constraints: ClassVar = {
        "loc": constraints.real_matrix,
        "scale_tril_row": constraints.lower_cholesky,
        "scale_tril_column": constraints.lower_cholesky,
    }
    support = constraints.real_matrix

    def __init__(
        self, loc: ArrayLike, scale_tril_row: ArrayLike, scale_tril_column: ArrayLike
    ) -> None:
        super().__init__(
            loc=loc, scale_tril_row=scale_tril_row, scale_tril_column=scale_tril_column
        )
        check_lengths(self, loc="np", scale_tril_row="nn", scale_tril_column="pp")

    @property
    def event_shape(self) -> Shape:
        return jnp.shape(self.loc)[-2:]

    def _roots(self) -> tuple[jax.Array, jax.Array]:
        return jnp.tril(self.scale_tril_row), jnp.tril(self.scale_tril_column)

    def _transform(self, eps: jax.Array) -> jax.Array:
        row, column = self._roots()
        return self.loc + row @ eps @ transpose(column)

    def _inverse(self, z: jax.Array) -> jax.Array:
        row, column = self._roots()
        half = solve_lower_matrix(row, z - self.loc)
        return transpose(solve_lower_matrix(column, transpose(half)))

    def _log_prob(self, z: jax.Array) -> jax.Array:
        return self._log_prob_of_noise(self._inverse(z))

    def _transform_and_log_prob(self, eps: jax.Array) -> tuple[jax.Array, jax.Array]:
        return self._transform(eps), self._log_prob_of_noise(eps)

    def _log_prob_of_noise(self, eps: jax.Array) -> jax.Array:
        normalizer = 0.5 * math.prod(self.event_shape) * math.log(2 * math.pi)
        return -0.5 * jnp.sum(eps**2, axis=(-2, -1)) - self._half_log_det() - normalizer

    def _half_log_det(self) -> jax.Array:
        """Half the log-determinant of the covariance of all entries."""
        n, p = self.event_shape
        row, column = self._roots()
        return p * sum_log_diagonal(row) + n * sum_log_diagonal(column)

    def _entropy(self) -> jax.Array:
        return 0.5 * math.prod(self.event_shape) * (1 + math.log(2 * math.pi)) + (
            self._half_log_det()
        )

    def _mean(self) -> jax.Array:
        return self.loc

    def _variance(self) -> jax.Array:
        row, column = (jnp.sum(root**2, axis=-1) for root in self._roots())
        return row[..., :, None] * column[..., None, :]

    def _mode(self) -> jax.Array:
        return self.loc
