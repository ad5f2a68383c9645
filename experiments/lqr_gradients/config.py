"""The configuration of the experiment, and the record it resolves to."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import jax

from experiments.harness.configuration import option, validate
from experiments.lqr_gradients.measurement import ESTIMATORS, Estimator

__all__ = ["Config", "Study", "resolve"]


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that determines the result; the fields are the flags.

    Example:
      >>> Config(num_samples=8).repeats
      4096
    """

    num_samples: int = option(16, "trajectories per gradient", low=2)
    repeats: int = option(4096, "gradients per estimator", low=2)
    seed: int = option(0, "seed of the trajectories", low=0)
    output: str | None = option(None, "folder for lqr_gradients.json and lqr_gradients.png")


@dataclasses.dataclass(frozen=True)
class Study:
    """The measurements to make.

    Attributes:
      estimators: name -> estimator; the variances are divided by that of the first.
      num_samples: trajectories per gradient.
      repeats: gradients per estimator.
      key: a typed key, the same for all estimators.
      output: the folder of the files, or None to write none.
    """

    estimators: Mapping[str, Estimator]
    num_samples: int
    repeats: int
    key: jax.Array
    output: Path | None


def resolve(config: Config) -> Study:
    """Checks a configuration and resolves it to a typed record.

    Args:
      config: the flags.

    Returns:
      The study.

    Raises:
      ConfigError: a flag is out of range.

    Example:
      >>> list(resolve(Config()).estimators)[0]
      'pathwise'
    """
    validate(config)
    return Study(
        estimators=ESTIMATORS,
        num_samples=config.num_samples,
        repeats=config.repeats,
        key=jax.random.key(config.seed),
        output=None if config.output is None else Path(config.output),
    )
