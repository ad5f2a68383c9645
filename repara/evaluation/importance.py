"""The log-likelihood by importance sampling from the approximate posterior."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp

from repara.distributions import Distribution
from repara.objectives import LogLikelihood

__all__ = ["ImportanceEstimate", "importance_log_likelihood"]


class ImportanceEstimate(NamedTuple):
    """An importance-sampling estimate of a log-likelihood, one value per example.

    Attributes:
      log_likelihood: the logarithm of the mean weight, [B], nats.
      stderr: its standard error from the spread of the weights (delta method), [B], nats. It does
        not include the bias, which is larger if there are few effective samples.
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
    """Estimates the log-likelihood by importance sampling from the posterior; biased low.

        log p(x) ~ log 1/K sum_k p(x | z_k) p(z_k) / q(z_k | x)

    Its expectation is the importance-weighted bound with K samples. The samples are processed in
    chunks, so that memory does not grow with K. Exactly K samples are used, even if the chunk size
    does not divide K.

    Args:
      key: a typed key; consumed.
      posterior: q(z | x), batch shape [B], continuous or discrete.
      prior: p(z), batch shape [] or [B].
      log_likelihood: maps latents [S, B, *event] to log p(x | z), [S, B], in nats.
      num_samples: K, at least 1.
      chunk_size: the number of samples in memory at a time, at least 1.

    Returns:
      The estimate with its Monte Carlo standard error and effective sample size, each [B].

    Raises:
      ValueError: K or the chunk size is below 1.

    References:
      Burda, Grosse and Salakhutdinov (2016), "Importance Weighted Autoencoders", section 5, who use
      K = 5000, https://arxiv.org/abs/1509.00519

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
        """Returns the logarithms of the sum of the weights and of their squares, [2, B]."""
        if posterior.has_rsample:
            z, log_q = posterior.rsample_and_log_prob(key, (count,))
        else:
            z = posterior.sample(key, (count,))
            log_q = posterior.log_prob(z)
        log_w = log_likelihood(z) + prior.log_prob(z) - log_q
        return jnp.stack([logsumexp(log_w, axis=0), logsumexp(2 * log_w, axis=0)])

    def body(index: jax.Array, total: jax.Array) -> jax.Array:
        return jnp.logaddexp(total, sums(jax.random.fold_in(key, index), chunk_size))

    total = jax.lax.fori_loop(1, full, body, sums(jax.random.fold_in(key, 0), chunk_size))
    if rest:
        total = jnp.logaddexp(total, sums(jax.random.fold_in(key, full), rest))
    log_sum, log_sum_squares = total
    # var(log mean w) ~ var(w) / (K mean(w)^2) = (K sum w^2 / (sum w)^2 - 1) / K.
    log_ratio = log_sum_squares - 2 * log_sum
    variance = jnp.maximum(jnp.exp(log_ratio) - 1 / num_samples, 0)
    return ImportanceEstimate(
        log_sum - math.log(num_samples), jnp.sqrt(variance), jnp.exp(-log_ratio)
    )
