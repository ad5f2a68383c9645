"""Programs compiled several at once, and training runs that differ in their key alone."""

import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import jax
import numpy as np

__all__ = ["compiled", "learning_curve"]


Name = TypeVar("Name")


def compiled(
    functions: Mapping[Name, Callable[..., Any]], *arguments: Any
) -> dict[Name, Callable[..., Any]]:
    """Compiles functions of the same arguments, one on each core.

    A short study is mostly the compiler's, and one program at a time leaves cores idle.

    Args:
      functions: name -> function.
      *arguments: pytrees of arrays like those that the functions will be called with.

    Returns:
      Name -> compiled function.
    """
    # Traced here, as a context of the caller's would not reach other threads.
    lowered = {name: jax.jit(function).lower(*arguments) for name, function in functions.items()}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        programs = pool.map(lambda program: program.compile(), lowered.values())
        return dict(zip(lowered, programs, strict=True))


def learning_curve(
    runs: Callable[[jax.Array], dict[str, jax.Array]], keys: jax.Array, estimator: str, every: int
) -> tuple[list[dict[str, Any]], float]:
    """Runs a compiled training with all keys at once.

    Args:
      runs: compiled; keys, one a run -> what is measured every few steps, [runs, measurements]
        each.
      keys: one a run.
      estimator: its name, for the rows.
      every: steps between measurements.

    Returns:
      One row a measurement, the mean over the runs and their spread; and the seconds of all runs.
    """
    begin = time.perf_counter()
    measured = jax.device_get(runs(keys))
    seconds = time.perf_counter() - begin
    rows: list[dict[str, Any]] = []
    for i in range(len(next(iter(measured.values()))[0])):
        row: dict[str, Any] = {"estimator": estimator, "step": i * every}
        for name, values in measured.items():
            row[name] = float(np.mean(values[:, i], dtype=np.float64))
            row[f"{name}_spread"] = float(np.std(values[:, i], dtype=np.float64))
        rows.append(row)
    return rows, seconds
