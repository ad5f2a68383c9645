"""Which gradient estimator when: measured variances, biases, times, and learning curves.

    python -m experiments.gradient_variance                          # all four studies
    python -m experiments.gradient_variance --study=discrete --quick
    python -m experiments.gradient_variance --workdir=RUN            # goes on where it was stopped

Studies: `functions` of a normal variable beside exact variances; Bayesian `logistic` regression;
the `discrete` toy of Tucker et al.; the signal-to-noise ratio (`snr`) of importance-weighted
bounds. Each leaves CSV files and a figure in the run directory, and the figures of merit in
result.json.
"""

import csv
import dataclasses
import io
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.gradient_variance import discrete, functions, logistic, report, signal_to_noise
from experiments.harness.configuration import option, read_flags, validate
from experiments.harness.progress import Progress
from experiments.harness.run_directory import RunDirectory, fresh_workdir, write_atomically

__all__ = ["Config", "run"]

_STUDIES = ("functions", "logistic", "discrete", "snr")


@dataclasses.dataclass(frozen=True)
class Config:
    """The flags of the experiment."""

    study: str = option("all", "which study", choices=("all", *_STUDIES))
    workdir: str | None = option(None, "run directory; by default a fresh dated one under runs/")
    quick: bool = option(False, "a tenth of the samples and steps, for a look in a minute")
    seed: int = option(0, "seed of everything", low=0)
    num_seeds: int = option(3, "training runs of each estimator, by vmap", low=1)


@dataclasses.dataclass(frozen=True)
class _Size:
    """How much of everything."""

    function_repeats: int
    function_points: int
    curve_points: int
    logistic_steps: int
    logistic_repeats: int
    discrete_steps: int
    measurements: int
    variance_repeats: int
    temperature_points: int
    temperature_repeats: int
    snr_power: int
    snr_repeats: int


_FULL = _Size(500_000, 13, 61, 200, 10, 4000, 10, 200, 7, 2000, 5, 10_000)
_QUICK = _Size(50_000, 3, 13, 4, 3, 400, 2, 40, 3, 100, 4, 1000)
_PARTS = {"functions": 9, "logistic": len(logistic.ESTIMATORS),
          "discrete": len(discrete.ESTIMATORS) + 1}  # fmt: skip


def run(config: Config) -> dict[str, Any]:
    """Runs the studies that are asked for and not yet in the run directory.

    Args:
      config: the flags.

    Returns:
      What `result.json` holds, with "workdir".

    Raises:
      ConfigError: a flag is out of range, or contradicts the run that is in `workdir`.

    Example:
      from experiments.gradient_variance import Config, run
      run(Config(study="snr", quick=True, workdir="runs/snr"))
    """
    validate(config)
    workdir = config.workdir or str(fresh_workdir("gradient_variance"))
    directory = RunDirectory(workdir)
    directory.settle_config(
        dataclasses.replace(config, workdir=workdir), "", free=("workdir", "study")
    )
    size = _QUICK if config.quick else _FULL
    result: dict[str, Any] = directory.read_result() or {}
    key = jax.random.key(config.seed)
    for index, study in enumerate(_STUDIES):
        if config.study not in ("all", study) or study in result:
            continue
        parts = _PARTS.get(study, size.snr_power + 1)
        progress = Progress(parts, 0, study)
        begin = time.perf_counter()

        def tick(label: str, progress: Progress = progress, begin: float = begin) -> None:
            progress.update(1, {"done": label, "seconds": f"{time.perf_counter() - begin:.0f}"})

        outcome = _run_study(study, config, size, jax.random.fold_in(key, index), directory, tick)
        progress.close()
        result[study] = {**outcome, "seconds": time.perf_counter() - begin}
        result["device"] = jax.devices()[0].device_kind
        directory.write_result(result)
    print(f"CSV files, plots/ and result.json are in {directory.path}", file=sys.stderr)
    return {**result, "workdir": str(directory.path)}


def _run_study(
    study: str,
    config: Config,
    size: _Size,
    key: jax.Array,
    directory: RunDirectory,
    tick: Callable[[str], None],
) -> dict[str, Any]:
    path, plots = directory.path, directory.plots
    if study == "functions":
        rows = functions.study(key, size.function_repeats, size.function_points, tick)
        _write_csv(path / "functions.csv", rows)
        curves = functions.exact_curves(size.curve_points)
        _write_csv(path / "functions_exact.csv", curves)
        report.draw_functions(plots / "functions.png", rows, curves)
        ratios = [r["measured"] / r["exact"] for r in rows if r["exact"] > 1e-12]
        return {"largest_deviation": float(np.max(np.abs(np.array(ratios) - 1)))}
    if study == "logistic":
        every = size.logistic_steps // size.measurements
        rows, table = logistic.study(
            key, size.logistic_steps, every, config.num_seeds, size.logistic_repeats, tick
        )
        _write_csv(path / "logistic.csv", rows)
        _write_csv(path / "logistic_table.csv", table)
        report.draw_logistic(plots / "logistic.png", rows)
        print(report.markdown(table))
        last = _last(rows, ("negative_elbo", "variance_loc", "variance_log_scale"))
        return {"last": last, "table": table}
    if study == "discrete":
        every = size.discrete_steps // size.measurements
        curves, table = discrete.study(
            key, size.discrete_steps, every, config.num_seeds, size.variance_repeats, tick
        )
        _write_csv(path / "discrete.csv", curves)
        _write_csv(path / "discrete_table.csv", table)
        temperatures = discrete.temperatures(
            jax.random.fold_in(key, 1), size.temperature_points, size.temperature_repeats, tick
        )
        _write_csv(path / "discrete_temperatures.csv", temperatures)
        report.draw_discrete(plots / "discrete.png", curves, temperatures)
        print(report.markdown(table))
        return {"last": _last(curves, ("loss", "probability", "variance")), "table": table}
    rows = signal_to_noise.study(key, size.snr_power, size.snr_repeats, tick)
    _write_csv(path / "snr.csv", rows)
    slopes = signal_to_noise.slopes(rows)
    report.draw_snr(plots / "snr.png", rows, slopes)
    return {"slopes": slopes}


def _last(rows: Sequence[dict], columns: Sequence[str]) -> dict[str, dict[str, float]]:
    """The last row of each estimator."""
    return {r["estimator"]: {c: r[c] for c in columns} for r in rows}


def _write_csv(path: Path, rows: Sequence[dict]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue())


def main() -> None:
    """Reads the flags and runs."""
    run(Config(**read_flags(Config)))
