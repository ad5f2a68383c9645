"""The multivariate normal distribution with a low-rank plus diagonal covariance."""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_solve
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.base import Distribution, Shape
from repara.distributions.linear_algebra import matvec, sum_log_diagonal, transpose
from repara.distributions.matrices import check_lengths

__all__ = ["LowRankMultivariateNormal"]


class LowRankMultivariateNormal(Distribution):
    """The multivariate normal distribution with a covariance of low rank plus a diagonal.

        z = loc + W eps[:r] + sqrt(D) eps[r:],   covariance = W W^T + diag(D),   eps ~ N(0, I)

    The cost is linear in the dimension d. There are more noises than coordinates, so the transform
    is not one-to-one.

    Args:
      loc: the mean, `[..., d]`.
      cov_factor: W, `[..., d, r]`.
      cov_diag: D, variances, `[..., d]`, positive.

    Raises:
      ValueError: a concrete `cov_diag` that is not positive, or shapes that do not fit.

    References:
      Ong, Nott and Smith (2018), "Gaussian variational approximation with a factor covariance
      structure", https://arxiv.org/abs/1701.03208
      Woodbury (1950), "Inverting modified matrices", for the density.

    Example:
      >>> q = LowRankMultivariateNormal(jnp.zeros(2), jnp.ones((2, 1)), jnp.array([1.0, 3.0]))
      >>> [float(v) for v in q.variance]
      [2.0, 4.0]
    """

    loc: jax.Array
    cov_factor: jax.Array
    cov_diag: jax.Array
    arg_constraints: ClassVar = {
        "loc": constraints.real_vector,
        "cov_factor": constraints.real_matrix,
        "cov_diag": constraints.positive_vector,
    }
    support = constraints.real_vector

    def __init__(self, loc: ArrayLike, cov_factor: ArrayLike, cov_diag: ArrayLike) -> None:
        super().__init__(loc=loc, cov_factor=cov_factor, cov_diag=cov_diag)
        check_lengths(self, loc="d", cov_factor="dr", cov_diag="d")

    @property
    def event_shape(self) -> Shape:
        return jnp.shape(self.loc)[-1:]

    @property
    def noise_shape(self) -> Shape:
        return (sum(jnp.shape(self.cov_factor)[-2:]),)

    @property
    def covariance_matrix(self) -> jax.Array:
        """W W^T + diag(D), `batch_shape + [d, d]`."""
        d = self.event_shape[0]
        q = self._ready(len(self.batch_shape))
        eye = jnp.eye(d, dtype=q.loc.dtype).reshape((1,) * (q.cov_diag.ndim - 1) + (d, d))
        covariance = q.cov_factor @ transpose(q.cov_factor) + q.cov_diag[..., None] * eye
        return jnp.broadcast_to(covariance, (*self.batch_shape, d, d)).astype(self.dtype)

    def _transform(self, eps: jax.Array) -> jax.Array:
        r = self.cov_factor.shape[-1]
        return (
            self.loc
            + matvec(self.cov_factor, eps[..., :r])
            + jnp.sqrt(self.cov_diag) * eps[..., r:]
        )

    def _capacitance_root(self) -> jax.Array:
        """The Cholesky factor of I + W^T D^-1 W, `[..., r, r]`."""
        r = self.cov_factor.shape[-1]
        scaled = self.cov_factor / self.cov_diag[..., None]
        inner = transpose(self.cov_factor) @ scaled
        eye = jnp.eye(r, dtype=inner.dtype).reshape((1,) * (inner.ndim - 2) + (r, r))
        root: jax.Array = jnp.linalg.cholesky(inner + eye)
        return root

    def _quadratic(self, x: jax.Array) -> jax.Array:
        """x^T covariance^-1 x, as the least |t|^2 + |x - W t|^2 / D over t: nothing cancels."""
        root = self._capacitance_root()
        weighted = matvec(transpose(self.cov_factor), x / self.cov_diag)
        shape = jnp.broadcast_shapes(root.shape[:-2], weighted.shape[:-1])
        root = jnp.broadcast_to(root, (*shape, *root.shape[-2:]))
        weighted = jnp.broadcast_to(weighted, (*shape, weighted.shape[-1]))
        t = cho_solve((root, True), weighted[..., None])[..., 0]
        left = x - matvec(self.cov_factor, t)
        return jnp.sum(t * t, axis=-1) + jnp.sum(left * left / self.cov_diag, axis=-1)

    def _half_log_det(self) -> jax.Array:
        """Half the log-determinant of the covariance."""
        diagonal = 0.5 * jnp.sum(jnp.log(self.cov_diag), axis=-1)
        return diagonal + sum_log_diagonal(self._capacitance_root())

    def _log_prob(self, z: jax.Array) -> jax.Array:
        normalizer = 0.5 * z.shape[-1] * math.log(2 * math.pi)
        return -0.5 * self._quadratic(z - self.loc) - self._half_log_det() - normalizer

    def _entropy(self) -> jax.Array:
        d = self.loc.shape[-1]
        return 0.5 * d * (1 + math.log(2 * math.pi)) + self._half_log_det()

    def _mean(self) -> jax.Array:
        return self.loc

    def _variance(self) -> jax.Array:
        return jnp.sum(self.cov_factor**2, axis=-1) + self.cov_diag

    def _mode(self) -> jax.Array:
        return self.loc
