"""Launches the experiment: `python -m experiments.quasi_monte_carlo --flags`."""

import importlib

from experiments.harness.configuration import launch

run = importlib.import_module("experiments.quasi_monte_carlo.run")

if __name__ == "__main__":
    launch("quasi_monte_carlo", run.Config, run.main)
