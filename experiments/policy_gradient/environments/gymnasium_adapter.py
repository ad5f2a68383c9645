"""A trained policy in Gymnasium itself; the only file of the experiments that imports it."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from experiments.policy_gradient.environments.environment import Environment

__all__ = ["evaluate", "is_installed"]


def is_installed() -> bool:
    """Whether Gymnasium can be imported."""
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
      params: what it is given.
      num_episodes: N; all run at once, the first with this seed and each other with the next.
      seed: of the first states.

    Returns:
      The undiscounted returns, float64 [N].
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
                f"{environment.horizon}: it is not the environment that was trained on"
            )
    peers.close()
    return total
