"""Times epochs of a small VAE and compares them with a PyTorch loop."""

from experiments.benchmark.training.config import Config
from experiments.benchmark.training.run import run

__all__ = ["Config", "run"]
