"""Probabilities and logits: the choice between the two, and logarithms that allow zeros."""

import jax
import jax.numpy as jnp

__all__ = ["check_exactly_one", "entropy_term", "logit", "safe_log"]


def check_exactly_one(name: str, **alternatives: object) -> None:
    """Raises unless exactly one of two alternative arguments is given.

    Args:
      name: the distribution, for the message.
      **alternatives: two arguments by name; None means not given.

    Raises:
      TypeError: neither or both are given.

    Example:
      >>> check_exactly_one("Bernoulli", probs=0.5, logits=None)
    """
    first, second = alternatives
    if (alternatives[first] is None) == (alternatives[second] is None):
        number = "neither" if alternatives[first] is None else "both"
        raise TypeError(f"{name} takes exactly one of {first} and {second}, got {number}")


def logit(p: jax.Array) -> jax.Array:
    """Returns log(p / (1 - p)).

    Args:
      p: probabilities.

    Returns:
      The logits, of the same shape.

    Example:
      >>> float(logit(jnp.float32(0.5)))
      0.0
    """
    return jnp.log(p) - jnp.log1p(-p)


def safe_log(p: jax.Array) -> jax.Array:
    """Returns log p, and -inf with a zero derivative at p = 0.

    Args:
      p: probabilities.

    Returns:
      The logarithms, of the same shape.

    Example:
      >>> float(safe_log(jnp.float32(0.0)))
      -inf
    """
    return jnp.where(p == 0, -jnp.inf, jnp.log(jnp.where(p == 0, 1, p)))


def entropy_term(p: jax.Array) -> jax.Array:
    """Returns -p log p, which is 0 at p = 0.

    Args:
      p: probabilities.

    Returns:
      The terms in nats, of the same shape.

    Example:
      >>> round(float(entropy_term(jnp.float32(0.5))), 4)
      0.3466
    """
    return -p * jnp.log(jnp.where(p == 0, 1, p))
