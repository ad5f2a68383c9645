"""The configuration of the training benchmark, and the record it resolves to."""

import dataclasses
from pathlib import Path
from typing import NamedTuple

from experiments.benchmark.machine import PLATFORMS
from experiments.harness.configuration import option, validate

__all__ = ["Config", "Setting", "Settings", "resolve"]


@dataclasses.dataclass(frozen=True)
class Config:
    """The flags of the benchmark.

    Example:
      >>> Config(num_samples=50).latent_dim
      20
    """

    epochs: int = option(5, "measured epochs of each library; the median is reported", low=1)
    num_images: int = option(60_000, "number of training images", low=128)
    batch_size: int = option(128, "images per step", low=1)
    hidden_sizes: tuple[int, ...] = option(
        (400,), "widths of the encoder's hidden layers; the decoder has them in reverse", low=1
    )
    latent_dim: int = option(20, "dimension of the latents", low=1)
    num_samples: int = option(
        1,
        "samples per image; with 1 the objective is the ELBO, with more the importance-weighted "
        "bound",
        low=1,
    )
    platform: str = option("default", "platform that jax uses", choices=PLATFORMS)
    output: str | None = option(None, "JSON file for the results")


class Setting(NamedTuple):
    """The model and its training, the same for all libraries.

    Attributes:
      num_images: the number of training images of 28x28 pixels.
      batch_size: images per step.
      hidden_sizes: the widths of the encoder's hidden layers; the decoder has them in reverse.
      latent_dim: the dimension of the latents.
      num_samples: samples per image; 1 for the ELBO, more for the importance-weighted bound.
    """

    num_images: int
    batch_size: int
    hidden_sizes: tuple[int, ...]
    latent_dim: int
    num_samples: int

    @property
    def num_steps(self) -> int:
        """The number of steps per epoch; an incomplete batch is left out."""
        return self.num_images // self.batch_size


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of the benchmark.

    Attributes:
      setting: the model and its training.
      epochs: measured epochs per library.
      platform: the platform that jax uses, or None for its default.
      on_cpu: whether other libraries also have to use the CPU.
      output: the JSON file to write, or None.
    """

    setting: Setting
    epochs: int
    platform: str | None
    on_cpu: bool
    output: Path | None


def resolve(config: Config) -> Settings:
    """Checks a configuration and resolves it to a typed record.

    Args:
      config: the flags.

    Returns:
      The settings.

    Raises:
      ConfigError: a flag is out of range.

    Example:
      >>> resolve(Config(num_images=1000, batch_size=300)).setting.num_steps
      3
    """
    validate(config)
    return Settings(
        setting=Setting(
            num_images=config.num_images,
            batch_size=config.batch_size,
            hidden_sizes=config.hidden_sizes,
            latent_dim=config.latent_dim,
            num_samples=config.num_samples,
        ),
        epochs=config.epochs,
        platform=None if config.platform == "default" else config.platform,
        on_cpu=config.platform == "cpu",
        output=None if config.output is None else Path(config.output),
    )
