"""Latent Dirichlet allocation as a variational autoencoder: a Flax network and its parts."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln, xlogy

import repara as rp
from repara import objectives
from repara.models import MLPEncoder

__all__ = [
    "DIRICHLET",
    "LDA",
    "LOGISTIC_NORMAL",
    "PRODLDA",
    "Decoder",
    "ElboEstimator",
    "LatentFamily",
    "LogDirichlet",
    "TopicModel",
    "rao_blackwell_elbo",
]

# The standard deviation of the initial logits, so that topics start out different.
_INITIAL_SPREAD = 1.0


class ElboEstimator(Protocol):
    """The type of an estimator of the evidence lower bound, as `repara.objectives.elbo`."""

    def __call__(
        self,
        key: jax.Array,
        posterior: Any,
        prior: Any,
        log_likelihood: Callable[[jax.Array], jax.Array],
        /,
        *,
        num_samples: int,
    ) -> objectives.Bound:
        """Returns the bound of each document; `log_likelihood` maps latents [S, B, K] to [S, B]."""
        ...


class LogDirichlet(NamedTuple):
    """The distribution of the logarithms of a Dirichlet variable, for importance sampling.

    If concentrations are small, proportions underflow and their densities are infinite; their
    logarithms do not underflow. The density is with respect to the product of all dlog z_k divided
    by dlog z_K, on the simplex.

    Attributes:
      base: the Dirichlet distribution.
      has_rsample: True.
    """

    base: rp.Dirichlet
    has_rsample: bool = True

    def rsample_and_log_prob(self, key: jax.Array, shape: Any) -> tuple[jax.Array, jax.Array]:
        """Draws logarithms of proportions and returns them with their log-densities."""
        log_z = self.base.log_transform(self.base.noise(key, shape))
        return log_z, self.log_prob(log_z)

    def log_prob(self, log_z: jax.Array) -> jax.Array:
        """Returns the log-density of logarithms of proportions [..., K]."""
        a = self.base.concentration
        log_beta = jnp.sum(gammaln(a), axis=-1) - gammaln(jnp.sum(a, axis=-1))
        a = a.reshape((1,) * (log_z.ndim - a.ndim) + a.shape)
        return jnp.sum(a * log_z, axis=-1) - log_beta


@dataclasses.dataclass(frozen=True)
class LatentFamily:
    """A family of posteriors over the latents of a document, with its prior.

    Attributes:
      outputs_per_topic: numbers that the encoder gives for each topic.
      posterior: (outputs of the encoder [..., outputs_per_topic * K], concentration a) -> q of
        event shape [K].
      prior: (K, a) -> p of event shape [K].
      proportions: latents [..., K] -> proportions of the topics [..., K].
      for_importance: q or p -> a distribution without underflow, over latents or over logarithms of
        latents.
      importance_proportions: samples of that distribution [..., K] -> proportions [..., K].
    """

    outputs_per_topic: int
    posterior: Callable[[jax.Array, float], rp.Distribution]
    prior: Callable[[int, float], rp.Distribution]
    proportions: Callable[[jax.Array], jax.Array]
    for_importance: Callable[[Any], Any]
    importance_proportions: Callable[[jax.Array], jax.Array]


def _logistic_normal_posterior(outputs: jax.Array, a: float) -> rp.Distribution:
    del a
    loc, log_scale = jnp.split(outputs, 2, axis=-1)
    return rp.Independent(rp.Normal(loc, jnp.exp(log_scale)), 1)


def _logistic_normal_prior(k: int, a: float) -> rp.Distribution:
    # Srivastava and Sutton (2017), equation 3, with all concentrations equal.
    scale = jnp.full(k, ((1 - 1 / k) / a) ** 0.5)
    return rp.Independent(rp.Normal(jnp.zeros(k), scale), 1)


# If the topics are known, the exact posterior is a mixture of Dirichlet distributions with
# concentrations a + (words of the document from each topic): none lies below a. Softplus is linear
# for large arguments, as these counts are.
DIRICHLET = LatentFamily(
    outputs_per_topic=1,
    posterior=lambda outputs, a: rp.Dirichlet(a + nn.softplus(outputs)),
    prior=lambda k, a: rp.Dirichlet(jnp.full(k, a)),
    proportions=lambda z: z,
    for_importance=LogDirichlet,
    importance_proportions=jnp.exp,
)
"""The latents are the proportions."""

LOGISTIC_NORMAL = LatentFamily(
    outputs_per_topic=2,
    posterior=_logistic_normal_posterior,
    prior=_logistic_normal_prior,
    proportions=nn.softmax,
    for_importance=lambda q: q,
    importance_proportions=nn.softmax,
)
"""The proportions are the softmax of normal latents, with a Laplace approximation of the prior."""


@dataclasses.dataclass(frozen=True)
class Decoder:
    """The distribution of words, given the proportions of the topics.

    Attributes:
      starts_at_frequencies: whether the initial logits of the topics are centered at the logarithms
        of the frequencies of the words.
      has_background: whether it adds a learned logit per word, the same for all topics.
      log_likelihood: (counts [..., V], proportions [..., K], logits of the topics [K, V],
        background [V] or None) -> sum_w counts_w log p(w | proportions), [...].
    """

    starts_at_frequencies: bool
    has_background: bool
    log_likelihood: Callable[[jax.Array, jax.Array, jax.Array, Any], jax.Array]


def _lda_log_likelihood(
    counts: jax.Array, theta: jax.Array, beta: jax.Array, background: None
) -> jax.Array:
    del background
    # 0 log 0 = 0: a word that does not occur may have probability 0.
    return jnp.sum(xlogy(counts, theta @ nn.softmax(beta)), axis=-1)


def _prodlda_log_likelihood(
    counts: jax.Array, theta: jax.Array, beta: jax.Array, background: jax.Array
) -> jax.Array:
    return jnp.sum(counts * nn.log_softmax(theta @ beta + background), axis=-1)


LDA = Decoder(True, False, _lda_log_likelihood)
"""Mixes the word probabilities of the topics."""
PRODLDA = Decoder(False, True, _prodlda_log_likelihood)
"""Mixes the word logits of the topics."""


class TopicModel(nn.Module):
    """Topics, and an encoder to the proportions theta in which a document mixes them.

        theta ~ Dirichlet(a, ..., a),   each word ~ sum_k theta_k topic_k               (LDA)
                                        each word ~ softmax(b + sum_k theta_k beta_k)   (ProdLDA)

    Attributes:
      num_topics: K.
      frequencies: occurrences of each word in the training documents, [V].
      hidden_sizes: the widths of the encoder's hidden layers.
      family: the posteriors over the latents, and their prior.
      decoder: the distribution of words, given the proportions.
      concentration: a.

    References:
      Blei, Ng and Jordan (2003), "Latent Dirichlet allocation",
      https://www.jmlr.org/papers/v3/blei03a.html
      Srivastava and Sutton (2017), "Autoencoding variational inference for topic models",
      equations 2 to 4 and section 4, https://arxiv.org/abs/1703.01488
    """

    num_topics: int
    frequencies: Any
    hidden_sizes: Sequence[int]
    family: LatentFamily
    decoder: Decoder
    concentration: float

    def setup(self) -> None:
        """Declares the encoder and the topics."""
        self.encoder = MLPEncoder(self.hidden_sizes, nn.softplus)
        self.head = nn.Dense(self.num_topics * self.family.outputs_per_topic)
        # One more of each word, so that none has probability 0.
        log_frequencies = np.log(np.asarray(self.frequencies, np.float64) + 1)
        log_frequencies -= np.log(np.sum(np.exp(log_frequencies)))

        def logits(key: jax.Array) -> jax.Array:
            shape = (self.num_topics, len(log_frequencies))
            noise = _INITIAL_SPREAD * jax.random.normal(key, shape)
            if self.decoder.starts_at_frequencies:
                return noise + jnp.asarray(log_frequencies, noise.dtype)
            return noise

        self.beta = self.param("beta", logits)
        self.background: Any = None
        if self.decoder.has_background:
            self.background = self.param(
                "background", lambda key: jnp.asarray(log_frequencies, jnp.float32)
            )

    def __call__(self, counts: jax.Array) -> jax.Array:
        """Returns the log-likelihood at the posterior mean; it uses and initializes all parameters.

        Args:
          counts: [..., V].

        Returns:
          [...], in nats.
        """
        return self.log_likelihood(counts, self.family.proportions(self.encode(counts).mean))

    def encode(self, counts: jax.Array) -> rp.Distribution:
        """Returns the posterior of documents.

        Args:
          counts: [..., V].

        Returns:
          q(. | document), batch shape [...], event shape [K].
        """
        x = jnp.log1p(counts.astype(jnp.float32))
        outputs = self.head(self.encoder(x[..., None, None]))
        return self.family.posterior(outputs, self.concentration)

    def prior(self) -> rp.Distribution:
        """Returns the prior of the latents, of batch shape [] and event shape [K]."""
        return self.family.prior(self.num_topics, self.concentration)

    def log_likelihood(self, counts: jax.Array, theta: jax.Array) -> jax.Array:
        """Computes the log-probability of documents as sequences of words, given their topics.

            log p(document | theta) = sum_w counts_w log p(w | theta)

        The log-probability of a bag of words also has the logarithm of the multinomial coefficient,
        which depends on no parameter.

        Args:
          counts: [..., V].
          theta: proportions, [..., K]; the leading axes of both broadcast.

        Returns:
          [...], in nats.
        """
        return self.decoder.log_likelihood(
            counts.astype(theta.dtype), theta, self.beta, self.background
        )

    def log_topics(self) -> jax.Array:
        """Returns the logarithms of each topic's word probabilities, [K, V]."""
        return nn.log_softmax(self.beta)


def rao_blackwell_elbo(
    key: jax.Array,
    posterior: rp.Dirichlet,
    prior: rp.Distribution,
    log_likelihood: Callable[[jax.Array], jax.Array],
    *,
    num_samples: int,
) -> objectives.Bound:
    """Computes the evidence lower bound with the Rao-Blackwellized Dirichlet gradient.

    It has the value of `repara.objectives.elbo`. Its gradient is the mean of the pathwise gradient
    over the noise, given the sample.

    Args:
      key: a typed key; consumed.
      posterior: q, batch shape [B].
      prior: p, batch shape [].
      log_likelihood: maps latents [S, B, K] to [S, B].
      num_samples: S.

    Returns:
      The bound of each document, with the KL divergence in closed form.
    """
    z = posterior.rsample_rao_blackwell(key, (num_samples,))
    reconstruction = jnp.mean(log_likelihood(z), axis=0)
    kl = rp.kl_divergence(posterior, prior)
    return objectives.Bound(reconstruction - kl, reconstruction, kl)
