"""Kullback-Leibler divergences: closed forms by pair of families, and a Monte Carlo estimate.

The imports of this file fill the table of closed forms: each module registers its own.
"""

from repara.distributions.divergences import (
    bounded,
    compound,
    directional,
    discrete,
    gamma,
    scalars,
    vectors,
)
from repara.distributions.divergences.divergence import kl_divergence, monte_carlo_kl
from repara.distributions.divergences.registry import register_kl

__all__ = ["kl_divergence", "monte_carlo_kl", "register_kl"]

del bounded, compound, directional, discrete, gamma, scalars, vectors
