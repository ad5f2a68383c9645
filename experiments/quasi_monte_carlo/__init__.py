"""Measures how the error of an expectation falls with independent and with Sobol noise."""

from experiments.quasi_monte_carlo.run import Config, run

__all__ = ["Config", "run"]
