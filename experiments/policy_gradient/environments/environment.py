"""What an environment is, and episodes in it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

__all__ = ["Environment", "episode_returns", "squashed"]

State = jax.Array
Action = jax.Array


class Environment(NamedTuple):
    """A control problem: pure functions of one state, differentiable in state and action.

    Its steps are deterministic. No episode ends early: all are cut after `horizon` steps, which
    ends the record and not the world, so that values are bootstrapped there.

    Attributes:
      name: what flags call it.
      state_size: the length of a state.
      observation_size: the length of an observation.
      action_size: the length of an action, whose entries lie in [-1, 1].
      horizon: the number of steps of an episode.
      reset: key -> the first state, [state_size]; the key is consumed.
      observe: state -> what a policy sees, [observation_size].
      step: (state, action) -> (next state, reward), the reward a scalar.
      gymnasium_id: the same problem in Gymnasium, None where it has none.
      action_scale: what Gymnasium's action is at 1.
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


def squashed(environment: Environment) -> Environment:
    """The environment whose actions are any real numbers, which pass through tanh.

    A policy that is a normal here is a tanh-normal there. Gradients are the same; what is recorded
    is the number before tanh, whose log-density is exact where tanh rounds to 1.

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
    """The undiscounted returns of a deterministic policy.

        sum_{t < horizon} r_t

    Args:
      environment: the problem.
      act: observation -> action.
      key: draws the first states; consumed.
      num_episodes: how many.

    Returns:
      [num_episodes].
    """
    states = jax.vmap(environment.reset)(jax.random.split(key, num_episodes))

    def body(states: State, _: Any) -> tuple[State, jax.Array]:
        actions = jax.vmap(lambda s: act(environment.observe(s)))(states)
        return jax.vmap(environment.step)(states, actions)

    _, rewards = jax.lax.scan(body, states, None, length=environment.horizon)
    return jnp.sum(rewards, axis=0)
