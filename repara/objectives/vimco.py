"""The importance-weighted bound for latents that are not reparameterized."""

from typing import Any

import jax
import jax.numpy as jnp

from repara.distributions import Distribution
from repara.objectives.bound import (
    Bound,
    LogLikelihood,
    WeightedSamples,
    check_count,
    log_mean_exp,
)

__all__ = ["vimco"]


def vimco(
    key: jax.Array,
    posterior: Distribution,
    prior: Distribution,
    log_likelihood: LogLikelihood,
    *,
    num_samples: int,
) -> Bound:
    """Computes the importance-weighted bound with a score-function gradient, for any latents.

        L_K(x) = log 1/K sum_k w_k,   w_k = p(x | z_k) p(z_k) / q(z_k | x)

    The value is that of `iwae`. Its gradient in the posterior's parameters,

        sum_k (L_K - L_-k - v_k) d log q(z_k | x)/dphi

    is unbiased for discrete latents too. Here v are the normalized weights, and the baseline L_-k
    of a sample is the bound with its weight replaced by the geometric mean of the other K - 1. The
    parameters of likelihood and prior have the gradient of the value.

    The gradient is unbiased only if the samples are independent, so there is no noise source to
    choose.

    Args:
      key: a typed key; consumed.
      posterior: q(z | x), batch shape [B], with `sample` and `log_prob`.
      prior: p(z), batch shape [] or [B].
      log_likelihood: maps latents [K, B, *event] to log p(x | z), [K, B], in nats.
      num_samples: K, at least 2.

    Returns:
      The bound, and the parts of the ELBO from the same samples, each [B], in nats; the parts have
      no gradient through the samples.

    Raises:
      ValueError: K < 2.

    References:
      Mnih and Rezende (2016), "Variational Inference for Monte Carlo Objectives", the variant with
      geometric means, https://arxiv.org/abs/1602.06725

    Example:
      >>> import repara as rp
      >>> q, p = rp.Bernoulli(logits=jnp.zeros(3)), rp.Bernoulli(probs=0.5)
      >>> vimco(jax.random.key(0), q, p, lambda z: -z, num_samples=4).bound.shape
      (3,)
    """
    check_count("num_samples", num_samples, 2)
    z = posterior.sample(key, (num_samples,))
    log_q = posterior.log_prob(z)
    weighted = WeightedSamples(log_likelihood(z), log_q - prior.log_prob(z))
    bound = log_mean_exp(weighted.log_w)
    signal = learning_signal(jax.lax.stop_gradient(weighted.log_w))
    # Zero, with the gradient of the score function; the term of v_k is part of the bound's own.
    score = jnp.sum(signal * (log_q - jax.lax.stop_gradient(log_q)), axis=0)
    return weighted.bound(bound + score)


def learning_signal(log_w: jax.Array) -> jax.Array:
    """Returns L_K - L_-k, [K, B]: the improvement by a sample's weight over the others' mean."""
    count = log_w.shape[0]
    # Both are logarithms of sums, and a common factor of the weights cancels in the difference.
    log_w = log_w - jnp.max(log_w, axis=0, keepdims=True)
    geometric = _reduce_others(log_w, jax.lax.cumsum, jnp.add, 0) / (count - 1)
    others = _reduce_others(log_w, jax.lax.cumlogsumexp, jnp.logaddexp, -jnp.inf)
    return jax.nn.logsumexp(log_w, axis=0, keepdims=True) - jnp.logaddexp(others, geometric)


def _reduce_others(x: jax.Array, cumulate: Any, combine: Any, neutral: float) -> jax.Array:
    """Reduces, for each entry along the first axis, all other entries.

    It combines cumulative results from both ends: the total minus the entry would cancel if the
    entry is nearly all of it.
    """
    edge = jnp.full_like(x[:1], neutral)
    before = jnp.concatenate([edge, cumulate(x, axis=0)[:-1]])
    after = jnp.concatenate([cumulate(x, axis=0, reverse=True)[1:], edge])
    return combine(before, after)  # type: ignore[no-any-return]
