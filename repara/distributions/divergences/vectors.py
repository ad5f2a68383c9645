"""Closed forms of KL between families of vectors and matrices."""

import copy

import jax
import jax.numpy as jnp

from repara.distributions.base import Distribution
from repara.distributions.dirichlet import Dirichlet
from repara.distributions.divergences.registry import register_kl
from repara.distributions.divergences.scalars import normals
from repara.distributions.gaussian_random_walk import GaussianRandomWalk
from repara.distributions.linear_algebra import (
    solve_lower,
    solve_lower_matrix,
    sum_log_diagonal,
    transpose,
)
from repara.distributions.logistic_normal import LogisticNormal
from repara.distributions.low_rank_multivariate_normal import LowRankMultivariateNormal
from repara.distributions.matrices import log_multigamma, multidigamma
from repara.distributions.matrix_normal import MatrixNormal
from repara.distributions.multivariate_normal import MultivariateNormal
from repara.distributions.wishart import InverseWishart, Wishart
from repara.special.elementary import expm1_minus

__all__: list[str] = []


@register_kl(Dirichlet, Dirichlet)
def _dirichlet_dirichlet(q: Dirichlet, p: Dirichlet) -> jax.Array:
    # E_q log z is log m + r, m the mean: the logarithms of m are separate from the rest in both.
    mean, other = q._mean(), p._mean()
    from_means = (p.concentration - 1) * jnp.log(mean / other)
    ratio = (q.concentration - p.concentration) * q._mean_log_ratio()
    return p._log_beta_at_mean() - q._log_beta_at_mean() + jnp.sum(ratio - from_means, axis=-1)


@register_kl(MultivariateNormal, MultivariateNormal)
def multivariate_normals(q: MultivariateNormal, p: MultivariateNormal) -> jax.Array:
    """Computes KL between two multivariate normals of one dtype and rank."""
    d = q.event_shape[0]
    shift = jnp.sum(p._inverse(q.loc) ** 2, axis=-1)
    if q.scale_diag is not None and p.scale_diag is not None:
        spread = jnp.sum((q.scale_diag / p.scale_diag) ** 2, axis=-1)
    else:
        # |L_p^-1 L_q|^2, the trace of Sigma_p^-1 Sigma_q: column by column of L_q.
        columns = jnp.swapaxes(_square_root(q), -2, -1)
        if p.scale_diag is not None:
            whitened = columns / p.scale_diag[..., None, :]
        else:
            whitened = solve_lower(jnp.tril(p.scale_tril)[..., None, :, :], columns)
        spread = jnp.sum(whitened**2, axis=(-2, -1))
    return 0.5 * (spread + shift - d) + p._half_log_det() - q._half_log_det()


def _square_root(q: MultivariateNormal) -> jax.Array:
    if q.scale_tril is not None:
        return jnp.tril(q.scale_tril)
    eye = jnp.eye(q.event_shape[0], dtype=q.loc.dtype)
    scale: jax.Array = q.scale_diag
    return scale[..., None] * eye.reshape((1,) * (scale.ndim - 1) + eye.shape)


def _rows(q: Distribution) -> jax.Array:
    """Vectors whose outer products sum to the covariance, `[..., m, d]`."""
    if isinstance(q, LowRankMultivariateNormal):
        parts = transpose(q.cov_factor), _diagonal(jnp.sqrt(q.cov_diag))
        batch = jnp.broadcast_shapes(*(x.shape[:-2] for x in parts))
        return jnp.concatenate([jnp.broadcast_to(x, batch + x.shape[-2:]) for x in parts], axis=-2)
    assert isinstance(q, MultivariateNormal)
    if q.scale_tril is None:
        return _diagonal(q.scale_diag)
    return transpose(jnp.tril(q.scale_tril))


def _diagonal(x: jax.Array) -> jax.Array:
    eye = jnp.eye(x.shape[-1], dtype=x.dtype)
    return x[..., None] * eye.reshape((1,) * (x.ndim - 1) + eye.shape)


