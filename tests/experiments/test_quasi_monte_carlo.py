"""Quasi-Monte Carlo through the transforms of gamma, beta and normal distributions."""

import csv

import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from experiments import quasi_monte_carlo as study


def test_exact_expectation():
    value = 1.0 + 0.0j
    of_scipy = [scipy.stats.gamma(2.5), scipy.stats.gamma(0.8, scale=0.5), scipy.stats.beta(2, 3),
                scipy.stats.beta(0.7, 1.5), scipy.stats.norm(0.3, 1.2)]  # fmt: skip
    for t, q in zip(study._FREQUENCIES, of_scipy, strict=True):
        # Over quantiles, on which scale nothing is singular.
        parts = [
            scipy.integrate.quad(lambda u, f=f, t=t, q=q: f(t * q.ppf(u)), 0, 1)[0]
            for f in (np.cos, np.sin)
        ]
        value *= complex(*parts)
    np.testing.assert_allclose(study.exact(), value.real, rtol=1e-6)


def test_files(tmp_path):
    rows = study.run(study.Config(low=4, high=5, repeats=8, output=str(tmp_path)))
    with open(tmp_path / "quasi_monte_carlo.csv", encoding="utf-8") as file:
        stored = list(csv.DictReader(file))
    assert [float(row["rmse"]) for row in stored] == [row["rmse"] for row in rows]
    assert (tmp_path / "quasi_monte_carlo.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.slow
def test_slopes():
    """N^-0.9 or faster with scrambled Sobol points, N^-1/2 with independent ones."""
    found = study.slopes(study.measure(study.Config()))
    # The logarithm of an RMSE of 64 means has a standard error of 0.09; a slope over seven of them,
    # two octaves in standard deviation, one of 0.09 / (2 sqrt(7) log 2) = 0.024.
    assert found["scrambled Sobol"] < -0.9
    assert abs(found["i.i.d."] + 0.5) < 5 * 0.024
