"""Launches the experiment: `python -m experiments.gradient_variance --flags`."""

from experiments.gradient_variance import Config, run
from experiments.harness.configuration import launch, read_flags

if __name__ == "__main__":
    launch("gradient_variance", Config, lambda: run(Config(**read_flags(Config))))
