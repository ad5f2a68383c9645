"""The multivariate Student-t distribution."""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.base import Distribution, Shape
from repara.distributions.linear_algebra import matvec, solve_lower, sum_log_diagonal
from repara.distributions.matrices import check_lengths, digamma_minus_log, log_gamma_ratio
from repara.special import log_gamma_from_normal

__all__ = ["MultivariateStudentT"]


class MultivariateStudentT(Distribution):
    """The multivariate Student-t distribution: a normal vector over a common chi variable.

        q(z) proportional to (1 + |L^-1 (z - loc)|^2 / df)^(-(df + d) / 2)
        z = loc + L n / sqrt(g / (df / 2)),   n = eps[1:],   g = P^-1(df / 2, Phi(eps[0]))

    with P(a, .) the distribution function of a standard gamma variable. There is one noise more
    than coordinates, so the transform is not one-to-one. The mean is NaN for df <= 1. The variance
    is inf for 1 < df <= 2 and NaN for df <= 1.

    Args:
      df: the degrees of freedom, positive.
      loc: the median, `[..., d]`.
      scale_tril: L, `[..., d, d]`, lower triangular with a positive diagonal.

    Raises:
      ValueError: a concrete `df` that is not positive, a matrix that is not what it must be, or
        shapes that do not fit.

    References:
      Kotz and Nadarajah (2004), "Multivariate t distributions and their applications",
      section 1.1, https://doi.org/10.1017/CBO9780511550683

    Example:
      >>> q = MultivariateStudentT(4.0, jnp.zeros(2), jnp.eye(2))
      >>> [float(v) for v in q.variance]
      [2.0, 2.0]
    """

    df: jax.Array
    loc: jax.Array
    scale_tril: jax.Array
    arg_constraints: ClassVar = {
        "df": constraints.positive,
        "loc": constraints.real_vector,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector

    def __init__(self, df: ArrayLike, loc: ArrayLike, scale_tril: ArrayLike) -> None:
        super().__init__(df=df, loc=loc, scale_tril=scale_tril)
        check_lengths(self, loc="d", scale_tril="dd")

    @property
    def event_shape(self) -> Shape:
        return jnp.shape(self.loc)[-1:]

    @property
    def noise_shape(self) -> Shape:
        return (self.event_shape[0] + 1,)

    def _root(self) -> jax.Array:
        return jnp.tril(self.scale_tril)

    def _transform(self, eps: jax.Array) -> jax.Array:
        half = 0.5 * self.df
        log_stretch = 0.5 * (jnp.log(half) - log_gamma_from_normal(eps[..., 0], half))
        return self.loc + matvec(self._root(), eps[..., 1:] * jnp.exp(log_stretch)[..., None])

    def _log_prob(self, z: jax.Array) -> jax.Array:
        square = jnp.sum(solve_lower(self._root(), z - self.loc) ** 2, axis=-1)
        fall = 0.5 * (self.df + z.shape[-1]) * jnp.log1p(square / self.df)
        return self._log_peak() - fall

    def _log_peak(self) -> jax.Array:
        half, more = 0.5 * self.df, 0.5 * self.loc.shape[-1]
        powers = more * jnp.log(2 * math.pi * half)
        return log_gamma_ratio(half, more) - powers - sum_log_diagonal(self._root())

    def _entropy(self) -> jax.Array:
        half, more = 0.5 * self.df, 0.5 * self.loc.shape[-1]
        # digamma((df + d) / 2) - digamma(df / 2)
        excess = digamma_minus_log(half + more) - digamma_minus_log(half)
        return (half + more) * (excess + jnp.log1p(more / half)) - self._log_peak()

    def _mean(self) -> jax.Array:
        return jnp.where(self.df[..., None] > 1, self.loc, jnp.nan)

    def _variance(self) -> jax.Array:
        safe = jnp.where(self.df > 2, self.df, 4.0)
        factor = jnp.where(self.df > 2, safe / (safe - 2), jnp.where(self.df > 1, jnp.inf, jnp.nan))
        return factor[..., None] * jnp.sum(self._root() ** 2, axis=-1)

    def _mode(self) -> jax.Array:
        return self.loc
