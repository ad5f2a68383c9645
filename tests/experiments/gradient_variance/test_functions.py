"""Exact and measured variances of gradients for functions of a normal variable."""

import jax
import numpy as np
import pytest

from experiments.gradient_variance.functions import (
    ESTIMATORS,
    FUNCTIONS,
    exact_variance,
    measured_variance,
)

QUADRATIC = FUNCTIONS["(x - k)^2"]


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_measured_variances_match_the_exact_ones(function, estimator):
    f, e, k = FUNCTIONS[function], ESTIMATORS[estimator], 0.7
    exact = exact_variance(f, e, k)
    measured, stderr = measured_variance(f, e, np.array([k]), jax.random.key(0), 800_000)
    # An error of the 5% that are allowed would be two standard errors or more.
    assert np.all(stderr[0] < 0.025 * exact)
    np.testing.assert_allclose(measured[0], exact, rtol=0.05)


def test_the_pathwise_variance_of_a_quadratic_is_known_in_closed_form():
    # f = (x - k)^2, loc 1, scale 1: f' = 2 (x - k), variance 4; in scale 2 (1 - k + e) e,
    # variance 4 ((1 - k)^2 + 2).
    variance = exact_variance(QUADRATIC, ESTIMATORS["pathwise"], 0.25)
    np.testing.assert_allclose(variance, [4.0, 4 * (0.75**2 + 2)], rtol=1e-9)


def test_the_measure_valued_variance_of_a_quadratic_is_known_in_closed_form():
    # In loc: 4 (1 - k) W / sqrt(2 pi), W Rayleigh with variance 2 - pi / 2.
    variance = exact_variance(QUADRATIC, ESTIMATORS["measure-valued"], 0.25)
    expected = 16 * 0.75**2 / (2 * np.pi) * (2 - np.pi / 2)
    np.testing.assert_allclose(variance[0], expected, rtol=1e-9)
