"""Compares gradient estimators: variance, bias, time, and training curves."""

from experiments.gradient_variance.run import Config, run

__all__ = ["Config", "run"]
