"""Held-out perplexity of scikit-learn's latent Dirichlet allocation, on the topic model's split.

Its own `perplexity` bounds the density of the words and of the topics together, and divides by the
words of the documents it is given: where these are few, the topics' part outweighs theirs. So it
is also measured as the topic model is: the topics at their posterior mean, and importance samples
from its posterior of each document.
"""

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import xlogy
from sklearn.decomposition import LatentDirichletAllocation

import repara as rp
from experiments.harness.configuration import option
from experiments.harness.run_directory import write_atomically
from experiments.topic_model.bounds import perplexity
from experiments.topic_model.corpus import load_reuters, npmi_coherence, split, top_words
from experiments.topic_model.network import on_log_scale
from repara import evaluation

__all__ = ["Config", "run"]


@dataclasses.dataclass(frozen=True)
class Config:
    """The flags of the benchmark."""

    split: str = option(
        "held_out", "documents that are evaluated", choices=("held_out", "validation")
    )
    num_topics: int = option(20, "topics", low=2)
    concentration: float = option(0.1, "doc_topic_prior", low=1e-3, high=1)
    topic_concentration: float = option(0.3, "topic_word_prior", low=1e-3, high=1)
    iterations: int = option(100, "passes of batch variational Bayes", low=1)
    num_seeds: int = option(3, "random_state, from 0", low=1)
    num_eval_samples: int = option(1000, "importance samples a document", low=1)
    output: str | None = option(None, "JSON file for the figures")


def run(config: Config) -> list[dict[str, Any]]:
    """Runs the benchmark and prints its table.

    Args:
      config: the flags.

    Returns:
      The figures of each seed.
    """
    train, evaluated = split(load_reuters(), config.split)
    result = []
    print("| random_state | perplexity | of its bound | its `perplexity` | coherence | seconds |")
    print("|---|---|---|---|---|---|")
    for seed in range(config.num_seeds):
        begin = time.perf_counter()
        model = LatentDirichletAllocation(
            config.num_topics,
            doc_topic_prior=config.concentration,
            topic_word_prior=config.topic_concentration,
            learning_method="batch",
            max_iter=config.iterations,
            random_state=seed,
        ).fit(train.counts)
        seconds = time.perf_counter() - begin
        coherence = npmi_coherence(train.counts, top_words(model.components_, 10))
        figures = {
            "seed": seed,
            **_measured(config, model, evaluated.counts),
            "own_perplexity": float(model.perplexity(evaluated.counts)),
            "coherence": float(np.mean(coherence)),
            "seconds": seconds,
        }
        result.append(figures)
        print(
            f"| {seed} | {figures['perplexity']:.0f} | {figures['elbo_perplexity']:.0f} "
            f"| {figures['own_perplexity']:.0f} | {figures['coherence']:.3f} | {seconds:.1f} |"
        )
    if config.output is not None:
        write_atomically(Path(config.output), json.dumps(result, indent=2) + "\n")
    return result


def _measured(config: Config, model: Any, counts: np.ndarray) -> dict[str, float]:
    """The perplexities that `experiments.topic_model` reports, of fitted topics."""
    topics = jnp.asarray(model.components_ / model.components_.sum(axis=1, keepdims=True))
    # `transform` gives the means of the posteriors; their concentrations sum to the prior's and
    # the number of words.
    total = config.num_topics * config.concentration + counts.sum(axis=1, keepdims=True)
    posterior = rp.Dirichlet(jnp.asarray(model.transform(counts) * total, jnp.float32))
    prior = rp.Dirichlet(jnp.full(config.num_topics, config.concentration))
    (q, to_proportions), (p, _) = on_log_scale(posterior), on_log_scale(prior)
    words = jnp.asarray(counts, jnp.float32)[None]

    @jax.jit
    def estimates(key: jax.Array) -> Any:
        def log_likelihood(log_z: jax.Array) -> jax.Array:
            return jnp.sum(xlogy(words, to_proportions(log_z) @ topics), axis=-1)

        bound_key, importance_key = jax.random.split(key)
        estimate = evaluation.importance_log_likelihood(
            importance_key, q, p, log_likelihood,
            num_samples=config.num_eval_samples, chunk_size=20,
        )  # fmt: skip
        z = q.rsample_and_log_prob(bound_key, (20,))[0]
        bound = jnp.mean(log_likelihood(z), axis=0) - rp.kl_divergence(posterior, prior)
        return estimate.log_likelihood, bound

    likelihood, bound = estimates(jax.random.key(0))
    return {
        "perplexity": perplexity(np.asarray(likelihood), counts),
        "elbo_perplexity": perplexity(np.asarray(bound), counts),
    }
