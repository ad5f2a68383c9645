"""Measurements and figures of a trained topic model."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.topic_model import bounds
from experiments.topic_model.bounds import Objective
from experiments.topic_model.corpus import Corpus, npmi_coherence, top_words
from experiments.topic_model.network import TopicModel

__all__ = ["Topics", "draw_figures", "mean_proportions", "measure_likelihood", "measure_topics"]

_TOP_WORDS = 10
_SHOWN_TOPICS = 20


class Topics(NamedTuple):
    """The topics of a trained model, largest first.

    Attributes:
      order: the index of each topic in the model, [K].
      shares: the mean proportion of each topic in the training documents, [K].
      word_probabilities: [K, V].
      top_words: indices of the most probable words of each topic, [K, 10].
      coherence: the coherence of each topic in the training documents, [K].
      num_used: the number of topics that are the largest of at least one training document.
    """

    order: np.ndarray
    shares: np.ndarray
    word_probabilities: np.ndarray
    top_words: np.ndarray
    coherence: np.ndarray
    num_used: int

    def rows(self, words: Sequence[str]) -> list[dict[str, Any]]:
        """Returns one row per topic with its share, its coherence and its top words."""
        return [
            {"share": float(share), "coherence": float(c), "words": [words[w] for w in top]}
            for share, c, top in zip(self.shares, self.coherence, self.top_words, strict=True)
        ]


def mean_proportions(model: TopicModel, params: Any, counts: np.ndarray) -> np.ndarray:
    """Computes the proportions of topics in documents at the mean of their posteriors.

    Args:
      model: the network.
      params: its variables.
      counts: [D, V].

    Returns:
      [D, K]; E_q[theta] for Dirichlet posteriors, the softmax of the mean for logistic-normal ones.
    """

    @jax.jit
    def proportions(counts: jax.Array) -> jax.Array:
        return model.family.proportions(bounds.apply(model, params, counts, method="encode").mean)

    return np.asarray(proportions(jnp.asarray(counts)))


def measure_likelihood(
    objective: Objective,
    params: Any,
    counts: np.ndarray,
    keys: tuple[jax.Array, jax.Array],
    num_samples: int,
) -> dict[str, float]:
    """Measures perplexities and the KL divergence of documents.

    Args:
      objective: the objective.
      params: the variables of the network.
      counts: [B, V].
      keys: two typed keys, for the bound and for importance sampling; consumed.
      num_samples: importance samples per document.

    Returns:
      "perplexity", from importance sampling; "elbo_perplexity", an upper bound of it;
      "effective_samples", the median over the documents; and "kl", the mean in nats per document.
    """
    data = jnp.asarray(counts)
    bound = bounds.make_evaluate_elbo(objective)(params, keys[0], data)
    estimate = bounds.make_importance(objective.model, num_samples)(params, keys[1], data)
    return {
        "perplexity": bounds.perplexity(np.asarray(estimate.log_likelihood), counts),
        "elbo_perplexity": bounds.perplexity(np.asarray(bound.bound), counts),
        "effective_samples": float(np.median(np.asarray(estimate.effective_samples))),
        "kl": float(np.mean(np.asarray(bound.kl, np.float64))),
    }


def measure_topics(model: TopicModel, params: Any, train: Corpus) -> Topics:
    """Measures the topics on the training documents.

    Args:
      model: the network.
      params: its variables.
      train: the training documents.

    Returns:
      The topics, largest share first.
    """
    theta = np.asarray(mean_proportions(model, params, train.counts), np.float64)
    shares = np.mean(theta, axis=0)
    order = np.argsort(-shares, kind="stable")
    log_topics = np.asarray(bounds.apply(model, params, method="log_topics"), np.float64)
    word_probabilities = np.exp(log_topics)[order]
    tops = top_words(word_probabilities, _TOP_WORDS)
    return Topics(
        order=order,
        shares=shares[order],
        word_probabilities=word_probabilities,
        top_words=tops,
        coherence=npmi_coherence(train.counts, tops),
        num_used=len(np.unique(np.argmax(theta, axis=1))),
    )


def draw_figures(
    folder: Path,
    *,
    topics: Topics,
    words: Sequence[str],
    proportions: np.ndarray,
    metrics: Sequence[Mapping[str, Any]],
    split: str,
) -> None:
    """Draws topics.png, document_topics.png and learning_curves.png.

    Args:
      folder: the folder to write to.
      topics: the topics.
      words: the vocabulary.
      proportions: the proportions of topics in the evaluated documents, [D, K], in the order of
        `topics`.
      metrics: the lines of `metrics.jsonl`.
      split: the name of the evaluated documents, for the legend.
    """
    _draw_topics(folder / "topics.png", topics, words)
    _draw_documents(folder / "document_topics.png", proportions)
    _draw_learning_curves(folder / "learning_curves.png", metrics, split)


def _draw_topics(path: Path, topics: Topics, words: Sequence[str]) -> None:
    """Draws the most probable words of the largest topics."""
    from repara import plotting  # matplotlib is slow to import

    bars = {}
    for i, top in enumerate(topics.top_words[:_SHOWN_TOPICS]):
        probabilities = topics.word_probabilities[i, top].tolist()
        bars[f"{i + 1}: {float(topics.shares[i]):.1%}"] = dict(
            zip([words[w] for w in top], probabilities, strict=True)
        )
    plotting.word_bars(path, bars, columns=5, xlabel="probability")


def _draw_documents(path: Path, proportions: np.ndarray) -> None:
    """Draws the topics of the evaluated documents, documents with the same main topic together."""
    from repara import plotting  # matplotlib is slow to import

    order = np.lexsort((-np.max(proportions, axis=1), np.argmax(proportions, axis=1)))
    plotting.heat_map(
        path,
        proportions[order].T,
        xlabel="document, sorted by its largest topic",
        ylabel="topic",
        label="proportion",
        title="topics of documents not used in training",
    )


def _draw_learning_curves(path: Path, metrics: Sequence[Mapping[str, Any]], split: str) -> None:
    """Draws perplexity and KL divergence over the epochs."""
    from repara import plotting  # matplotlib is slow to import

    evaluated = [m for m in metrics if "test_perplexity" in m]
    epochs, evaluated_epochs = ([m["epoch"] for m in lines] for lines in (metrics, evaluated))

    def curves(name: str) -> dict[str, tuple[list[int], list[float]]]:
        return {
            "train": (epochs, [m[f"train_{name}"] for m in metrics]),
            split.replace("_", " "): (evaluated_epochs, [m[f"test_{name}"] for m in evaluated]),
        }

    panels = {
        "perplexity from the ELBO": curves("perplexity"),
        "KL per document [nats]": curves("kl"),
    }
    plotting.curves(path, panels, "epoch")
