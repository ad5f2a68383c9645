"""Divergences within every family that has a closed form, against a mean over samples."""

import jax
import numpy as np
import pytest

import repara as rp
from repara.distributions.divergences.registry import CLOSED_FORMS
from tests.distributions.programs import compiled
from tests.distributions.registry import CASES

_COMBINATORS = (rp.Independent, rp.Transformed, rp.Truncated)
# Their cases differ in the number of values, for which there is no closed form.
_ONE_CASE = (rp.Binomial, rp.Categorical)
_DRAWS = 20_000


def _pairs():
    """Yields two cases of every family with a closed form, or the same case twice."""
    for family in sorted({q for q, p in CLOSED_FORMS if q is p}, key=lambda f: f.__name__):
        cases = [case for case in CASES if case.family is family and case.density]
        if cases and family not in _COMBINATORS:
            shape = cases[0].build().event_shape
            others = [case for case in cases if case.build().event_shape == shape]
            second = cases[0] if family in _ONE_CASE else others[-1]
            marks = [] if family in (rp.Normal, rp.Gamma) else [pytest.mark.slow]
            yield pytest.param(cases[0], second, id=family.__name__, marks=marks)


@pytest.mark.parametrize(("first", "second"), list(_pairs()))
def test_divergence_is_the_mean_of_the_log_ratio(first, second):
    @compiled
    def divergences(q, p, key):
        estimate = rp.monte_carlo_kl(key, q, p, _DRAWS)
        return rp.kl_divergence(q, q), rp.kl_divergence(q, p), *estimate

    outcome = divergences(first.build(), second.build(), jax.random.key(0))
    itself, exact, mean, stderr = (np.asarray(x, "float64") for x in outcome)
    np.testing.assert_allclose(itself, 0, atol=1e-4)
    finite = np.isfinite(exact)
    np.testing.assert_array_equal(np.isfinite(mean), finite)
    gap = np.abs(mean[finite] - exact[finite])
    assert np.all(gap <= 5 * stderr[finite] + 1e-4 * (1 + np.abs(exact[finite])))
