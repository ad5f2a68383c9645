"""Trained policies in Gymnasium; no other file of the experiments imports it."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from experiments.policy_gradient.environments.environment import Environment

__all__ = ["evaluate", "is_installed"]


def is_installed() -> bool:
    """Returns whether Gymnasium can be imported."""
    import importlib.util

    return importlib.util.find_spec("gymnasium") is not None


def evaluate(
    environment: Environment,
    act: Callable[[Any, jax.Array], jax.Array],
    params: Any,
    num_episodes: int,
    seed: int,
) -> np.ndarray:
    """Runs a policy through episodes of Gymnasium's own environment.

    Args:
      environment: one with a `gymnasium_id`.
      act: (params, observations [N, O]) -> actions [N, A] in [-1, 1].
      params: the first argument of `act`.
      num_episodes: N; all run at once.
      seed: the seed of the first episode's first state; the others have the following seeds.

    Returns:
      The undiscounted returns, float64 [N].

    Raises:
      RuntimeError: Gymnasium's episodes do not have the length of ours.
    """
    import gymnasium

    def make() -> Any:
        return gymnasium.make(str(environment.gymnasium_id))

    peers = gymnasium.vector.SyncVectorEnv([make] * num_episodes)
    compiled = jax.jit(act)
    observations, _ = peers.reset(seed=seed)
    total = np.zeros(num_episodes)
    for step in range(environment.horizon):
        actions = environment.action_scale * np.asarray(compiled(params, observations))
        observations, rewards, terminated, truncated, _ = peers.step(actions)
        total += rewards
        last = step == environment.horizon - 1
        if np.any(terminated) or np.any(truncated != last):
            raise RuntimeError(
                f"{environment.gymnasium_id} ended an episode after {step + 1} steps, not "
                f"{environment.horizon}: it differs from the environment used in training"
            )
    peers.close()
    return total
