"""The variational Renyi bound."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from repara import noise
from repara.distributions import Distribution
from repara.objectives.bound import Bound, Gradient, LogLikelihood, log_mean_exp, weigh
from repara.special.elementary import expm1_over, log1p_over

__all__ = ["renyi"]


def renyi(
    key: jax.Array,
    posterior: Distribution,
    prior: Distribution,
    log_likelihood: LogLikelihood,
    *,
    num_samples: int = 1,
    alpha: ArrayLike = 0.5,
    gradient: Gradient = "plain",
    source: noise.Source = noise.iid,
) -> Bound:
    """Computes the variational Renyi bound from K samples; biased for finite K.

        1/(1 - alpha) log 1/K sum_k w_k^(1 - alpha),   w_k = p(x | z_k) p(z_k) / q(z_k | x)

    It decreases in `alpha`: at 0 it equals `iwae`, at 1 `elbo_monte_carlo` (the limit; value and
    derivatives are smooth there). Its expectation is a lower bound of log p(x) for alpha >= 0. As
    an estimate of the bound with infinitely many samples it and its gradient are biased: low for
    alpha < 1 and high for alpha > 1, toward the ELBO. For alpha < 0 it is an upper bound if K is
    large enough.

    Args:
      key: a typed key; consumed.
      posterior: q(z | x), batch shape [B], reparameterized.
      prior: p(z), batch shape [] or [B].
      log_likelihood: maps latents [K, B, *event] to log p(x | z), [K, B], in nats.
      num_samples: K, at least 1; with one sample it is the ELBO for every alpha.
      alpha: the order, any real number.
      gradient: of the bound with K samples. With v_k proportional to w_k^(1 - alpha) and of sum 1,
        "plain": the total derivative, unbiased; "dreg": doubly reparameterized, unbiased,
        sum_k (alpha v_k + (1 - alpha) v_k^2) d log w_k/dz_k dz_k/dphi; "stl": the same with v_k in
        place of the parentheses, biased for K > 1 unless alpha = 1.
      source: the noise source, by default i.i.d.; "dreg" needs independent samples.

    Returns:
      The bound, and the parts of the ELBO from the same samples, each [B], in nats.

    Raises:
      ValueError: K < 1, an unknown gradient, or "dreg" with dependent samples.

    References:
      Li and Turner (2016), "Renyi Divergence Variational Inference", sections 3 and 4.1,
      https://arxiv.org/abs/1602.02311

      Tucker et al. (2019), "Doubly Reparameterized Gradient Estimators for Monte Carlo Objectives",
      whose identity gives "dreg", https://arxiv.org/abs/1810.04152

    Example:
      >>> import repara as rp
      >>> q, p = rp.Normal(jnp.zeros(3), 0.5), rp.Normal(0.0, 1.0)
      >>> renyi(jax.random.key(0), q, p, lambda z: -(z**2), num_samples=8).bound.shape
      (3,)
    """

    def path_factor(log_w: jax.Array) -> jax.Array:
        t = 1 - jnp.asarray(alpha, log_w.dtype)
        return 1 - t + t * jax.nn.softmax(t * log_w, axis=0)

    weighted = weigh(
        key, posterior, prior, log_likelihood,
        num_samples=num_samples, source=source, gradient=gradient, path_factor=path_factor,
    )  # fmt: skip
    log_w = weighted.log_w
    return weighted.bound(log_power_mean(log_w, 1 - jnp.asarray(alpha, log_w.dtype)))


# If |t (log w - mean)| is below this, exp does not overflow, and t S, which is nonnegative by
# Jensen's inequality, is below e - 1.
_SERIES_RANGE = 1.0


def log_power_mean(log_w: jax.Array, t: jax.Array) -> jax.Array:
    """Returns 1/t log 1/K sum_k exp(t l_k), and at t = 0 its limit, the mean of l.

    With d_k = l_k - m, the mean m, and S = 1/K sum_k d_k expm1(t d_k) / (t d_k), it equals
    m + S log1p(t S) / (t S), in which both quotients are smooth at 0.
    """
    mean = jnp.mean(log_w, axis=0, keepdims=True)
    d = log_w - mean
    near = jnp.max(jnp.abs(t * d), axis=0, keepdims=True) < _SERIES_RANGE
    small = jnp.where(near, d, 0)
    s = jnp.mean(small * expm1_over(t * small), axis=0)
    series = mean[0] + s * log1p_over(t * s)
    safe_t = jnp.where(near, 1, t)
    direct = log_mean_exp(safe_t * log_w) / safe_t[0]
    return jnp.where(near[0], series, direct)
