"""Derivatives of every distribution at fixed noise, compared with finite differences in float64.

`jax.test_util.check_grads` checks the same, with ten times the compilation.
"""

import functools
from typing import NamedTuple

import jax
import numpy as np
import pytest

from repara import noise
from tests.distributions import programs
from tests.distributions.comparisons import assert_within, continuous, over
from tests.distributions.registry import CASES, CONTINUOUS

# The programs of slow cases have no second derivatives in reverse and no total derivatives.
quick = over([case for case in CONTINUOUS if not case.slow])

_NAMED = {case.name: case for case in CASES}


class Differences(NamedTuple):
    """Derivatives and the finite differences that they should equal; arrays are [direction, 2].

    Attributes:
      exact: what jax computes.
      first: differences of the values.
      second: differences of the first derivatives.
      floor: the rounding of the differences, and of the function itself if it is ill-conditioned.
      cdf_floor: the same for the cdf at the sample.
    """

    exact: programs.Derivatives
    first: np.ndarray
    second: np.ndarray
    floor: np.ndarray
    cdf_floor: float

    @property
    def first_bound(self) -> np.ndarray:
        """Returns the allowed error of first derivatives."""
        return 1e-6 * np.abs(self.first) + self.floor

    @property
    def second_bound(self) -> np.ndarray:
        """Returns the allowed error of second derivatives."""
        return 1e-6 * np.abs(self.second) + self.first_bound


@functools.lru_cache(maxsize=1)
def _differences(name):
    case = _NAMED[name]
    q = case.build("float64")
    eps = programs.noise_for(q, noise.iid, 3)
    rng = np.random.default_rng(1)
    weights = tuple(rng.normal(size=(3, *q.batch_shape, *event)) for event in (q.event_shape, ()))
    directions = programs.directions_of(case, eps, q.noise_marginal)
    program, parameters = programs.derivatives(case), programs.parameters_of(case, "float64")
    exact = jax.tree.map(np.asarray, program(parameters, eps, *directions, weights))
    floor = 1e-9 * case.condition + 8 * case.accuracy / programs.STEP
    return Differences(
        exact,
        programs.difference(exact.values),
        programs.difference(exact.forward),
        floor * (1 + np.abs(programs.at_zero(exact.values))),
        floor,
    )


@pytest.fixture
def differences(case, x64):
    """Returns the derivatives of a case; all its tests share them."""
    return _differences(case.name)


@continuous
def test_every_parameter_moves_the_samples(case, differences):
    of_samples = differences.first[:-1, 0]
    assert np.all(of_samples != 0)


@continuous
def test_first_derivatives_match_finite_differences(case, differences):
    forward = programs.at_zero(differences.exact.forward)
    assert_within(forward, differences.first, differences.first_bound)


@continuous
def test_second_derivatives_match_finite_differences(case, differences):
    second = differences.exact.forward_forward
    assert_within(second, differences.second, differences.second_bound)


@continuous
def test_reverse_mode_matches_finite_differences(case, differences):
    total, bound = differences.first.sum(-1), differences.first_bound.sum(-1)
    assert_within(differences.exact.reverse, total, bound)


@quick
def test_reverse_mode_of_reverse_mode_matches_finite_differences(case, differences):
    total, bound = differences.second.sum(-1), differences.second_bound.sum(-1)
    assert_within(differences.exact.reverse_reverse, total, bound)


@quick
def test_total_derivative_of_the_log_density_matches_finite_differences(case, differences):
    """Through the sample and through the density."""
    exact = differences.exact
    total = programs.difference(exact.total_values)
    bound = 1e-6 * np.abs(total) + differences.floor[:, 1]
    assert_within(programs.at_zero(exact.total_forward), total, bound)


@quick
def test_cdf_at_the_sample_does_not_move_with_parameters(case, differences):
    """dz/dtheta = -(dF/dtheta) / f: with scalar noise the cdf at the sample is eps or 1 - eps."""
    if (cdf_forward := differences.exact.cdf_forward) is not None:
        of_parameters = programs.at_zero(cdf_forward)[:-1]
        assert_within(of_parameters, 0.0, differences.cdf_floor)
