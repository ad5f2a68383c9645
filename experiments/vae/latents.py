"""The latents of a model: their posterior family, head, prior, and what is known of their KL."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from repara import evaluation, kl_divergence, objectives
from repara.distributions import Distribution
from repara.models import PosteriorFamily, PosteriorHead, TwoLayerHead
from repara.objectives import Bound, LogLikelihood

__all__ = [
    "KL_PER_DIMENSION",
    "KL_PER_LAYER",
    "BoundTerms",
    "KLParts",
    "Latents",
    "Schedule",
    "evaluation_elbo",
    "kl_by_part",
    "temperature_schedule",
]

Schedule = Callable[[jax.Array], Any]
"""Maps the number of steps taken, a scalar, to a number or a scalar array."""


class BoundTerms(NamedTuple):
    """The three terms of a bound for one batch, at fixed parameters.

    Attributes:
      posterior: q(z | x), batch shape [B].
      prior: p(z).
      log_likelihood: maps latents [K, B, *event] to log p(x | z), [K, B].
    """

    posterior: Distribution
    prior: Distribution
    log_likelihood: LogLikelihood


class KLParts(NamedTuple):
    """A decomposition of the KL into parts that are reported one by one.

    Attributes:
      name: the entry of `result.json` with the mean of each part.
      function: `(key, terms, num_samples) -> parts [B, P]`, in nats.
    """

    name: str
    function: Callable[[jax.Array, BoundTerms, int], jax.Array]


@dataclasses.dataclass(frozen=True)
class Latents:
    """Everything that the configuration says about the latents.

    Attributes:
      family: the family of the posterior.
      head: the module from features to the posterior, without parameters.
      prior: the module of a learned prior; None for the standard prior of the family.
      closed_kl: whether the KL of the posterior that is evaluated has a closed form.
      kl_parts: how the KL is decomposed; None if only the whole is known.
      informative: whether mutual information with the images is reported. It needs the density of
        the aggregate posterior, which is cheap only for normals without flow or hierarchy.
    """

    family: PosteriorFamily
    head: PosteriorHead | TwoLayerHead
    prior: nn.Module | None
    closed_kl: bool
    kl_parts: KLParts | None
    informative: bool


def evaluation_elbo(key: jax.Array, terms: BoundTerms, num_samples: int, closed_kl: bool) -> Bound:
    """Computes the parts of the ELBO for evaluation, of discrete latents too.

    Args:
      key: a typed key; consumed.
      terms: the terms of the bound.
      num_samples: samples per image.
      closed_kl: whether the KL has a closed form; otherwise it is estimated from the samples.

    Returns:
      The bound and its parts, each [B], in nats.
    """
    if terms.posterior.has_rsample:
        function = objectives.elbo if closed_kl else objectives.elbo_monte_carlo
        return function(key, *terms, num_samples=num_samples)
    z = terms.posterior.sample(key, (num_samples,))
    reconstruction = jnp.mean(terms.log_likelihood(z), axis=0)
    kl = kl_divergence(terms.posterior, terms.prior)
    return Bound(reconstruction - kl, reconstruction, kl)


def _per_dimension(key: jax.Array, terms: BoundTerms, num_samples: int) -> jax.Array:
    """KL(q(z_d | x) || p(z_d)) of each coordinate, in closed form."""
    del key, num_samples
    return evaluation.kl_per_dimension(terms.posterior, terms.prior)


def _per_layer(key: jax.Array, terms: BoundTerms, num_samples: int) -> jax.Array:
    """E[log q(h1 | x) - log p(h1 | h2)] and E[log q(h2 | h1) - log p(h2)], from samples."""
    posterior: Any = terms.posterior  # both are hierarchies
    prior: Any = terms.prior
    z = posterior.sample(key, (num_samples,))
    layers = zip(posterior.log_prob_parts(z), prior.log_prob_parts(z), strict=True)
    return jnp.stack([jnp.mean(q - p, axis=0) for q, p in layers], axis=-1)


KL_PER_DIMENSION = KLParts("kl_per_dimension", _per_dimension)
"""One part per latent coordinate."""
KL_PER_LAYER = KLParts("kl_per_layer", _per_layer)
"""One part per stochastic layer."""


def kl_by_part(
    key: jax.Array, terms: BoundTerms, num_samples: int, kl: jax.Array, parts: KLParts | None
) -> jax.Array:
    """Decomposes the KL.

    Args:
      key: the key with which `kl` was estimated, on purpose: with the same samples the parts sum to
        the whole.
      terms: the terms of the bound.
      num_samples: the number of samples of that estimate.
      kl: the whole, [B].
      parts: the decomposition; None for one part, the whole.

    Returns:
      The parts, [B, P], in nats.
    """
    if parts is None:
        return kl[:, None]
    return parts.function(key, terms, num_samples)


def temperature_schedule(final: float, num_steps: float) -> Schedule:
    """Returns a temperature that falls geometrically from 1.

        t_s = T^min(1, s / S)

    Args:
      final: T, the temperature at the end.
      num_steps: S, the steps over which it falls; at 0 or less it is constant.
    """
    if num_steps <= 0:
        return lambda step: jnp.float32(final)

    def temperature(step: jax.Array) -> jax.Array:
        fraction = jnp.minimum(1.0, step.astype(jnp.float32) / num_steps)
        return jnp.float32(final) ** fraction

    return temperature
