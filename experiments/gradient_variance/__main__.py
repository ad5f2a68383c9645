"""Launches the experiment: `python -m experiments.gradient_variance --flags`."""

import importlib

from experiments.harness.configuration import launch

run = importlib.import_module("experiments.gradient_variance.run")

if __name__ == "__main__":
    launch("gradient_variance", run.Config, run.main)
