"""Information in the latents: divergence per coordinate, active units, mutual information."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp

from repara.distributions import Distribution, Independent, MultivariateNormal, Normal
from repara.distributions.divergences import kl_divergence

__all__ = ["AggregateInformation", "active_units", "aggregate_information", "kl_per_dimension"]


def kl_per_dimension(posterior: Distribution, prior: Distribution) -> jax.Array:
    """Computes the KL divergence of each latent coordinate.

        KL_d = KL(q(z_d | x) || p(z_d))

    For independent coordinates their sum is the divergence; for a full covariance they are the
    divergences of the marginals.

    Args:
      posterior: q(z | x), batch shape [B], event shape [D]: `Independent` or a multivariate normal.
      prior: p(z), of the same event shape.

    Returns:
      The divergences, [B, D], in nats.

    Example:
      >>> import repara as rp
      >>> q = rp.Independent(rp.Normal(jnp.array([[0.0, 1.0]]), 1.0), 1)
      >>> p = rp.Independent(rp.Normal(jnp.zeros(2), 1.0), 1)
      >>> [float(x) for x in kl_per_dimension(q, p)[0]]
      [0.0, 0.5]
    """
    return kl_divergence(_coordinates(posterior), _coordinates(prior))


def _coordinates(q: Distribution) -> Distribution:
    """Returns the distribution of the single coordinates."""
    if isinstance(q, Independent) and q.reinterpreted_batch_ndims == 1:
        return q.base
    if isinstance(q, MultivariateNormal):
        return Normal(jnp.broadcast_to(q.loc, q.batch_shape + q.event_shape), q.stddev)
    raise NotImplementedError(
        "kl_per_dimension needs Independent or MultivariateNormal distributions, got "
        f"{type(q).__name__}"
    )


def active_units(posterior_means: np.ndarray, threshold: float = 0.01) -> int:
    """Counts the latent coordinates that the encoder uses.

        #{d : Var_x(E_q[z_d | x]) > threshold}

    Args:
      posterior_means: E_q[z | x] for N examples, [N, D].
      threshold: the variance above which a coordinate counts as active.

    Returns:
      The count, from 0 to D.

    References:
      Burda, Grosse and Salakhutdinov (2016), "Importance Weighted Autoencoders", section 5.1,
      https://arxiv.org/abs/1509.00519

    Example:
      >>> active_units(np.array([[0.0, 1.0], [0.0, -1.0]]))
      1
    """
    return int(np.sum(np.var(np.asarray(posterior_means, np.float64), axis=0) > threshold))


class AggregateInformation(NamedTuple):
    """The two parts of the mean divergence of the posteriors from the prior.

        1/N sum_n KL(q(z | x_n) || p(z)) = mutual information + marginal KL

    Attributes:
      mutual_information: I_q(x; z), a scalar, nats; at most log N.
      marginal_kl: KL(q(z) || p(z)) of the aggregate posterior, a scalar, nats.
      mutual_information_stderr: the Monte Carlo standard error of `mutual_information`.
      marginal_kl_stderr: the Monte Carlo standard error of `marginal_kl`.
    """

    mutual_information: jax.Array
    marginal_kl: jax.Array
    mutual_information_stderr: jax.Array
    marginal_kl_stderr: jax.Array


def aggregate_information(
    key: jax.Array,
    posterior: Distribution,
    prior: Distribution,
    *,
    num_samples: int | None = None,
) -> AggregateInformation:
    """Estimates the mutual information of latents and examples, and the marginal divergence.

        q(z) = 1/N sum_n q(z | x_n)
        I_q(x; z) = 1/N sum_n E_q(z | x_n)[log q(z | x_n) - log q(z)]
        KL(q(z) || p(z)) = 1/N sum_n E_q(z | x_n)[log q(z) - log p(z)]

    The example is one of N with equal probability, so I_q is at most log N, and close to it if the
    posteriors hardly overlap. A value near log N means only that it would be at least as large for
    more data. The estimates are unbiased for these N examples. Each sample in turn is compared with
    all N posteriors, so memory is proportional to N, and time to N times the number of samples.

    Args:
      key: a typed key; consumed.
      posterior: q(z | x_n) of a data set, batch shape [N].
      prior: p(z), batch shape [].
      num_samples: the number of examples, evenly spaced, that get a latent sample, from 2 to N; by
        default N.

    Returns:
      Both parts, with their standard errors.

    Raises:
      ValueError: the posterior's batch shape is not [N], or the number of samples out of range.

    References:
      Hoffman and Johnson (2016), "ELBO Surgery: Yet Another Way to Carve Up the Variational
      Evidence Lower Bound"

      Chen et al. (2018), "Isolating Sources of Disentanglement in Variational Autoencoders",
      section 3, who split the marginal term further, https://arxiv.org/abs/1802.04942

    Example:
      >>> import repara as rp
      >>> distinct = rp.Normal(100 * jnp.arange(8.0), 1.0)
      >>> i = aggregate_information(jax.random.key(0), distinct, rp.Normal(0.0, 1.0))
      >>> bool(jnp.allclose(i.mutual_information, jnp.log(8.0)))
      True
    """
    if len(posterior.batch_shape) != 1:
        raise ValueError(f"posterior must have batch shape (N,), got {posterior.batch_shape}")
    count = posterior.batch_shape[0]
    num_samples = count if num_samples is None else num_samples
    if not 2 <= num_samples <= count:
        raise ValueError(f"num_samples must be from 2 to the {count} examples, got {num_samples}")
    chosen = np.arange(num_samples) * count // num_samples
    z = posterior.sample(key)
    own = posterior.log_prob(z)[chosen]
    z = z[chosen]
    aggregate = jax.lax.map(lambda one: logsumexp(posterior.log_prob(one)), z) - math.log(count)
    mutual, marginal = own - aggregate, aggregate - prior.log_prob(z)

    def stderr(x: jax.Array) -> jax.Array:
        return jnp.std(x, ddof=1) / math.sqrt(num_samples)

    return AggregateInformation(
        jnp.mean(mutual), jnp.mean(marginal), stderr(mutual), stderr(marginal)
    )
