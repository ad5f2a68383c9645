"""Returns of trained policies, and the figure of their training."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.harness.progress import print_line
from experiments.policy_gradient.environments import gymnasium_adapter
from experiments.policy_gradient.environments.environment import Environment, episode_returns
from experiments.policy_gradient.networks import Policy, act

__all__ = ["draw_learning_curves", "gymnasium_returns", "make_returns", "summary"]


def make_returns(
    environment: Environment, policy: Policy, num_episodes: int
) -> Callable[[Any, jax.Array], jax.Array]:
    """Compiles the returns of policies that act without noise.

    Args:
      environment: the problem.
      policy: the module of the policies.
      num_episodes: the number of episodes per policy.

    Returns:
      A function `(variables of S policies, key) -> [S, num_episodes]`. All policies start in the
      same states; the key is consumed.
    """

    @jax.jit
    def returns(policies: Any, key: jax.Array) -> jax.Array:
        return jax.vmap(
            lambda p: episode_returns(environment, lambda o: act(policy, p, o), key, num_episodes)
        )(policies)

    return returns


def gymnasium_returns(
    environment: Environment, policy: Policy, policies: Any, num_episodes: int, seed: int
) -> np.ndarray | None:
    """Computes the returns of policies in Gymnasium's own environment.

    Args:
      environment: the problem.
      policy: the module of the policies.
      policies: the variables of S policies, stacked.
      num_episodes: the number of episodes per policy.
      seed: the seed of the first states.

    Returns:
      [S, num_episodes], or None if Gymnasium does not have the problem or is not installed. The
      latter prints a line.
    """
    if environment.gymnasium_id is None:
        return None
    if not gymnasium_adapter.is_installed():
        print_line("gymnasium is not installed: result.json has no gymnasium_return")
        return None

    def action(params: Any, observations: jax.Array) -> jax.Array:
        return act(policy, params, observations)

    num_policies = len(jax.tree.leaves(policies)[0])
    return np.stack(
        [
            gymnasium_adapter.evaluate(
                environment, action, jax.tree.map(lambda x, i=i: x[i], policies), num_episodes, seed
            )
            for i in range(num_policies)
        ]
    )


def summary(name: str, returns: np.ndarray) -> dict[str, list[float]]:
    """Summarizes returns of several seeds.

    Args:
      name: the name of the mean.
      returns: [S, episodes].

    Returns:
      The mean over the episodes of each seed under `name`, and its standard error under
      `name`_stderr.
    """
    error = np.std(returns, axis=1, ddof=1) / returns.shape[1] ** 0.5
    return {
        name: np.mean(returns, axis=1, dtype=np.float64).tolist(),
        f"{name}_stderr": error.astype(np.float64).tolist(),
    }


def draw_learning_curves(path: Path, metrics: Sequence[Mapping[str, Any]]) -> None:
    """Draws the return of each seed, the critic loss and the entropy over the steps.

    Args:
      path: the PNG to write.
      metrics: the lines of `metrics.jsonl`.
    """
    from repara import plotting  # matplotlib is slow to import

    steps = [m["step"] for m in metrics]
    seeds = zip(*(m["returns"] for m in metrics), strict=True)
    lines = {f"seed {i}": (steps, list(returns)) for i, returns in enumerate(seeds)}
    losses = {"": (steps, [m["train_critic_loss"] for m in metrics])}
    entropy = {"": (steps, [m["train_entropy"] for m in metrics])}
    plotting.curves(
        path,
        {"return": lines, "critic loss": losses, "entropy [nats]": entropy},
        "environment steps",
    )
