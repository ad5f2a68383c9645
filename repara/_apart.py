"""Computations that XLA on a CPU is to make once, apart from what uses them."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import lax

__all__ = ["apart"]

T = TypeVar("T")


def apart(f: Callable[..., T], *arguments: Any) -> T:
    """f(*arguments), compiled apart from what makes its arguments and uses its results.

    XLA on a CPU evaluates again in each use whatever it counts as cheap: long polynomials, integer
    operations, however many. It does not fuse across a conditional. The predicate of this one is
    true, which it does not see in time: simplification stops at the barrier, and fusion, before
    which barriers are removed, does not simplify. A barrier around the results alone does nothing.

    Args:
      f: of the arguments, to arrays.
      *arguments: arrays, or trees of them.

    Returns:
      What f returns.

    Example:
      >>> [int(v) for v in apart(lambda x: x + 1, jnp.arange(3))]
      [1, 2, 3]
    """
    true = lax.optimization_barrier(jnp.ones((), bool))
    blank = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), jax.eval_shape(f, *arguments))
    return lax.cond(true, f, lambda *_: blank, *arguments)
