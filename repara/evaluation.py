"""Evaluation of latent-variable models: test log-likelihood, parts of the bound, active units."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp

from repara.distributions import Distribution, Independent, MultivariateNormal, Normal
from repara.distributions.divergences import kl_divergence
from repara.objectives import LogLikelihood

__all__ = [
    "ImportanceEstimate",
    "active_units",
    "importance_log_likelihood",
    "kl_per_dimension",
    "mean_and_stderr",
    "over_batches",
]


class ImportanceEstimate(NamedTuple):
    """An importance-sampling estimate of a log-likelihood, one value an example.

    Attributes:
      log_likelihood: the logarithm of the mean weight, [B], nats.
      stderr: its standard error from the spread of the weights (delta method), [B], nats.
      effective_samples: (sum w)^2 / sum w^2, from 1 to K, [B].
    """

    log_likelihood: jax.Array
    stderr: jax.Array
    effective_samples: jax.Array


def importance_log_likelihood(
    key: jax.Array,
    posterior: Distribution,
    prior: Distribution,
    log_likelihood: LogLikelihood,
    *,
    num_samples: int = 5000,
    chunk_size: int = 50,
) -> ImportanceEstimate:
    """The log-likelihood by importance sampling from the approximate posterior.

        log p(x) ~ log 1/K sum_k p(x | z_k) p(z_k) / q(z_k | x)

    Biased low for finite K: its expectation is the importance-weighted bound with K samples. The
    samples are streamed through in chunks, so that memory does not grow with K; exactly K are used
    also where the chunk does not divide it.

    Args:
      key: a typed key; consumed.
      posterior: q(z | x), batch shape [B]; discrete ones too.
      prior: p(z), batch shape [] or [B].
      log_likelihood: maps latents [S, B, *event] to log p(x | z), [S, B], in nats.
      num_samples: K, at least 1.
      chunk_size: how many samples are held at a time.

    Returns:
      The estimate with its Monte Carlo standard error and effective sample size, each [B].

    Raises:
      ValueError: K or the chunk size is below 1.

    Source:
      Burda, Grosse & Salakhutdinov (2016), "Importance weighted autoencoders", section 5, who use
      K = 5000.

    Example:
      >>> import repara as rp
      >>> q = p = rp.Normal(jnp.zeros(2), 1.0)
      >>> e = importance_log_likelihood(
      ...     jax.random.key(0), q, p, lambda z: jnp.full(z.shape, -3.0), num_samples=70)
      >>> [round(float(x), 4) for x in e.log_likelihood]
      [-3.0, -3.0]
    """
    if num_samples < 1 or chunk_size < 1:
        raise ValueError(
            f"num_samples and chunk_size must be at least 1, got {num_samples} and {chunk_size}"
        )
    chunk_size = min(chunk_size, num_samples)
    full, rest = divmod(num_samples, chunk_size)

    def sums(key: jax.Array, count: int) -> jax.Array:
        """Logarithms of the sum of the weights and of their squares, [2, B]."""
        if posterior.has_rsample:
            z, log_q = posterior.rsample_and_log_prob(key, (count,))
        else:
            z = posterior.sample(key, (count,))
            log_q = posterior.log_prob(z)
        log_w = log_likelihood(z) + prior.log_prob(z) - log_q
        return jnp.stack([logsumexp(log_w, axis=0), logsumexp(2 * log_w, axis=0)])

    def body(total: jax.Array, index: jax.Array) -> tuple[jax.Array, None]:
        return jnp.logaddexp(total, sums(jax.random.fold_in(key, index), chunk_size)), None

    total, _ = jax.lax.scan(
        body, sums(jax.random.fold_in(key, 0), chunk_size), jnp.arange(1, full, dtype=jnp.uint32)
    )
    if rest:
        total = jnp.logaddexp(total, sums(jax.random.fold_in(key, full), rest))
    log_sum, log_sum_squares = total
    # var(log mean w) ~ var(w) / (K mean(w)^2) = (K sum w^2 / (sum w)^2 - 1) / K.
    log_ratio = log_sum_squares - 2 * log_sum
    variance = jnp.maximum(jnp.exp(log_ratio) - 1 / num_samples, 0)
    return ImportanceEstimate(
        log_sum - math.log(num_samples), jnp.sqrt(variance), jnp.exp(-log_ratio)
    )


def kl_per_dimension(posterior: Distribution, prior: Distribution) -> jax.Array:
    """The KL divergence of each latent coordinate.

        KL_d = KL(q(z_d | x) || p(z_d))

    For independent coordinates they sum to the divergence; for a full covariance they are those of
    the marginals.

    Args:
      posterior: q(z | x), batch shape [B], event shape [D]: independent normals or a multivariate
        normal.
      prior: p(z), of the same event shape.

    Returns:
      The divergences, [B, D], in nats.

    Example:
      >>> import repara as rp
      >>> q = rp.Independent(rp.Normal(jnp.array([[0.0, 1.0]]), 1.0), 1)
      >>> p = rp.Independent(rp.Normal(jnp.zeros(2), 1.0), 1)
      >>> [float(x) for x in kl_per_dimension(q, p)[0]]
      [0.0, 0.5]
    """
    return kl_divergence(_coordinates(posterior), _coordinates(prior))


def _coordinates(q: Distribution) -> Distribution:
    if isinstance(q, Independent) and q.reinterpreted_batch_ndims == 1:
        return q.base
    if isinstance(q, MultivariateNormal):
        return Normal(jnp.broadcast_to(q.loc, q.batch_shape + q.event_shape), q.stddev)
    raise NotImplementedError(
        f"kl_per_dimension knows the coordinates of Independent and MultivariateNormal, "
        f"not of {type(q).__name__}"
    )


def active_units(posterior_means: np.ndarray, threshold: float = 0.01) -> int:
    """The number of latent coordinates that the encoder uses.

        #{d : Var_x(E_q[z_d | x]) > threshold}

    Args:
      posterior_means: E_q[z | x] for N examples, [N, D].
      threshold: the variance above which a coordinate counts as active.

    Returns:
      The count, from 0 to D.

    Source:
      Burda, Grosse & Salakhutdinov (2016), "Importance weighted autoencoders", section 5.1.

    Example:
      >>> active_units(np.array([[0.0, 1.0], [0.0, -1.0]]))
      1
    """
    return int(np.sum(np.var(np.asarray(posterior_means, np.float64), axis=0) > threshold))


def mean_and_stderr(values: np.ndarray) -> tuple[float, float]:
    """The mean over examples and its standard error, accumulated in float64.

        m = 1/N sum_n v_n,   stderr = sqrt(1/(N (N - 1)) sum_n (v_n - m)^2)

    Args:
      values: one number an example, [N].

    Returns:
      The mean and its standard error, NaN for a single example.

    Example:
      >>> mean_and_stderr(np.array([1.0, 3.0]))
      (2.0, 1.0)
    """
    values = np.asarray(values, np.float64)
    spread = float(np.std(values, ddof=1)) if values.size > 1 else math.nan
    return float(np.mean(values)), spread / math.sqrt(values.size)


def over_batches(
    function: Callable[[jax.Array, np.ndarray], tuple[jax.Array, ...]],
    key: jax.Array,
    data: np.ndarray,
    batch_size: int,
    *,
    progress: Callable[[int], None] | None = None,
) -> tuple[np.ndarray, ...]:
    """Applies a compiled function to a data set batch by batch.

    Args:
      function: maps a key and a batch [batch_size, ...] to arrays [batch_size, ...]; it is given
        `fold_in(key, i)` for batch i. The last batch is filled up with its first example and the
        surplus dropped, so that one compilation serves.
      key: a typed key; consumed.
      data: [N, ...].
      batch_size: B.
      progress: called with the number of examples done after each batch.

    Returns:
      The results of all N examples, each concatenated along its first axis.

    Example:
      >>> double = lambda key, x: (2 * x,)
      >>> over_batches(double, jax.random.key(0), np.arange(5), batch_size=2)[0].tolist()
      [0, 2, 4, 6, 8]
    """
    parts = []
    for index, start in enumerate(range(0, len(data), batch_size)):
        batch = np.asarray(data[start : start + batch_size])
        count = len(batch)
        if count < batch_size:
            batch = np.concatenate([batch, np.repeat(batch[:1], batch_size - count, axis=0)])
        result = function(jax.random.fold_in(key, index), batch)
        parts.append(tuple(np.asarray(x)[:count] for x in result))
        if progress is not None:
            progress(start + count)
    return tuple(np.concatenate(x) for x in zip(*parts, strict=True))
