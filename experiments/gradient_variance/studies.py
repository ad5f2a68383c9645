"""The four studies: each measures, writes CSV files and a figure, and returns its key numbers."""

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.gradient_variance import discrete, functions, logistic, report, signal_to_noise
from experiments.harness.run_directory import RunDirectory, write_atomically

__all__ = ["OnPartDone", "Study", "discrete_study", "functions_study", "logistic_study",
           "snr_study"]  # fmt: skip

OnPartDone = Callable[[str], None]
"""Called with a label after each part of a study."""


class Study(NamedTuple):
    """A study.

    Attributes:
      num_parts: the number of parts of which it reports the end.
      run: (key, run directory, on_part_done) -> key numbers for result.json; the key is consumed.
    """

    num_parts: int
    run: Callable[[jax.Array, RunDirectory, OnPartDone], dict[str, Any]]


def functions_study(*, repeats: int, num_points: int, num_curve_points: int) -> Study:
    """Returns the study of functions of a normal variable, with exact variances.

    Args:
      repeats: estimates per point.
      num_points: measured points per grid.
      num_curve_points: points per grid of the exact variances.

    Returns:
      The study; its result is the largest relative deviation from an exact variance.
    """

    def run(key: jax.Array, directory: RunDirectory, on_part_done: OnPartDone) -> dict[str, Any]:
        rows = functions.study(
            key, repeats=repeats, num_points=num_points, on_part_done=on_part_done
        )
        _write_csv(directory.path / "functions.csv", rows)
        curves = functions.exact_curves(num_curve_points)
        _write_csv(directory.path / "functions_exact.csv", curves)
        report.draw_functions(directory.plots / "functions.png", rows, curves)
        # An exact variance of 0 has no relative deviation.
        ratios = [r["measured"] / r["exact"] for r in rows if r["exact"] > 1e-12]
        return {"largest_deviation": float(np.max(np.abs(np.array(ratios) - 1)))}

    return Study(functions.NUM_PARTS, run)


def logistic_study(*, steps: int, num_measurements: int, num_seeds: int, repeats: int) -> Study:
    """Returns the study of Bayesian logistic regression.

    Args:
      steps: training steps.
      num_measurements: measurements during training.
      num_seeds: training runs per estimator.
      repeats: gradients per variance.

    Returns:
      The study; its results are the ends of the learning curves and a table.
    """

    def run(key: jax.Array, directory: RunDirectory, on_part_done: OnPartDone) -> dict[str, Any]:
        curves, table = logistic.study(
            key, steps=steps, every=steps // num_measurements, num_seeds=num_seeds,
            repeats=repeats, on_part_done=on_part_done,
        )  # fmt: skip
        _write_csv(directory.path / "logistic.csv", curves)
        _write_csv(directory.path / "logistic_table.csv", table)
        report.draw_logistic(directory.plots / "logistic.png", curves)
        print(report.markdown(table))
        last = _last_rows(curves, ("negative_elbo", "variance_loc", "variance_log_scale"))
        return {"last": last, "table": table}

    return Study(len(logistic.ESTIMATORS), run)


def discrete_study(
    *, steps: int, num_measurements: int, num_seeds: int, repeats: int,
    num_temperatures: int, temperature_repeats: int,
) -> Study:  # fmt: skip
    """Returns the study of a Bernoulli variable.

    Args:
      steps: training steps.
      num_measurements: measurements during training.
      num_seeds: training runs per estimator.
      repeats: gradients per variance.
      num_temperatures: temperatures of the relaxed estimators.
      temperature_repeats: gradients per temperature.

    Returns:
      The study; its results are the ends of the learning curves and a table.
    """

    def run(key: jax.Array, directory: RunDirectory, on_part_done: OnPartDone) -> dict[str, Any]:
        outcome = discrete.study(
            key, steps=steps, every=steps // num_measurements, num_seeds=num_seeds,
            repeats=repeats, num_temperatures=num_temperatures,
            temperature_repeats=temperature_repeats, on_part_done=on_part_done,
        )  # fmt: skip
        _write_csv(directory.path / "discrete.csv", outcome.curves)
        _write_csv(directory.path / "discrete_table.csv", outcome.table)
        _write_csv(directory.path / "discrete_temperatures.csv", outcome.temperatures)
        picture = directory.plots / "discrete.png"
        report.draw_discrete(picture, outcome.curves, outcome.temperatures)
        print(report.markdown(outcome.table))
        last = _last_rows(outcome.curves, ("loss", "probability", "variance"))
        return {"last": last, "table": outcome.table}

    return Study(discrete.NUM_PARTS, run)


def snr_study(*, log4_samples: int, repeats: int) -> Study:
    """Returns the study of the signal-to-noise ratio of importance-weighted bounds.

    Args:
      log4_samples: the base-4 logarithm of the largest number of samples.
      repeats: gradients per point.

    Returns:
      The study; its results are the measured exponents of the number of samples.
    """

    def run(key: jax.Array, directory: RunDirectory, on_part_done: OnPartDone) -> dict[str, Any]:
        rows = signal_to_noise.study(
            key, log4_samples=log4_samples, repeats=repeats, on_part_done=on_part_done
        )
        _write_csv(directory.path / "snr.csv", rows)
        exponents = signal_to_noise.exponents(rows)
        report.draw_snr(directory.plots / "snr.png", rows, exponents)
        return {"slopes": exponents}

    return Study(log4_samples + 1, run)


def _last_rows(rows: Sequence[dict], columns: Sequence[str]) -> dict[str, dict[str, float]]:
    """Returns these columns of the last row of each estimator."""
    return {r["estimator"]: {c: r[c] for c in columns} for r in rows}


def _write_csv(path: Path, rows: Sequence[dict]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue())
