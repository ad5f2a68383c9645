"""Episodes as samples of a distribution, to which the estimators of repara apply."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from experiments.policy_gradient.environments.environment import Environment

__all__ = ["Trajectories", "discounted_return"]

Policy = Callable[[jax.Array], Any]
"""Maps an observation to a distribution over actions."""


class Trajectories:
    """The distribution of the states and actions of a policy.

        x_0 ~ start,   a_t = transform(eps_t; policy(x_t)),   x_{t+1} = step(x_t, a_t)
        log p = sum_t log policy(a_t | x_t)

    Steps are deterministic, so that this is the density of the actions given the first state. A
    sample, the rows (x_t, a_t), is a differentiable function of the policy's parameters and of
    parameter-free noise.

    Attributes:
      has_rsample: True.
    """

    has_rsample = True

    def __init__(
        self,
        environment: Environment,
        policy: Policy,
        start: Callable[[jax.Array, int], jax.Array],
        length: int,
    ) -> None:
        """Stores the arguments.

        Args:
          environment: the problem; the policy draws its actions.
          policy: observation -> a distribution of events [action_size].
          start: (key, S) -> the first states, [S, state_size]; the key is consumed.
          length: the number of steps.
        """
        self._environment = environment
        self._policy = policy
        self._start = start
        self._length = length

    def rsample(self, key: jax.Array, shape: tuple[int]) -> jax.Array:
        """Draws trajectories.

        Args:
          key: a typed key; consumed.
          shape: (S,).

        Returns:
          [S, length, state_size + action_size].
        """
        environment = self._environment
        start_key, noise_key = jax.random.split(key)
        states = self._start(start_key, *shape)
        # The shape of the noise does not depend on the state.
        any_action = self._policy(environment.observe(jnp.zeros_like(states[0])))
        noise = any_action.noise(noise_key, (self._length, *shape))

        def body(states: jax.Array, eps: jax.Array) -> tuple[jax.Array, jax.Array]:
            def act(state: jax.Array, eps: jax.Array) -> jax.Array:
                return self._policy(environment.observe(state)).transform(eps)

            actions = jax.vmap(act)(states, eps)
            rows = jnp.concatenate([states, actions], axis=-1)
            return jax.vmap(environment.step)(states, actions)[0], rows

        return jnp.swapaxes(jax.lax.scan(body, states, noise)[1], 0, 1)

    def sample(self, key: jax.Array, shape: tuple[int]) -> jax.Array:
        """Returns the values of `rsample` at the same key, without gradient."""
        return jax.lax.stop_gradient(self.rsample(key, shape))

    def log_prob(self, z: jax.Array) -> jax.Array:
        """Returns the log-density of trajectories [S, length, state_size + action_size], [S]."""
        n = self._environment.state_size

        def action_log_prob(row: jax.Array) -> jax.Array:
            return self._policy(self._environment.observe(row[:n])).log_prob(row[n:])

        return jnp.sum(jax.vmap(jax.vmap(action_log_prob))(z), axis=1)


def discounted_return(
    environment: Environment,
    discount: float = 1.0,
    value: Callable[[jax.Array], jax.Array] | None = None,
    bonus: Callable[[jax.Array, jax.Array], jax.Array] | None = None,
) -> Callable[[jax.Array], jax.Array]:
    """Returns the function that computes the return of one trajectory.

        f = sum_{t<T} discount^t (r(x_t, a_t) + bonus(x_t, a_t)) + discount^T value(x_T)

    Args:
      environment: the problem.
      discount: a number in (0, 1].
      value: state -> the expected return after it, for truncated trajectories; None for 0.
      bonus: (states, actions) -> additional rewards, [T]; None for 0.

    Returns:
      A function from a trajectory [T, state_size + action_size] to a scalar, differentiable in the
      states and actions.
    """

    def function(z: jax.Array) -> jax.Array:
        n, steps = environment.state_size, z.shape[0]
        states, actions = z[:, :n], z[:, n:]
        after, rewards = jax.vmap(environment.step)(states, actions)
        if bonus is not None:
            rewards = rewards + bonus(states, actions)
        weights = discount ** jnp.arange(steps, dtype=rewards.dtype)
        total = jnp.sum(weights * rewards)
        return total if value is None else total + discount**steps * value(after[-1])

    return function
