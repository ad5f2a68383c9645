"""Launches the experiment: `python -m experiments.lqr_gradients --flags`."""

from experiments.harness.configuration import launch, read_flags
from experiments.lqr_gradients import Config, run

if __name__ == "__main__":
    launch("lqr_gradients", Config, lambda: run(Config(**read_flags(Config))))
