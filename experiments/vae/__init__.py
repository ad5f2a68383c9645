"""Trains, evaluates and samples a variational autoencoder on images.

from experiments import vae
result = vae.run(vae.Config(dataset="digits", epochs=10))
"""

from experiments.harness.epochs import NonFiniteLossError
from experiments.vae.config import Config
from experiments.vae.recipes import RECIPES
from experiments.vae.run import run

__all__ = ["RECIPES", "Config", "NonFiniteLossError", "run"]
