"""Measures variance, bias and time of gradient estimators, and trains with each of them."""

from experiments.gradient_variance.config import Config
from experiments.gradient_variance.run import run

__all__ = ["Config", "run"]
