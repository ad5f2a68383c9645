"""Computations that XLA on a CPU is to make once, apart from what uses them."""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jax import Array, lax

__all__ = ["apart"]

T = TypeVar("T")


def apart(f: Callable[..., T], word: Array, *arguments: Array) -> T:
    """f(*arguments), compiled apart from what makes its arguments and uses its results.

    XLA on a CPU evaluates again in each use whatever it counts as cheap: long polynomials, integer
    operations, however many. It does not fuse across a conditional, and that the predicate of this
    one is true it cannot know; an optimization barrier is removed before fusion and does nothing.
    Where `vmap` batches the word, only speed is lost.

    Args:
      f: of the arguments, to arrays.
      word: an integer scalar that the compiler does not know.
      *arguments: arrays.

    Returns:
      What f returns.

    Example:
      >>> x = jnp.arange(3)
      >>> [int(v) for v in apart(lambda x: x + 1, x[0], x)]
      [1, 2, 3]
    """
    true = (word | jnp.ones_like(word)) != 0
    blank = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), jax.eval_shape(f, *arguments))
    return lax.cond(true, f, lambda *_: blank, *arguments)
