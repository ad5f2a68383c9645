"""Figures and tables of the studies."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.gradient_variance.functions import FUNCTIONS
from experiments.gradient_variance.signal_to_noise import GRADIENTS
from repara import plotting

__all__ = ["draw_discrete", "draw_functions", "draw_logistic", "draw_snr", "markdown"]

# A variance below this fraction of the largest one is a rounding error of 0: figures omit it.
_SMALLEST = 1e-12


def _series(
    rows: Sequence[dict], group: str, x: str, y: str, spread: str
) -> dict[str, plotting.Line]:
    """Returns one line per value of the column `group`."""
    lines, smallest = {}, _SMALLEST * max(r[y] for r in rows)
    for name in dict.fromkeys(r[group] for r in rows):
        selected = [r for r in rows if r[group] == name]
        lines[name] = plotting.Line(
            np.array([r[x] for r in selected]),
            np.array([r[y] if r[y] > smallest else np.nan for r in selected]),
            np.array([r[spread] for r in selected]),
        )
    return lines


def draw_functions(path: Path, rows: Sequence[dict], curves: Sequence[dict]) -> Path:
    """Draws measured variances as points with error bars and exact variances as lines.

    Args:
      path: the PNG to write.
      rows: the result of `functions.study`.
      curves: the result of `functions.exact_curves`.

    Returns:
      The path.
    """
    panels, log_x = {}, []
    for parameter, symbol in (("loc", r"\mu"), ("scale", r"\sigma")):
        for name, function in FUNCTIONS.items():
            measured, exact_rows = (
                [r for r in table if r["function"] == name and r["parameter"] == parameter]
                for table in (rows, curves)
            )
            lines = _series(measured, "estimator", "k", "measured", "stderr")
            exact = _series(exact_rows, "estimator", "k", "exact", "exact")
            panels[rf"{function.title}, $\partial/\partial {symbol}$"] = {
                estimator: line._replace(reference=(exact[estimator].x, exact[estimator].y))
                for estimator, line in lines.items()
            }
            log_x.append(function.spacing is np.geomspace)
    return plotting.panels(
        path, panels, columns=3, xlabel="k (points: measured, lines: exact)",
        ylabel="variance of one estimate", log_x=log_x, log_y=True,
    )  # fmt: skip


def draw_logistic(path: Path, rows: Sequence[dict]) -> Path:
    """Draws learning curves and gradient variances.

    Args:
      path: the PNG to write.
      rows: the learning curves that `logistic.study` returns.

    Returns:
      The path.
    """
    panels = {
        title: _series(rows, "estimator", "step", column, f"{column}_spread")
        for title, column in (
            ("negative ELBO [nats]", "negative_elbo"),
            ("gradient variance, loc", "variance_loc"),
            ("gradient variance, log scale", "variance_log_scale"),
        )
    }
    return plotting.panels(path, panels, columns=3, xlabel="step", ylabel="", log_y=True)


def draw_discrete(path: Path, rows: Sequence[dict], temperatures: Sequence[dict]) -> Path:
    """Draws learning curves, gradient variances, and bias over temperature.

    Args:
      path: the PNG to write.
      rows: the learning curves that `discrete.study` returns; the probability of 1 should fall.
      temperatures: the result of `discrete.temperatures`.

    Returns:
      The path.
    """
    panels: dict[str, Any] = {
        title: _series(rows, "estimator", "step", column, f"{column}_spread")
        for title, column in (
            ("probability of 1 (best: 0)", "probability"),
            ("gradient variance, 2 samples", "variance"),
        )
    }
    panels["bias / exact gradient"] = _series(
        temperatures, "estimator", "temperature", "bias", "bias_stderr"
    )
    return plotting.panels(
        path, panels, columns=3, xlabel=("step", "step", "temperature"), ylabel="",
        log_x=(False, False, True), log_y=(False, True, True),
    )  # fmt: skip


def draw_snr(path: Path, rows: Sequence[dict], exponents: Mapping[str, float]) -> Path:
    """Draws the ratio over the number of samples, with lines of the theoretical exponents.

    Args:
      path: the PNG to write.
      rows: the result of `signal_to_noise.study`.
      exponents: the result of `signal_to_noise.exponents`.

    Returns:
      The path.
    """
    series = _series(rows, "gradient", "num_samples", "snr", "stderr")
    lines = {}
    for gradient in GRADIENTS:
        line = series[gradient.name]
        theory = line.y[-1] * (line.x / line.x[-1]) ** gradient.exponent
        label = f"{gradient.label}, measured slope {exponents[gradient.name]:+.3f}"
        lines[label] = line._replace(reference=(line.x, theory))
    title = "points: measured; lines: slopes -1/2 and +1/2"
    return plotting.panels(
        path, {title: lines}, columns=1, xlabel="samples K", ylabel="signal-to-noise ratio",
        log_x=True, log_y=True,
    )  # fmt: skip


def markdown(table: Sequence[Mapping[str, Any]]) -> str:
    """Formats a table of estimators in Markdown, with the bias if it was measured.

    Args:
      table: one row per estimator, with "estimator", "variance", "microseconds" and
        "variance_time", and either none or all with "bias" and "bias_stderr".

    Returns:
      The lines of the table.
    """
    names = ["estimator", "variance", "µs per gradient", "variance x s"]
    cells = [
        [r["estimator"], f"{r['variance']:.2e}", f"{_two_digits(r['microseconds'])}",
         f"{r['variance_time']:.1e}"]
        for r in table
    ]  # fmt: skip
    if "bias" in table[0]:
        names.insert(1, "bias")
        for row, r in zip(cells, table, strict=True):
            row.insert(1, f"{r['bias']:+.1e} ± {r['bias_stderr']:.0e}")
    lines = [names, ["---"] * len(names), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _two_digits(value: float) -> str:
    """Formats a number with two digits and without an exponent."""
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"
