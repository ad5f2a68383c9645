"""A corpus of short newspaper articles as counts of words, its split, and how topics are judged."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

__all__ = ["Corpus", "CorpusError", "load_reuters", "npmi_coherence", "split", "top_words"]

_EVALUATED = 0.2
_SPLIT_SEED = 0


class CorpusError(RuntimeError):
    """The corpus is not there; the message is one line that says what to install."""


class Corpus(NamedTuple):
    """Documents as bags of words.

    Attributes:
      counts: how often each word occurs in each document, integers [D, V].
      words: the V words.
      titles: the titles of the D documents.
    """

    counts: np.ndarray
    words: tuple[str, ...]
    titles: tuple[str, ...]


def load_reuters() -> Corpus:
    """Reads the 395 Reuters articles of 1996 and 1997 that the package `lda` ships.

    Returns:
      395 documents of 84,010 words in all, from a vocabulary of 4,258; stop words were left out,
      and words that occur fewer than five times.

    Raises:
      CorpusError: the package is not installed, or does not hold the corpus.

    Source:
      https://lda.readthedocs.io, `lda.datasets`; the articles are from Reuters Corpus Volume 1.

    Example:
      corpus = load_reuters()
    """
    found = importlib.util.find_spec("lda")
    if found is None or found.origin is None:
        raise CorpusError("the corpus is in the package lda, which is missing: pip install lda")
    # Read here, not by `lda.datasets`, which leaves the files open.
    folder = Path(found.origin).parent / "tests"
    try:
        titles, words, rows = (
            (folder / f"reuters.{name}").read_text(encoding="utf-8").splitlines()
            for name in ("titles", "tokens", "ldac")
        )
    except OSError as error:
        raise CorpusError(
            f"the package lda holds no corpus ({error.strerror}: {error.filename}): "
            "pip install --force-reinstall lda"
        ) from None
    counts = np.zeros((len(rows), len(words)), np.int32)
    for count, row in zip(counts, rows, strict=True):
        # Blei's format: the number of pairs, then word:count.
        for pair in row.split()[1:]:
            word, times = pair.split(":")
            count[int(word)] = int(times)
    return Corpus(counts, tuple(words), tuple(t.strip() for t in titles))


def split(corpus: Corpus, which: str) -> tuple[Corpus, Corpus]:
    """Splits a corpus into documents to train on and documents to evaluate on.

    The split is the same in every run.

    Args:
      corpus: all documents.
      which: "held_out": a fifth of the documents is evaluated; "validation": a fifth of the
        others, those held out being in neither part.

    Returns:
      The documents to train on, and those to evaluate on.
    """
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(corpus.counts))
    train, evaluated = _cut(order)
    if which == "validation":
        train, evaluated = _cut(train)
    return _chosen(corpus, train), _chosen(corpus, evaluated)


def _cut(order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    count = round(_EVALUATED * len(order))
    return order[count:], order[:count]


def _chosen(corpus: Corpus, indices: np.ndarray) -> Corpus:
    titles = tuple(corpus.titles[i] for i in indices)
    return Corpus(corpus.counts[indices], corpus.words, titles)


def top_words(topics: np.ndarray, count: int) -> np.ndarray:
    """The likeliest words of each topic, likeliest first.

    Args:
      topics: [K, V]; only the order of a row matters.
      count: T.

    Returns:
      Indices of words, [K, T].

    Example:
      >>> top_words(np.array([[0.2, 0.5, 0.3]]), 2).tolist()
      [[1, 2]]
    """
    return np.argsort(-topics, axis=1, kind="stable")[:, :count]


def npmi_coherence(counts: np.ndarray, tops: Sequence[Sequence[int]] | np.ndarray) -> np.ndarray:
    """How much the top words of each topic keep company in documents.

        NPMI(i, j) = log(p_ij / (p_i p_j)) / -log p_ij

    with p_i the part of the documents that holds word i and p_ij that holds both; the mean over all
    pairs of a topic's top words. -1 where two words never meet, 0 where they are independent, 1
    where each document that has one has the other.

    Args:
      counts: [D, V], of the documents in which company is counted.
      tops: the top words of each topic, [K, T], T at least 2.

    Returns:
      One coherence a topic, [K].

    Source:
      Bouma (2009), "Normalized (pointwise) mutual information in collocation extraction"; Lau,
      Newman & Baldwin (2014), "Machine reading tea leaves", on whole documents.

    Example:
      >>> counts = np.array([[1, 2, 0], [3, 1, 0], [0, 0, 1], [0, 0, 2]])
      >>> npmi_coherence(counts, [[0, 1], [0, 2]]).tolist()
      [1.0, -1.0]
    """
    tops = np.asarray(tops)
    present = (counts > 0).astype(np.float64)
    means = []
    for top in tops:
        together = present[:, top].T @ present[:, top] / len(present)
        i, j = np.triu_indices(len(top), 1)
        alone, both = np.diag(together), together[i, j]
        # Never together is -1, always there is 1: the limits of the quotient.
        inside = (both > 0) & (both < 1)
        safe = np.where(inside, both, 0.5)
        first, second = (np.where(inside, alone[n], 0.5) for n in (i, j))
        value = np.log(safe / (first * second)) / -np.log(safe)
        means.append(np.mean(np.where(inside, value, np.where(both > 0, 1.0, -1.0))))
    return np.array(means)
