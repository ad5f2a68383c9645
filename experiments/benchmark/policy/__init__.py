"""Times soft actor-critic on the pendulum and compares it with Stable-Baselines3."""

from experiments.benchmark.policy.config import Config
from experiments.benchmark.policy.run import run

__all__ = ["Config", "run"]
