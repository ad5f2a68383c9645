"""The evidence lower bound, with the KL divergence in closed form or from samples."""

from typing import Literal

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from repara import noise
from repara.distributions import Distribution, Independent, kl_divergence
from repara.objectives.bound import (
    Bound,
    LogLikelihood,
    check_count,
    check_gradient,
    sample,
    without_gradient,
)

__all__ = ["elbo", "elbo_monte_carlo", "linear_warmup"]


def elbo(
    key: jax.Array,
    posterior: Distribution,
    prior: Distribution,
    log_likelihood: LogLikelihood,
    *,
    num_samples: int = 1,
    beta: ArrayLike = 1.0,
    free_bits: float = 0.0,
    source: noise.Source = noise.iid,
) -> Bound:
    """Computes the evidence lower bound with the KL divergence in closed form.

        ELBO(x) = 1/K sum_k log p(x | z_k) - beta KL(q(z | x) || p(z)),   z_k = rsample(q)

    With `beta` = 1 its expectation is a lower bound of log p(x), and its gradient is unbiased;
    other values make it the objective of a beta-VAE. With `free_bits` = lambda each latent
    coordinate costs at least lambda on average over the batch,

        KL -> sum_j max(lambda, 1/B sum_b KL(q(z_j | x_b) || p(z_j)))

    so lowering a coordinate's KL below lambda is not rewarded. If a coordinate's mean is above
    lambda, each example has its own divergence in that coordinate, otherwise each has lambda. The
    mean over the batch is the objective, and a lower bound of the mean of log p(x).

    Args:
      key: a typed key; consumed.
      posterior: q(z | x), batch shape [B], reparameterized.
      prior: p(z), batch shape [] or [B].
      log_likelihood: maps latents [K, B, *event] to log p(x | z), [K, B], in nats.
      num_samples: K, at least 1.
      beta: the weight of the KL divergence, at least 0.
      free_bits: lambda in nats, at least 0; 0 turns it off. If it is positive, posterior and prior
        must be scalar or `Independent` in all coordinates.
      source: the noise source, by default i.i.d.

    Returns:
      The bound and its parts, each [B], in nats; `kl` is the divergence without free bits.

    Raises:
      NotImplementedError: the divergence has no closed form (use `elbo_monte_carlo`), or there are
        free bits but the coordinates are not independent.
      ValueError: K < 1, or free bits below 0.

    References:
      Kingma and Welling (2013), "Auto-Encoding Variational Bayes", equation 7,
      https://arxiv.org/abs/1312.6114

      Higgins et al. (2017), "beta-VAE: Learning Basic Visual Concepts with a Constrained
      Variational Framework", equation 4, https://openreview.net/forum?id=Sy2fzU9gl

      Kingma et al. (2016), "Improving Variational Inference with Inverse Autoregressive Flow", for
      free bits, https://arxiv.org/abs/1606.04934

    Example:
      >>> import repara as rp
      >>> q, p = rp.Normal(jnp.zeros(3), 0.5), rp.Normal(0.0, 1.0)
      >>> x = jnp.array([0.0, 1.0, 2.0])
      >>> elbo(jax.random.key(0), q, p, lambda z: rp.Normal(z, 1.0).log_prob(x[None])).bound.shape
      (3,)
    """
    check_count("num_samples", num_samples)
    _check_free_bits(free_bits)
    z = posterior.rsample(key, (num_samples,), source=source)
    reconstruction = jnp.mean(log_likelihood(z), axis=0)
    kl = cost = kl_divergence(posterior, prior)
    if free_bits:
        cost = _with_free_bits(kl_divergence(*_coordinates(posterior, prior)), free_bits)
    return Bound(reconstruction - beta * cost, reconstruction, kl)


