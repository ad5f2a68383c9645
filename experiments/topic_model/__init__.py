"""Learns topics from newspaper articles with a Dirichlet variational autoencoder."""

from experiments.topic_model.run import Config, NonFiniteLossError, run

__all__ = ["Config", "NonFiniteLossError", "run"]
