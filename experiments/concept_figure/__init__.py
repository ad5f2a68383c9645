"""Draws the figure that explains the reparameterization trick."""

from experiments.concept_figure.config import Config
from experiments.concept_figure.run import run

__all__ = ["Config", "run"]
