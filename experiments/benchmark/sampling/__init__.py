"""Times reparameterized sampling and its gradient and compares it with other libraries."""

from experiments.benchmark.sampling.config import Config
from experiments.benchmark.sampling.run import run

__all__ = ["Config", "run"]
