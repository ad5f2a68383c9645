"""Draws the figure of fixed noise, transform and gradient."""

from experiments.concept_figure.run import Config, run

__all__ = ["Config", "run"]
