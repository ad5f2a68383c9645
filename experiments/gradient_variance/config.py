"""The configuration of the experiment, and the studies it resolves to."""

import dataclasses

from experiments.gradient_variance.studies import (
    Study,
    discrete_study,
    functions_study,
    logistic_study,
    snr_study,
)
from experiments.harness.configuration import option, validate

__all__ = ["STUDIES", "Config", "resolve"]

STUDIES = ("functions", "logistic", "discrete", "snr")


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that determines a run; the fields are the flags.

    Example:
      >>> Config(study="snr", quick=True).num_seeds
      3
    """

    study: str = option("all", "the study to run", choices=("all", *STUDIES), may_change=True)
    workdir: str | None = option(
        None, "run directory; by default a new dated one under runs/", may_change=True
    )
    quick: bool = option(
        False, "use about a tenth of the samples and steps, for a quick check (about a minute)"
    )
    seed: int = option(0, "seed of all random numbers", low=0)
    num_seeds: int = option(3, "training runs per estimator, computed together by vmap", low=1)


def resolve(config: Config) -> dict[str, Study]:
    """Checks a configuration and resolves it to the selected studies.

    Args:
      config: the flags.

    Returns:
      Name -> study, for the selected studies.

    Raises:
      ConfigError: a flag is out of range.

    Example:
      >>> list(resolve(Config(study="snr")))
      ['snr']
    """
    validate(config)
    studies = (_quick if config.quick else _full)(config.num_seeds)
    return {name: study for name, study in studies.items() if config.study in ("all", name)}


def _full(num_seeds: int) -> dict[str, Study]:
    return {
        "functions": functions_study(repeats=500_000, num_points=13, num_curve_points=61),
        "logistic": logistic_study(
            steps=200, num_measurements=10, num_seeds=num_seeds, repeats=10
        ),
        "discrete": discrete_study(
            steps=4000, num_measurements=10, num_seeds=num_seeds, repeats=200,
            num_temperatures=7, temperature_repeats=2000,
        ),
        "snr": snr_study(log4_samples=5, repeats=10_000),
    }  # fmt: skip


def _quick(num_seeds: int) -> dict[str, Study]:
    return {
        "functions": functions_study(repeats=50_000, num_points=3, num_curve_points=13),
        "logistic": logistic_study(steps=4, num_measurements=2, num_seeds=num_seeds, repeats=3),
        "discrete": discrete_study(
            steps=400, num_measurements=2, num_seeds=num_seeds, repeats=40,
            num_temperatures=3, temperature_repeats=100,
        ),
        "snr": snr_study(log4_samples=4, repeats=1000),
    }  # fmt: skip
