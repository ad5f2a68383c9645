"""Comparisons of arrays, and the selections of cases that the tests of the registry run over."""

import numpy as np
import pytest

from tests.distributions.registry import CASES, CONTINUOUS, DISCRETE

__all__ = ["assert_within", "continuous", "discrete", "every", "over", "scalar"]


def over(cases):
    """Runs a test over these cases."""
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


every = over(CASES)
continuous = over(CONTINUOUS)
discrete = over(DISCRETE)
scalar = over([case for case in CASES if case.reference is not None])


def assert_within(a, b, bound):
    """Asserts that a and b differ by at most `bound`, elementwise."""
    gap = np.abs(np.asarray(a, "float64") - np.asarray(b, "float64"))
    worst = np.unravel_index(np.argmax(gap - bound), gap.shape) if gap.size else ()
    assert np.all(gap <= bound), (
        f"differs by {gap[worst]} at {worst}, of {np.broadcast_to(b, gap.shape)[worst]}; "
        f"{np.broadcast_to(bound, gap.shape)[worst]} is allowed"
    )
