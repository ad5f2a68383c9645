"""Pathwise gradients of mean and variance, and the means that every source of noise gives."""

import functools
from typing import NamedTuple

import jax
import numpy as np
import pytest

from repara import noise
from tests.distributions import programs
from tests.distributions.comparisons import assert_within, continuous
from tests.distributions.registry import CASES

_NAMED = {case.name: case for case in CASES}
_SOURCES = (noise.iid, noise.antithetic, noise.stratified, noise.sobol)
_DRAWS, _DRAWS_PER_SOURCE = 20_000, 256


@functools.lru_cache(maxsize=1)
def _moments(name) -> NamedTuple:
    case = _NAMED[name]
    q = case.build("float64")
    eps = programs.noise_for(q, noise.iid, _DRAWS)
    by_source = np.stack([programs.noise_for(q, s, _DRAWS_PER_SOURCE) for s in _SOURCES])
    parameters = programs.parameters_of(case, "float64")
    return jax.tree.map(np.asarray, programs.moments(case)(parameters, eps, by_source))


@pytest.fixture
def moments(case, x64):
    """Returns the `programs.Moments` of a case; all its tests share them."""
    return _moments(case.name)


@continuous
def test_pathwise_gradients_of_mean_and_variance(case, moments):
    """Within five standard errors of the derivatives of the closed forms."""
    for of_parameter in moments.derivatives:
        for moment in of_parameter[: case.moments]:
            if moment.exact is not None and moment.average is not None:
                bound = 5 * moment.deviation / np.sqrt(_DRAWS) + 1e-12
                assert_within(moment.average, moment.exact, bound)


@continuous
def test_every_source_of_noise_gives_the_mean(case, moments):
    assert np.all(np.isfinite(moments.averages))
    if moments.mean is not None and moments.variance is not None and case.moments:
        error = np.sqrt(moments.variance[None] / _DRAWS_PER_SOURCE)
        assert_within(moments.averages, moments.mean[None], 5 * error)
