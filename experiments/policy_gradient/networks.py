"""Policies and critics as Flax networks."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

import repara as rp

__all__ = ["Policy", "TwinCritic", "act", "squash_log_det"]

# Limits of the logarithm of a policy's scale, as in the code of Haarnoja et al. (2018).
_LOG_SCALE = (-20.0, 2.0)


class _Trunk(nn.Module):
    hidden_sizes: Sequence[int]
    outputs: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for size in self.hidden_sizes:
            x = nn.relu(nn.Dense(size)(x))
        return nn.Dense(self.outputs)(x)


class Policy(nn.Module):
    """A tanh-normal policy: a = tanh(x), x ~ N(loc(o), scale(o)^2) in each coordinate.

    Attributes:
      hidden_sizes: the width of each hidden layer.
      action_size: the length of an action.
    """

    hidden_sizes: Sequence[int]
    action_size: int

    @nn.compact
    def __call__(self, observations: jax.Array) -> rp.Independent:
        """Returns the distribution of x for observations [..., O], of event shape [A].

        It is the distribution before tanh, whose log-density is exact even if tanh rounds to 1. The
        log-density of a is that of x minus `squash_log_det(x)`.
        """
        out = _Trunk(self.hidden_sizes, 2 * self.action_size)(observations)
        loc, log_scale = jnp.split(out, 2, axis=-1)
        return rp.Independent(rp.Normal(loc, jnp.exp(jnp.clip(log_scale, *_LOG_SCALE))), 1)


class TwinCritic(nn.Module):
    """Two independent estimates of the value of an action.

    Attributes:
      hidden_sizes: the width of each hidden layer.
    """

    hidden_sizes: Sequence[int]

    @nn.compact
    def __call__(self, observations: jax.Array, actions: jax.Array) -> jax.Array:
        """Maps observations [..., O] and actions [..., A] to values [2, ...]."""
        x = jnp.concatenate([observations, actions], axis=-1)
        # One batched product per layer: dispatching two small products costs more than computing
        # them.
        twins = nn.vmap(
            _Trunk,
            variable_axes={"params": 0},
            split_rngs={"params": True},
            in_axes=None,
            axis_size=2,
        )
        return twins(self.hidden_sizes, 1)(x)[..., 0]


def squash_log_det(x: jax.Array) -> jax.Array:
    """Computes log |da/dx| of a = tanh(x), summed over the action.

    Args:
      x: the action before tanh, [..., A].

    Returns:
      [...].

    Example:
      >>> float(squash_log_det(jnp.zeros(2)))
      0.0
    """
    return jnp.sum(rp.bijectors.Tanh().log_det(x), axis=-1)


def act(policy: Policy, params: Any, observations: jax.Array) -> jax.Array:
    """Returns the action of the policy without noise, tanh(loc).

    Args:
      policy: the module.
      params: its variables.
      observations: [..., O].

    Returns:
      [..., A] in [-1, 1].
    """
    q: Any = policy.apply(params, observations)
    return jnp.tanh(q.mean)
