"""Latent Dirichlet allocation as a variational autoencoder: a Flax network and its bound."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln, xlogy

import repara as rp
from repara import objectives
from repara.models import MLPEncoder

__all__ = [
    "DECODERS",
    "GRADIENTS",
    "POSTERIORS",
    "TopicModel",
    "elbo",
    "on_log_scale",
    "proportions",
]

POSTERIORS = ("dirichlet", "logistic_normal")
DECODERS = ("lda", "prodlda")
GRADIENTS = ("pathwise", "rao_blackwell")

# Of the logits of the topics, which have to begin unlike one another.
_INITIAL_SPREAD = 1.0


class TopicModel(nn.Module):
    """Topics, and an encoder to the proportions theta in which a document mixes them.

        theta ~ Dirichlet(a, ..., a),   each word ~ sum_k theta_k topic_k   (lda)
                                        each word ~ softmax(b + sum_k theta_k beta_k)   (prodlda)

    Attributes:
      num_topics: K.
      frequencies: how often each word occurs in the training documents, [V]; the topics begin
        around them.
      hidden_sizes: the widths of the encoder's hidden layers.
      posterior: one of `POSTERIORS`. "logistic_normal" has its latents in R^K, theta their
        softmax, and for its prior the normal that Laplace's approximation makes of the Dirichlet
        one there.
      decoder: one of `DECODERS`.
      concentration: a.

    Source:
      Blei, Ng & Jordan (2003), "Latent Dirichlet allocation"; Srivastava & Sutton (2017),
      "Autoencoding variational inference for topic models", equations 2 to 4 and section 4.
    """

    num_topics: int
    frequencies: Any
    hidden_sizes: Sequence[int]
    posterior: str
    decoder: str
    concentration: float

    def setup(self) -> None:
        """Declares the encoder and the topics."""
        dirichlet = self.posterior == "dirichlet"
        self.encoder = MLPEncoder(self.hidden_sizes, nn.softplus)
        self.head = nn.Dense(self.num_topics * (1 if dirichlet else 2))
        # One more of each word: none has probability 0.
        log_frequencies = np.log(np.asarray(self.frequencies, np.float64) + 1)
        log_frequencies -= np.log(np.sum(np.exp(log_frequencies)))
        mixture = self.decoder == "lda"

        def logits(key: jax.Array) -> jax.Array:
            shape = (self.num_topics, len(log_frequencies))
            noise = _INITIAL_SPREAD * jax.random.normal(key, shape)
            return noise + jnp.asarray(log_frequencies, noise.dtype) if mixture else noise

        self.beta = self.param("beta", logits)
        self.background: Any = None
        if not mixture:
            self.background = self.param(
                "background", lambda key: jnp.asarray(log_frequencies, jnp.float32)
            )

    def __call__(self, counts: jax.Array) -> jax.Array:
        """The log-likelihood at the posterior's mean; serves to initialise all parameters."""
        return self.log_likelihood(counts, proportions(self.posterior, self.encode(counts).mean))

    def encode(self, counts: jax.Array) -> rp.Distribution:
        """The posterior of documents.

        A Dirichlet posterior has concentrations a + softplus(.): with the topics known, the exact
        posterior is a mixture of Dirichlets a + (words of the document from each topic), so that
        none of its concentrations lies below a. Softplus is linear where it is large, as those
        counts are.

        Args:
          counts: [..., V].

        Returns:
          q(. | document), batch shape [...], event shape [K].
        """
        x = jnp.log1p(counts.astype(jnp.float32))
        out = self.head(self.encoder(x[..., None, None]))
        if self.posterior == "dirichlet":
            return rp.Dirichlet(self.concentration + nn.softplus(out))
        loc, log_scale = jnp.split(out, 2, axis=-1)
        return rp.Independent(rp.Normal(loc, jnp.exp(log_scale)), 1)

    def prior(self) -> rp.Distribution:
        """The prior of the latents, of batch shape []."""
        a, k = self.concentration, self.num_topics
        if self.posterior == "dirichlet":
            return rp.Dirichlet(jnp.full(k, a))
        # Srivastava & Sutton (2017), equation 3, with all concentrations alike.
        scale = jnp.full(k, ((1 - 1 / k) / a) ** 0.5)
        return rp.Independent(rp.Normal(jnp.zeros(k), scale), 1)

    def log_likelihood(self, counts: jax.Array, theta: jax.Array) -> jax.Array:
        """The log-probability of documents as sequences of words, given their topics.

            log p(document | theta) = sum_w counts_w log p(w | theta)

        That of the bag of words has the logarithm of the multinomial coefficient besides, which
        depends on no parameter.

        Args:
          counts: [..., V].
          theta: proportions, [..., K], of shapes that broadcast with that.

        Returns:
          [...], in nats.
        """
        counts = counts.astype(theta.dtype)
        if self.background is None:
            # 0 log 0 = 0: a word that is not there may be impossible.
            return jnp.sum(xlogy(counts, theta @ nn.softmax(self.beta)), axis=-1)
        logits = theta @ self.beta + self.background
        return jnp.sum(counts * nn.log_softmax(logits), axis=-1)

    def log_topics(self) -> jax.Array:
        """Logarithms of each topic's probabilities of words, [K, V]."""
        return nn.log_softmax(self.beta)


