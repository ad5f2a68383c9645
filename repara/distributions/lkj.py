"""The LKJ distribution of correlation matrices, by their Cholesky factors."""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.base import Distribution, Shape
from repara.distributions.matrices import log_gamma_ratio
from repara.special import logit_beta_from_normal, normal_from_beta
from repara.special.elementary import softplus

__all__ = ["LKJCholesky"]


class LKJCholesky(Distribution):
    """The LKJ distribution of the Cholesky factor L of a correlation matrix.

        q(L L^T) proportional to det(L L^T)^(concentration - 1)
        L_ij = p_ij prod_{k<j} sqrt(1 - p_ik^2),   (1 + p_ij) / 2 = I^-1(Phi(eps_ij); a_j, a_j)

    with partial correlations p_ij for j < i, p_ii = 1, I the regularized incomplete beta function
    and a_j = concentration + (dim - 2 - j) / 2, j from 0. There is one normal noise per pair, row
    by row; the transform is smooth and one-to-one.

    Args:
      dim: the number of variables, at least 2.
      concentration: 1 gives the uniform distribution of correlation matrices, larger values give
        matrices nearer to the identity; positive, from 1e-2 to 1e5.

    Raises:
      ValueError: a concrete concentration that is not positive, or a `dim` below 2.

    References:
      Lewandowski, Kurowicka and Joe (2009), "Generating random correlation matrices based on vines
      and extended onion method", https://doi.org/10.1016/j.jmva.2009.04.008

    Example:
      >>> correlation = LKJCholesky(2, 1.0).transform(jnp.array([0.0]))
      >>> [[round(float(v), 4) + 0.0 for v in row] for row in correlation]
      [[1.0, 0.0], [0.0, 1.0]]
    """

    dim: int
    concentration: jax.Array
    arg_constraints: ClassVar = {"concentration": constraints.positive}
    support = constraints.correlation_cholesky
    _static: ClassVar = ("dim",)

    def __init__(self, dim: int, concentration: ArrayLike) -> None:
        if dim < 2:
            raise ValueError(f"LKJCholesky: dim must be at least 2, got {dim}")
        super().__init__(concentration=concentration)
        self._set("dim", int(dim))

    @property
    def event_shape(self) -> Shape:
        return (self.dim, self.dim)

    @property
    def noise_shape(self) -> Shape:
        return (self.dim * (self.dim - 1) // 2,)

    def _pair_concentrations(self) -> jax.Array:
        """a_j for each pair j < i, row by row, in a last dimension."""
        _, columns = np.tril_indices(self.dim, -1)
        more = jnp.asarray(0.5 * (self.dim - 2 - columns), self.concentration.dtype)
        return self.concentration[..., None] + more.reshape((1,) * self.concentration.ndim + (-1,))

    def _factor(self, eps: jax.Array) -> tuple[jax.Array, jax.Array]:
        """L, and the logarithms of its diagonal without the first."""
        rows, columns = np.tril_indices(self.dim, -1)
        a = self._pair_concentrations()
        logit = logit_beta_from_normal(eps, a, a)
        # p = tanh(logit / 2), sqrt(1 - p^2) = 2 sqrt(sigmoid(logit) sigmoid(-logit))
        log_rest = math.log(2) - 0.5 * (softplus(logit) + softplus(-logit))
        blank = jnp.zeros((*logit.shape[:-1], self.dim, self.dim), logit.dtype)
        log_rest = blank.at[..., rows, columns].set(log_rest)
        left = jnp.cumsum(log_rest, axis=-1)
        eye = jnp.eye(self.dim, dtype=logit.dtype).reshape(
            (1,) * (blank.ndim - 2) + (self.dim,) * 2
        )
        partial = (blank + eye).at[..., rows, columns].set(jnp.tanh(0.5 * logit))
        return partial * jnp.exp(left - log_rest), left[..., 1:, -1]

    def _transform(self, eps: jax.Array) -> jax.Array:
        return self._factor(eps)[0]

    def _inverse(self, z: jax.Array) -> jax.Array:
        rows, columns = np.tril_indices(self.dim, -1)
        # The norm of row i from column j on, summed from the end: nothing is subtracted.
        left = jnp.sqrt(jnp.cumsum((z * z)[..., ::-1], axis=-1)[..., ::-1])
        # sinh(logit / 2) = p / sqrt(1 - p^2)
        logit = 2 * jnp.arcsinh(z[..., rows, columns] / left[..., rows, columns + 1])
        a = self._pair_concentrations()
        return normal_from_beta(logit, a, a)

    def _powers(self) -> jax.Array:
        """2 b_i for rows i from 1 on; row i has the density (1 - |w|^2)^(b_i - 1), w = L_i,:i."""
        rest = jnp.arange(self.dim - 2, -1, -1, dtype=self.concentration.dtype)
        return 2 * self.concentration[..., None] + rest.reshape(
            (1,) * self.concentration.ndim + (-1,)
        )

    def _log_prob_of_diagonal(self, log_diagonal: jax.Array) -> jax.Array:
        # The integral of (1 - |w|^2)^(b - 1) over the ball in R^i is
        # pi^(i / 2) Gamma(b) / Gamma(b + i / 2).
        d, powers = self.dim, self._powers()
        half = 0.5 * jnp.arange(1, d, dtype=powers.dtype).reshape((1,) * (powers.ndim - 1) + (-1,))
        constant = 0.25 * d * (d - 1) * math.log(math.pi)
        log_normalizer = constant - jnp.sum(log_gamma_ratio(0.5 * powers, half), axis=-1)
        return jnp.sum((powers - 2) * log_diagonal, axis=-1) - log_normalizer

    def _log_prob(self, z: jax.Array) -> jax.Array:
        valid = self.support.check(z)
        diagonal = jnp.diagonal(z, axis1=-2, axis2=-1)[..., 1:]
        nan = jnp.any(jnp.isnan(z), axis=(-2, -1))
        safe = jnp.where((valid | nan)[..., None], diagonal, 1.0)
        # 0 log 0 = 0 if the density is flat.
        flat = (self._powers() == 2) & (safe == 0)
        value = self._log_prob_of_diagonal(jnp.log(jnp.where(flat, 1.0, safe)))
        value = jnp.where(nan, jnp.nan, value)
        return jnp.where(valid | jnp.isnan(value), value, -jnp.inf)

    def _transform_and_log_prob(self, eps: jax.Array) -> tuple[jax.Array, jax.Array]:
        z, log_diagonal = self._factor(eps)
        return z, self._log_prob_of_diagonal(log_diagonal)
