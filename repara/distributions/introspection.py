"""Questions about distributions and values that generic code has to ask."""

from typing import Any

import jax
import jax.numpy as jnp

from repara.distributions.combinators.independent import Independent

__all__ = ["concrete_all", "without_independent"]


def concrete_all(condition: jax.Array) -> bool | None:
    """Returns whether a condition holds everywhere, or None if its value is traced.

    Args:
      condition: booleans of any shape.

    Returns:
      True or False outside `jit`; None inside it.

    Example:
      >>> concrete_all(jnp.array([True, False]))
      False
      >>> jax.eval_shape(lambda x: print(concrete_all(x > 0)), 1.0)
      None
    """
    try:
        return bool(jnp.all(condition))
    except jax.errors.ConcretizationTypeError:
        return None


def without_independent(distribution: Any) -> Any:
    """Returns the distribution of single coordinates: the base of any nested `Independent`.

    Args:
      distribution: any distribution.

    Returns:
      The innermost base, whose samples have the same shape; other distributions as they are.

    Example:
      >>> import repara as rp
      >>> without_independent(rp.Independent(rp.Normal(jnp.zeros(2), 1.0), 1)).batch_shape
      (2,)
    """
    while isinstance(distribution, Independent):
        distribution = distribution.base
    return distribution
