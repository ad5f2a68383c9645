"""Scalar families compared with scipy: density, cdf, quantiles, summaries and samples."""

import functools
from typing import NamedTuple

import jax
import numpy as np
import pytest
import scipy.stats

from tests.distributions import programs
from tests.distributions.comparisons import assert_within, over
from tests.distributions.registry import CASES

_WITH_REFERENCE = [case for case in CASES if case.reference is not None]
scalar = over(_WITH_REFERENCE)
continuous_scalar = over([case for case in _WITH_REFERENCE if case.build().has_rsample])

_NAMED = {case.name: case for case in CASES}
_DRAWS = 100_000


class Compared(NamedTuple):
    """A family at points x and probabilities u, with the reference; arrays in float64.

    Attributes:
      family: what the family gives.
      x: points between the quantiles of 1e-30 (float32: 1e-20) and 1 - 1e-14.
      u: probabilities in the dtype of the test.
      exact: the log-density of the reference at x.
      eps: the relative error of one operation in the dtype.
      rounding: the error in x that rounding causes.
      tiny: the smallest normal number of the dtype.
    """

    family: programs.Comparison
    x: np.ndarray
    u: np.ndarray
    exact: np.ndarray
    eps: float
    rounding: np.ndarray
    tiny: float


def _points(case, dtype, tail):
    """Returns quantiles of the reference at which rounding to `dtype` stays in the support."""
    p = np.concatenate([tail, [0.3, 0.5, 0.7], 1 - np.logspace(-1, -14, 20)])
    x = np.asarray(case.reference.ppf(p), dtype)
    slack = 4 * case.rounding(dtype) * (np.abs(x) + case.location)
    with np.errstate(all="ignore"):
        around = [case.reference.logpdf(x.astype("float64") + d) for d in (0, -slack, slack)]
    is_normal = np.abs(x) >= np.finfo(dtype).tiny  # smaller values may be flushed to 0
    kept = (is_normal | (x == 0)) & np.isfinite(x) & np.all(np.isfinite(around), axis=0)
    assert kept.sum() > 20
    # One length for all cases, so that cases of one family share the program.
    return np.where(kept, x, x[len(tail) + 1])


@functools.lru_cache(maxsize=1)
def _compared(name, dtype):
    case = _NAMED[name]
    is_continuous = case.build().has_rsample
    # As far into the tails as the quantile function of the reference reaches.
    tail = np.logspace(-30 if dtype == "float64" else -20, -1, 40)
    x = _points(case, dtype, tail) if is_continuous else np.asarray([0.0, 1.0], dtype)
    u = np.concatenate([tail, np.linspace(0.1, 0.999, 101), 1 - np.logspace(-3, -6, 7)])
    u = u.astype(dtype)
    # Float64 does not test the samples again.
    draws = _DRAWS if is_continuous and dtype == "float32" else 0
    program, parameters = programs.comparison(case), programs.parameters_of(case, dtype)
    family = program(parameters, x, u, jax.random.key(9), draws)
    x = x.astype("float64")
    eps = case.rounding(dtype)
    return Compared(
        family=jax.tree.map(lambda v: np.asarray(v, "float64"), family),
        x=x,
        u=u.astype("float64"),
        exact=case.reference.logpdf(x) if is_continuous else case.reference.logpmf(x),
        eps=eps,
        # A density at x rounded to dtype: its condition number is |x dlog q/dx|.
        rounding=4 * case.condition * eps * (np.abs(x) + case.location),
        tiny=float(np.finfo(dtype).tiny),
    )


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    """Runs a test in both dtypes, float64 among the fast tests too: here it needs its digits."""
    with jax.enable_x64(request.param == "float64"):
        yield request.param


@pytest.fixture
def compared(case, dtype):
    """Returns what is compared; all tests of a case and dtype share it."""
    return _compared(case.name, dtype)


@pytest.fixture
def compared32(case):
    """Returns the same in float32."""
    return _compared(case.name, "float32")


def _relative(case, dtype):
    return max(1e-6 if dtype == "float32" else 1e-12, case.reference_error, case.accuracy)


@scalar
def test_log_prob_matches_scipy(case, dtype, compared):
    derivative = np.abs(compared.family.log_prob_derivative) if case.build().has_rsample else 0.0
    bound = _relative(case, dtype) * (1 + np.abs(compared.exact)) + compared.rounding * derivative
    assert_within(compared.family.log_prob, compared.exact, bound)


@scalar
@pytest.mark.parametrize("summary", ["mean", "variance", "stddev", "entropy"])
def test_summary_matches_scipy(case, dtype, summary, compared):
    scipy_name = {"variance": "var", "stddev": "std"}.get(summary, summary)
    value = getattr(compared.family, summary)
    if value is not None:
        expected = getattr(case.reference, scipy_name)()
        np.testing.assert_allclose(value, expected, rtol=2e-5, atol=2e-6)


@continuous_scalar
def test_density_is_highest_at_the_mode(case, dtype, compared):
    """Unless it is infinite there, at an end of the support."""
    highest = compared.family.log_prob_of_mode
    if highest is not None and np.isfinite(highest):
        slack = 4 * compared.eps * np.abs(highest) + 64 * compared.eps
        assert np.all(compared.family.log_prob <= highest + slack)


@continuous_scalar
def test_cdf_matches_scipy(case, dtype, compared):
    if compared.family.cdf is None:
        return
    probability, density = case.reference.cdf(compared.x), np.exp(compared.exact)
    relative = _relative(case, dtype) + 64 * compared.eps
    bound = 4 * (relative * probability + compared.rounding * density) + compared.tiny
    assert_within(compared.family.cdf, probability, bound)


@continuous_scalar
def test_icdf_outside_of_0_to_1_is_nan(case, dtype, compared):
    if compared.family.icdf_outside is not None:
        assert np.all(np.isnan(compared.family.icdf_outside))


@continuous_scalar
def test_icdf_inverts_cdf(case, dtype, compared):
    """If the quantile rounds to an end at which the density is 0 or infinite, u is lost."""
    family, u = compared.family, compared.u
    if family.cdf_of_icdf is None:
        return
    kept = np.isfinite(family.log_prob_of_icdf)
    assert kept.mean() > 0.5
    density = np.exp(np.where(kept, family.log_prob_of_icdf, 0.0))
    of_quantile = 8 * case.condition * compared.eps * (np.abs(family.icdf) + case.location)
    bound = 64 * compared.eps * u + of_quantile * density + compared.tiny
    assert_within(family.cdf_of_icdf[kept], u[kept], bound[kept])


@continuous_scalar
def test_samples_follow_the_distribution(case, compared32):
    z = compared32.family.samples
    assert scipy.stats.kstest(z, case.reference.cdf).pvalue > 1e-3


@continuous_scalar
def test_samples_have_the_mean(case, compared32):
    z, mean = compared32.family.samples, case.reference.mean()
    if case.moments and np.isfinite(mean):
        assert abs(z.mean() - mean) < 5 * np.std(z) / np.sqrt(z.size)