def elbo_monte_carlo(
    key: jax.Array,
    posterior: Distribution,
    prior: Distribution,
    log_likelihood: LogLikelihood,
    *,
    num_samples: int = 1,
    beta: ArrayLike = 1.0,
    free_bits: float = 0.0,
    gradient: Literal["plain", "stl"] = "plain",
    source: noise.Source = noise.iid,
) -> Bound:
    """Computes the evidence lower bound with the KL divergence estimated from the same samples.

        ELBO(x) = 1/K sum_k [log p(x | z_k) - beta (log q(z_k | x) - log p(z_k))]

    It has the same expectation as `elbo`, and works for every pair of posterior and prior. With
    `free_bits`, as in `elbo`, it is biased: the expectation of the larger of lambda and an estimate
    exceeds the larger of lambda and the true value, less so for large K times B.

    Args:
      key: a typed key; consumed.
      posterior: q(z | x), batch shape [B], reparameterized.
      prior: p(z), batch shape [] or [B].
      log_likelihood: maps latents [K, B, *event] to log p(x | z), [K, B], in nats.
      num_samples: K, at least 1.
      beta: the weight of the KL divergence, at least 0.
      free_bits: the minimum cost of a coordinate in nats, at least 0; 0 turns it off. If it is
        positive, posterior and prior must be scalar or `Independent` in all coordinates.
      gradient: "plain": the total derivative; "stl" (sticking the landing): without the score of q,
        whose expectation is zero. It is unbiased too, and has no variance if q is the true
        posterior and beta = 1. The doubly reparameterized gradient of this bound equals "stl".
      source: the noise source, by default i.i.d.

    Returns:
      The bound and its parts, each [B], in nats; a single estimate of the KL may be negative.

    Raises:
      NotImplementedError: there are free bits but the coordinates are not independent.
      ValueError: K < 1, free bits below 0, or an unknown gradient.

    References:
      Kingma and Welling (2013), "Auto-Encoding Variational Bayes", equation 6,
      https://arxiv.org/abs/1312.6114

      Roeder, Wu and Duvenaud (2017), "Sticking the Landing: Simple, Lower-Variance Gradient
      Estimators for Variational Inference", equation 8, https://arxiv.org/abs/1703.09194

      Kingma et al. (2016), "Improving Variational Inference with Inverse Autoregressive Flow", for
      free bits, https://arxiv.org/abs/1606.04934

    Example:
      >>> import repara as rp
      >>> q, p = rp.Normal(jnp.zeros(3), 0.5), rp.Normal(0.0, 1.0)
      >>> bound = elbo_monte_carlo(jax.random.key(0), q, p, lambda z: -(z**2), num_samples=8)
      >>> bound.kl.shape
      (3,)
    """
    check_count("num_samples", num_samples)
    check_gradient(gradient, ("plain", "stl"))
    _check_free_bits(free_bits)
    z, log_q = sample(key, posterior, num_samples, source, gradient)
    reconstruction = jnp.mean(log_likelihood(z), axis=0)
    kl = cost = jnp.mean(log_q - prior.log_prob(z), axis=0)
    if free_bits:
        q, p = _coordinates(posterior, prior)
        if gradient == "stl":
            q = without_gradient(q)
        cost = _with_free_bits(jnp.mean(q.log_prob(z) - p.log_prob(z), axis=0), free_bits)
    return Bound(reconstruction - beta * cost, reconstruction, kl)


def _coordinates(q: Distribution, p: Distribution) -> tuple[Distribution, Distribution]:
    """Returns the distributions of single latent coordinates under posterior and prior."""
    ndims = len(q.event_shape)
    if not ndims:
        return q, p
    if not isinstance(q, Independent) or q.reinterpreted_batch_ndims != ndims:
        raise _dependent_coordinates(q)
    if not isinstance(p, Independent) or p.reinterpreted_batch_ndims != ndims:
        raise _dependent_coordinates(p)
    return q.base, p.base


def _dependent_coordinates(d: Distribution) -> NotImplementedError:
    return NotImplementedError(
        "free_bits need independent coordinates, a posterior and a prior that are Independent with "
        f"a scalar base: got {type(d).__name__}"
    )


def _with_free_bits(kl: jax.Array, free_bits: float) -> jax.Array:
    """Returns the cost of each example, [B], from the KL of each coordinate, [B, *event]."""
    counts = jnp.mean(kl, axis=0, keepdims=True) > free_bits
    return jnp.sum(jnp.where(counts, kl, free_bits), axis=tuple(range(1, kl.ndim)))


def _check_free_bits(free_bits: float) -> None:
    if not free_bits >= 0:
        raise ValueError(f"free_bits must be at least 0, got {free_bits}")


def linear_warmup(step: jax.Array, num_steps: float, final: float = 1.0) -> jax.Array:
    """Returns a weight that grows linearly from 0 at step 0 to `final` at `num_steps`.

        beta(t) = final min(1, t / num_steps)

    Args:
      step: t, the number of steps done, an integer array.
      num_steps: the length of the warm-up in steps; 0 for no warm-up.
      final: the final weight.

    Returns:
      The weight, float32.

    References:
      Sonderby et al. (2016), "Ladder Variational Autoencoders", section 2.3,
      https://arxiv.org/abs/1602.02282

    Example:
      >>> float(linear_warmup(jnp.int32(5), 10))
      0.5
    """
    if num_steps <= 0:
        return jnp.asarray(final, jnp.float32)
    return final * jnp.minimum(1.0, step.astype(jnp.float32) / num_steps)
