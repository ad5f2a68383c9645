"""Trains, evaluates and samples a variational autoencoder on images."""

from experiments.vae.recipes import RECIPES
from experiments.vae.run import Config, NonFiniteLossError, run

__all__ = ["RECIPES", "Config", "NonFiniteLossError", "run"]
