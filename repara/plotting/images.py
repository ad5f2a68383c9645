"""Figures of images, matrices and latents."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.ticker import MaxNLocator

from repara.plotting.figure import STYLE, new_figure, save

__all__ = ["heat_map", "image_grid", "latent_scatter", "tile"]


def tile(images: np.ndarray, columns: int, *, gap: int = 1) -> np.ndarray:
    """Arranges images in rows, separated by white lines.

    Args:
      images: [N, H, W, C] in [0, 1], C = 1 or 3.
      columns: the number of images per row.
      gap: the width of these lines in pixels.

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
    path: str | os.PathLike[str],
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
      columns: the number of images per row.
      title: the title above the grid.
      row_labels: a label for each row; repeated if there are fewer labels than rows.

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
    figure = new_figure(width, 0.4 + width * canvas.shape[0] / canvas.shape[1])
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


def heat_map(
    path: str | os.PathLike[str],
    values: np.ndarray,
    *,
    xlabel: str,
    ylabel: str,
    label: str,
    title: str,
) -> Path:
    """Draws a matrix of numbers from 0 to 1 as colors; rows and columns are numbered from 1.

    Args:
      path: the PNG to write.
      values: [rows, columns].
      xlabel: the label of the horizontal axis, for columns.
      ylabel: the label of the vertical axis, for rows.
      label: the label of the color bar.
      title: the title above the axes.

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
    with matplotlib.rc_context(STYLE):
        figure = new_figure(8.0, 1.2 + 0.13 * min(rows, 50))
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
    path: str | os.PathLike[str],
    points: np.ndarray,
    labels: np.ndarray | None,
    *,
    xlabel: str,
    ylabel: str,
    title: str,
) -> Path:
    """Draws posterior means in two coordinates, colored by label.

    Args:
      path: the PNG to write.
      points: [N, 2].
      labels: integers [N]; None for one color.
      xlabel: the label of the horizontal axis.
      ylabel: the label of the vertical axis.
      title: the title above the axes.

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
    with matplotlib.rc_context(STYLE):
        figure = new_figure(5.2, 4.4)
        axes = figure.subplots()
        style: dict[str, Any] = {"s": 4, "alpha": 0.6, "linewidths": 0}
        if labels is None:
            axes.scatter(points[:, 0], points[:, 1], **style)
        else:
            kinds = np.unique(labels)
            colors = matplotlib.colormaps["tab10" if len(kinds) <= 10 else "turbo"]
            for i, kind in enumerate(kinds):
                chosen = labels == kind
                color = colors(i) if len(kinds) <= 10 else colors(i / (len(kinds) - 1))
                axes.scatter(*points[chosen].T, color=[color], label=str(kind), **style)
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
