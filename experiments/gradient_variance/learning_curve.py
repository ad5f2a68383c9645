"""Learning curves: mean and spread over training runs that differ only in their key."""

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

__all__ = ["learning_curve"]


def learning_curve(
    train: Callable[[jax.Array], dict[str, jax.Array]], keys: jax.Array, estimator: str, every: int
) -> tuple[list[dict[str, Any]], float]:
    """Compiles a training run and executes it for all keys at once, by `vmap`.

    Args:
      train: key -> measurements, each an array with one entry per `every` steps.
      keys: typed keys, one per run.
      estimator: the name of the estimator, for the rows.
      every: steps between measurements.

    Returns:
      One row per measurement, with the mean and the standard deviation over the runs; and the
      seconds of all runs together, without compilation.

    Example:
      >>> def train(key):
      ...     return {"loss": jax.random.normal(key, (3,))}
      >>> rows, seconds = learning_curve(train, jax.random.split(jax.random.key(0), 2), "exact", 10)
      >>> [row["step"] for row in rows]
      [0, 10, 20]
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
