"""Helpers of the families of vectors and matrices: shapes, gamma functions, Bartlett's factor."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import digamma, gammaln

from repara.distributions.base import Distribution
from repara.distributions.constraints import positive_definite
from repara.distributions.derivatives import derivative
from repara.distributions.gamma import normal_from_log_gamma
from repara.distributions.parameters import (
    as_float_arrays,
    at_least_32_bits,
    check_value,
    nan_if_invalid,
)
from repara.special import log_gamma_from_normal
from repara.special.stirling import log_factorial_excess

__all__: list[str] = []


def check_lengths(q: Distribution, **letters: str) -> None:
    """Raises unless dimensions with one letter have one length.

    `letters` gives each parameter a letter for each of its event dimensions: loc="d",
    scale_tril="dd".
    """
    known: dict[str, tuple[int, str]] = {}
    for key, names in letters.items():
        shape = jnp.shape(getattr(q, key))
        for letter, length in zip(names, shape[len(shape) - len(names) :], strict=True):
            expected, first = known.setdefault(letter, (length, key))
            if length != expected:
                raise ValueError(
                    f"{type(q).__name__}: {key} of shape {shape} needs {letter} = {expected} in "
                    f"(..., {', '.join(names)}), the length that {first} has"
                )


def with_cholesky_factor(name: str, **given: object) -> dict[str, object]:
    """Returns the arguments with a Cholesky factor in place of a symmetric matrix.

    The last two of `given` are alternatives, the factor first; exactly one of them is not None.
    """
    *_, root, matrix = given
    if (given[root] is None) == (given[matrix] is None):
        number = "neither" if given[root] is None else "both"
        raise TypeError(f"{name} takes exactly one of {root} and {matrix}, got {number}")
    if given[matrix] is None:
        return {key: value for key, value in given.items() if key != matrix}
    arrays = as_float_arrays(
        name, {key: value for key, value in given.items() if key != root}  # type: ignore[misc]
    )  # fmt: skip
    symmetric = arrays.pop(matrix)
    if symmetric.ndim < 2 or symmetric.shape[-1] != symmetric.shape[-2]:
        raise ValueError(f"{name}: {matrix} must be square, got shape {symmetric.shape}")
    check_value(name, matrix, symmetric, positive_definite)
    wide = symmetric.astype(at_least_32_bits(symmetric.dtype))
    # The factorization reads one triangle only: a traced asymmetric matrix must give NaN.
    factor = jnp.linalg.cholesky(nan_if_invalid(wide, positive_definite))
    return {**arrays, root: factor.astype(symmetric.dtype)}


def _halves(df: jax.Array, p: int) -> jax.Array:
    """(df - i) / 2 for i < p, in a last dimension."""
    steps = jnp.arange(p, dtype=df.dtype)
    return 0.5 * (df[..., None] - steps.reshape((1,) * df.ndim + (p,)))


def log_multigamma(df: jax.Array, p: int) -> jax.Array:
    """Returns the logarithm of the multivariate gamma function at df / 2 (DLMF 35.3.4)."""
    constant = 0.25 * p * (p - 1) * math.log(math.pi)
    return constant + jnp.sum(gammaln(_halves(df, p)), axis=-1)


def multidigamma(df: jax.Array, p: int) -> jax.Array:
    """Returns the derivative of `log_multigamma` in df / 2."""
    return jnp.sum(digamma(_halves(df, p)), axis=-1)


def digamma_minus_log(x: jax.Array) -> jax.Array:
    """Returns digamma(x) - log x, which is about -1 / (2 x) for large x."""
    return derivative(log_factorial_excess, x) - 1 / x


def log_gamma_ratio(x: jax.Array, h: float | jax.Array) -> jax.Array:
    """Returns log Gamma(x + h) - log Gamma(x) by Stirling's formula, without cancellation."""
    excess = log_factorial_excess(x + h) - log_factorial_excess(x)
    return excess + (x + h - 1) * jnp.log1p(h / x) + h * (jnp.log(x) - 1)


def bartlett_from_normal(df: jax.Array, eps: jax.Array, p: int) -> tuple[jax.Array, jax.Array]:
    """Returns the lower triangular A with A A^T ~ Wishart(df, I), and the logs of its diagonal.

    A_ii^2 ~ chi-squared(df - i), the other entries are standard normal (Bartlett 1933). The first p
    noises belong to the diagonal, the others to the other entries, row by row.
    """
    log_diagonal = 0.5 * (math.log(2) + log_gamma_from_normal(eps[..., :p], _halves(df, p)))
    rows, columns = np.tril_indices(p, -1)
    each = np.arange(p)
    shape = jnp.broadcast_shapes(log_diagonal.shape[:-1], eps.shape[:-1])
    a = jnp.zeros((*shape, p, p), eps.dtype)
    a = a.at[..., each, each].set(jnp.exp(log_diagonal))
    return a.at[..., rows, columns].set(eps[..., p:]), log_diagonal


def normal_from_bartlett(df: jax.Array, a: jax.Array) -> jax.Array:
    """Returns the noise from which `bartlett_from_normal` makes `a`."""
    p = a.shape[-1]
    rows, columns = np.tril_indices(p, -1)
    log_half_square = 2 * jnp.log(jnp.diagonal(a, axis1=-2, axis2=-1)) - math.log(2)
    diagonal = normal_from_log_gamma(_halves(df, p), log_half_square)
    return jnp.concatenate([diagonal, a[..., rows, columns]], axis=-1)
