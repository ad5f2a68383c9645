"""The importance-weighted bound, and its combinations that keep the encoder's gradient alive."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from repara import noise
from repara.distributions import Distribution
from repara.objectives.bound import (
    Bound,
    Gradient,
    LogLikelihood,
    Weighted,
    check_count,
    check_gradient,
    log_mean_exp,
    weigh,
    without_parameters,
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
    check_count("num_samples", num_samples)
    check_gradient(gradient)
    weighted = weigh(
        key, posterior, prior, log_likelihood, num_samples, source, gradient, _normalized
    )
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
    """The combined bound: a convex combination of ELBO and importance-weighted bound.

        beta 1/K sum_k log w_k + (1 - beta) log 1/K sum_k w_k

    with w_k = p(x | z_k) p(z_k) / q(z_k | x) and beta = `elbo_weight`. It lies between the two, and
    so below log p(x): the first part keeps a signal for the posterior where that of the second,
    plain, drowns in noise as K grows.

    Args:
      key: a typed key; consumed.
      posterior: q(z | x), batch shape [B], reparameterized.
      prior: p(z), batch shape [] or [B].
      log_likelihood: maps latents [K, B, *event] to log p(x | z), [K, B], in nats.
      num_samples: K, at least 1.
      elbo_weight: beta, from 0 (`iwae`) to 1 (`elbo_monte_carlo`).
      gradient: with v the normalized weights, "plain": the total one, unbiased; "dreg": the doubly
        reparameterized one, unbiased, sum_k (beta/K + (1 - beta) v_k^2) d log w_k/dz_k dz_k/dphi;
        "stl": the same with v_k for v_k^2, biased for K > 1 and beta < 1.
      source: where the noise comes from, by default i.i.d.

    Returns:
      The bound, and the parts of the ELBO from the same samples, each [B], in nats.

    Raises:
      ValueError: K < 1, a concrete weight out of range, or an unknown gradient.

    Source:
      Rainforth et al. (2018), "Tighter variational bounds are not necessarily better", section 5;
      the identity behind "dreg" is that of Tucker et al. (2019), "Doubly
      reparameterized gradient estimators", applied to this combination.

    Example:
      >>> import repara as rp
      >>> q, p = rp.Normal(jnp.zeros(3), 0.5), rp.Normal(0.0, 1.0)
      >>> ciwae(jax.random.key(0), q, p, lambda z: -(z**2), num_samples=8).bound.shape
      (3,)
    """
    check_count("num_samples", num_samples)
    check_gradient(gradient)
    if isinstance(elbo_weight, int | float) and not 0 <= elbo_weight <= 1:
        raise ValueError(f"elbo_weight must be from 0 to 1, got {elbo_weight}")
    rest = 1 - elbo_weight

    def path_factor(log_w: jax.Array) -> jax.Array:
        v = _normalized(log_w)
        plain = elbo_weight / num_samples + rest * v
        # A weight that underflows counts for nothing where beta = 0.
        counts = plain > 0
        ratio = (elbo_weight / num_samples + rest * v**2) / jnp.where(counts, plain, 1)
        return jnp.where(counts, ratio, 0)

    weighted = weigh(
        key, posterior, prior, log_likelihood, num_samples, source, gradient, path_factor
    )
    log_w = weighted.log_w
    value = elbo_weight * jnp.mean(log_w, axis=0) + rest * log_mean_exp(log_w)
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
    """The mean of several importance-weighted bounds.

        1/M sum_m log 1/K sum_k w_mk,   w_mk = p(x | z_mk) p(z_mk) / q(z_mk | x)

    Its expectation is that of `iwae` with K samples: looser than with all M K, and with a plain
    gradient in the posterior's parameters whose signal-to-noise ratio is M^1/2 times as large as
    that with K.

    Args:
      key: a typed key; consumed.
      posterior: q(z | x), batch shape [B], reparameterized.
      prior: p(z), batch shape [] or [B].
      log_likelihood: maps latents [M K, B, *event] to log p(x | z), [M K, B], in nats.
      num_outer: M, at least 1.
      num_samples: K, the samples of each bound, at least 1; M K are drawn in all.
      gradient: as in `iwae`, of each of its bounds: "plain" and "dreg" are unbiased, "stl" is
        biased for K > 1.
      source: where the noise comes from, by default i.i.d.

    Returns:
      The bound, and the parts of the ELBO from the same samples, each [B], in nats.

    Raises:
      ValueError: M < 1, K < 1, or an unknown gradient.

    Source:
      Rainforth et al. (2018), "Tighter variational bounds are not necessarily better", section 5.

    Example:
      >>> import repara as rp
      >>> q, p = rp.Normal(jnp.zeros(3), 0.5), rp.Normal(0.0, 1.0)
      >>> b = miwae(jax.random.key(0), q, p, lambda z: -(z**2), num_outer=4, num_samples=2)
      >>> b.bound.shape
      (3,)
    """
    check_count("num_outer", num_outer)
    check_count("num_samples", num_samples)
    check_gradient(gradient)

    def path_factor(log_w: jax.Array) -> jax.Array:
        return _normalized(_groups(log_w, num_outer), axis=1).reshape(log_w.shape)

    weighted = weigh(
        key,
        posterior,
        prior,
        log_likelihood,
        num_outer * num_samples,
        source,
        gradient,
        path_factor,
    )
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
    """The importance-weighted bound with all samples, and for the posterior the gradient of MIWAE.

        L_MK(x) = log 1/(M K) sum_mk w_mk,   w_mk = p(x | z_mk) p(z_mk) / q(z_mk | x)

    The parameters of likelihood and prior have the gradient of this value, the tightest bound; the
    posterior's that of `miwae` with M and K, whose signal is less noisy. As estimates of these
    two gradients they are unbiased, but no one function has both.

    Args:
      key: a typed key; consumed.
      posterior: q(z | x), batch shape [B], reparameterized.
      prior: p(z), batch shape [] or [B].
      log_likelihood: maps latents [M K, B, *event] to log p(x | z), [M K, B], in nats. Parameters
        that it shares with the posterior have the sum of the two gradients.
      num_outer: M, at least 1.
      num_samples: K, at least 1; M K are drawn in all.
      gradient: that of `miwae` in the posterior's parameters: "plain", "dreg", or "stl", which is
        biased for K > 1. It takes one more pass through likelihood and prior, for the derivative in
        the latents alone.
      source: where the noise comes from, by default i.i.d.

    Returns:
      The bound, and the parts of the ELBO from the same samples, each [B], in nats; the parts have
      no gradient in the posterior's parameters.

    Raises:
      ValueError: M < 1, K < 1, or an unknown gradient.

    Source:
      Rainforth et al. (2018), "Tighter variational bounds are not necessarily better", section 5.

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
    # The two gradients weigh a sample by its share among all and among its group. A factor on the
    # derivative in z, as elsewhere, would be their ratio, which can overflow: so the derivatives of
    # the weights in the latents are taken here, and enter as constants.
    z = posterior.rsample(key, (num_outer * num_samples,), source=source)
    fixed, frozen = jax.lax.stop_gradient(z), without_parameters(posterior)

    def parts(z: jax.Array) -> Weighted:
        return Weighted(log_likelihood(z), frozen.log_prob(z) - prior.log_prob(z))

    weighted, pull_back = jax.vjp(parts, fixed)
    groups = _groups(jax.lax.stop_gradient(weighted.log_w), num_outer)
    v = _normalized(groups, axis=1)
    share = ((v**2 if gradient == "dreg" else v) / num_outer).reshape(weighted.log_w.shape)
    (slope,) = jax.lax.stop_gradient(pull_back(Weighted(share, -share)))
    # Zero, with the gradient through the samples, and through the density where it counts.
    path = jnp.sum((slope * (z - fixed)).reshape(*share.shape, -1), axis=(0, 2))
    if gradient == "plain":
        log_q = posterior.log_prob(fixed)
        path = path - jnp.sum(share * (log_q - jax.lax.stop_gradient(log_q)), axis=0)
    return weighted.bound(log_mean_exp(weighted.log_w) + path)


def _normalized(log_w: jax.Array, axis: int = 0) -> jax.Array:
    """The normalized weights: for the importance-weighted bound also 1 - d2F/dlog w^2 / c."""
    return jax.nn.softmax(log_w, axis=axis)


def _groups(log_w: jax.Array, num_outer: int) -> jax.Array:
    """[M K, B] as [M, K, B]."""
    return log_w.reshape(num_outer, -1, *log_w.shape[1:])
