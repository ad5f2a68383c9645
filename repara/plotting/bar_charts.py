"""Figures of bars."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.ticker import MaxNLocator

from repara.plotting.figure import STYLE, new_figure, save

__all__ = ["bars", "grouped_bars", "word_bars"]


def bars(
    path: str | os.PathLike[str], values: Sequence[float], *, xlabel: str, ylabel: str, title: str
) -> Path:
    """Draws values as bars, the largest first.

    Args:
      path: the PNG to write.
      values: one number per bar.
      xlabel: the label of the horizontal axis.
      ylabel: the label of the vertical axis.
      title: the title above the axes.

    Returns:
      The path.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     bars(f"{folder}/kl.png", [3, 1], xlabel="unit", ylabel="nats", title="KL").name
      'kl.png'
    """
    ordered = np.sort(np.asarray(values, np.float64))[::-1]
    with matplotlib.rc_context(STYLE):
        figure = new_figure(5.0, 3.2)
        axes = figure.subplots()
        axes.bar(np.arange(1, len(ordered) + 1), ordered, width=0.8)
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)
        axes.set_title(title)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        return save(figure, path)


def grouped_bars(
    path: str | os.PathLike[str],
    groups: Mapping[str, Sequence[float]],
    ticks: Sequence[str],
    *,
    ylabel: str,
    title: str,
) -> Path:
    """Draws several series as bars side by side, on a logarithmic scale.

    Args:
      path: the PNG to write.
      groups: series label -> one positive number per tick, NaN for no bar.
      ticks: the labels along the horizontal axis.
      ylabel: the label of the vertical axis.
      title: the title above the axes.

    Returns:
      The path.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     groups = {"ours": [1.0, 2.0], "theirs": [3.0, 4.0]}
      ...     ticks = ["Gamma", "Beta"]
      ...     grouped_bars(f"{folder}/t.png", groups, ticks, ylabel="ms", title="time").name
      't.png'
    """
    with matplotlib.rc_context(STYLE):
        figure = new_figure(9.0, 4.0)
        axes = figure.subplots()
        width = 0.8 / len(groups)
        for n, (label, heights) in enumerate(groups.items()):
            offset = (n - len(groups) / 2 + 0.5) * width
            axes.bar(np.arange(len(ticks)) + offset, heights, width, label=label)
        axes.set_yscale("log")
        # Space for the legend above the tallest bar.
        axes.set_ylim(top=axes.get_ylim()[1] * 3)
        axes.legend(loc="upper left", ncols=len(groups))
        axes.set_ylabel(ylabel)
        axes.set_title(title)
        axes.set_xticks(np.arange(len(ticks)), ticks)
        axes.grid(axis="x", visible=False)
        return save(figure, path)


def word_bars(
    path: str | os.PathLike[str],
    groups: Mapping[str, Mapping[str, float]],
    *,
    columns: int,
    xlabel: str,
) -> Path:
    """Draws a panel of labeled horizontal bars for each group, in a grid.

    Args:
      path: the PNG to write.
      groups: panel title -> label -> length of the bar, from top to bottom.
      columns: the number of panels per row.
      xlabel: the label of the horizontal axes of the last row.

    Returns:
      The path.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     topics = {"topic 1": {"church": 0.3, "pope": 0.2}}
      ...     word_bars(f"{folder}/w.png", topics, columns=1, xlabel="probability").name
      'w.png'
    """
    columns = min(columns, len(groups))
    rows = -(-len(groups) // columns)
    height = 0.15 * max(len(bars) for bars in groups.values()) + 0.5
    with matplotlib.rc_context(STYLE):
        figure = new_figure(2.1 * columns, height * rows + 0.2)
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes in grid.flat[len(groups) :]:
            axes.set_visible(False)
        for index, (title, values) in enumerate(groups.items()):
            axes = grid.flat[index]
            places = np.arange(len(values))
            axes.barh(places, list(values.values()), height=0.75)
            axes.set_yticks(places, list(values), fontsize=7)
            axes.tick_params(axis="x", labelsize=7)
            axes.tick_params(axis="y", length=0)
            axes.invert_yaxis()
            axes.grid(axis="y", visible=False)
            axes.xaxis.set_major_locator(MaxNLocator(nbins=3))
            axes.set_title(title, fontsize=8)
            if index + columns >= len(groups):
                axes.set_xlabel(xlabel, fontsize=8)
        return save(figure, path)
