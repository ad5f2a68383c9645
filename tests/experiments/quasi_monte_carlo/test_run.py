"""The error of means with independent and with Sobol noise."""

import csv
import re

import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from experiments import quasi_monte_carlo
from experiments.harness.configuration import ConfigError
from experiments.quasi_monte_carlo import errors, integrand
from experiments.quasi_monte_carlo.report import errors_with_fits

SCIPY_DISTRIBUTIONS = [
    scipy.stats.gamma(2.5),
    scipy.stats.gamma(0.8, scale=0.5),
    scipy.stats.beta(2, 3),
    scipy.stats.beta(0.7, 1.5),
    scipy.stats.norm(0.3, 1.2),
]


@pytest.mark.parametrize(("index", "scipy_distribution"), list(enumerate(SCIPY_DISTRIBUTIONS)))
def test_characteristic_functions_match_an_integral(index, scipy_distribution):
    coordinate = integrand.coordinates()[index]
    t = coordinate.frequency
    # Integrated over probabilities: the densities have singularities, the quantiles do not.
    real, imaginary = (
        scipy.integrate.quad(lambda u, f=f: f(t * scipy_distribution.ppf(u)), 0, 1)[0]
        for f in (np.cos, np.sin)
    )
    np.testing.assert_allclose(coordinate.characteristic(t), complex(real, imaginary), rtol=1e-6)


def test_the_exact_expectation_is_the_product_of_characteristic_functions():
    values = [c.characteristic(c.frequency) for c in integrand.coordinates()]
    np.testing.assert_allclose(integrand.exact(), np.prod(values).real, rtol=1e-12)


def test_a_run_writes_its_rows_and_a_figure(tmp_path):
    config = quasi_monte_carlo.Config(low=4, high=5, repeats=8, output=str(tmp_path))
    rows = quasi_monte_carlo.run(config)
    with open(tmp_path / "quasi_monte_carlo.csv", encoding="utf-8") as file:
        stored = list(csv.DictReader(file))
    assert [row["draws"] for row in rows] == [16, 32, 16, 32]
    assert [float(row["rmse"]) for row in stored] == [row["rmse"] for row in rows]
    assert (tmp_path / "quasi_monte_carlo.png").read_bytes()[:4] == b"\x89PNG"


def test_the_figure_has_a_fitted_line_through_the_errors_of_each_source():
    rows = [
        {"source": source, "draws": n, "rmse": n**exponent, "stderr": 0.1 * n**exponent}
        for source, exponent in (("i.i.d.", -0.5), ("scrambled Sobol", -1.0))
        for n in (16, 64, 256)
    ]
    lines = errors_with_fits(rows)
    assert list(lines) == ["i.i.d., N^-0.50", "scrambled Sobol, N^-1.00"]
    for line in lines.values():
        x, y = line.reference
        np.testing.assert_array_equal(x, line.x)
        np.testing.assert_allclose(y, line.y, rtol=1e-12)


def test_the_smallest_number_of_draws_must_be_below_the_largest():
    with pytest.raises(ConfigError, match=re.escape("--low=9: must be below --high=9")):
        quasi_monte_carlo.run(quasi_monte_carlo.Config(low=9, high=9))


@pytest.mark.slow
def test_sobol_errors_fall_faster_than_those_of_independent_noise():
    """Sobol: N^-0.9 or faster; independent: N^-1/2."""
    study = quasi_monte_carlo.config.resolve(quasi_monte_carlo.Config())
    exponents = errors.exponents(errors.measure(study.counts, study.keys))
    # The logarithm of an RMSE of 64 means has a standard error of 0.09. The abscissas are seven
    # consecutive octaves, with standard deviation 2 log 2, so that an exponent has a standard error
    # of 0.09 / (2 sqrt(7) log 2) = 0.024.
    assert exponents["scrambled Sobol"] < -0.9
    assert abs(exponents["i.i.d."] + 0.5) < 5 * 0.024
