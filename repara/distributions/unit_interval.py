"""Quantile functions on the closed unit interval."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

__all__ = ["on_unit_interval"]


def on_unit_interval(quantile: Callable[[jax.Array], jax.Array], u: jax.Array) -> jax.Array:
    """Returns quantile(u) for u in [0, 1] and NaN for any other u.

    Args:
      quantile: an elementwise function; it is called with values in [0, 1] only.
      u: probabilities.

    Returns:
      The quantiles, of the shape of u.

    Example:
      >>> on_unit_interval(jnp.sqrt, jnp.array([0.25, 1.5])).tolist()
      [0.5, nan]
    """
    return jnp.where((u >= 0) & (u <= 1), quantile(jnp.clip(u, 0, 1)), jnp.nan)
