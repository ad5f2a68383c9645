"""Learns topics from news articles: latent Dirichlet allocation as a variational autoencoder."""

from experiments.harness.epochs import NonFiniteLossError
from experiments.topic_model.config import Config
from experiments.topic_model.corpus import CorpusError
from experiments.topic_model.run import run

__all__ = ["Config", "CorpusError", "NonFiniteLossError", "run"]
