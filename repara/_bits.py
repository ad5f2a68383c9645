"""The random bits of `jax.random.bits`, computed faster on a CPU.

jax.random hashes a counter with Threefry-2x32. On a CPU it compiles the twenty rounds as a loop
over arrays: ten passes over memory for many words, or as many small kernels for few. Unrolled into
one elementwise expression, the rounds take a third of the time and give the same words.
"""

import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import DTypeLike

from repara._cpu import compile_separately

__all__ = ["bits"]

# Salmon, Moraes, Dror and Shaw (2011), "Parallel random numbers: as easy as 1, 2, 3",
# https://doi.org/10.1145/2063384.2063405: the rotations of table 2, and the parity word of
# section 3.3.
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA


def bits(key: Array, shape: Sequence[int], dtype: DTypeLike) -> Array:
    """Draws uniform random words, equal to `jax.random.bits(key, shape, dtype)` for every key.

    Args:
      key: a typed key; consumed.
      shape: the shape of the result.
      dtype: uint32 or uint64.

    Returns:
      Words of that shape and dtype.

    Example:
      >>> key = jax.random.key(0)
      >>> words = bits(key, (8192,), jnp.uint32)
      >>> bool(jnp.all(words == jax.random.bits(key, (8192,), jnp.uint32)))
      True
    """
    # Only for counters of one word, and for the mode of jax in which a word does not depend on the
    # number of words.
    partitionable = jax.config.jax_threefry_partitionable  # type: ignore[attr-defined]
    supported = jax.random.key_impl(key) == "threefry2x32" and partitionable
    if not supported or not 0 < math.prod(shape) < 1 << 32:
        return jnp.asarray(jax.random.bits(key, tuple(shape), dtype))
    words: Array = _hash(jax.random.key_data(key), tuple(shape), jnp.dtype(dtype))
    return words


# With jit, a call outside jit is traced once per shape and not once per call.
@functools.partial(jax.jit, static_argnums=(1, 2))
def _hash(data: Array, shape: tuple[int, ...], dtype: jnp.dtype) -> Array:
    def words(first: Array, second: Array) -> Array:
        count = lax.iota(jnp.uint32, math.prod(shape))
        high, low = _threefry(first, second, jnp.zeros_like(count), count)
        if dtype.itemsize == 4:
            return high ^ low
        return (high.astype(dtype) << jnp.asarray(32, dtype)) | low.astype(dtype)

    def on_cpu(data: Array) -> Array:
        return compile_separately(words, data[0], data[1]).reshape(shape)

    def elsewhere(data: Array) -> Array:
        key = jax.random.wrap_key_data(data, impl="threefry2x32")
        return jnp.asarray(jax.random.bits(key, shape, dtype))

    hashed: Array = lax.platform_dependent(data, cpu=on_cpu, default=elsewhere)
    return hashed


def _threefry(first: Array, second: Array, x: Array, y: Array) -> tuple[Array, Array]:
    """Threefry-2x32 with twenty rounds of the counter (x, y) under the key (first, second)."""
    keys = (first, second, first ^ second ^ np.uint32(_PARITY))
    x, y = x + keys[0], y + keys[1]
    for i in range(5):
        for r in _ROTATIONS[i % 2]:
            x = x + y
            y = ((y << np.uint32(r)) | (y >> np.uint32(32 - r))) ^ x
        x = x + keys[(i + 1) % 3]
        y = y + (keys[(i + 2) % 3] + np.uint32(i + 1))
    return x, y
