"""Gradients for a Bernoulli variable."""

import itertools

import jax
import pytest

from experiments.gradient_variance.discrete import RELAXED, temperatures


@pytest.fixture(scope="module")
def rows():
    return temperatures(jax.random.key(0), 3, 600)


@pytest.mark.parametrize("estimator", RELAXED)
def test_a_lower_temperature_has_less_bias_and_more_variance(rows, estimator):
    mine = [r for r in rows if r["estimator"] == estimator]
    assert [round(r["temperature"], 3) for r in mine] == [0.05, 0.224, 1.0]
    for colder, warmer in itertools.pairwise(mine):
        error = colder["bias_stderr"] + warmer["bias_stderr"]
        assert warmer["bias"] - colder["bias"] > 5 * error
        assert colder["variance"] > warmer["variance"]
