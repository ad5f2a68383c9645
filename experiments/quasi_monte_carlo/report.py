"""The CSV file and the figure of the experiment."""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np

from experiments.harness.run_directory import write_atomically
from experiments.quasi_monte_carlo.errors import columns, exponents
from repara import plotting

__all__ = ["draw", "errors_with_fits", "write_csv"]


def write_csv(rows: list[dict[str, Any]], path: Path) -> None:
    """Writes the measurements.

    Args:
      rows: the result of `errors.measure`.
      path: the CSV file to write.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue())


def errors_with_fits(rows: list[dict[str, Any]]) -> dict[str, plotting.Line]:
    """Returns the errors of each source with the fitted power of the number of draws.

    Args:
      rows: the result of `errors.measure`.

    Returns:
      Label -> points with error bars; their reference is the fit.
    """
    lines = {}
    for name, exponent in exponents(rows).items():
        n, rmse, stderr = columns(rows, name)
        factor = np.exp(np.mean(np.log(rmse) - exponent * np.log(n)))
        fit = (n, factor * n**exponent)
        lines[f"{name}, N^{exponent:.2f}"] = plotting.Line(n, rmse, stderr, fit)
    return lines


def draw(rows: list[dict[str, Any]], path: Path) -> Path:
    """Draws errors against numbers of draws, with the fitted lines.

    Args:
      rows: the result of `errors.measure`.
      path: the PNG to write.

    Returns:
      The path.
    """
    title = "E cos(t . z), z: two Gamma, two Beta\nand one Normal coordinate"
    return plotting.panels(
        path, {title: errors_with_fits(rows)}, columns=1, xlabel="number of draws N",
        ylabel="relative root mean square error", log_x=True, log_y=True,
    )  # fmt: skip
