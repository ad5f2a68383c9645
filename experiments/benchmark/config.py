"""The choice of a benchmark and its settings, and the function call they resolve to."""

import dataclasses
import importlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from experiments.harness.configuration import ConfigError

__all__ = ["NAMES", "Benchmark", "Config", "load", "resolve"]

NAMES = ("policy", "sampling", "topics", "training")
"""Each is a folder of this package with its own `Config` and `run`."""


class Benchmark(NamedTuple):
    """A benchmark.

    Attributes:
      config_class: the dataclass of its flags.
      run: runs it with an instance of this dataclass, and returns its results.
    """

    config_class: type[Any]
    run: Callable[[Any], Any]


@dataclasses.dataclass(frozen=True)
class Config:
    """The choice of a benchmark and its settings, as on the command line.

    Attributes:
      name: one of `NAMES`.
      settings: flag -> value; flags that are not given have their default.

    Example:
      >>> Config("sampling", {"samples": 1000}).name
      'sampling'
    """

    name: str = "training"
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def load(name: str) -> Benchmark:
    """Imports a benchmark, and with it the libraries it compares with.

    Args:
      name: one of `NAMES`.

    Returns:
      The benchmark.

    Raises:
      ConfigError: there is no such benchmark.
    """
    if name not in NAMES:
        raise ConfigError(f"expected one of {', '.join(NAMES)}, got {name!r}")
    module = importlib.import_module(f"experiments.benchmark.{name}")
    return Benchmark(module.Config, module.run)


def resolve(config: Config) -> Callable[[], Any]:
    """Checks the choice of a benchmark and resolves it to a function call.

    Args:
      config: the benchmark and its settings.

    Returns:
      A function without arguments that runs the benchmark and returns its results.

    Raises:
      ConfigError: there is no such benchmark, or it has no such flag.

    Example:
      >>> run_benchmark = resolve(Config("sampling", {"samples": 1000, "families": "Normal"}))
    """
    benchmark = load(config.name)
    known = {field.name for field in dataclasses.fields(benchmark.config_class)}
    for flag in config.settings:
        if flag not in known:
            raise ConfigError(f"--{flag}: the benchmark {config.name} has no such flag")
    settings = benchmark.config_class(**config.settings)
    return lambda: benchmark.run(settings)
