"""The configuration of the sampling benchmark, and the record it resolves to."""

import dataclasses
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path

from experiments.benchmark.machine import PLATFORMS
from experiments.benchmark.sampling.families import FAMILIES, Family
from experiments.benchmark.sampling.timing import LIBRARIES, Library
from experiments.harness.configuration import ConfigError, option, validate

__all__ = ["Config", "Settings", "resolve"]

_DTYPES = {"float32": ("float32",), "float64": ("float64",), "both": ("float32", "float64")}
_OTHERS = tuple(name for name in LIBRARIES if name != "ours")


@dataclasses.dataclass(frozen=True)
class Config:
    """The flags of the benchmark.

    Example:
      >>> Config(families="Gamma").samples
      1000000
    """

    platform: str = option("default", "platform that jax uses", choices=PLATFORMS)
    output: str | None = option(None, "folder for sampling.json, sampling.csv and sampling.png")
    samples: int = option(1_000_000, "variates per call", low=10)
    repeats: int = option(7, "measured calls, after one that is not measured", low=1)
    dtype: str = option("both", "dtype of the parameters", choices=("float32", "float64", "both"))
    families: str = option(
        "all", f"distributions, separated by commas, of {', '.join(FAMILIES)}; or all"
    )
    libraries: str = option(
        "all",
        "libraries to compare repara with, separated by commas, of "
        f"{', '.join(_OTHERS)}; or all that are installed",
    )


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of the benchmark.

    Attributes:
      families: name -> family.
      libraries: name -> library, first repara under "ours".
      dtypes: the dtypes of the parameters.
      samples: variates per call.
      repeats: measured calls per case.
      platform: the platform that jax uses, or None for its default.
      output: the folder of the files, or None.
    """

    families: Mapping[str, Family]
    libraries: Mapping[str, Library]
    dtypes: tuple[str, ...]
    samples: int
    repeats: int
    platform: str | None
    output: Path | None


def resolve(config: Config) -> Settings:
    """Checks a configuration and resolves it to a typed record.

    Args:
      config: the flags.

    Returns:
      The settings.

    Raises:
      ConfigError: a flag is out of range, or a family or library is unknown or not installed.

    Example:
      >>> list(resolve(Config(families="Beta,Gamma")).families)
      ['Beta', 'Gamma']
    """
    validate(config)
    families = _parse_names("families", config.families, list(FAMILIES))
    installed = [name for name in _OTHERS if _is_installed(LIBRARIES[name])]
    libraries = ["ours", *_parse_names("libraries", config.libraries, installed)]
    return Settings(
        families={name: FAMILIES[name] for name in families},
        libraries={name: LIBRARIES[name] for name in libraries},
        dtypes=_DTYPES[config.dtype],
        samples=config.samples,
        repeats=config.repeats,
        platform=None if config.platform == "default" else config.platform,
        output=None if config.output is None else Path(config.output),
    )


def _is_installed(library: Library) -> bool:
    return library.module is None or importlib.util.find_spec(library.module) is not None


def _parse_names(flag: str, text: str, known: Sequence[str]) -> Sequence[str]:
    """Returns the names in a comma-separated list, or all known names."""
    names = known if text == "all" else text.split(",")
    for name in names:
        if name not in known:
            raise ConfigError(f"--{flag}={name}: must be all, or of {', '.join(known)}")
    return names
