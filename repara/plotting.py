"""Figures of experiments; the only file that imports matplotlib.

Every function takes arrays, writes one PNG and returns its path. Figures are drawn without a
display, and written atomically.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

__all__ = [
    "Line",
    "bars",
    "curves",
    "grouped_bars",
    "heat_map",
    "image_grid",
    "latent_scatter",
    "panels",
    "save",
    "tile",
    "word_bars",
]

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

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     save(Figure(), f"{folder}/empty.png").name
      'empty.png'
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

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     image_grid(f"{folder}/grid.png", np.zeros((4, 8, 8, 1)), 2, "black").name
      'grid.png'
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

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     curves(f"{folder}/loss.png", {"loss": {"train": ([1, 2], [9, 4])}}, "epoch").name
      'loss.png'
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
                axes.legend(loc="best")  # named: else a slow machine is warned of it
            axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        return save(figure, path)


class Line(NamedTuple):
    """One series of `panels`.

    Attributes:
      x: [n].
      y: [n].
      error: half the length of each error bar, [n].
      reference: what theory says, a curve (x, y) of any length through the points, which are then
        not joined; or None.
    """

    x: np.ndarray
    y: np.ndarray
    error: np.ndarray
    reference: tuple[np.ndarray, np.ndarray] | None = None


def panels(
    path: str | os.PathLike,
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
      groups: panel title -> series label -> line. A label has one colour and marker in all panels.
      columns: panels in a row.
      xlabel: the label of the horizontal axes, for all panels or for each.
      ylabel: the label of the vertical axes of the first column.
      log_x: whether the horizontal axes are logarithmic, for all panels or for each.
      log_y: the same of the vertical axes.

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
    colours = matplotlib.colormaps["tab10" if len(labels) <= 10 else "tab20"]
    markers = "o" if len(labels) <= 5 else "osD^vP<>X*ph"
    xlabels = [xlabel] * len(groups) if isinstance(xlabel, str) else xlabel
    across = [log_x] * len(groups) if isinstance(log_x, bool) else log_x
    upwards = [log_y] * len(groups) if isinstance(log_y, bool) else log_y
    with matplotlib.rc_context(_STYLE):
        width = 3.6 * columns + 0.6
        # 0.065 inches a letter of the legend.
        fitting = int(width / (0.065 * max(map(len, labels)) + 0.5))
        legend_columns = max(1, min(columns + 1, fitting))
        figure = _figure(width, 2.9 * rows + 0.2 * (1 + len(labels) / legend_columns))
        grid = figure.subplots(rows, columns, squeeze=False)
        handles: dict[str, Any] = {}
        for index, (title, lines) in enumerate(groups.items()):
            axes = grid[index // columns, index % columns]
            for label, line in lines.items():
                colour = colours(labels.index(label))
                joined = "none" if line.reference is not None else "-"
                handles[label] = axes.errorbar(
                    line.x, line.y, line.error, color=colour, label=label,
                    marker=markers[labels.index(label) % len(markers)], markersize=3.5,
                    linewidth=1.2, linestyle=joined, elinewidth=0.8, capsize=1.5,
                )  # fmt: skip
                if line.reference is not None:
                    axes.plot(*line.reference, color=colour, linewidth=1.0)
            if across[index]:
                axes.set_xscale("log")
                _plain_numbers(axes.xaxis, axes.get_xlim())
            if upwards[index]:
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
    """Ticks of a short logarithmic axis as plain numbers: 70, not 7 x 10^1."""
    decades = np.log10(limits[1] / limits[0])
    if decades < 3:
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        # Between powers of ten 2 and 5, where those are few.
        between = FuncFormatter(
            lambda value, _: f"{value:g}" if f"{value:e}"[0] in "25" else ""
        )  # fmt: skip
        axis.set_minor_formatter(between if decades < 1.5 else NullFormatter())


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

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     bars(f"{folder}/kl.png", [3, 1], xlabel="unit", ylabel="nats", title="KL").name
      'kl.png'
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

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     groups = {"ours": [1.0, 2.0], "theirs": [3.0, 4.0]}
      ...     ticks = ["Gamma", "Beta"]
      ...     grouped_bars(f"{folder}/t.png", groups, ticks, ylabel="ms", title="time").name
      't.png'
    """
    with matplotlib.rc_context(_STYLE):
        figure = _figure(9.0, 4.0)
        axes = figure.subplots()
        width = 0.8 / len(groups)
        for n, (label, heights) in enumerate(groups.items()):
            offset = (n - len(groups) / 2 + 0.5) * width
            axes.bar(np.arange(len(ticks)) + offset, heights, width, label=label)
        axes.set_yscale("log")
        # Room for the legend above the tallest bar.
        axes.set_ylim(top=axes.get_ylim()[1] * 3)
        axes.legend(loc="upper left", ncols=len(groups))
        axes.set_ylabel(ylabel)
        axes.set_title(title)
        axes.set_xticks(np.arange(len(ticks)), ticks)
        axes.grid(axis="x", visible=False)
        return save(figure, path)


def word_bars(
    path: str | os.PathLike,
    groups: Mapping[str, Mapping[str, float]],
    *,
    columns: int,
    xlabel: str,
) -> Path:
    """Draws a panel of labelled horizontal bars for each group, in a grid.

    Args:
      path: the PNG to write.
      groups: panel title -> label -> length of the bar, from top to bottom.
      columns: panels in a row.
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
    with matplotlib.rc_context(_STYLE):
        figure = _figure(2.1 * columns, height * rows + 0.2)
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


def heat_map(
    path: str | os.PathLike,
    values: np.ndarray,
    *,
    xlabel: str,
    ylabel: str,
    label: str,
    title: str,
) -> Path:
    """Draws a matrix of numbers from 0 to 1 as colours, its rows and columns counted from 1.

    Args:
      path: the PNG to write.
      values: [rows, columns].
      xlabel: what a column is.
      ylabel: what a row is.
      label: what a colour is.
      title: above the axes.

    Returns:
      The path.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     names = {"xlabel": "document", "ylabel": "topic", "label": "part", "title": "parts"}
      ...     heat_map(f"{folder}/h.png", np.eye(3), **names).name
      'h.png'
    """
    rows, columns = np.shape(values)
    with matplotlib.rc_context(_STYLE):
        figure = _figure(8.0, 1.2 + 0.13 * min(rows, 50))
        axes = figure.subplots()
        image = axes.imshow(
            values, cmap="viridis", vmin=0, vmax=1, aspect="auto", interpolation="nearest",
            extent=(0.5, columns + 0.5, rows + 0.5, 0.5),
        )  # fmt: skip
        axes.grid(False)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)
        axes.set_title(title)
        figure.colorbar(image, ax=axes, label=label)
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

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     points, labels = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([0, 1])
      ...     names = {"xlabel": "z1", "ylabel": "z2", "title": "means"}
      ...     latent_scatter(f"{folder}/z.png", points, labels, **names).name
      'z.png'
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
