"""Figures of curves, with or without error bars."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from repara.plotting.figure import STYLE, new_figure, save

__all__ = ["Line", "curves", "panels"]


def curves(
    path: str | os.PathLike[str],
    panels: Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[float]]]],
    xlabel: str,
) -> Path:
    """Draws curves side by side.

    Args:
      path: the PNG to write.
      panels: the label of each panel's vertical axis -> curve label -> (x, y).
      xlabel: the label of all horizontal axes.

    Returns:
      The path.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     curves(f"{folder}/loss.png", {"loss": {"train": ([1, 2], [9, 4])}}, "epoch").name
      'loss.png'
    """
    with matplotlib.rc_context(STYLE):
        figure = new_figure(4.0 * len(panels), 3.2)
        for axes, (ylabel, lines) in zip(
            np.atleast_1d(figure.subplots(1, len(panels))), panels.items(), strict=True
        ):
            for label, (x, y) in lines.items():
                marker = "o" if len(x) < 20 else ""
                axes.plot(x, y, label=label, linewidth=1.3, marker=marker, markersize=3)
            axes.set_xlabel(xlabel)
            axes.set_ylabel(ylabel)
            if len(lines) > 1:
                axes.legend(loc="best")  # by default it warns on slow machines
            axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        return save(figure, path)


class Line(NamedTuple):
    """One series of `panels`.

    Attributes:
      x: [n].
      y: [n].
      error: half the length of each error bar, [n].
      reference: the theoretical curve (x, y), of any length; the points are then not connected by
        lines. None for no curve.
    """

    x: np.ndarray
    y: np.ndarray
    error: np.ndarray
    reference: tuple[np.ndarray, np.ndarray] | None = None


def panels(
    path: str | os.PathLike[str],
    groups: Mapping[str, Mapping[str, Line]],
    *,
    columns: int,
    xlabel: str | Sequence[str],
    ylabel: str,
    log_x: bool | Sequence[bool] = False,
    log_y: bool | Sequence[bool] = False,
) -> Path:
    """Draws panels of series with error bars, one legend for all.

    Args:
      path: the PNG to write.
      groups: panel title -> series label -> line. A label has the same color and marker in all
        panels.
      columns: the number of panels per row.
      xlabel: the label of the horizontal axes, one for all panels or one per panel.
      ylabel: the label of the vertical axes of the first column.
      log_x: whether the horizontal axes are logarithmic, for all panels or per panel.
      log_y: whether the vertical axes are logarithmic, for all panels or per panel.

    Returns:
      The path.

    Example:
      >>> import tempfile
      >>> line = Line(np.arange(3), np.arange(3) ** 2, np.ones(3))
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     names = {"columns": 1, "xlabel": "step", "ylabel": "loss"}
      ...     panels(f"{folder}/p.png", {"a title": {"ours": line}}, **names).name
      'p.png'
    """
    rows = -(-len(groups) // columns)
    labels = list(dict.fromkeys(label for lines in groups.values() for label in lines))
    colors = matplotlib.colormaps["tab10" if len(labels) <= 10 else "tab20"]
    markers = "o" if len(labels) <= 5 else "osD^vP<>X*ph"
    xlabels = [xlabel] * len(groups) if isinstance(xlabel, str) else xlabel
    log_xs = [log_x] * len(groups) if isinstance(log_x, bool) else log_x
    log_ys = [log_y] * len(groups) if isinstance(log_y, bool) else log_y
    with matplotlib.rc_context(STYLE):
        width = 3.6 * columns + 0.6
        # A letter of the legend is about 0.065 inches wide.
        fitting = int(width / (0.065 * max(map(len, labels)) + 0.5))
        legend_columns = max(1, min(columns + 1, fitting))
        figure = new_figure(width, 2.9 * rows + 0.2 * (1 + len(labels) / legend_columns))
        grid = figure.subplots(rows, columns, squeeze=False)
        handles: dict[str, Any] = {}
        for index, (title, lines) in enumerate(groups.items()):
            axes = grid[index // columns, index % columns]
            for label, line in lines.items():
                color = colors(labels.index(label))
                linestyle = "none" if line.reference is not None else "-"
                handles[label] = axes.errorbar(
                    line.x, line.y, line.error, color=color, label=label,
                    marker=markers[labels.index(label) % len(markers)], markersize=3.5,
                    linewidth=1.2, linestyle=linestyle, elinewidth=0.8, capsize=1.5,
                )  # fmt: skip
                if line.reference is not None:
                    axes.plot(*line.reference, color=color, linewidth=1.0)
            if log_xs[index]:
                axes.set_xscale("log")
                _plain_numbers(axes.xaxis, axes.get_xlim())
            if log_ys[index]:
                axes.set_yscale("log", nonpositive="mask")
                _plain_numbers(axes.yaxis, axes.get_ylim())
            axes.set_title(title)
            axes.set_xlabel(xlabels[index])
            if index % columns == 0:
                axes.set_ylabel(ylabel)
        for index in range(len(groups), rows * columns):
            grid[index // columns, index % columns].set_visible(False)
        figure.legend(
            handles.values(), handles.keys(), loc="outside lower center",
            ncols=legend_columns, fontsize=8,
        )  # fmt: skip
        return save(figure, path)


def _plain_numbers(axis: Any, limits: tuple[float, float]) -> None:
    """Formats the ticks of a short logarithmic axis as plain numbers: 70, not 7 x 10^1."""
    decades = np.log10(limits[1] / limits[0])
    if decades < 3:
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        # On very short axes also 2 and 5 between the powers of ten.
        between = FuncFormatter(
            lambda value, _: f"{value:g}" if f"{value:e}"[0] in "25" else ""
        )  # fmt: skip
        axis.set_minor_formatter(between if decades < 1.5 else NullFormatter())
