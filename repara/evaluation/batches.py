"""A compiled function applied to a dataset, and the mean over its examples."""

import math
from collections.abc import Callable

import jax
import numpy as np

__all__ = ["mean_and_stderr", "over_batches"]


def mean_and_stderr(values: np.ndarray) -> tuple[float, float]:
    """Computes the mean over examples and its standard error, in float64.

        m = 1/N sum_n v_n,   stderr = sqrt(1/(N (N - 1)) sum_n (v_n - m)^2)

    Args:
      values: one number per example, [N].

    Returns:
      The mean and its standard error, which is NaN for a single example.

    Example:
      >>> mean_and_stderr(np.array([1.0, 3.0]))
      (2.0, 1.0)
    """
    values = np.asarray(values, np.float64)
    spread = float(np.std(values, ddof=1)) if values.size > 1 else math.nan
    return float(np.mean(values)), spread / math.sqrt(values.size)


def over_batches(
    function: Callable[[jax.Array, np.ndarray], tuple[jax.Array, ...]],
    key: jax.Array,
    data: np.ndarray,
    batch_size: int,
    *,
    progress: Callable[[int], None] | None = None,
) -> tuple[np.ndarray, ...]:
    """Applies a compiled function to a dataset, batch by batch.

    Args:
      function: maps a key and a batch [batch_size, ...] to arrays [batch_size, ...]. The key of
        batch i is `fold_in(key, i)`. The last batch is padded with its first example and the
        surplus results are dropped, so that the function is compiled once.
      key: a typed key; consumed.
      data: [N, ...].
      batch_size: B.
      progress: called after each batch with the number of examples done so far.

    Returns:
      The results of all N examples, concatenated along the first axis.

    Example:
      >>> double = lambda key, x: (2 * x,)
      >>> over_batches(double, jax.random.key(0), np.arange(5), batch_size=2)[0].tolist()
      [0, 2, 4, 6, 8]
    """
    parts = []
    for index, start in enumerate(range(0, len(data), batch_size)):
        batch = np.asarray(data[start : start + batch_size])
        count = len(batch)
        if count < batch_size:
            batch = np.concatenate([batch, np.repeat(batch[:1], batch_size - count, axis=0)])
        result = function(jax.random.fold_in(key, index), batch)
        parts.append(tuple(np.asarray(x)[:count] for x in result))
        if progress is not None:
            progress(start + count)
    return tuple(np.concatenate(x) for x in zip(*parts, strict=True))
