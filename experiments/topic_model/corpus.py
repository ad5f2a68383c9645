"""A corpus of news articles as word counts, its splits, and measures of topic quality."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

__all__ = ["Corpus", "CorpusError", "held_out_split", "load_reuters", "npmi_coherence",
           "top_words", "validation_split"]  # fmt: skip

_EVALUATED_FRACTION = 0.2
_SPLIT_SEED = 0


class CorpusError(RuntimeError):
    """The corpus is missing; the message is one line that says what to install."""


class Corpus(NamedTuple):
    """Documents as bags of words.

    Attributes:
      counts: occurrences of each word in each document, integers [D, V].
      words: the V words.
      titles: the titles of the D documents.
    """

    counts: np.ndarray
    words: tuple[str, ...]
    titles: tuple[str, ...]


def load_reuters() -> Corpus:
    """Reads the 395 Reuters articles of 1996 and 1997 in the package `lda`.

    Returns:
      395 documents with 84,010 words in total, from a vocabulary of 4,258. Stop words and words
      that occur fewer than five times are not included.

    Raises:
      CorpusError: the package is not installed, or does not include the corpus.

    References:
      The data of the package `lda`, https://lda.readthedocs.io; the articles are from Reuters
      Corpus Volume 1.

    Example:
      corpus = load_reuters()
    """
    spec = importlib.util.find_spec("lda")
    if spec is None or spec.origin is None:
        raise CorpusError(
            "the corpus is in the package lda, which is not installed: pip install lda"
        )
    # Not by `lda.datasets`, which leaves the files open.
    folder = Path(spec.origin).parent / "tests"
    try:
        titles, words, rows = (
            (folder / f"reuters.{name}").read_text(encoding="utf-8").splitlines()
            for name in ("titles", "tokens", "ldac")
        )
    except OSError as error:
        raise CorpusError(
            f"the package lda does not include the corpus ({error.strerror}: {error.filename}): "
            "pip install --force-reinstall lda"
        ) from None
    counts = np.zeros((len(rows), len(words)), np.int32)
    for count, row in zip(counts, rows, strict=True):
        # The LDA-C format: the number of pairs, then word:count for each.
        for pair in row.split()[1:]:
            word, times = pair.split(":")
            count[int(word)] = int(times)
    return Corpus(counts, tuple(words), tuple(t.strip() for t in titles))


def held_out_split(corpus: Corpus) -> tuple[Corpus, Corpus]:
    """Splits a corpus into training documents and a held-out fifth.

    The split is the same in every run.

    Args:
      corpus: all documents.

    Returns:
      The training documents and the held-out documents.
    """
    train, held_out = _split_off(_permutation(corpus))
    return _select(corpus, train), _select(corpus, held_out)


def validation_split(corpus: Corpus) -> tuple[Corpus, Corpus]:
    """Splits the training documents of `held_out_split` again; the held-out ones are not used.

    Args:
      corpus: all documents.

    Returns:
      The training documents and the validation documents, a fifth.
    """
    train, _ = _split_off(_permutation(corpus))
    train, validation = _split_off(train)
    return _select(corpus, train), _select(corpus, validation)


def _permutation(corpus: Corpus) -> np.ndarray:
    return np.random.default_rng(_SPLIT_SEED).permutation(len(corpus.counts))


def _split_off(indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Splits indices into training documents and documents to evaluate on."""
    count = round(_EVALUATED_FRACTION * len(indices))
    return indices[count:], indices[:count]


def _select(corpus: Corpus, indices: np.ndarray) -> Corpus:
    titles = tuple(corpus.titles[i] for i in indices)
    return Corpus(corpus.counts[indices], corpus.words, titles)


def top_words(topics: np.ndarray, count: int) -> np.ndarray:
    """Returns the most probable words of each topic, most probable first.

    Args:
      topics: probabilities or anything in the same order, [K, V].
      count: the number of words per topic, T.

    Returns:
      Indices of words, [K, T].

    Example:
      >>> top_words(np.array([[0.2, 0.5, 0.3]]), 2).tolist()
      [[1, 2]]
    """
    return np.argsort(-topics, axis=1, kind="stable")[:, :count]


def npmi_coherence(counts: np.ndarray, tops: Sequence[Sequence[int]] | np.ndarray) -> np.ndarray:
    """Computes how often the top words of each topic occur in the same documents.

        NPMI(i, j) = log(p_ij / (p_i p_j)) / -log p_ij

    where p_i is the fraction of documents with word i and p_ij that with both words. The coherence
    is the mean over all pairs of a topic's top words. It is -1 if no document has both words, 0 if
    the words are independent, and 1 if every document with one has the other.

    Args:
      counts: the word counts of the documents, [D, V].
      tops: indices of the top words of each topic, [K, T], T at least 2.

    Returns:
      One coherence per topic, [K].

    References:
      Bouma (2009), "Normalized (pointwise) mutual information in collocation extraction".
      Lau, Newman and Baldwin (2014), "Machine reading tea leaves",
      https://doi.org/10.3115/v1/E14-1056; here with whole documents as windows.

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
        # The limits of the quotient: -1 if p_ij = 0, 1 if p_ij = 1.
        inside = (both > 0) & (both < 1)
        safe = np.where(inside, both, 0.5)
        first, second = (np.where(inside, alone[n], 0.5) for n in (i, j))
        value = np.log(safe / (first * second)) / -np.log(safe)
        means.append(np.mean(np.where(inside, value, np.where(both > 0, 1.0, -1.0))))
    return np.array(means)
