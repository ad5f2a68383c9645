"""Draws the reparameterization trick: fixed noise, and a transform that moves with its parameters.

python -m experiments.concept_figure --output=docs/figures/concept.png
"""

from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.figure

from experiments.concept_figure.config import Config, resolve
from experiments.concept_figure.panels import (
    draw_estimates,
    draw_noise,
    draw_transform,
    gradients,
)
from repara import plotting

__all__ = ["run"]

_STYLE: dict[Any, Any] = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 9,
    "legend.frameon": False,
}


def run(config: Config) -> Path:
    """Draws the figure as `python -m experiments.concept_figure` does, and prints its path.

    Args:
      config: the flags.

    Returns:
      The path of the PNG file.

    Raises:
      ConfigError: a flag is out of range.

    Example:
      from experiments import concept_figure
      concept_figure.run(concept_figure.Config(output="concept.png"))
    """
    drawing = resolve(config)
    with matplotlib.rc_context(_STYLE):
        figure = matplotlib.figure.Figure(figsize=(10.5, 3.3), dpi=150, layout="constrained")
        noise, transform, estimates = figure.subplots(1, 3)
        draw_noise(noise)
        draw_transform(transform)
        draw_estimates(estimates, *gradients(drawing.key, drawing.num_samples))
    path = plotting.save(figure, drawing.output)
    print(path)
    return path
