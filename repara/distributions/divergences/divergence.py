"""The Kullback-Leibler divergence: closed form and Monte Carlo estimate."""

import math

import jax
import jax.numpy as jnp

from repara.distributions.base import Distribution
from repara.distributions.divergences.compound import require_shared_part
from repara.distributions.divergences.registry import kl_of_ready
from repara.distributions.parameters import at_least_32_bits

__all__ = ["kl_divergence", "monte_carlo_kl"]


def kl_divergence(q: Distribution, p: Distribution) -> jax.Array:
    """Computes the Kullback-Leibler divergence in closed form.

        KL(q || p) = E_q[log q(z) - log p(z)]

    Two `Transformed` with one and the same bijector have the divergence of their bases, and a
    truncated distribution has a divergence to its own base. What both have in common must be the
    same traced array, not only an equal one: otherwise the derivative in the parameters of one of
    them would be lost. `register_kl` adds closed forms.

    Args:
      q: the distribution of the expectation.
      p: the other; its batch shape broadcasts with that of q, its event shape equals it.

    Returns:
      The divergence in nats, nonnegative, of the broadcast batch shape.

    Raises:
      NotImplementedError: there is no closed form for this pair; `monte_carlo_kl` estimates it.
      ValueError: the event shapes differ.

    Example:
      >>> from repara.distributions import Normal
      >>> round(float(kl_divergence(Normal(1.0, 1.0), Normal(0.0, 1.0))), 6)
      0.5
    """
    if q.event_shape != p.event_shape:
        raise ValueError(
            f"kl_divergence: event shapes differ: {type(q).__name__} has {q.event_shape}, "
            f"{type(p).__name__} has {p.event_shape}"
        )
    q._check_parameters()
    p._check_parameters()
    require_shared_part(q, p)
    batch = jnp.broadcast_shapes(q.batch_shape, p.batch_shape)
    with jax.numpy_dtype_promotion("standard"):
        dtype = jnp.promote_types(q.dtype, p.dtype)
    wide = at_least_32_bits(dtype)
    value = kl_of_ready(q._ready(len(batch), wide), p._ready(len(batch), wide))
    return jnp.broadcast_to(value, batch).astype(dtype)


def monte_carlo_kl(
    key: jax.Array, q: Distribution, p: Distribution, num_samples: int
) -> tuple[jax.Array, jax.Array]:
    """Estimates the Kullback-Leibler divergence from samples, with the standard error.

        KL(q || p) ~ mean_s [log q(z_s) - log p(z_s)],   z_s ~ q

    The estimate is unbiased, and so is its gradient if q is reparameterized. A single estimate may
    be negative.

    Args:
      key: a typed key; consumed.
      q: the distribution that is sampled.
      p: the other.
      num_samples: the number of samples, at least 2.

    Returns:
      The estimate and its standard error in nats, each of the broadcast batch shape.

    Raises:
      ValueError: fewer than two samples.

    Example:
      >>> from repara.distributions import Normal
      >>> kl, error = monte_carlo_kl(jax.random.key(0), Normal(1.0, 1.0), Normal(0.0, 1.0), 10_000)
      >>> bool(abs(kl - 0.5) < 5 * error)
      True
    """
    if num_samples < 2:
        raise ValueError(f"monte_carlo_kl: num_samples must be at least 2, got {num_samples}")
    if q.has_rsample:
        z, log_q = q.rsample_and_log_prob(key, (num_samples,))
    else:
        z = q.sample(key, (num_samples,))
        log_q = q.log_prob(z)
    # The samples are shared by the batch dimensions that p has more than q.
    missing = max(0, len(p.batch_shape) - len(q.batch_shape))
    z = z.reshape(z.shape[:1] + (1,) * missing + z.shape[1:])
    log_q = log_q.reshape(log_q.shape[:1] + (1,) * missing + log_q.shape[1:])
    excess = log_q - p.log_prob(z)
    return jnp.mean(excess, axis=0), jnp.std(excess, axis=0, ddof=1) / math.sqrt(num_samples)
