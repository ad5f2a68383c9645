"""Training runs that differ in their key alone, at once, as rows of a learning curve."""

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

__all__ = ["learning_curve"]


def learning_curve(
    train: Callable[[jax.Array], dict[str, jax.Array]], keys: jax.Array, estimator: str, every: int
) -> tuple[list[dict[str, Any]], float]:
    """Compiles a run, and runs it with every key by `vmap`.

    Args:
      train: a key -> what is measured every few steps, [measurements] each.
      keys: one a run.
      estimator: its name, for the rows.
      every: steps between measurements.

    Returns:
      One row a measurement, the mean over the runs and their spread; and the seconds of all runs,
      without compilation.
    """
    compiled = jax.jit(jax.vmap(train)).lower(keys).compile()
    begin = time.perf_counter()
    measured = jax.device_get(compiled(keys))
    seconds = time.perf_counter() - begin
    rows: list[dict[str, Any]] = []
    for i in range(len(next(iter(measured.values()))[0])):
        row: dict[str, Any] = {"estimator": estimator, "step": i * every}
        for name, values in measured.items():
            row[name] = float(np.mean(values[:, i], dtype=np.float64))
            row[f"{name}_spread"] = float(np.std(values[:, i], dtype=np.float64))
        rows.append(row)
    return rows, seconds
