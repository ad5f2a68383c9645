"""The importance-weighted bound, and combinations of it with less noisy gradients."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from repara import noise
from repara.distributions import Distribution
from repara.objectives.bound import (
    Bound,
    Gradient,
    LogLikelihood,
    WeightedSamples,
    check_count,
    check_gradient,
    check_source,
    log_mean_exp,
    weigh,
    without_gradient,
)

__all__ = ["ciwae", "iwae", "miwae", "piwae"]


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
    """Computes the importance-weighted bound.

        L_K(x) = log 1/K sum_k w_k,   w_k = p(x | z_k) p(z_k) / q(z_k | x)

    It is between the ELBO (K = 1) and log p(x), and converges to log p(x) as K grows. The
    signal-to-noise ratio of the plain gradient in the posterior's parameters falls like K^-1/2,
    that of "dreg" grows like K^1/2 (Rainforth et al., 2018; Tucker et al., 2019).

    Args:
      key: a typed key; consumed.
      posterior: q(z | x), batch shape [B], reparameterized.
      prior: p(z), batch shape [] or [B].
      log_likelihood: maps latents [K, B, *event] to log p(x | z), [K, B], in nats.
      num_samples: K, at least 1.
      gradient: "plain": the total derivative, unbiased; "dreg": doubly reparameterized, unbiased,
        sum_k v_k^2 d log w_k/dz_k dz_k/dphi with the normalized weights v; "stl": the same with
        v_k in place of v_k^2, biased for K > 1. All three have the same gradient in the parameters
        of likelihood and prior.
      source: the noise source, by default i.i.d.; "dreg" needs independent samples.

    Returns:
      The bound, and the parts of the ELBO from the same samples, each [B], in nats.

    Raises:
      ValueError: K < 1, an unknown gradient, or "dreg" with dependent samples.

    References:
      Burda, Grosse and Salakhutdinov (2016), "Importance Weighted Autoencoders", equation 8,
      https://arxiv.org/abs/1509.00519

      Tucker et al. (2019), "Doubly Reparameterized Gradient Estimators for Monte Carlo Objectives",
      equation 8, https://arxiv.org/abs/1810.04152

      Rainforth et al. (2018), "Tighter Variational Bounds are Not Necessarily Better",
      https://arxiv.org/abs/1802.04537

    Example:
      >>> import repara as rp
      >>> q, p = rp.Normal(jnp.zeros(3), 0.5), rp.Normal(0.0, 1.0)
      >>> iwae(jax.random.key(0), q, p, lambda z: -(z**2), num_samples=8).bound.shape
      (3,)
    """
    weighted = weigh(
        key, posterior, prior, log_likelihood,
        num_samples=num_samples, source=source, gradient=gradient, path_factor=_normalized,
    )  # fmt: skip
    return weighted.bound(log_mean_exp(weighted.log_w))


def ciwae(
    key: jax.Array,
    posterior: Distribution,
    prior: Distribution,
    log_likelihood: LogLikelihood,
    *,
    num_samples: int = 1,
    elbo_weight: ArrayLike = 0.5,
    gradient: Gradient = "plain",
    source: noise.Source = noise.iid,
) -> Bound:
    """Computes the combined bound, a convex combination of ELBO and importance-weighted bound.

        beta 1/K sum_k log w_k + (1 - beta) log 1/K sum_k w_k

    with beta = `elbo_weight`, and w_k as in `iwae`. It is between the two bounds, so it is a lower
    bound of log p(x). The plain gradient of the second part gets noisy as K grows; that of the
    first part does not.

    Args:
      key: a typed key; consumed.
      posterior: q(z | x), batch shape [B], reparameterized.
      prior: p(z), batch shape [] or [B].
      log_likelihood: maps latents [K, B, *event] to log p(x | z), [K, B], in nats.
      num_samples: K, at least 1.
      elbo_weight: beta, from 0 (`iwae`) to 1 (`elbo_monte_carlo`).
      gradient: "plain": unbiased; "dreg": unbiased, with the normalized weights v
        sum_k (beta/K + (1 - beta) v_k^2) d log w_k/dz_k dz_k/dphi; "stl": the same with v_k in
        place of v_k^2, biased for K > 1 and beta < 1.
      source: the noise source, by default i.i.d.; "dreg" needs independent samples.

    Returns:
      The bound, and the parts of the ELBO from the same samples, each [B], in nats.

    Raises:
      ValueError: K < 1, a concrete weight out of range, an unknown gradient, or "dreg" with
        dependent samples.

    References:
      Rainforth et al. (2018), "Tighter Variational Bounds are Not Necessarily Better", section 5,
      https://arxiv.org/abs/1802.04537

      Tucker et al. (2019), "Doubly Reparameterized Gradient Estimators for Monte Carlo Objectives",
      whose identity gives "dreg", https://arxiv.org/abs/1810.04152

    Example:
      >>> import repara as rp
      >>> q, p = rp.Normal(jnp.zeros(3), 0.5), rp.Normal(0.0, 1.0)
      >>> ciwae(jax.random.key(0), q, p, lambda z: -(z**2), num_samples=8).bound.shape
      (3,)
    """
    if isinstance(elbo_weight, int | float) and not 0 <= elbo_weight <= 1:
        raise ValueError(f"elbo_weight must be from 0 to 1, got {elbo_weight}")
    iwae_weight = 1 - elbo_weight

    def path_factor(log_w: jax.Array) -> jax.Array:
        v = _normalized(log_w)
        plain = elbo_weight / num_samples + iwae_weight * v
        # With beta = 0 a weight that underflows makes both 0; its factor is then 0.
        positive = plain > 0
        ratio = (elbo_weight / num_samples + iwae_weight * v**2) / jnp.where(positive, plain, 1)
        return jnp.where(positive, ratio, 0)

    weighted = weigh(
        key, posterior, prior, log_likelihood,
        num_samples=num_samples, source=source, gradient=gradient, path_factor=path_factor,
    )  # fmt: skip
    log_w = weighted.log_w
    value = elbo_weight * jnp.mean(log_w, axis=0) + iwae_weight * log_mean_exp(log_w)
    return weighted.bound(jnp.asarray(value))


def miwae(
    key: jax.Array,
    posterior: Distribution,
    prior: Distribution,
    log_likelihood: LogLikelihood,
    *,
    num_outer: int,
    num_samples: int = 1,
    gradient: Gradient = "plain",
    source: noise.Source = noise.iid,
) -> Bound:
    """Computes the mean of several importance-weighted bounds.

        1/M sum_m log 1/K sum_k w_mk,   w_mk = p(x | z_mk) p(z_mk) / q(z_mk | x)

    Its expectation is that of `iwae` with K samples, so it is looser than with all M K. The
    signal-to-noise ratio of its plain gradient in the posterior's parameters is M^1/2 times that
    of `iwae` with K samples.

    Args:
      key: a typed key; consumed.
      posterior: q(z | x), batch shape [B], reparameterized.
      prior: p(z), batch shape [] or [B].
      log_likelihood: maps latents [M K, B, *event] to log p(x | z), [M K, B], in nats.
      num_outer: M, at least 1.
      num_samples: K, the samples of each bound, at least 1; M K are drawn in all.
      gradient: as in `iwae`, for each of its bounds: "plain" and "dreg" are unbiased, "stl" is
        biased for K > 1.
      source: the noise source, by default i.i.d.; "dreg" needs independent samples.

    Returns:
      The bound, and the parts of the ELBO from the same samples, each [B], in nats.

    Raises:
      ValueError: M < 1, K < 1, an unknown gradient, or "dreg" with dependent samples.

    References:
      Rainforth et al. (2018), "Tighter Variational Bounds are Not Necessarily Better", section 5,
      https://arxiv.org/abs/1802.04537

    Example:
      >>> import repara as rp
      >>> q, p = rp.Normal(jnp.zeros(3), 0.5), rp.Normal(0.0, 1.0)
      >>> b = miwae(jax.random.key(0), q, p, lambda z: -(z**2), num_outer=4, num_samples=2)
      >>> b.bound.shape
      (3,)
    """
    check_count("num_outer", num_outer)
    check_count("num_samples", num_samples)

    def path_factor(log_w: jax.Array) -> jax.Array:
        return _normalized(_groups(log_w, num_outer), axis=1).reshape(log_w.shape)

    weighted = weigh(
        key, posterior, prior, log_likelihood, num_samples=num_outer * num_samples,
        source=source, gradient=gradient, path_factor=path_factor,
    )  # fmt: skip
    bounds = log_mean_exp(_groups(weighted.log_w, num_outer), axis=1)
    return weighted.bound(jnp.mean(bounds, axis=0))


def piwae(
    key: jax.Array,
    posterior: Distribution,
    prior: Distribution,
    log_likelihood: LogLikelihood,
    *,
    num_outer: int,
    num_samples: int = 1,
    gradient: Gradient = "plain",
    source: noise.Source = noise.iid,
) -> Bound:
    """Computes the importance-weighted bound; the posterior has the gradient of MIWAE instead.

        L_MK(x) = log 1/(M K) sum_mk w_mk,   w_mk = p(x | z_mk) p(z_mk) / q(z_mk | x)

    The parameters of likelihood and prior have the gradient of this value, the tightest bound. The
    parameters of the posterior have the gradient of `miwae` with M and K, which is less noisy. Both
    are unbiased estimates of these two gradients, but not of the gradients of one function.

    Args:
      key: a typed key; consumed.
      posterior: q(z | x), batch shape [B], reparameterized.
      prior: p(z), batch shape [] or [B].
      log_likelihood: maps latents [M K, B, *event] to log p(x | z), [M K, B], in nats. Parameters
        that it shares with the posterior have the sum of the two gradients.
      num_outer: M, at least 1.
      num_samples: K, at least 1; M K are drawn in all.
      gradient: that of `miwae` in the posterior's parameters: "plain", "dreg", or "stl", which is
        biased for K > 1. It needs one more pass through likelihood and prior, for the derivative
        in the latents.
      source: the noise source, by default i.i.d.; "dreg" needs independent samples.

    Returns:
      The bound, and the parts of the ELBO from the same samples, each [B], in nats; the parts have
      no gradient in the posterior's parameters.

    Raises:
      ValueError: M < 1, K < 1, an unknown gradient, or "dreg" with dependent samples.

    References:
      Rainforth et al. (2018), "Tighter Variational Bounds are Not Necessarily Better", section 5,
      https://arxiv.org/abs/1802.04537

    Example:
      >>> import repara as rp
      >>> q, p = rp.Normal(jnp.zeros(3), 0.5), rp.Normal(0.0, 1.0)
      >>> b = piwae(jax.random.key(0), q, p, lambda z: -(z**2), num_outer=4, num_samples=2)
      >>> b.bound.shape
      (3,)
    """
    check_count("num_outer", num_outer)
    check_count("num_samples", num_samples)
    check_gradient(gradient)
    check_source(gradient, source)
    # The two gradients weigh a sample by its share of all weights and by its share of its group.
    # The ratio of the two, as a factor on the derivative in z, could overflow. So the derivatives
    # of the weights in the latents are computed here and enter as constants.
    z = posterior.rsample(key, (num_outer * num_samples,), source=source)
    fixed, constant_posterior = jax.lax.stop_gradient(z), without_gradient(posterior)

    def weigh_latents(z: jax.Array) -> WeightedSamples:
        return WeightedSamples(
            log_likelihood(z), constant_posterior.log_prob(z) - prior.log_prob(z)
        )

    weighted, pull_back = jax.vjp(weigh_latents, fixed)
    groups = _groups(jax.lax.stop_gradient(weighted.log_w), num_outer)
    v = _normalized(groups, axis=1)
    weight = ((v**2 if gradient == "dreg" else v) / num_outer).reshape(weighted.log_w.shape)
    (z_gradient,) = jax.lax.stop_gradient(pull_back(WeightedSamples(weight, -weight)))
    # Zero, with the gradient through the samples, and for "plain" also through log q.
    path = jnp.sum((z_gradient * (z - fixed)).reshape(*weight.shape, -1), axis=(0, 2))
    if gradient == "plain":
        log_q = posterior.log_prob(fixed)
        path = path - jnp.sum(weight * (log_q - jax.lax.stop_gradient(log_q)), axis=0)
    return weighted.bound(log_mean_exp(weighted.log_w) + path)


def _normalized(log_w: jax.Array, axis: int = 0) -> jax.Array:
    """Returns normalized weights v; for the importance-weighted bound also its `path_factor`."""
    return jax.nn.softmax(log_w, axis=axis)


def _groups(log_w: jax.Array, num_outer: int) -> jax.Array:
    """Returns [M K, B] as [M, K, B]."""
    return log_w.reshape(num_outer, -1, *log_w.shape[1:])
