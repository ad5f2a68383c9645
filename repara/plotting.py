"""Figures of experiments; the only file that imports matplotlib.

Every function takes arrays, writes one PNG and returns its path. Figures are drawn without a
display, and written atomically.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

__all__ = ["bars", "curves", "grouped_bars", "image_grid", "latent_scatter", "save", "tile"]

_STYLE: Any = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "font.size": 9,
    "legend.frameon": False,
}


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: str | os.PathLike) -> Path:
    """Writes a figure as PNG, atomically.

    Args:
      figure: a matplotlib figure.
      path: the file.

    Returns:
      The path.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    figure.savefig(temporary, format="png")
    os.replace(temporary, path)
    return path


def tile(images: np.ndarray, columns: int, *, gap: int = 1) -> np.ndarray:
    """Lays images out in rows, white between them.

    Args:
      images: [N, H, W, C] in [0, 1], C = 1 or 3.
      columns: how many in a row.
      gap: pixels between neighbours.

    Returns:
      One image [H', W', C] in [0, 1].

    Example:
      >>> tile(np.zeros((4, 8, 8, 1)), 2).shape
      (17, 17, 1)
    """
    n, height, width, depth = images.shape
    rows = -(-n // columns)
    canvas = np.ones((rows * (height + gap) - gap, columns * (width + gap) - gap, depth))
    for i, image in enumerate(images):
        top, left = (i // columns) * (height + gap), (i % columns) * (width + gap)
        canvas[top : top + height, left : left + width] = image
    return canvas


def image_grid(
    path: str | os.PathLike,
    images: np.ndarray,
    columns: int,
    title: str,
    *,
    row_labels: Sequence[str] = (),
) -> Path:
    """Draws images in a grid.

    Args:
      path: the PNG to write.
      images: [N, H, W, C] in [0, 1], C = 1 or 3.
      columns: how many in a row.
      title: above the grid.
      row_labels: a label for each row, repeated if there are fewer labels than rows.

    Returns:
      The path.
    """
    canvas = tile(images, columns)
    rows = -(-len(images) // columns)
    width = 7.0
    figure = _figure(width, 0.4 + width * canvas.shape[0] / canvas.shape[1])
    axes = figure.subplots()
    axes.imshow(canvas.squeeze(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_title(title)
    axes.grid(False)
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(False)
    if row_labels:
        step = canvas.shape[0] / rows
        axes.set_yticks([step * (i + 0.5) for i in range(rows)])
        axes.set_yticklabels([row_labels[i % len(row_labels)] for i in range(rows)])
        axes.tick_params(length=0)
    return save(figure, path)


def curves(
    path: str | os.PathLike,
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
    """
    with matplotlib.rc_context(_STYLE):
        figure = _figure(4.0 * len(panels), 3.2)
        for axes, (ylabel, lines) in zip(
            np.atleast_1d(figure.subplots(1, len(panels))), panels.items(), strict=True
        ):
            for label, (x, y) in lines.items():
                marker = "o" if len(x) < 20 else ""
                axes.plot(x, y, label=label, linewidth=1.3, marker=marker, markersize=3)
            axes.set_xlabel(xlabel)
            axes.set_ylabel(ylabel)
            if len(lines) > 1:
                axes.legend()
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        return save(figure, path)


def bars(
    path: str | os.PathLike, values: Sequence[float], *, xlabel: str, ylabel: str, title: str
) -> Path:
    """Draws values as bars, the largest first.

    Args:
      path: the PNG to write.
      values: one number a bar.
      xlabel: the label of the horizontal axis.
      ylabel: the label of the vertical axis.
      title: above the axes.

    Returns:
      The path.
    """
    ordered = np.sort(np.asarray(values, np.float64))[::-1]
    with matplotlib.rc_context(_STYLE):
        figure = _figure(5.0, 3.2)
        axes = figure.subplots()
        axes.bar(np.arange(1, len(ordered) + 1), ordered, width=0.8)
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)
        axes.set_title(title)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        return save(figure, path)


def grouped_bars(
    path: str | os.PathLike,
    groups: Mapping[str, Sequence[float]],
    ticks: Sequence[str],
    *,
    ylabel: str,
    title: str,
) -> Path:
    """Draws several series as bars side by side, on a logarithmic scale.

    Args:
      path: the PNG to write.
      groups: series label -> one positive number a tick, NaN where there is none.
      ticks: the labels along the horizontal axis.
      ylabel: the label of the vertical axis.
      title: above the axes.

    Returns:
      The path.
    """
    with matplotlib.rc_context(_STYLE):
        figure = _figure(9.0, 4.0)
        axes = figure.subplots()
        width = 0.8 / len(groups)
        for n, (label, heights) in enumerate(groups.items()):
            offset = (n - len(groups) / 2 + 0.5) * width
            axes.bar(np.arange(len(ticks)) + offset, heights, width, label=label)
        axes.legend(ncols=len(groups))
        axes.set_yscale("log")
        axes.set_ylabel(ylabel)
        axes.set_title(title)
        axes.set_xticks(np.arange(len(ticks)), ticks)
        axes.grid(axis="x", visible=False)
        return save(figure, path)


def latent_scatter(
    path: str | os.PathLike,
    points: np.ndarray,
    labels: np.ndarray | None,
    *,
    xlabel: str,
    ylabel: str,
    title: str,
) -> Path:
    """Draws posterior means in two coordinates, coloured by label where there are labels.

    Args:
      path: the PNG to write.
      points: [N, 2].
      labels: integers [N], or None.
      xlabel: the label of the horizontal axis.
      ylabel: the label of the vertical axis.
      title: above the axes.

    Returns:
      The path.
    """
    with matplotlib.rc_context(_STYLE):
        figure = _figure(5.2, 4.4)
        axes = figure.subplots()
        style: dict[str, Any] = {"s": 4, "alpha": 0.6, "linewidths": 0}
        if labels is None:
            axes.scatter(points[:, 0], points[:, 1], **style)
        else:
            kinds = np.unique(labels)
            colours = matplotlib.colormaps["tab10" if len(kinds) <= 10 else "turbo"]
            for i, kind in enumerate(kinds):
                chosen = labels == kind
                colour = colours(i) if len(kinds) <= 10 else colours(i / (len(kinds) - 1))
                axes.scatter(*points[chosen].T, color=[colour], label=str(kind), **style)
            if len(kinds) <= 26:
                axes.legend(
                    title="label", markerscale=3, loc="center left", bbox_to_anchor=(1.0, 0.5),
                    ncols=1 if len(kinds) <= 13 else 2,
                )  # fmt: skip
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)
        axes.set_title(title)
        axes.set_aspect("equal", adjustable="datalim")
        return save(figure, path)
