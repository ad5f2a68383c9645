"""Figures and tables of the studies."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from repara import plotting

__all__ = ["draw_discrete", "draw_functions", "draw_logistic", "draw_snr", "markdown"]


def _series(
    rows: Sequence[dict], group: str, x: str, y: str, spread: str
) -> dict[str, plotting.Line]:
    names = list(dict.fromkeys(r[group] for r in rows))
    lines = {}
    for name in names:
        mine = [r for r in rows if r[group] == name]
        lines[name] = plotting.Line(
            np.array([r[x] for r in mine]),
            np.array([r[y] for r in mine]),
            np.array([r[spread] for r in mine]),
        )
    return lines


def draw_functions(path: Path, rows: Sequence[dict]) -> Path:
    """Measured variances as points with error bars, exact ones as lines."""
    panels = {}
    for parameter in ("loc", "scale"):
        for function in dict.fromkeys(r["function"] for r in rows):
            mine = [r for r in rows if r["function"] == function and r["parameter"] == parameter]
            lines = _series(mine, "estimator", "k", "measured", "stderr")
            for name, line in lines.items():
                exact = np.array([r["exact"] for r in mine if r["estimator"] == name])
                lines[name] = line._replace(reference=exact)
            panels[f"{function}, d/d{parameter}"] = lines
    return plotting.panels(
        path, panels, columns=3, xlabel="k", ylabel="variance of one estimate", log_y=True
    )


def draw_logistic(path: Path, rows: Sequence[dict]) -> Path:
    """Learning curves and gradient variances."""
    panels = {
        title: _series(rows, "estimator", "step", column, f"{column}_spread")
        for title, column in (
            ("negative ELBO, nats", "negative_elbo"),
            ("gradient variance, loc", "variance_loc"),
            ("gradient variance, log scale", "variance_log_scale"),
        )
    }
    return plotting.panels(path, panels, columns=3, xlabel="step", ylabel="", log_y=True)


def draw_discrete(path: Path, rows: Sequence[dict]) -> Path:
    """The probability of a one, which should fall, and the variance of the gradient."""
    panels: dict[str, Any] = {}
    for title, column in (
        ("probability of 1 (best: 0)", "probability"),
        ("gradient variance, 2 samples", "variance"),
    ):
        lines = _series(rows, "estimator", "step", column, f"{column}_spread")
        if column == "variance":  # the exact gradient has none, which no logarithm shows
            lines = {k: v for k, v in lines.items() if np.any(v.y > 1e-14)}
        panels[title] = lines
    return plotting.panels(
        path, panels, columns=2, xlabel="step", ylabel="", log_y=(False, True)
    )  # fmt: skip


def draw_snr(path: Path, rows: Sequence[dict]) -> Path:
    """The ratio against the number of samples, with the slopes of theory."""
    lines = _series(rows, "gradient", "num_samples", "snr", "stderr")
    for name, line in lines.items():
        slope = -0.5 if name == "plain" else 0.5
        lines[name] = line._replace(reference=line.y[-1] * (line.x / line.x[-1]) ** slope)
    title = "points: measured; lines: slopes -1/2 and 1/2"
    return plotting.panels(
        path, {title: lines}, columns=1, xlabel="samples K", ylabel="signal-to-noise ratio",
        log_x=True, log_y=True,
    )  # fmt: skip


def markdown(table: Sequence[Mapping[str, Any]]) -> str:
    """A table of estimators in Markdown."""
    lines = ["| estimator | bias | variance | µs | variance x time |", "|---|---|---|---|---|"]
    for r in table:
        bias = f"{r['bias']:.1e} ± {r['bias_stderr']:.0e}"
        lines.append(
            f"| {r['estimator']} | {bias} | {r['variance']:.1e} | {r['microseconds']:.0f} | "
            f"{r['variance_time']:.1e} |"
        )
    return "\n".join(lines)
