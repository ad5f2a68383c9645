"""Bounds on the log-likelihood of latent-variable models: one value an example, never a mean.

Each takes the approximate posterior q(z | x) as a distribution with batch shape [B], the prior p(z)
with batch shape [] or [B], and the log-likelihood as a function of the latents. A bound is to be
maximised; a loss is its negative mean, taken by the caller.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jax.typing import ArrayLike

from repara import noise
from repara.distributions import Distribution, kl_divergence

__all__ = [
    "Bound",
    "Gradient",
    "LogLikelihood",
    "elbo",
    "elbo_monte_carlo",
    "iwae",
    "linear_warmup",
]

LogLikelihood = Callable[[jax.Array], jax.Array]
"""Maps latents [K, B, *event] to log p(x | z), [K, B]."""

Gradient = Literal["plain", "stl", "dreg"]
"""How the gradient in the posterior's parameters is formed; the bound's value is the same."""


class Bound(NamedTuple):
    """A bound with its parts, one value an example.

    Attributes:
      bound: the quantity of the function's name, at the given beta; [B], nats.
      log_likelihood: the mean over samples of log p(x | z); [B], nats.
      kl: KL(q(z | x) || p(z)), in closed form or as estimated from the samples; [B], nats.
    """

    bound: jax.Array
    log_likelihood: jax.Array
    kl: jax.Array


def elbo(
    key: jax.Array,
    posterior: Distribution,
    prior: Distribution,
    log_likelihood: LogLikelihood,
    *,
    num_samples: int = 1,
    beta: ArrayLike = 1.0,
    source: noise.Source = noise.iid,
) -> Bound:
    """The evidence lower bound with the KL divergence in closed form.

        ELBO(x) = 1/K sum_k log p(x | z_k) - beta KL(q(z | x) || p(z)),   z_k = rsample(q)

    With `beta` = 1 its expectation is a lower bound of log p(x) and its pathwise gradient is
    unbiased; other values make it the objective of a beta-VAE.

    Args:
      key: a typed key; consumed.
      posterior: q(z | x), batch shape [B], reparameterized.
      prior: p(z), batch shape [] or [B].
      log_likelihood: maps latents [K, B, *event] to log p(x | z), [K, B], in nats.
      num_samples: K, at least 1.
      beta: the weight of the KL divergence, at least 0.
      source: where the noise comes from, by default i.i.d.

    Returns:
      The bound and its parts, each [B], in nats.

    Raises:
      NotImplementedError: there is no closed form of the divergence; `elbo_monte_carlo` serves.
      ValueError: K < 1.

    Source:
      Kingma & Welling (2013), "Auto-encoding variational Bayes", equation 7; Higgins et al. (2017),
      "beta-VAE", equation 4.

    Example:
      >>> import repara as rp
      >>> q, p = rp.Normal(jnp.zeros(3), 0.5), rp.Normal(0.0, 1.0)
      >>> x = jnp.array([0.0, 1.0, 2.0])
      >>> elbo(jax.random.key(0), q, p, lambda z: rp.Normal(z, 1.0).log_prob(x[None])).bound.shape
      (3,)
    """
    _check_num_samples(num_samples)
    z = posterior.rsample(key, (num_samples,), source=source)
    reconstruction = jnp.mean(log_likelihood(z), axis=0)
    kl = kl_divergence(posterior, prior)
    return Bound(reconstruction - beta * kl, reconstruction, kl)


def elbo_monte_carlo(
    key: jax.Array,
    posterior: Distribution,
    prior: Distribution,
    log_likelihood: LogLikelihood,
    *,
    num_samples: int = 1,
    beta: ArrayLike = 1.0,
    gradient: Literal["plain", "stl"] = "plain",
    source: noise.Source = noise.iid,
) -> Bound:
    """The evidence lower bound with the KL divergence estimated from the same samples.

        ELBO(x) = 1/K sum_k [log p(x | z_k) - beta (log q(z_k | x) - log p(z_k))]

    It has the expectation of `elbo` and serves every pair of posterior and prior.

    Args:
      key: a typed key; consumed.
      posterior: q(z | x), batch shape [B], reparameterized.
      prior: p(z), batch shape [] or [B].
      log_likelihood: maps latents [K, B, *event] to log p(x | z), [K, B], in nats.
      num_samples: K, at least 1.
      beta: the weight of the KL divergence, at least 0.
      gradient: "plain": the total one; "stl" (sticking the landing): without the score of q, whose
        expectation is zero. Unbiased too, and without variance where q is the true posterior and
        beta = 1.
      source: where the noise comes from, by default i.i.d.

    Returns:
      The bound and its parts, each [B], in nats; a single estimate of the KL may be negative.

    Raises:
      ValueError: K < 1, or an unknown gradient.

    Source:
      Kingma & Welling (2013), "Auto-encoding variational Bayes", equation 6; Roeder, Wu & Duvenaud
      (2017), "Sticking the landing", equation 8.

    Example:
      >>> import repara as rp
      >>> q, p = rp.Normal(jnp.zeros(3), 0.5), rp.Normal(0.0, 1.0)
      >>> bound = elbo_monte_carlo(jax.random.key(0), q, p, lambda z: -(z**2), num_samples=8)
      >>> bound.kl.shape
      (3,)
    """
    _check_num_samples(num_samples)
    _check_gradient(gradient, ("plain", "stl"))
    z, log_q = _sample(key, posterior, num_samples, source, gradient)
    reconstruction = jnp.mean(log_likelihood(z), axis=0)
    kl = jnp.mean(log_q - prior.log_prob(z), axis=0)
    return Bound(reconstruction - beta * kl, reconstruction, kl)


def iwae(
    key: jax.Array,
    posterior: Distribution,
    prior: Distribution,
    log_likelihood: LogLikelihood,
    *,
    num_samples: int = 1,
    gradient: Gradient = "plain",
    source: noise.Source = noise.iid,
) -> Bound:
    """The importance-weighted bound.

        L_K(x) = log 1/K sum_k w_k,   w_k = p(x | z_k) p(z_k) / q(z_k | x)

    It lies between the ELBO (K = 1) and log p(x), which it reaches as K grows. The signal-to-noise
    ratio of the plain gradient in the posterior's parameters falls like K^-1/2, that of "dreg"
    grows like K^1/2 (Rainforth et al. 2018; Tucker et al. 2019).

    Args:
      key: a typed key; consumed.
      posterior: q(z | x), batch shape [B], reparameterized.
      prior: p(z), batch shape [] or [B].
      log_likelihood: maps latents [K, B, *event] to log p(x | z), [K, B], in nats.
      num_samples: K, at least 1.
      gradient: "plain": the total one, unbiased; "dreg": the doubly reparameterized one, unbiased,
        sum_k v_k^2 d log w_k/dz_k dz_k/dphi with v the normalized weights; "stl": the same with
        v_k for v_k^2, biased for K > 1. All three have the same gradient in the parameters of
        likelihood and prior.
      source: where the noise comes from, by default i.i.d.

    Returns:
      The bound, and the parts of the ELBO from the same samples, each [B], in nats.

    Raises:
      ValueError: K < 1, or an unknown gradient.

    Source:
      Burda, Grosse & Salakhutdinov (2016), "Importance weighted autoencoders", equation 8; Tucker
      et al. (2019), "Doubly reparameterized gradient estimators", equation 8.

    Example:
      >>> import repara as rp
      >>> q, p = rp.Normal(jnp.zeros(3), 0.5), rp.Normal(0.0, 1.0)
      >>> iwae(jax.random.key(0), q, p, lambda z: -(z**2), num_samples=8).bound.shape
      (3,)
    """
    _check_num_samples(num_samples)
    _check_gradient(gradient, ("plain", "stl", "dreg"))
    z, log_q = _sample(key, posterior, num_samples, source, gradient)
    if gradient == "dreg":
        # The weights are computed twice from the same values; the compiler makes one pass of it.
        fixed = jax.lax.stop_gradient(z)
        weights = jax.nn.softmax(
            jax.lax.stop_gradient(log_likelihood(fixed) + prior.log_prob(fixed) - log_q), axis=0
        )
        event = z.ndim - weights.ndim
        z = _scale_tangent(z, weights.reshape(weights.shape + (1,) * event))
        log_q = _without_parameters(posterior).log_prob(z)
    log_p_x = log_likelihood(z)
    excess = log_q - prior.log_prob(z)
    log_mean_weight = logsumexp(log_p_x - excess, axis=0) - jnp.log(float(num_samples))
    return Bound(log_mean_weight, jnp.mean(log_p_x, axis=0), jnp.mean(excess, axis=0))


@jax.custom_jvp
def _scale_tangent(z: jax.Array, factor: jax.Array) -> jax.Array:
    """z, with its derivative multiplied by a factor."""
    return z


@_scale_tangent.defjvp
def _scale_tangent_rule(primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
    z, factor = primals
    return z, factor * tangents[0]


def _without_parameters(posterior: Distribution) -> Distribution:
    return jax.tree.map(jax.lax.stop_gradient, posterior)


def _sample(
    key: jax.Array,
    posterior: Distribution,
    num_samples: int,
    source: noise.Source,
    gradient: Gradient,
) -> tuple[jax.Array, jax.Array]:
    """Samples and their log-densities, differentiated through the samples alone if so asked."""
    if gradient == "plain":
        return posterior.rsample_and_log_prob(key, (num_samples,), source=source)
    z = posterior.rsample(key, (num_samples,), source=source)
    return z, _without_parameters(posterior).log_prob(z)


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


def _check_num_samples(num_samples: int) -> None:
    if num_samples < 1:
        raise ValueError(f"num_samples must be at least 1, got {num_samples}")


def _check_gradient(gradient: str, known: tuple[str, ...]) -> None:
    if gradient not in known:
        raise ValueError(f"gradient must be one of {', '.join(known)}, got {gradient!r}")
