"""Measures the held-out perplexity of scikit-learn's latent Dirichlet allocation.

scikit-learn's own `perplexity` bounds the density of words and topics together and divides by the
number of words of the evaluated documents. For few documents the part of the topics dominates.
Hence the perplexity is also measured as in `experiments.topic_model`, on the same split: with the
topics at their posterior mean, and importance samples from the posterior of each document.
"""

import json
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import xlogy
from sklearn.decomposition import LatentDirichletAllocation

import repara as rp
from experiments.benchmark.topics.config import Config, Settings, resolve
from experiments.harness.run_directory import write_atomically
from experiments.topic_model.bounds import perplexity
from experiments.topic_model.corpus import Corpus, load_reuters, npmi_coherence, top_words
from experiments.topic_model.network import DIRICHLET
from repara import evaluation

__all__ = ["run", "run_on_corpus"]

_TOP_WORDS = 10
# Samples per document for the bound, as in `experiments.topic_model`.
_ELBO_SAMPLES = 20


def run(config: Config) -> list[dict[str, Any]]:
    """Runs the benchmark and prints its table.

    Args:
      config: the flags.

    Returns:
      The results of each fit.

    Raises:
      ConfigError: a flag is out of range.
      CorpusError: the corpus is not installed.
    """
    return run_on_corpus(resolve(config), load_reuters())


def run_on_corpus(settings: Settings, corpus: Corpus) -> list[dict[str, Any]]:
    """Runs the benchmark on other documents.

    Args:
      settings: the settings.
      corpus: all documents.

    Returns:
      As `run`.
    """
    train, evaluated = settings.split(corpus)
    print("| random_state | perplexity | from the bound | scikit-learn | coherence | seconds |")
    print("|---|---|---|---|---|---|")
    rows = []
    for seed in range(settings.num_seeds):
        row = _measure_fit(settings, seed, train.counts, evaluated.counts)
        rows.append(row)
        print(
            f"| {seed} | {row['perplexity']:.0f} | {row['elbo_perplexity']:.0f} "
            f"| {row['own_perplexity']:.0f} | {row['coherence']:.3f} | {row['seconds']:.1f} |"
        )
    if settings.output is not None:
        write_atomically(settings.output, json.dumps(rows, indent=2) + "\n")
    return rows


def _measure_fit(
    settings: Settings, seed: int, train: np.ndarray, evaluated: np.ndarray
) -> dict[str, Any]:
    """Fits to training documents [D, V] and measures on other documents [B, V]."""
    begin = time.perf_counter()
    model = LatentDirichletAllocation(
        settings.num_topics,
        doc_topic_prior=settings.concentration,
        topic_word_prior=settings.topic_concentration,
        learning_method="batch",
        max_iter=settings.iterations,
        random_state=seed,
    ).fit(train)
    seconds = time.perf_counter() - begin
    coherence = npmi_coherence(train, top_words(model.components_, _TOP_WORDS))
    return {
        "seed": seed,
        **_perplexities(settings, model, evaluated),
        "own_perplexity": float(model.perplexity(evaluated)),
        "coherence": float(np.mean(coherence)),
        "seconds": seconds,
    }


def _perplexities(settings: Settings, model: Any, counts: np.ndarray) -> dict[str, float]:
    """Computes the perplexities that `experiments.topic_model` reports, for fitted topics."""
    topics = jnp.asarray(model.components_ / model.components_.sum(axis=1, keepdims=True))
    # `transform` returns the means of the posteriors. The concentrations of a posterior sum to
    # those of the prior plus the number of words.
    total = settings.num_topics * settings.concentration + counts.sum(axis=1, keepdims=True)
    posterior = rp.Dirichlet(jnp.asarray(model.transform(counts) * total, jnp.float32))
    prior = rp.Dirichlet(jnp.full(settings.num_topics, settings.concentration))
    q, p = DIRICHLET.for_importance(posterior), DIRICHLET.for_importance(prior)
    words = jnp.asarray(counts, jnp.float32)[None]

    def log_likelihood(z: jax.Array) -> jax.Array:
        return jnp.sum(xlogy(words, DIRICHLET.importance_proportions(z) @ topics), axis=-1)

    @jax.jit
    def estimates(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        bound_key, importance_key = jax.random.split(key)
        estimate = evaluation.importance_log_likelihood(
            importance_key, q, p, log_likelihood,
            num_samples=settings.num_eval_samples, chunk_size=_ELBO_SAMPLES,
        )  # fmt: skip
        z, _ = q.rsample_and_log_prob(bound_key, (_ELBO_SAMPLES,))
        bound = jnp.mean(log_likelihood(z), axis=0) - rp.kl_divergence(posterior, prior)
        return estimate.log_likelihood, bound

    likelihood, bound = estimates(jax.random.key(0))
    return {
        "perplexity": perplexity(np.asarray(likelihood), counts),
        "elbo_perplexity": perplexity(np.asarray(bound), counts),
    }
