"""The configuration of the experiment, and the record it resolves to."""

import dataclasses
from pathlib import Path

import jax

from experiments.harness.configuration import ConfigError, option, validate

__all__ = ["Config", "Study", "resolve"]


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that determines the result; the fields are the flags.

    Example:
      >>> Config(low=4).high
      14
    """

    low: int = option(8, "base-2 logarithm of the smallest number of draws", low=1, high=20)
    high: int = option(14, "base-2 logarithm of the largest number of draws", low=1, high=20)
    repeats: int = option(64, "means per number of draws", low=2)
    seed: int = option(0, "seed of the noise", low=0)
    output: str | None = option(None, "folder for quasi_monte_carlo.csv and quasi_monte_carlo.png")


@dataclasses.dataclass(frozen=True)
class Study:
    """The measurements to make.

    Attributes:
      counts: the numbers of draws.
      keys: typed keys, one per mean; all sources and numbers of draws use the same ones.
      output: the folder of the files, or None to write none.
    """

    counts: tuple[int, ...]
    keys: jax.Array
    output: Path | None


def resolve(config: Config) -> Study:
    """Checks a configuration and resolves it to a typed record.

    Args:
      config: the flags.

    Returns:
      The study.

    Raises:
      ConfigError: a flag is out of range, or --low is at least --high.

    Example:
      >>> resolve(Config(low=3, high=5)).counts
      (8, 16, 32)
    """
    validate(config)
    if config.low >= config.high:
        raise ConfigError(f"--low={config.low}: must be below --high={config.high}")
    return Study(
        counts=tuple(2**power for power in range(config.low, config.high + 1)),
        keys=jax.random.split(jax.random.key(config.seed), config.repeats),
        output=None if config.output is None else Path(config.output),
    )
