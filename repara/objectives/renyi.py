"""The variational Renyi bound."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from repara import noise
from repara.distributions import Distribution
from repara.objectives.bound import (
    Bound,
    Gradient,
    LogLikelihood,
    check_count,
    check_gradient,
    log_mean_exp,
    weigh,
)
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
    """The variational Renyi bound, estimated from K samples.

        1/(1 - alpha) log 1/K sum_k w_k^(1 - alpha),   w_k = p(x | z_k) p(z_k) / q(z_k | x)

    It falls as `alpha` grows: at 0 it is `iwae`, at 1 `elbo_monte_carlo` (the limit, through which
    value and derivatives are smooth). Its expectation is a lower bound of log p(x) for alpha >= 0.
    As an estimate of the bound with infinitely many samples it is biased for finite K, low for
    alpha < 1 and high for alpha > 1, towards the ELBO; so is its gradient. For alpha < 0 it is an
    upper bound once K is large enough.

    Args:
      key: a typed key; consumed.
      posterior: q(z | x), batch shape [B], reparameterized.
      prior: p(z), batch shape [] or [B].
      log_likelihood: maps latents [K, B, *event] to log p(x | z), [K, B], in nats.
      num_samples: K, at least 1; with one sample it is the ELBO, whatever alpha is.
      alpha: the order, any real number.
      gradient: of the bound with K samples; with v_k proportional to w_k^(1 - alpha) and sum 1,
        "plain": the total one, unbiased; "dreg": the doubly reparameterized one, unbiased,
        sum_k (alpha v_k + (1 - alpha) v_k^2) d log w_k/dz_k dz_k/dphi; "stl": the same with v_k for
        the bracket, biased for K > 1 unless alpha = 1.
      source: where the noise comes from, by default i.i.d.

    Returns:
      The bound, and the parts of the ELBO from the same samples, each [B], in nats.

    Raises:
      ValueError: K < 1, or an unknown gradient.

    Source:
      Li & Turner (2016), "Renyi divergence variational inference", sections 3 and 4.1; the identity
      behind "dreg" is that of Tucker et al. (2019), "Doubly reparameterized gradient estimators",
      applied to this bound.

    Example:
      >>> import repara as rp
      >>> q, p = rp.Normal(jnp.zeros(3), 0.5), rp.Normal(0.0, 1.0)
      >>> renyi(jax.random.key(0), q, p, lambda z: -(z**2), num_samples=8).bound.shape
      (3,)
    """
    check_count("num_samples", num_samples)
    check_gradient(gradient)

    def path_factor(log_w: jax.Array) -> jax.Array:
        t = 1 - jnp.asarray(alpha, log_w.dtype)
        return 1 - t + t * jax.nn.softmax(t * log_w, axis=0)

    weighted = weigh(
        key, posterior, prior, log_likelihood, num_samples, source, gradient, path_factor
    )
    log_w = weighted.log_w
    return weighted.bound(_power_mean(log_w, 1 - jnp.asarray(alpha, log_w.dtype)))


# Where |t (log w - mean)| is below this, exp does not overflow, and t S, which is nonnegative by
# Jensen's inequality, stays below e - 1.
_NEAR = 1.0


def _power_mean(log_w: jax.Array, t: jax.Array) -> jax.Array:
    """1/t log 1/K sum_k exp(t l_k), its limit the mean of l at t = 0.

    With d_k = l_k - m, m the mean, and S = 1/K sum_k d_k expm1(t d_k) / (t d_k), it is
    m + S log1p(t S) / (t S): two quotients that are smooth at 0.
    """
    mean = jnp.mean(log_w, axis=0, keepdims=True)
    d = log_w - mean
    near = jnp.max(jnp.abs(t * d), axis=0, keepdims=True) < _NEAR
    small = jnp.where(near, d, 0)
    s = jnp.mean(small * expm1_over(t * small), axis=0)
    series = mean[0] + s * log1p_over(t * s)
    far = jnp.where(near, 1, t)
    direct = log_mean_exp(far * log_w) / far[0]
    return jnp.where(near[0], series, direct)
