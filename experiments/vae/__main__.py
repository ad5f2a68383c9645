"""Launches the experiment: `python -m experiments.vae --flags`."""

import importlib

from experiments.harness.configuration import launch

run = importlib.import_module("experiments.vae.run")

if __name__ == "__main__":
    run.flags.DEFINE_string(
        "recipe", None, "named setting of experiments/recipes.py; flags given beside it win"
    )
    launch("vae", run.Config, run.main, errors=(run.datasets.DatasetError, run.NonFiniteLossError))
