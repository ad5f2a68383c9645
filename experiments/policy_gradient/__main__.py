"""Launches the experiment: `python -m experiments.policy_gradient --flags`."""

import importlib

from experiments.harness.configuration import launch

run = importlib.import_module("experiments.policy_gradient.run")

if __name__ == "__main__":
    launch("policy_gradient", run.Config, run.main, errors=(run.NonFiniteReturnError,))
