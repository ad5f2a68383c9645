"""A small configuration of the VAE experiment, and parts of it."""

import dataclasses

import numpy as np

from experiments import vae
from experiments.vae.config import DataFacts, resolve, validate_config
from repara import datasets

__all__ = ["SMALL", "objective_name", "resolved", "run_small", "small", "training_images"]

SMALL = vae.Config(
    epochs=2, hidden_sizes=(16,), latent_dim=2, num_eval_samples=10, num_devices=1, num_images=6,
    flow_layers=2, flow_hidden_sizes=(8,), prior_components=5, num_components=3,
    top_latent_dim=2, top_hidden_sizes=(8,),
)  # fmt: skip


def small(**changes):
    """Returns the small configuration with changes."""
    return dataclasses.replace(SMALL, **changes)


def run_small(workdir, **changes):
    """Runs the small configuration in a directory."""
    return vae.run(small(workdir=str(workdir), **changes))


def resolved(mean_image=None, **changes):
    """Resolves the small configuration with changes, for one step per epoch."""
    config = small(**changes)
    validate_config(config)
    mean = np.full((8, 8, 1), 0.3) if mean_image is None else mean_image
    return resolve(config, DataFacts(mean, config.batch_size, 10 if config.conditional else 0))


def objective_name(**changes):
    """Returns the name under which the objective is logged."""
    return resolved(**changes).objective.name


def training_images(count):
    """Returns the first training images of digits, uint8 [count, 8, 8, 1]."""
    return datasets.load("digits").train_images[:count]