def _quadratic(p: Distribution, x: jax.Array) -> jax.Array:
    """x^T covariance^-1 x."""
    if isinstance(p, LowRankMultivariateNormal):
        return p._quadratic(x)
    assert isinstance(p, MultivariateNormal)
    white = x / p.scale_diag if p.scale_tril is None else solve_lower(jnp.tril(p.scale_tril), x)
    return jnp.sum(white**2, axis=-1)


def _one_more(p: Distribution) -> Distribution:
    """Returns p with one more dimension at the end of its batch shape."""
    wide = copy.copy(p)
    for key, constraint in p.arg_constraints.items():
        if (value := getattr(p, key)) is not None:
            wide._set(key, jnp.expand_dims(value, -1 - constraint.event_ndims))
    return wide


@register_kl(LowRankMultivariateNormal, LowRankMultivariateNormal)
@register_kl(LowRankMultivariateNormal, MultivariateNormal)
@register_kl(MultivariateNormal, LowRankMultivariateNormal)
def _normal_normal(
    q: MultivariateNormal | LowRankMultivariateNormal,
    p: MultivariateNormal | LowRankMultivariateNormal,
) -> jax.Array:
    # The trace of Sigma_p^-1 Sigma_q, vector by vector.
    spread = jnp.sum(_quadratic(_one_more(p), _rows(q)), axis=-1)
    shift = _quadratic(p, q.loc - p.loc)
    return 0.5 * (spread + shift - q.event_shape[0]) + p._half_log_det() - q._half_log_det()


@register_kl(MatrixNormal, MatrixNormal)
def _matrix_matrix(q: MatrixNormal, p: MatrixNormal) -> jax.Array:
    spread = jnp.ones((), q.loc.dtype)
    for a, b in zip(q._roots(), p._roots(), strict=True):
        spread = spread * _trace_of_ratio(a, b)
    shift = jnp.sum(p._inverse(q.loc) ** 2, axis=(-2, -1))
    count = q.event_shape[0] * q.event_shape[1]
    return 0.5 * (spread + shift - count) + p._half_log_det() - q._half_log_det()


def _trace_of_ratio(a: jax.Array, b: jax.Array) -> jax.Array:
    """The trace of (b b^T)^-1 a a^T for lower triangular a and b."""
    return jnp.sum(solve_lower_matrix(b, a) ** 2, axis=(-2, -1))


def _wishart(q: Wishart | InverseWishart, p: Wishart | InverseWishart, sign: int) -> jax.Array:
    d, a, b = q._size(), q._root(), p._root()
    trace = _trace_of_ratio(a, b) if sign == 1 else _trace_of_ratio(b, a)
    log_ratio = 2 * sign * (sum_log_diagonal(b) - sum_log_diagonal(a))
    gammas = 2 * (log_multigamma(p.df, d) - log_multigamma(q.df, d))
    change = (q.df - p.df) * multidigamma(q.df, d)
    return 0.5 * (p.df * log_ratio + q.df * (trace - d) + gammas + change)


@register_kl(Wishart, Wishart)
def _wishart_wishart(q: Wishart, p: Wishart) -> jax.Array:
    return _wishart(q, p, 1)


@register_kl(InverseWishart, InverseWishart)
def _inverse_wishart_inverse_wishart(q: InverseWishart, p: InverseWishart) -> jax.Array:
    # The inverses are Wishart, with the inverses of the scale matrices.
    return _wishart(q, p, -1)


@register_kl(GaussianRandomWalk, GaussianRandomWalk)
def _walk_walk(q: GaussianRandomWalk, p: GaussianRandomWalk) -> jax.Array:
    return 0.5 * q.num_steps * expm1_minus(2 * jnp.log(q.scale / p.scale))


@register_kl(LogisticNormal, LogisticNormal)
def _logistic_normal_logistic_normal(q: LogisticNormal, p: LogisticNormal) -> jax.Array:
    # Both have the same bijector to the simplex: the divergence is that of the normals.
    return jnp.sum(normals(q, p), axis=-1)
