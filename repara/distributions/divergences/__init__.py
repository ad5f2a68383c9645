"""Kullback-Leibler divergences: closed forms by pair of families, and a Monte Carlo estimate."""

from repara.distributions.divergences.divergence import kl_divergence, monte_carlo_kl

__all__ = ["kl_divergence", "monte_carlo_kl"]
