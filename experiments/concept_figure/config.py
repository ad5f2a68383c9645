"""The configuration of the figure, and the record it resolves to."""

import dataclasses
from pathlib import Path

import jax

from experiments.harness.configuration import option, validate

__all__ = ["Config", "Figure", "resolve"]


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that determines the figure; the fields are the flags.

    Example:
      >>> Config(num_samples=100).output
      'concept.png'
    """

    output: str = option("concept.png", "the PNG file to write")
    num_samples: int = option(20_000, "gradient samples in the last panel", low=100)
    seed: int = option(0, "seed of the gradient samples", low=0)


@dataclasses.dataclass(frozen=True)
class Figure:
    """The figure to draw.

    Attributes:
      output: the PNG file to write.
      num_samples: gradient samples in the last panel.
      key: a typed key, which draws their noise.
    """

    output: Path
    num_samples: int
    key: jax.Array


def resolve(config: Config) -> Figure:
    """Checks a configuration and resolves it to a typed record.

    Args:
      config: the flags.

    Returns:
      The figure to draw.

    Raises:
      ConfigError: a flag is out of range.

    Example:
      >>> resolve(Config(num_samples=100)).num_samples
      100
    """
    validate(config)
    return Figure(Path(config.output), config.num_samples, jax.random.key(config.seed))
