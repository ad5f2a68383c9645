"""The signal-to-noise ratio of importance-weighted bounds."""

import jax
import pytest

from experiments.gradient_variance.signal_to_noise import GRADIENTS, exponents, study


def test_exponents_are_fitted_to_large_numbers_of_samples():
    rows = [
        {"gradient": g.name, "num_samples": k, "snr": 3 * k**g.exponent if k >= 64 else 100.0}
        for g in GRADIENTS
        for k in (1, 4, 16, 64, 256, 1024)
    ]
    assert exponents(rows) == pytest.approx({"plain": -0.5, "dreg": 0.5})


@pytest.mark.slow
def test_measured_exponents_are_those_of_theory():
    rows = study(jax.random.key(1), log4_samples=5, repeats=5000, on_part_done=lambda label: None)
    measured = exponents(rows)
    for gradient in GRADIENTS:
        assert abs(measured[gradient.name] - gradient.exponent) < 0.1
