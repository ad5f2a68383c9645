"""The multivariate normal distribution, by a square root of the covariance."""

import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.base import Distribution, Shape
from repara.distributions.linear_algebra import matvec, solve_lower
from repara.distributions.parameters import (
    as_float_arrays,
    at_least_32_bits,
    check_value,
    nan_if_invalid,
)

__all__ = ["MultivariateNormal"]


class MultivariateNormal(Distribution):
    """The multivariate normal distribution.

        z = loc + L eps,   L L^T = covariance,   eps ~ N(0, I)

    L is lower triangular with a positive diagonal, or diagonal. Exactly one of the four keyword
    arguments is given; the leaves of the pytree are `loc` and either `scale_tril` or
    `scale_diag`, whichever argument was given.

    Args:
      loc: the mean, `[..., d]`.
      scale_tril: L itself, `[..., d, d]`, lower triangular with a positive diagonal.
      covariance_matrix: `[..., d, d]`, symmetric and positive definite.
      precision_matrix: the inverse of the covariance, `[..., d, d]`, symmetric and positive
        definite.
      scale_diag: the standard deviations of independent coordinates, `[..., d]`, positive.

    Raises:
      TypeError: not exactly one of the four is given.
      ValueError: a concrete matrix that is not what it must be, or shapes that do not fit.

    References:
      Kingma and Welling (2013), "Auto-encoding variational Bayes", section 2.4,
      https://arxiv.org/abs/1312.6114
      Rezende, Mohamed and Wierstra (2014), "Stochastic backpropagation and approximate inference
      in deep generative models", section 4, https://arxiv.org/abs/1401.4082

    Example:
      >>> covariance = jnp.array([[4.0, 2.0], [2.0, 2.0]])
      >>> q = MultivariateNormal(jnp.zeros(2), covariance_matrix=covariance)
      >>> [float(x) for x in q.transform(jnp.array([1.0, 1.0]))]
      [2.0, 2.0]
    """

    loc: jax.Array
    scale_tril: Any  # an array or None
    scale_diag: Any  # an array or None
    arg_constraints: ClassVar = {
        "loc": constraints.real_vector,
        "scale_tril": constraints.lower_cholesky,
        "scale_diag": constraints.positive_vector,
    }
    support = constraints.real_vector

    def __init__(
        self,
        loc: ArrayLike,
        scale_tril: ArrayLike | None = None,
        *,
        covariance_matrix: ArrayLike | None = None,
        precision_matrix: ArrayLike | None = None,
        scale_diag: ArrayLike | None = None,
    ) -> None:
        alternatives = {
            "scale_tril": scale_tril,
            "covariance_matrix": covariance_matrix,
            "precision_matrix": precision_matrix,
            "scale_diag": scale_diag,
        }
        given = {k: v for k, v in alternatives.items() if v is not None}
        if len(given) != 1:
            raise TypeError(
                "MultivariateNormal takes exactly one of scale_tril, covariance_matrix, "
                f"precision_matrix and scale_diag, got {', '.join(given) or 'none'}"
            )
        (name,) = given
        arrays = as_float_arrays("MultivariateNormal", {"loc": loc, **given})
        self._check_shapes(arrays, name)
        root = arrays[name]
        if name in ("covariance_matrix", "precision_matrix"):
            check_value("MultivariateNormal", name, root, constraints.positive_definite)
            wide = root.astype(at_least_32_bits(root.dtype))
            # The factorization reads one triangle only: a traced asymmetric matrix must give NaN.
            wide = nan_if_invalid(wide, constraints.positive_definite)
            factor = jnp.linalg.cholesky if name == "covariance_matrix" else _root_of_precision
            root, name = factor(wide).astype(root.dtype), "scale_tril"
        roots: dict[str, Any] = {"scale_tril": None, "scale_diag": None, name: root}
        super().__init__(loc=arrays["loc"], **roots)

    @staticmethod
    def _check_shapes(arrays: dict[str, jax.Array], name: str) -> None:
        loc, root = arrays["loc"], arrays[name]
        event = loc.shape[-1:]
        expected = event if name == "scale_diag" else event * 2
        if loc.ndim < 1 or root.shape[-len(expected) :] != expected:
            raise ValueError(
                f"MultivariateNormal: loc of shape {loc.shape} needs {name} of shape "
                f"(..., {', '.join('d' for _ in expected)}) with d its last dimension, "
                f"got {root.shape}"
                if loc.ndim
                else "MultivariateNormal: loc must have at least 1 dimension, got a scalar"
            )

    @property
    def event_shape(self) -> Shape:
        return jnp.shape(self.loc)[-1:]

    @property
    def covariance_matrix(self) -> jax.Array:
        """L L^T, `batch_shape + [d, d]`."""
        d = self.event_shape[0]
        q = self._ready(len(self.batch_shape))
        if q.scale_tril is None:
            covariance = q.scale_diag[..., None] ** 2 * jnp.eye(d, dtype=q.dtype).reshape(
                (1,) * (q.scale_diag.ndim - 1) + (d, d)
            )
        else:
            root = jnp.tril(q.scale_tril)
            covariance = root @ jnp.swapaxes(root, -2, -1)
        return jnp.broadcast_to(covariance, (*self.batch_shape, d, d)).astype(self.dtype)

    def _transform(self, eps: jax.Array) -> jax.Array:
        if self.scale_tril is None:
            scale: jax.Array = self.scale_diag
            return self.loc + scale * eps
        return self.loc + matvec(jnp.tril(self.scale_tril), eps)

    def _inverse(self, z: jax.Array) -> jax.Array:
        if self.scale_tril is None:
            scale: jax.Array = self.scale_diag
            return (z - self.loc) / scale
        return solve_lower(jnp.tril(self.scale_tril), z - self.loc)

    def _log_prob(self, z: jax.Array) -> jax.Array:
        return self._log_prob_of_noise(self._inverse(z))

    def _transform_and_log_prob(self, eps: jax.Array) -> tuple[jax.Array, jax.Array]:
        return self._transform(eps), self._log_prob_of_noise(eps)

    def _log_prob_of_noise(self, eps: jax.Array) -> jax.Array:
        normalizer = 0.5 * eps.shape[-1] * math.log(2 * math.pi)
        return -0.5 * jnp.sum(eps**2, axis=-1) - self._half_log_det() - normalizer

    def _half_log_det(self) -> jax.Array:
        """log det L, half the log-determinant of the covariance."""
        diagonal = self.scale_diag
        if self.scale_tril is not None:
            diagonal = jnp.diagonal(self.scale_tril, axis1=-2, axis2=-1)
        return jnp.sum(jnp.log(diagonal), axis=-1)

    def _entropy(self) -> jax.Array:
        d = self.loc.shape[-1]
        return 0.5 * d * (1 + math.log(2 * math.pi)) + self._half_log_det()

    def _mean(self) -> jax.Array:
        return self.loc

    def _variance(self) -> jax.Array:
        if self.scale_tril is None:
            scale: jax.Array = self.scale_diag
            return scale**2
        return jnp.sum(jnp.tril(self.scale_tril) ** 2, axis=-1)

    def _mode(self) -> jax.Array:
        return self.loc


def _root_of_precision(precision: jax.Array) -> jax.Array:
    """The lower triangular L with L L^T = precision^-1, without forming the inverse."""
    # With J the reversal of the axes and C C^T = J P J: P = (J C J)(J C J)^T, whose factor is
    # upper triangular; the inverse of its transpose is the lower triangular root of P^-1.
    reversed_root = jnp.linalg.cholesky(precision[..., ::-1, ::-1])
    upper = reversed_root[..., ::-1, ::-1]
    identity = jnp.broadcast_to(
        jnp.eye(precision.shape[-1], dtype=precision.dtype), precision.shape
    )
    return solve_triangular(jnp.swapaxes(upper, -2, -1), identity, lower=True)
