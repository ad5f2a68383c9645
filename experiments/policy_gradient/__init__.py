"""Trains policies by soft actor-critic, through the environment, or by score functions."""

from experiments.policy_gradient.config import Config
from experiments.policy_gradient.run import NonFiniteReturnError, run

__all__ = ["Config", "NonFiniteReturnError", "run"]
