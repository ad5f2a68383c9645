"""What the latents carry: divergence a coordinate, active units, mutual information."""

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
    """The KL divergence of each latent coordinate.

        KL_d = KL(q(z_d | x) || p(z_d))

    For independent coordinates they sum to the divergence; for a full covariance they are those of
    the marginals.

    Args:
      posterior: q(z | x), batch shape [B], event shape [D]: independent normals or a multivariate
        normal.
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
    if isinstance(q, Independent) and q.reinterpreted_batch_ndims == 1:
        return q.base
    if isinstance(q, MultivariateNormal):
        return Normal(jnp.broadcast_to(q.loc, q.batch_shape + q.event_shape), q.stddev)
    raise NotImplementedError(
        f"kl_per_dimension knows the coordinates of Independent and MultivariateNormal, "
        f"not of {type(q).__name__}"
    )


def active_units(posterior_means: np.ndarray, threshold: float = 0.01) -> int:
    """The number of latent coordinates that the encoder uses.

        #{d : Var_x(E_q[z_d | x]) > threshold}

    Args:
      posterior_means: E_q[z | x] for N examples, [N, D].
      threshold: the variance above which a coordinate counts as active.

    Returns:
      The count, from 0 to D.

    Source:
      Burda, Grosse & Salakhutdinov (2016), "Importance weighted autoencoders", section 5.1.

    Example:
      >>> active_units(np.array([[0.0, 1.0], [0.0, -1.0]]))
      1
    """
    return int(np.sum(np.var(np.asarray(posterior_means, np.float64), axis=0) > threshold))


class AggregateInformation(NamedTuple):
    """How the average divergence of the posteriors from the prior divides.

        1/N sum_n KL(q(z | x_n) || p(z)) = mutual information + marginal KL

    Attributes:
      mutual_information: I_q(x; z), a scalar, nats; at most log N.
      marginal_kl: KL(q(z) || p(z)) of the aggregate posterior, a scalar, nats.
      mutual_information_stderr: Monte Carlo standard error of the first.
      marginal_kl_stderr: Monte Carlo standard error of the second.
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
    """What a latent tells of its example, and how far all latents together are from the prior.

        q(z) = 1/N sum_n q(z | x_n)
        I_q(x; z) = 1/N sum_n E_q(z | x_n)[log q(z | x_n) - log q(z)]
        KL(q(z) || p(z)) = 1/N sum_n E_q(z | x_n)[log q(z) - log p(z)]

    The example is one of N, equally probable, so that I_q is at most log N and comes close to that
    wherever the posteriors hardly overlap: a value near log N says only that it is at least that
    large on more data. Unbiased for these N examples. One sample at a time is held against all of
    them, so that memory grows with N alone, and time with N times the number of samples.

    Args:
      key: a typed key; consumed.
      posterior: q(z | x_n) of a data set, batch shape [N].
      prior: p(z), batch shape [].
      num_samples: how many of the examples a latent is drawn from, evenly spread among them, from 2
        to N; by default all.

    Returns:
      Both, with their standard errors.

    Raises:
      ValueError: the posterior's batch shape is not [N], or the number of samples out of range.

    Source:
      Hoffman & Johnson (2016), "ELBO surgery: yet another way to carve up the variational evidence
      lower bound".

    Example:
      >>> import repara as rp
      >>> far_apart = rp.Normal(100 * jnp.arange(8.0), 1.0)
      >>> i = aggregate_information(jax.random.key(0), far_apart, rp.Normal(0.0, 1.0))
      >>> bool(jnp.allclose(i.mutual_information, jnp.log(8.0)))
      True
    """
    if len(posterior.batch_shape) != 1:
        raise ValueError(f"posterior must have batch shape (N,), got {posterior.batch_shape}")
    count = posterior.batch_shape[0]
    drawn = count if num_samples is None else num_samples
    if not 2 <= drawn <= count:
        raise ValueError(f"num_samples must be from 2 to the {count} examples, got {drawn}")
    chosen = np.arange(drawn) * count // drawn
    z = posterior.sample(key)
    own = posterior.log_prob(z)[chosen]
    z = z[chosen]
    aggregate = jax.lax.map(lambda one: logsumexp(posterior.log_prob(one)), z) - math.log(count)
    mutual, marginal = own - aggregate, aggregate - prior.log_prob(z)

    def stderr(x: jax.Array) -> jax.Array:
        return jnp.std(x, ddof=1) / math.sqrt(drawn)

    return AggregateInformation(
        jnp.mean(mutual), jnp.mean(marginal), stderr(mutual), stderr(marginal)
    )
