"""Compares speed and results with other libraries, in one process per benchmark."""

from experiments.benchmark.config import Config
from experiments.benchmark.run import run

__all__ = ["Config", "run"]
