"""What the topic model maximises, and what is reported of it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.topic_model.corpus import Corpus
from experiments.topic_model.network import TopicModel, elbo, on_log_scale, proportions
from repara import evaluation, training

__all__ = [
    "apply",
    "build_model",
    "gradient_variance",
    "make_evaluate_elbo",
    "make_importance",
    "make_loss",
    "perplexity",
]

# Samples a document for the bound, in the curve and in the result.
_ELBO_SAMPLES = 20
# Gradients whose variance is reported.
_GRADIENTS = 100


def apply(model: TopicModel, params: Any, *args: jax.Array, method: str) -> Any:
    """Calls a method of the network."""
    return model.apply(params, *args, method=method)


def build_model(config: Any, train: Corpus) -> TopicModel:
    """The network of a configuration, for the vocabulary of the training documents."""
    return TopicModel(
        num_topics=config.num_topics,
        frequencies=tuple(np.sum(train.counts, axis=0).tolist()),
        hidden_sizes=config.hidden_sizes,
        posterior=config.posterior,
        decoder=config.decoder,
        concentration=config.concentration,
    )


def make_loss(config: Any, model: TopicModel, num_documents: int) -> training.LossFunction:
    """The negative bound of each document, with its share of the prior over topics.

        loss = -ELBO(document) - b / D sum_kw log topic_kw,   b = topic_concentration

    The Dirichlet density of a topic is prod_w topic_w^b with respect to its logits: the power is b,
    not b - 1, and there is a mode also where b is below 1 (MacKay 1998, "Choice of basis for
    Laplace approximation").

    Args:
      config: the configuration.
      model: the network.
      num_documents: D.

    Returns:
      The loss function, whose metrics are "elbo", "reconstruction", "kl" and "words", the number of
      words of the document.
    """
    prior = model.prior()

    def loss(
        params: Any, batch: jax.Array, key: jax.Array, step: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        del step
        q = apply(model, params, batch, method="encode")
        bound = elbo(
            key, q, prior, _log_likelihood(config, model, params, batch),
            num_samples=config.num_samples, gradient=config.gradient,
        )  # fmt: skip
        log_topics = apply(model, params, method="log_topics")
        log_prior = config.topic_concentration * jnp.sum(log_topics)
        metrics = {
            "elbo": bound.bound,
            "reconstruction": bound.log_likelihood,
            "kl": bound.kl,
            "words": jnp.sum(batch, axis=-1).astype(jnp.float32),
        }
        return -bound.bound - log_prior / num_documents, metrics

    return loss


def _log_likelihood(config: Any, model: TopicModel, params: Any, counts: jax.Array) -> Any:
    """`latents [S, B, K] -> [S, B]`."""

    def log_likelihood(z: jax.Array) -> jax.Array:
        theta = proportions(config.posterior, z)
        return apply(model, params, counts[None], theta, method="log_likelihood")

    return log_likelihood


def make_evaluate_elbo(config: Any, model: TopicModel) -> Any:
    """Compiles `(params, key, counts [B, V]) -> Bound`, of a few samples."""
    prior = model.prior()

    @jax.jit
    def evaluate(params: Any, key: jax.Array, counts: jax.Array) -> Any:
        q = apply(model, params, counts, method="encode")
        log_likelihood = _log_likelihood(config, model, params, counts)
        return elbo(
            key, q, prior, log_likelihood, num_samples=_ELBO_SAMPLES, gradient=config.gradient
        )

    return evaluate


def make_importance(config: Any, model: TopicModel) -> Any:
    """Compiles `(params, key, counts [B, V]) -> ImportanceEstimate`, of --num_eval_samples."""
    prior, _ = on_log_scale(model.prior())

    @jax.jit
    def importance(params: Any, key: jax.Array, counts: jax.Array) -> Any:
        q, to_proportions = on_log_scale(apply(model, params, counts, method="encode"))
        return evaluation.importance_log_likelihood(
            key, q, prior,
            lambda z: apply(
                model, params, counts[None], to_proportions(z), method="log_likelihood"
            ),
            num_samples=config.num_eval_samples, chunk_size=_ELBO_SAMPLES,
        )  # fmt: skip

    return importance


def perplexity(log_likelihoods: np.ndarray, counts: np.ndarray) -> float:
    """The perplexity per word: exp(-sum of log-likelihoods [B] / number of words of counts [B, V]).

    With a bound in place of the log-likelihood it is an upper bound of the perplexity.
    """
    return float(np.exp(-np.sum(log_likelihoods, dtype=np.float64) / np.sum(counts)))


def gradient_variance(
    config: Any, model: TopicModel, params: Any, counts: jax.Array, key: jax.Array
) -> float:
    """The variance of the bound's gradient in the encoder, summed over its parameters.

    Args:
      config: the configuration; `gradient` says which.
      model: the network.
      params: its parameters.
      counts: the documents over which the bound is averaged, [B, V].
      key: a typed key; consumed.

    Returns:
      The variance of one gradient of --num_samples samples, from 100 of them.
    """
    prior = model.prior()
    weights = dict(params["params"])
    encoder = {name: weights.pop(name) for name in ("encoder", "head")}

    def mean_bound(encoder: Any, key: jax.Array) -> jax.Array:
        whole = {"params": {**weights, **encoder}}
        q = apply(model, whole, counts, method="encode")
        bound = elbo(
            key, q, prior, _log_likelihood(config, model, whole, counts),
            num_samples=config.num_samples, gradient=config.gradient,
        )  # fmt: skip
        return jnp.mean(bound.bound)

    @jax.jit
    def moments(encoder: Any, keys: jax.Array) -> jax.Array:
        def one(total: Any, key: jax.Array) -> tuple[Any, None]:
            gradient = jax.grad(mean_bound)(encoder, key)
            shifted = jax.tree.map(jnp.subtract, gradient, centre)
            squares = jax.tree.map(jnp.square, shifted)
            return jax.tree.map(jnp.add, total, (shifted, squares)), None

        # Differences from one gradient: the variance is not the difference of great numbers.
        centre = jax.grad(mean_bound)(encoder, keys[0])
        zero = jax.tree.map(jnp.zeros_like, (encoder, encoder))
        (first, second), _ = jax.lax.scan(one, zero, keys[1:])
        n = len(keys) - 1
        each = jax.tree.map(lambda a, b: jnp.sum(b - a**2 / n) / (n - 1), first, second)
        return sum(jax.tree.leaves(each), jnp.float32(0))

    return float(moments(encoder, jax.random.split(key, _GRADIENTS + 1)))
