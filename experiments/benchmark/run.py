"""Compares repara with other libraries.

    python -m experiments.benchmark training
    python -m experiments.benchmark sampling --dtype=float32 --output=DIR
    python -m experiments.benchmark policy
    python -m experiments.benchmark topics

Each benchmark is a folder with its own flags. The benchmarks `training`, `policy` and `topics`
measure the experiments `vae`, `policy_gradient` and `topic_model`, so they import them.
Other libraries are optional: if one is not installed, its column is left out.
"""

from typing import Any

from experiments.benchmark.config import Config, resolve

__all__ = ["run"]


def run(config: Config) -> Any:
    """Runs a benchmark as `python -m experiments.benchmark NAME` does, and prints its table.

    Args:
      config: the name of the benchmark and its settings.

    Returns:
      The results of the benchmark.

    Raises:
      ConfigError: there is no such benchmark, or a setting is unknown or out of range.

    Example:
      from experiments import benchmark
      results = benchmark.run(benchmark.Config("sampling", {"samples": 1000, "repeats": 2}))
    """
    return resolve(config)()
