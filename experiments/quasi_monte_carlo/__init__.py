"""Measures how the error of an expectation falls with independent and with Sobol noise."""

from experiments.quasi_monte_carlo.config import Config
from experiments.quasi_monte_carlo.run import run

__all__ = ["Config", "run"]