def proportions(posterior: str, latents: jax.Array) -> jax.Array:
    """The proportions of topics, [..., K], of latents [..., K]."""
    return latents if posterior == "dirichlet" else nn.softmax(latents)


def elbo(
    key: jax.Array,
    posterior: rp.Distribution,
    prior: rp.Distribution,
    log_likelihood: Any,
    *,
    num_samples: int,
    gradient: str,
) -> objectives.Bound:
    """The evidence lower bound, its divergence in closed form, with a choice of the gradient.

    Args:
      key: a typed key; consumed.
      posterior: q, batch shape [B].
      prior: p, batch shape [].
      log_likelihood: maps latents [S, B, K] to [S, B].
      num_samples: S.
      gradient: one of `GRADIENTS`; "rao_blackwell" for a Dirichlet posterior.

    Returns:
      As `repara.objectives.elbo`, to which "pathwise" leads.
    """
    if gradient == "pathwise":
        return objectives.elbo(key, posterior, prior, log_likelihood, num_samples=num_samples)
    assert isinstance(posterior, rp.Dirichlet)
    z = posterior.rsample_rao_blackwell(key, (num_samples,))
    reconstruction = jnp.mean(log_likelihood(z), axis=0)
    kl = rp.kl_divergence(posterior, prior)
    return objectives.Bound(reconstruction - kl, reconstruction, kl)


class _LogDirichlet(NamedTuple):
    """A Dirichlet distribution of logarithms, for importance sampling.

    Proportions of small concentrations underflow, and their densities with them; logarithms do
    not. Densities are with respect to the product of all dlog z_k over dlog z_K, on the simplex.
    """

    base: rp.Dirichlet
    has_rsample: bool = True

    def rsample_and_log_prob(self, key: jax.Array, shape: Any) -> tuple[jax.Array, jax.Array]:
        log_z = self.base.log_transform(self.base.noise(key, shape))
        return log_z, self.log_prob(log_z)

    def log_prob(self, log_z: jax.Array) -> jax.Array:
        a = self.base.concentration
        log_beta = jnp.sum(gammaln(a), axis=-1) - gammaln(jnp.sum(a, axis=-1))
        a = a.reshape((1,) * (log_z.ndim - a.ndim) + a.shape)
        return jnp.sum(a * log_z, axis=-1) - log_beta


def on_log_scale(q: rp.Distribution) -> tuple[Any, Any]:
    """What importance sampling draws from: a distribution that no sample of which underflows.

    Args:
      q: a posterior or a prior of `TopicModel`.

    Returns:
      The distribution of latents or of their logarithms, and the function to proportions.
    """
    return (_LogDirichlet(q), jnp.exp) if isinstance(q, rp.Dirichlet) else (q, nn.softmax)
