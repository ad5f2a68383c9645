"""Launches the experiment: `python -m experiments.quasi_monte_carlo --flags`."""

from experiments.harness.configuration import launch, read_flags
from experiments.quasi_monte_carlo import Config, run

if __name__ == "__main__":
    launch("quasi_monte_carlo", Config, lambda: run(Config(**read_flags(Config))))
