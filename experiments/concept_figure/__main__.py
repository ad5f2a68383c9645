"""Launches the experiment: `python -m experiments.concept_figure --flags`."""

from experiments.concept_figure import Config, run
from experiments.harness.configuration import launch, read_flags

if __name__ == "__main__":
    launch("concept_figure", Config, lambda: run(Config(**read_flags(Config))))
