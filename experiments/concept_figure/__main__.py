"""Launches the experiment: `python -m experiments.concept_figure --flags`."""

import importlib

from experiments.harness.configuration import launch

run = importlib.import_module("experiments.concept_figure.run")

if __name__ == "__main__":
    launch("concept_figure", run.Config, run.main)
