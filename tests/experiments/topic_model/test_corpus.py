"""The corpus: its files, its splits, and the measures of topics."""

import importlib.util
import math

import numpy as np
import pytest

from experiments.topic_model.corpus import (
    CorpusError,
    held_out_split,
    load_reuters,
    npmi_coherence,
    top_words,
    validation_split,
)


@pytest.fixture(scope="module")
def corpus():
    return load_reuters()


def test_the_corpus_is_that_of_the_package_lda(corpus):
    from lda.utils import ldac2dtm

    folder = importlib.util.find_spec("lda").submodule_search_locations[0]
    with open(f"{folder}/tests/reuters.ldac", encoding="utf-8") as file:
        np.testing.assert_array_equal(corpus.counts, ldac2dtm(file, offset=0))
    assert corpus.counts.shape == (395, 4258) == (len(corpus.titles), len(corpus.words))
    assert np.sum(corpus.counts) == 84_010
    assert corpus.words[:2] == ("church", "pope")
    assert corpus.titles[0].endswith("LONDON 1996-08-20")


def test_a_missing_corpus_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CorpusError, match=r"pip install lda$"):
        load_reuters()


def test_a_fifth_of_the_documents_is_held_out(corpus):
    train, held_out = held_out_split(corpus)
    assert (len(train.counts), len(held_out.counts)) == (316, 79)
    assert set(held_out.titles).isdisjoint(train.titles)
    index = corpus.titles.index(held_out.titles[0])
    np.testing.assert_array_equal(held_out.counts[0], corpus.counts[index])


def test_the_validation_split_does_not_use_held_out_documents(corpus):
    train, _ = held_out_split(corpus)
    shorter, validation = validation_split(corpus)
    assert (len(shorter.counts), len(validation.counts)) == (253, 63)
    assert set(shorter.titles) | set(validation.titles) == set(train.titles)
    assert set(shorter.titles).isdisjoint(validation.titles)


def test_top_words_are_in_order_of_probability():
    topics = np.array([[0.1, 0.6, 0.3], [0.5, 0.2, 0.3]])
    assert top_words(topics, 2).tolist() == [[1, 2], [0, 2]]


# Words a, b, c, d, e in five documents; a and b share two of them, c and e are in all, d in none.
COUNTS = np.array(
    [[1, 1, 1, 0, 1], [3, 1, 2, 0, 1], [1, 0, 1, 0, 1], [0, 1, 1, 0, 1], [0, 0, 1, 0, 1]]
)
NPMI_OF_A_AND_B = math.log(0.4 / (0.6 * 0.6)) / -math.log(0.4)


@pytest.mark.parametrize(
    ("top", "expected"),
    [
        ([0, 1], NPMI_OF_A_AND_B),
        ([0, 2], 0),  # independent of a word in all documents
        ([0, 3], -1),  # never in the same document
        ([2, 4], 1),  # always in the same document
        ([0, 1, 3], (NPMI_OF_A_AND_B - 2) / 3),  # the mean over pairs
    ],
)
def test_coherence_is_that_computed_by_hand(top, expected):
    np.testing.assert_allclose(npmi_coherence(COUNTS, [top]), [expected], rtol=1e-12, atol=1e-12)
