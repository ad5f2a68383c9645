"""Figures and tables of the studies."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from repara import plotting

__all__ = ["draw_discrete", "draw_functions", "draw_logistic", "draw_snr", "markdown"]


_TITLES = {
    "(x - k)^2": r"$f = (x - k)^2$",
    "exp(-k x^2)": r"$f = \exp(-k x^2)$",
    "cos(k x)": r"$f = \cos(k x)$",
}
# Below this part of the largest a variance is what rounding leaves of zero: left out of figures.
_SMALLEST = 1e-12


def _series(
    rows: Sequence[dict], group: str, x: str, y: str, spread: str
) -> dict[str, plotting.Line]:
    names = list(dict.fromkeys(r[group] for r in rows))
    lines, smallest = {}, _SMALLEST * max(r[y] for r in rows)
    for name in names:
        mine = [r for r in rows if r[group] == name]
        lines[name] = plotting.Line(
            np.array([r[x] for r in mine]),
            np.array([r[y] if r[y] > smallest else np.nan for r in mine]),
            np.array([r[spread] for r in mine]),
        )
    return lines


def draw_functions(path: Path, rows: Sequence[dict], curves: Sequence[dict]) -> Path:
    """Measured variances as points with error bars, exact ones as lines."""
    panels, log_x = {}, []
    for parameter, symbol in (("loc", r"\mu"), ("scale", r"\sigma")):
        for function, title in _TITLES.items():

            def mine(rows: Sequence[dict], f: str = function, p: str = parameter) -> list[dict]:
                return [r for r in rows if r["function"] == f and r["parameter"] == p]

            lines = _series(mine(rows), "estimator", "k", "measured", "stderr")
            exact = _series(mine(curves), "estimator", "k", "exact", "exact")
            panels[rf"{title}, $\partial/\partial {symbol}$"] = {
                name: line._replace(reference=(exact[name].x, exact[name].y))
                for name, line in lines.items()
            }
            log_x.append(function != "(x - k)^2")
    return plotting.panels(
        path, panels, columns=3, xlabel="k (points: measured, lines: exact)",
        ylabel="variance of one estimate", log_x=log_x, log_y=True,
    )  # fmt: skip


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


def draw_discrete(path: Path, rows: Sequence[dict], temperatures: Sequence[dict]) -> Path:
    """The probability of a one, which should fall; gradient variance; bias over temperature."""
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


def draw_snr(path: Path, rows: Sequence[dict], slopes: Mapping[str, float]) -> Path:
    """The ratio against the number of samples, with the slopes of theory."""
    lines = {}
    for name, line in _series(rows, "gradient", "num_samples", "snr", "stderr").items():
        theory = -0.5 if name == "plain" else 0.5
        kind = "plain" if name == "plain" else "doubly reparameterized"
        lines[f"{kind}, measured slope {slopes[name]:+.3f}"] = line._replace(
            reference=(line.x, line.y[-1] * (line.x / line.x[-1]) ** theory)
        )
    title = "points: measured; lines: slopes -1/2 and +1/2"
    return plotting.panels(
        path, {title: lines}, columns=1, xlabel="samples K", ylabel="signal-to-noise ratio",
        log_x=True, log_y=True,
    )  # fmt: skip


def markdown(table: Sequence[Mapping[str, Any]]) -> str:
    """A table of estimators in Markdown, with the bias where it was measured."""
    names = ["estimator", "variance", "µs a gradient", "variance x s"]
    cells = [
        [r["estimator"], f"{r['variance']:.2e}", f"{_short(r['microseconds'])}",
         f"{r['variance_time']:.1e}"]
        for r in table
    ]  # fmt: skip
    if "bias" in table[0]:
        names.insert(1, "bias")
        for row, r in zip(cells, table, strict=True):
            row.insert(1, f"{r['bias']:+.1e} ± {r['bias_stderr']:.0e}")
    lines = [names, ["---"] * len(names), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _short(value: float) -> str:
    """Two digits, and no exponent."""
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"
