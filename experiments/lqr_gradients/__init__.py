"""Compares the variance of policy-gradient estimators on a linear-quadratic regulator."""

from experiments.lqr_gradients.run import Config, run

__all__ = ["Config", "run"]
