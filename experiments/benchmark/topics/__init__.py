"""Measures the held-out perplexity of scikit-learn's latent Dirichlet allocation."""

from experiments.benchmark.topics.config import Config
from experiments.benchmark.topics.run import run

__all__ = ["Config", "run"]
