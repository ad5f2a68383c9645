"""A figure without a display: its style, and writing it atomically."""

import os
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

__all__ = ["STYLE", "new_figure", "save"]


STYLE: Any = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "font.size": 9,
    "legend.frameon": False,
}
"""The style of charts, for `matplotlib.rc_context`."""


def new_figure(width: float, height: float) -> Figure:
    """Returns an empty figure that needs no display.

    Args:
      width: inches.
      height: inches.

    Returns:
      The figure.

    Example:
      >>> float(new_figure(4.0, 3.0).get_figwidth())
      4.0
    """
    figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: str | os.PathLike[str]) -> Path:
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
