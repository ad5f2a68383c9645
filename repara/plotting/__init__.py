"""Figures of experiments; the only folder that imports matplotlib.

Every function gets arrays, writes one PNG file and returns its path. Figures need no display, and
files are written atomically.
"""

from repara.plotting.bar_charts import bars, grouped_bars, word_bars
from repara.plotting.figure import save
from repara.plotting.images import heat_map, image_grid, latent_scatter, tile
from repara.plotting.line_charts import Line, curves, panels

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
