"""Trains policies by soft actor-critic, through the environment, or by score functions."""

from experiments.policy_gradient.run import Config, NonFiniteReturnError, run

__all__ = ["Config", "NonFiniteReturnError", "run"]
