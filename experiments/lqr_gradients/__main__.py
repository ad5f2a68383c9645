"""Launches the experiment: `python -m experiments.lqr_gradients --flags`."""

import importlib

from experiments.harness.configuration import launch

run = importlib.import_module("experiments.lqr_gradients.run")

if __name__ == "__main__":
    launch("lqr_gradients", run.Config, run.main)
