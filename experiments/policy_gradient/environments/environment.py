"""The type of an environment, and episodes in it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

__all__ = ["Environment", "episode_returns", "squashed"]

State = jax.Array
Action = jax.Array


class Environment(NamedTuple):
    """A control problem: pure functions of one state, differentiable in state and action.

    Steps are deterministic. No episode ends early: all are truncated after `horizon` steps.
    Truncation is not termination, so values are bootstrapped there.

    Attributes:
      name: its name in flags.
      state_size: the length of a state.
      observation_size: the length of an observation.
      action_size: the length of an action; its entries lie in [-1, 1].
      horizon: the number of steps of an episode.
      reset: key -> the first state, [state_size]; the key is consumed.
      observe: state -> the observation of a policy, [observation_size].
      step: (state, action) -> (next state, reward), the reward a scalar.
      gymnasium_id: the name of the same problem in Gymnasium, None if there is none.
      action_scale: the factor from actions in [-1, 1] to Gymnasium's actions.
      optimal_return: the largest expected return, for random first states; None if unknown.
    """

    name: str
    state_size: int
    observation_size: int
    action_size: int
    horizon: int
    reset: Callable[[jax.Array], State]
    observe: Callable[[State], jax.Array]
    step: Callable[[State, Action], tuple[State, jax.Array]]
    gymnasium_id: str | None = None
    action_scale: float = 1.0
    optimal_return: float | None = None


def squashed(environment: Environment) -> Environment:
    """Returns the environment with real-valued actions, which it maps to [-1, 1] by tanh.

    A normal policy in it is a tanh-normal policy in the original environment, with the same
    gradients. Trajectories contain the action before tanh, whose log-density is exact even if tanh
    rounds to 1.

    Args:
      environment: one with actions in [-1, 1].

    Returns:
      The environment with actions in R.
    """
    return environment._replace(
        step=lambda state, x: environment.step(state, jnp.tanh(x)), gymnasium_id=None
    )


def episode_returns(
    environment: Environment,
    act: Callable[[jax.Array], Action],
    key: jax.Array,
    num_episodes: int,
) -> jax.Array:
    """Computes the undiscounted returns of a deterministic policy.

        sum_{t < horizon} r_t

    Args:
      environment: the problem.
      act: observation -> action.
      key: a typed key, which draws the first states; consumed.
      num_episodes: the number of episodes.

    Returns:
      [num_episodes].
    """
    states = jax.vmap(environment.reset)(jax.random.split(key, num_episodes))

    def body(states: State, _: Any) -> tuple[State, jax.Array]:
        actions = jax.vmap(lambda s: act(environment.observe(s)))(states)
        return jax.vmap(environment.step)(states, actions)

    _, rewards = jax.lax.scan(body, states, None, length=environment.horizon)
    return jnp.sum(rewards, axis=0)
