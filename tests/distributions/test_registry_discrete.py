"""Probabilities of every discrete distribution, compared with its samples."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import repara as rp
from tests.distributions import programs
from tests.distributions.comparisons import assert_within, discrete
from tests.distributions.registry import CASES

_NAMED = {case.name: case for case in CASES}
_DRAWS = 40_000


class Frequencies(NamedTuple):
    """Probabilities and what a sample says of them; the first axis is the support.

    Attributes:
      probabilities: of the values of the support.
      log_prob_between: the log-probability of values between those of the support.
      frequencies: the shares of the draws.
      average: the mean of the draws.
      mean, stddev: those of the distribution; None if it has none.
      remainder: the allowed probability of values that are not listed, if the support is infinite.
    """

    probabilities: np.ndarray
    log_prob_between: np.ndarray
    frequencies: np.ndarray
    average: np.ndarray
    mean: np.ndarray | None
    stddev: np.ndarray | None
    remainder: float


def _support(q, dtype):
    try:
        return q.enumerate_support(), 1e-5
    except AttributeError:
        # At these settings the values below 64 have nearly all the probability.
        return jnp.arange(64, dtype=dtype).reshape((-1,) + (1,) * len(q.batch_shape)), 1e-4


@functools.lru_cache(maxsize=1)
def _frequencies(name, dtype):
    q = _NAMED[name].build(dtype)
    q = q.base if isinstance(q, rp.Independent) else q
    support, remainder = _support(q, dtype)

    @programs.compiled
    def program(q, key):
        draws = q.sample(key, (_DRAWS,))
        same = jax.lax.map(lambda value: draws == value[None], support)
        hits = jnp.all(same, axis=-1) if q.event_shape else same
        log_prob = q.log_prob(jnp.concatenate([support, support + 0.25]))
        mean = programs.if_any(lambda: q.mean)
        stddev = None if mean is None else q.stddev
        return log_prob, jnp.mean(hits.astype(dtype), axis=1), jnp.mean(draws, axis=0), mean, stddev

    log_prob, *rest = jax.tree.map(np.asarray, program(q, jax.random.key(12)))
    inside, between = np.split(log_prob.astype("float64"), 2)
    return Frequencies(np.exp(inside), between, *rest, remainder)


@pytest.fixture
def frequencies(case, dtype):
    """Returns the `Frequencies` of a case; its tests share them."""
    return _frequencies(case.name, dtype)


@discrete
def test_probabilities_sum_to_one(case, dtype, frequencies):
    total = frequencies.probabilities.sum(axis=0)
    np.testing.assert_allclose(total, 1, rtol=frequencies.remainder)


@discrete
def test_values_between_those_of_the_support_have_no_probability(case, dtype, frequencies):
    assert np.all(frequencies.log_prob_between == -np.inf)


@discrete
def test_frequencies_match_probabilities(case, dtype, frequencies):
    """Within five standard errors and two hits: where few are expected, counts are not normal."""
    p = frequencies.probabilities
    bound = 5 * np.sqrt(p * (1 - p) / _DRAWS) + np.where(p > 0, 2 / _DRAWS, 0)
    assert_within(frequencies.frequencies, p, bound)


@discrete
def test_average_matches_the_mean(case, dtype, frequencies):
    if frequencies.mean is not None:
        bound = 5 * frequencies.stddev / np.sqrt(_DRAWS) + 1e-6
        assert_within(frequencies.average, frequencies.mean, bound)
