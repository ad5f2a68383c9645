"""Compares policy-gradient estimators on a linear-quadratic regulator with the exact gradient."""

from experiments.lqr_gradients.config import Config
from experiments.lqr_gradients.run import run

__all__ = ["Config", "run"]
