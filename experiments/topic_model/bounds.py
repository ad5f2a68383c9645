"""The objective of the topic model, and the bounds and likelihoods that a run reports."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.topic_model.network import ElboEstimator, TopicModel
from repara import evaluation, objectives, training

__all__ = [
    "Objective",
    "apply",
    "gradient_variance",
    "make_evaluate_elbo",
    "make_importance",
    "make_loss",
    "perplexity",
]

# Samples per document for the bound in the learning curve and in the result.
_ELBO_SAMPLES = 20
# Gradients from which a variance is estimated.
_GRADIENTS = 100


class Objective(NamedTuple):
    """The quantity that training maximizes.

    Attributes:
      model: the network.
      elbo: the estimator of the bound, which determines its gradient.
      num_samples: samples of the latents per document.
      topic_concentration: the concentration b of the Dirichlet prior over a topic's words.
    """

    model: TopicModel
    elbo: ElboEstimator
    num_samples: int
    topic_concentration: float

    def bound(
        self, params: Any, key: jax.Array, counts: jax.Array, num_samples: int
    ) -> objectives.Bound:
        """Estimates the evidence lower bound of documents.

        Args:
          params: the variables of the network.
          key: a typed key; consumed.
          counts: [B, V].
          num_samples: samples of the latents per document.

        Returns:
          The bound in nats and its parts, [B] each.
        """
        model = self.model
        q = apply(model, params, counts, method="encode")

        def log_likelihood(z: jax.Array) -> jax.Array:
            theta = model.family.proportions(z)
            return apply(model, params, counts[None], theta, method="log_likelihood")

        return self.elbo(key, q, model.prior(), log_likelihood, num_samples=num_samples)


def apply(model: TopicModel, params: Any, *args: jax.Array, method: str) -> Any:
    """Calls a method of the network."""
    return model.apply(params, *args, method=method)


def make_loss(objective: Objective, num_documents: int) -> training.LossFunction:
    """Returns the loss: the negative bound of each document, with its share of the topics' prior.

        loss = -ELBO(document) - b / D sum_kw log topic_kw,   b = topic_concentration

    The Dirichlet density of a topic with respect to its logits is prod_w topic_w^b. The exponent is
    b, not b - 1, so that there is a mode also for b below 1.

    Args:
      objective: the objective.
      num_documents: the number of training documents, D.

    Returns:
      The loss function. Its metrics are "elbo", "reconstruction", "kl" and "words", the number of
      words of the document.

    References:
      MacKay (1998), "Choice of basis for Laplace approximation",
      https://doi.org/10.1023/A:1007558615313
    """

    def loss(
        params: Any, batch: jax.Array, key: jax.Array, step: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        del step
        bound = objective.bound(params, key, batch, objective.num_samples)
        log_topics = apply(objective.model, params, method="log_topics")
        log_prior = objective.topic_concentration * jnp.sum(log_topics)
        metrics = {
            "elbo": bound.bound,
            "reconstruction": bound.log_likelihood,
            "kl": bound.kl,
            "words": jnp.sum(batch, axis=-1).astype(jnp.float32),
        }
        return -bound.bound - log_prior / num_documents, metrics

    return loss


def make_evaluate_elbo(
    objective: Objective,
) -> Callable[[Any, jax.Array, jax.Array], objectives.Bound]:
    """Compiles the bound of 20 samples per document.

    Args:
      objective: the objective.

    Returns:
      `(params, key, counts [B, V]) -> Bound`.
    """
    return jax.jit(lambda params, key, counts: objective.bound(params, key, counts, _ELBO_SAMPLES))


def make_importance(model: TopicModel, num_samples: int) -> Any:
    """Compiles the importance-sampling estimate of log p(document).

    Args:
      model: the network.
      num_samples: importance samples per document.

    Returns:
      `(params, key, counts [B, V]) -> ImportanceEstimate`.
    """
    family = model.family
    prior = family.for_importance(model.prior())

    @jax.jit
    def importance(params: Any, key: jax.Array, counts: jax.Array) -> Any:
        q = family.for_importance(apply(model, params, counts, method="encode"))

        def log_likelihood(z: jax.Array) -> jax.Array:
            theta = family.importance_proportions(z)
            return apply(model, params, counts[None], theta, method="log_likelihood")

        return evaluation.importance_log_likelihood(
            key, q, prior, log_likelihood, num_samples=num_samples, chunk_size=_ELBO_SAMPLES
        )

    return importance


def perplexity(log_likelihoods: np.ndarray, counts: np.ndarray) -> float:
    """Computes the perplexity per word, exp(-(sum of log-likelihoods) / (number of words)).

    A bound in place of the log-likelihood gives an upper bound of the perplexity.

    Args:
      log_likelihoods: in nats, [B].
      counts: [B, V].

    Returns:
      The perplexity, at least 1.
    """
    return float(np.exp(-np.sum(log_likelihoods, dtype=np.float64) / np.sum(counts)))


def gradient_variance(
    objective: Objective, params: Any, counts: jax.Array, key: jax.Array
) -> float:
    """Estimates the variance of the bound's gradient in the encoder, from 100 gradients.

    Args:
      objective: the objective.
      params: the variables of the network.
      counts: the documents over which the bound is averaged, [B, V].
      key: a typed key; consumed.

    Returns:
      The variance of one gradient with `objective.num_samples` samples, summed over the parameters
      of the encoder.
    """
    weights = dict(params["params"])
    encoder = {name: weights.pop(name) for name in ("encoder", "head")}

    def mean_bound(encoder: Any, key: jax.Array) -> jax.Array:
        whole = {"params": {**weights, **encoder}}
        return jnp.mean(objective.bound(whole, key, counts, objective.num_samples).bound)

    @jax.jit
    def variance(encoder: Any, keys: jax.Array) -> jax.Array:
        def add_gradient(total: Any, key: jax.Array) -> tuple[Any, None]:
            gradient = jax.grad(mean_bound)(encoder, key)
            shifted = jax.tree.map(jnp.subtract, gradient, center)
            squares = jax.tree.map(jnp.square, shifted)
            return jax.tree.map(jnp.add, total, (shifted, squares)), None

        # Sums of differences from one gradient: the variance is then no small difference of large
        # numbers.
        center = jax.grad(mean_bound)(encoder, keys[0])
        zero = jax.tree.map(jnp.zeros_like, (encoder, encoder))
        (first, second), _ = jax.lax.scan(add_gradient, zero, keys[1:])
        n = len(keys) - 1
        variances = jax.tree.map(lambda a, b: jnp.sum(b - a**2 / n) / (n - 1), first, second)
        return sum(jax.tree.leaves(variances), jnp.float32(0))

    return float(variance(encoder, jax.random.split(key, _GRADIENTS + 1)))
