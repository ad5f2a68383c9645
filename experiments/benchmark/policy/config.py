"""The configuration of the policy benchmark, and the record it resolves to."""

import dataclasses
from pathlib import Path

from experiments import policy_gradient
from experiments.benchmark.machine import PLATFORMS
from experiments.harness.configuration import ConfigError, option, validate

__all__ = ["Config", "Settings", "resolve"]


@dataclasses.dataclass(frozen=True)
class Config:
    """The flags of the benchmark.

    Example:
      >>> Config().parts
      6
    """

    steps: int = option(12_000, "environment steps of each library, a multiple of --parts", low=1)
    parts: int = option(6, "number of parts; the libraries alternate part by part", low=1)
    batch_size: int = option(128, "replay rows per gradient step", low=2)
    hidden_sizes: tuple[int, ...] = option((64, 64), "widths of the hidden layers", low=1)
    platform: str = option("default", "platform that jax uses", choices=PLATFORMS)
    output: str | None = option(None, "JSON file for the results")


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of the benchmark.

    Attributes:
      policy_gradient: the configuration of `experiments.policy_gradient` that both libraries
        follow; an epoch is a part.
      parts: the number of parts.
      platform: the platform that jax uses, or None for its default.
      output: the JSON file to write, or None.
    """

    policy_gradient: policy_gradient.Config
    parts: int
    platform: str | None
    output: Path | None


def resolve(config: Config) -> Settings:
    """Checks a configuration and resolves it to a typed record.

    Args:
      config: the flags.

    Returns:
      The settings.

    Raises:
      ConfigError: a flag is out of range, or --steps is no multiple of --parts.

    Example:
      >>> resolve(Config(steps=600)).policy_gradient.evaluate_every
      100
    """
    validate(config)
    if config.steps % config.parts:
        raise ConfigError(f"--steps={config.steps}: must be a multiple of --parts={config.parts}")
    return Settings(
        policy_gradient=policy_gradient.Config(
            steps=config.steps,
            num_seeds=1,
            batch_size=config.batch_size,
            hidden_sizes=config.hidden_sizes,
            evaluate_every=config.steps // config.parts,
        ),
        parts=config.parts,
        platform=None if config.platform == "default" else config.platform,
        output=None if config.output is None else Path(config.output),
    )
