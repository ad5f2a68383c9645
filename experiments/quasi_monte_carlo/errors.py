"""Errors of means, and how they fall with the number of draws."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

import repara as rp
from experiments.quasi_monte_carlo.integrand import exact, mean

__all__ = ["SOURCES", "columns", "exponents", "measure"]

SOURCES: dict[str, rp.noise.Source] = {
    "i.i.d.": rp.noise.iid,
    "scrambled Sobol": rp.noise.sobol,
}


def measure(counts: Sequence[int], keys: jax.Array) -> list[dict[str, Any]]:
    """Measures root mean square errors.

    Args:
      counts: the numbers of draws.
      keys: typed keys, one per mean.

    Returns:
      One row per source and number of draws: the error relative to E f and its standard error.
    """
    rows = []
    for name, source in SOURCES.items():
        estimate = jax.jit(mean, static_argnums=(1, 2))
        for count in counts:
            means = [float(estimate(key, count, source)) for key in keys]
            rmse = float(np.sqrt(np.mean((np.asarray(means) / exact() - 1) ** 2)))
            stderr = rmse / math.sqrt(2 * len(keys))  # for errors that are nearly normal
            rows.append({"source": name, "draws": count, "rmse": rmse, "stderr": stderr})
    return rows


def exponents(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Fits error ~ N^exponent for each source, by least squares of the logarithms.

    Args:
      rows: the result of `measure`.

    Returns:
      Source -> exponent of the number of draws N.
    """
    result = {}
    for name in SOURCES:
        n, rmse, _ = columns(rows, name)
        result[name] = float(np.polyfit(np.log(n), np.log(rmse), 1)[0])
    return result


def columns(rows: list[dict[str, Any]], name: str) -> list[np.ndarray]:
    """Returns the numbers of draws, the errors and their standard errors of one source."""
    selected = [row for row in rows if row["source"] == name]
    return [np.asarray([row[k] for row in selected], float) for k in ("draws", "rmse", "stderr")]
