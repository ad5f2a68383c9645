"""Launches the experiment: `python -m experiments.topic_model --flags`."""

import importlib

from experiments.harness.configuration import launch

run = importlib.import_module("experiments.topic_model.run")

if __name__ == "__main__":
    launch("topic_model", run.Config, run.main, errors=(run.CorpusError, run.NonFiniteLossError))
