"""The Wishart and inverse-Wishart distributions of positive definite matrices."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.base import Distribution, Shape
from repara.distributions.linear_algebra import (
    solve_lower_matrix,
    sum_log_diagonal,
    symmetrize,
    transpose,
)
from repara.distributions.matrices import (
    bartlett_from_normal,
    check_lengths,
    log_multigamma,
    multidigamma,
    normal_from_bartlett,
    with_cholesky_factor,
)

__all__ = ["InverseWishart", "Wishart"]


class _Bartlett(Distribution, abstract=True):
    """The base of both: degrees of freedom, a triangular root, the noise of Bartlett's factor."""

    df: jax.Array
    scale_tril: jax.Array
    arg_constraints: ClassVar = {
        "df": constraints.positive,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.positive_definite

    def _joint_constraints(self) -> Mapping[str, tuple[str, jax.Array]]:
        p = self.event_shape[0]
        return {"df": (f"greater than {p - 1} for {p} x {p} matrices", self.df > p - 1)}

    @property
    def event_shape(self) -> Shape:
        return jnp.shape(self.scale_tril)[-2:]

    @property
    def noise_shape(self) -> Shape:
        p = self.event_shape[0]
        return (p * (p + 1) // 2,)

    def _size(self) -> int:
        return self.scale_tril.shape[-1]

    def _root(self) -> jax.Array:
        return jnp.tril(self.scale_tril)

    def _square(self) -> jax.Array:
        """L L^T."""
        root = self._root()
        return symmetrize(root @ transpose(root))

    def _log_prob_of(self, half_log_det: jax.Array, trace: jax.Array, power: float) -> jax.Array:
        """The density from log det(z) / 2 and the trace; z^(-1) has the density of power -1."""
        p = self._size()
        exponent = power * self.df - (p + 1)
        normalizer = 0.5 * p * math.log(2) * self.df + log_multigamma(self.df, p)
        scale = power * self.df * sum_log_diagonal(self._root())
        return exponent * half_log_det - 0.5 * trace - scale - normalizer

    def _log_prob(self, z: jax.Array) -> jax.Array:
        valid = self.support.check(z)
        nan = jnp.any(jnp.isnan(z), axis=(-2, -1))
        eye = jnp.eye(self._size(), dtype=z.dtype).reshape((1,) * (z.ndim - 2) + z.shape[-2:])
        value = self._log_density(jnp.where((valid | nan)[..., None, None], z, eye))
        return jnp.where(valid | jnp.isnan(value), value, -jnp.inf)

    def _log_density(self, z: jax.Array) -> jax.Array:
        raise NotImplementedError


class Wishart(_Bartlett):
    """The Wishart distribution: for integer df, a sum of outer products of normal vectors.

        q(z) proportional to det(z)^((df - p - 1) / 2) exp(-trace(S^-1 z) / 2),   S = L L^T
        z = L A A^T L^T,   A lower triangular, A_ii^2 ~ chi-squared(df - i), A_ij ~ N(0, 1)

    with i from 0. The chi-squared variables are increasing functions of normal noise, so the
    transform of p (p + 1) / 2 normal variables is one-to-one.

    Args:
      df: the degrees of freedom, greater than p - 1; need not be an integer.
      scale_tril: L, `[..., p, p]`, lower triangular with a positive diagonal.
      covariance_matrix: S, `[..., p, p]`, instead of L. The leaves of the pytree are `df` and
        `scale_tril` in both cases.

    Raises:
      TypeError: not exactly one of the two is given.
      ValueError: a concrete `df` that is too small, a matrix that is not what it must be, or
        shapes that do not broadcast.

    References:
      Bartlett (1933), "On the theory of statistical regression",
      https://doi.org/10.1017/S0370164600015637

    Example:
      >>> q = Wishart(5.0, jnp.eye(2))
      >>> [[float(v) for v in row] for row in q.mean]
      [[5.0, 0.0], [0.0, 5.0]]
    """

    def __init__(
        self,
        df: ArrayLike,
        scale_tril: ArrayLike | None = None,
        *,
        covariance_matrix: ArrayLike | None = None,
    ) -> None:
        given: Any = with_cholesky_factor(
            "Wishart", df=df, scale_tril=scale_tril, covariance_matrix=covariance_matrix
        )
        super().__init__(**given)
        check_lengths(self, scale_tril="pp")

    def _transform(self, eps: jax.Array) -> jax.Array:
        return self._from_factor(bartlett_from_normal(self.df, eps, self._size())[0])

    def _from_factor(self, a: jax.Array) -> jax.Array:
        root = self._root() @ a
        return symmetrize(root @ transpose(root))

    def _whitened(self, z: jax.Array) -> jax.Array:
        """L^-1 z L^-T."""
        half = solve_lower_matrix(self._root(), z)
        return symmetrize(solve_lower_matrix(self._root(), transpose(half)))

    def _inverse(self, z: jax.Array) -> jax.Array:
        return normal_from_bartlett(self.df, jnp.linalg.cholesky(self._whitened(z)))

    def _log_density(self, z: jax.Array) -> jax.Array:
        # L^-1 times the factor of z, whose squares sum to the trace: nothing cancels.
        factor = jnp.linalg.cholesky(z)
        trace = jnp.sum(solve_lower_matrix(self._root(), factor) ** 2, axis=(-2, -1))
        return self._log_prob_of(sum_log_diagonal(factor), trace, 1.0)

    def _transform_and_log_prob(self, eps: jax.Array) -> tuple[jax.Array, jax.Array]:
        a, log_diagonal = bartlett_from_normal(self.df, eps, self._size())
        half_log_det = sum_log_diagonal(self._root()) + jnp.sum(log_diagonal, axis=-1)
        log_prob = self._log_prob_of(half_log_det, jnp.sum(a * a, axis=(-2, -1)), 1.0)
        return self._from_factor(a), log_prob

    def _entropy(self) -> jax.Array:
        p = self._size()
        log_det = 2 * sum_log_diagonal(self._root()) + p * math.log(2)
        spread = 0.5 * (self.df - (p + 1)) * multidigamma(self.df, p) - 0.5 * p * self.df
        return 0.5 * (p + 1) * log_det + log_multigamma(self.df, p) - spread

    def _mean(self) -> jax.Array:
        return self.df[..., None, None] * self._square()

    def _variance(self) -> jax.Array:
        square = self._square()
        diagonal = jnp.diagonal(square, axis1=-2, axis2=-1)
        products = diagonal[..., :, None] * diagonal[..., None, :]
        variance: jax.Array = self.df[..., None, None] * (square**2 + products)
        return variance

    def _mode(self) -> jax.Array:
        above = self.df - (self._size() + 1)
        factor = jnp.where(above >= 0, above, jnp.nan)
        return factor[..., None, None] * self._square()


class InverseWishart(_Bartlett):
    """The inverse-Wishart distribution: the inverse of a Wishart matrix.

        q(z) proportional to det(z)^(-(df + p + 1) / 2) exp(-trace(S z^-1) / 2),   S = L L^T
        z = L A^-T A^-1 L^T,   A lower triangular, A_ii^2 ~ chi-squared(df - i), A_ij ~ N(0, 1)

    The mean is NaN for df <= p + 1, the variance for df <= p + 3.

    Args:
      df: the degrees of freedom, greater than p - 1; need not be an integer.
      scale_tril: L, `[..., p, p]`, lower triangular with a positive diagonal.
      scale_matrix: S, `[..., p, p]`, instead of L. The leaves of the pytree are `df` and
        `scale_tril` in both cases.

    Raises:
      TypeError: not exactly one of the two is given.
      ValueError: a concrete `df` that is too small, a matrix that is not what it must be, or
        shapes that do not broadcast.

    References:
      Gelman et al. (2013), "Bayesian data analysis", appendix A,
      https://sites.stat.columbia.edu/gelman/book/
      Bartlett (1933), "On the theory of statistical regression", for the factor,
      https://doi.org/10.1017/S0370164600015637

    Example:
      >>> q = InverseWishart(5.0, jnp.eye(2))
      >>> [[float(v) for v in row] for row in q.mean]
      [[0.5, 0.0], [0.0, 0.5]]
    """

    def __init__(
        self,
        df: ArrayLike,
        scale_tril: ArrayLike | None = None,
        *,
        scale_matrix: ArrayLike | None = None,
    ) -> None:
        given: Any = with_cholesky_factor(
            "InverseWishart", df=df, scale_tril=scale_tril, scale_matrix=scale_matrix
        )
        super().__init__(**given)
        check_lengths(self, scale_tril="pp")

    def _transform(self, eps: jax.Array) -> jax.Array:
        return self._from_factor(bartlett_from_normal(self.df, eps, self._size())[0])[0]

    def _from_factor(self, a: jax.Array) -> tuple[jax.Array, jax.Array]:
        root = solve_lower_matrix(a, transpose(self._root()))
        return symmetrize(transpose(root) @ root), root

    def _whitened(self, z: jax.Array) -> jax.Array:
        """V with V^T V = L^T z^-1 L."""
        return solve_lower_matrix(jnp.linalg.cholesky(z), self._root())

    def _inverse(self, z: jax.Array) -> jax.Array:
        v = self._whitened(z)
        return normal_from_bartlett(self.df, jnp.linalg.cholesky(symmetrize(transpose(v) @ v)))

    def _log_density(self, z: jax.Array) -> jax.Array:
        factor = jnp.linalg.cholesky(z)
        trace = jnp.sum(solve_lower_matrix(factor, self._root()) ** 2, axis=(-2, -1))
        return self._log_prob_of(sum_log_diagonal(factor), trace, -1.0)

    def _transform_and_log_prob(self, eps: jax.Array) -> tuple[jax.Array, jax.Array]:
        a, log_diagonal = bartlett_from_normal(self.df, eps, self._size())
        half_log_det = sum_log_diagonal(self._root()) - jnp.sum(log_diagonal, axis=-1)
        log_prob = self._log_prob_of(half_log_det, jnp.sum(a * a, axis=(-2, -1)), -1.0)
        return self._from_factor(a)[0], log_prob

    def _entropy(self) -> jax.Array:
        p = self._size()
        log_det = 2 * sum_log_diagonal(self._root()) - p * math.log(2)
        spread = 0.5 * (self.df + (p + 1)) * multidigamma(self.df, p) - 0.5 * p * self.df
        return 0.5 * (p + 1) * log_det + log_multigamma(self.df, p) - spread

    def _mean(self) -> jax.Array:
        below = self.df - (self._size() + 1)
        factor = 1 / jnp.where(below > 0, below, jnp.nan)
        return factor[..., None, None] * self._square()

    def _variance(self) -> jax.Array:
        p = self._size()
        below = jnp.where(self.df > p + 3, self.df - (p + 3), jnp.nan)
        square = self._square()
        diagonal = jnp.diagonal(square, axis1=-2, axis2=-1)
        products = diagonal[..., :, None] * diagonal[..., None, :]
        first = (below + 4)[..., None, None] * square**2
        second = (below + 2)[..., None, None] * products
        variance: jax.Array = (first + second) / ((below + 3) * (below + 2) ** 2 * below)[
            ..., None, None
        ]
        return variance

    def _mode(self) -> jax.Array:
        return self._square() / (self.df + (self._size() + 1))[..., None, None]
