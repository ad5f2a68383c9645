"""Measures the error of a mean with independent noise and with scrambled Sobol noise.

    python -m experiments.quasi_monte_carlo --output=docs/figures

    f(z) = cos(t . z),   z = (Gamma, Gamma, Beta, Beta, Normal),   E f in closed form

Both sources of noise pass through the same transforms, with the same numbers of draws.
"""

from typing import Any

from experiments.quasi_monte_carlo.config import Config, resolve
from experiments.quasi_monte_carlo.errors import exponents, measure
from experiments.quasi_monte_carlo.report import draw, write_csv

__all__ = ["run"]


def run(config: Config) -> list[dict[str, Any]]:
    """Runs the experiment as `python -m experiments.quasi_monte_carlo` does.

    Prints how fast the errors fall and, if there is an output folder, writes the rows and a
    figure.

    Args:
      config: the flags.

    Returns:
      One row per source and number of draws, as `errors.measure` returns them.

    Raises:
      ConfigError: a flag is out of range, or --low is at least --high.

    Example:
      from experiments import quasi_monte_carlo
      rows = quasi_monte_carlo.run(quasi_monte_carlo.Config(high=10))
    """
    study = resolve(config)
    rows = measure(study.counts, study.keys)
    for name, exponent in exponents(rows).items():
        print(f"{name}: the error falls like N^{exponent:.2f}")
    if study.output is not None:
        study.output.mkdir(parents=True, exist_ok=True)
        write_csv(rows, study.output / "quasi_monte_carlo.csv")
        draw(rows, study.output / "quasi_monte_carlo.png")
    return rows
