"""The evidence lower bound, its divergence in closed form or from the samples."""

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
    without_parameters,
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
    """The evidence lower bound with the KL divergence in closed form.

        ELBO(x) = 1/K sum_k log p(x | z_k) - beta KL(q(z | x) || p(z)),   z_k = rsample(q)

    With `beta` = 1 its expectation is a lower bound of log p(x) and its pathwise gradient is
    unbiased; other values make it the objective of a beta-VAE. With `free_bits` = lambda the
    divergence of a latent coordinate costs no less than lambda on average over the batch,

        KL -> sum_j max(lambda, 1/B sum_b KL(q(z_j | x_b) || p(z_j)))

    so that nothing is gained by making a coordinate carry less. Of a coordinate that costs more
    each example has its own divergence, of the others it has lambda: the mean over the batch is the
    objective, a lower bound of the mean of log p(x).

    Args:
      key: a typed key; consumed.
      posterior: q(z | x), batch shape [B], reparameterized.
      prior: p(z), batch shape [] or [B].
      log_likelihood: maps latents [K, B, *event] to log p(x | z), [K, B], in nats.
      num_samples: K, at least 1.
      beta: the weight of the KL divergence, at least 0.
      free_bits: lambda in nats, at least 0; 0 for none. Above it, posterior and prior must be
        scalar or `Independent` in all their coordinates.
      source: where the noise comes from, by default i.i.d.

    Returns:
      The bound and its parts, each [B], in nats; `kl` is the divergence itself, whatever it costs.

    Raises:
      NotImplementedError: there is no closed form of the divergence, for which `elbo_monte_carlo`
        serves; or free bits, and coordinates that are not independent.
      ValueError: K < 1, or free bits below 0.

    Source:
      Kingma & Welling (2013), "Auto-encoding variational Bayes", equation 7; Higgins et al. (2017),
      "beta-VAE", equation 4; Kingma et al. (2016), "Improving variational inference with inverse
      autoregressive flow", for the free bits.

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
        cost = _at_least(kl_divergence(*_coordinates(posterior, prior)), free_bits)
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
    """The evidence lower bound with the KL divergence estimated from the same samples.

        ELBO(x) = 1/K sum_k [log p(x | z_k) - beta (log q(z_k | x) - log p(z_k))]

    It has the expectation of `elbo` and serves every pair of posterior and prior. With `free_bits`
    as in `elbo` it is biased: the larger of lambda and an estimate lies above, in expectation, the
    larger of lambda and what is estimated, the less so the larger K times B.

    Args:
      key: a typed key; consumed.
      posterior: q(z | x), batch shape [B], reparameterized.
      prior: p(z), batch shape [] or [B].
      log_likelihood: maps latents [K, B, *event] to log p(x | z), [K, B], in nats.
      num_samples: K, at least 1.
      beta: the weight of the KL divergence, at least 0.
      free_bits: the least cost of a coordinate in nats, at least 0; 0 for none. Above it, posterior
        and prior must be scalar or `Independent` in all their coordinates.
      gradient: "plain": the total one; "stl" (sticking the landing): without the score of q, whose
        expectation is zero. Unbiased too, and without variance where q is the true posterior and
        beta = 1. The doubly reparameterized gradient of this bound is the same as "stl".
      source: where the noise comes from, by default i.i.d.

    Returns:
      The bound and its parts, each [B], in nats; a single estimate of the KL may be negative.

    Raises:
      NotImplementedError: free bits, and coordinates that are not independent.
      ValueError: K < 1, free bits below 0, or an unknown gradient.

    Source:
      Kingma & Welling (2013), "Auto-encoding variational Bayes", equation 6; Roeder, Wu & Duvenaud
      (2017), "Sticking the landing", equation 8; Kingma et al. (2016), "Improving variational
      inference with inverse autoregressive flow", for the free bits.

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
            q = without_parameters(q)
        cost = _at_least(jnp.mean(q.log_prob(z) - p.log_prob(z), axis=0), free_bits)
    return Bound(reconstruction - beta * cost, reconstruction, kl)


def _coordinates(q: Distribution, p: Distribution) -> tuple[Distribution, Distribution]:
    """Posterior and prior of the latent's coordinates, one by one."""
    ndims = len(q.event_shape)
    if not ndims:
        return q, p
    for d in (q, p):
        if not isinstance(d, Independent) or d.reinterpreted_batch_ndims != ndims:
            raise NotImplementedError(
                "free_bits are those of independent coordinates, of a posterior and a prior that "
                f"are Independent with a scalar base: got {type(d).__name__}"
            )
    return q.base, p.base  # type: ignore[attr-defined]


def _at_least(each: jax.Array, free_bits: float) -> jax.Array:
    """The cost of an example, [B], of the divergences of its coordinates, [B, *event]."""
    counts = jnp.mean(each, axis=0, keepdims=True) > free_bits
    return jnp.sum(jnp.where(counts, each, free_bits), axis=tuple(range(1, each.ndim)))


def _check_free_bits(free_bits: float) -> None:
    if not free_bits >= 0:
        raise ValueError(f"free_bits must be at least 0, got {free_bits}")


def linear_warmup(step: jax.Array, num_steps: float, final: float = 1.0) -> jax.Array:
    """A weight that grows linearly from 0 at step 0 to `final` at `num_steps`, and stays there.

        beta(t) = final min(1, t / num_steps)

    Args:
      step: the number of steps taken, an integer array.
      num_steps: the length of the warm-up in steps; 0 means none.
      final: the final weight.

    Returns:
      The weight, float32.

    Source:
      Sonderby et al. (2016), "Ladder variational autoencoders", section 2.3.

    Example:
      >>> float(linear_warmup(jnp.int32(5), 10))
      0.5
    """
    if num_steps <= 0:
        return jnp.float32(final)
    return final * jnp.minimum(1.0, step.astype(jnp.float32) / num_steps)
