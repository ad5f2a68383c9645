"""What a policy climbs: the three algorithms differ here, and nowhere else."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from experiments.policy_gradient.environments.environment import Environment, squashed
from experiments.policy_gradient.networks import Policy, squash_log_det
from experiments.policy_gradient.trajectories import Trajectories, discounted_return
from repara import estimators

__all__ = ["ALGORITHMS", "BASELINES", "make_surrogate"]

ALGORITHMS = ("sac", "svg", "reinforce")
BASELINES = ("value", "leave_one_out", "moving_average", "none")

Value = Callable[[jax.Array, jax.Array], jax.Array]
"""(states, actions) -> the value of the actions, with everything but them held fixed."""


def make_surrogate(config: Any, environment: Environment, policy: Policy) -> Any:
    """The surrogate whose gradient the policy follows.

        sac:        Q(x, a) - alpha log pi(a | x),   pathwise in a
        svg:        sum_{t<T} discount^t (r_t - alpha log pi(a_t | x_t)) + discount^T Q(x_T, a_T),
                    pathwise through the policy and the environment; a_T without noise
        reinforce:  the same return, by its score function and with a baseline

    Args:
      config: the configuration of `experiments.policy_gradient`; T is `lookahead`.
      environment: the problem.
      policy: the module.

    Returns:
      A function `(params, states, value, alpha, key) -> [B]` of the policy's parameters, states
      [B, state_size], a `Value`, the temperature and a key, which is consumed.

    Source:
      Haarnoja et al. (2018), "Soft actor-critic algorithms and applications", equation 7; Heess et
      al. (2015), "Learning continuous control policies by stochastic value gradients", section 4;
      Williams (1992), "Simple statistical gradient-following algorithms for connectionist
      reinforcement learning".
    """
    wide = squashed(environment)

    def distribution(params: Any, states: jax.Array) -> Any:
        return policy.apply(
            params, jnp.vectorize(environment.observe, signature="(n)->(o)")(states)
        )

    def log_prob(params: Any, states: jax.Array, x: jax.Array) -> jax.Array:
        return distribution(params, states).log_prob(x) - squash_log_det(x)

    def soft(params: Any, states: jax.Array, value: Value, alpha: Any, key: jax.Array) -> jax.Array:
        # The batch of states counts as independent coordinates of one sample.
        def function(x: jax.Array) -> jax.Array:
            return jnp.mean(value(states, jnp.tanh(x)) - alpha * log_prob(params, states, x))

        surrogate = estimators.pathwise(function, lambda p: distribution(p, states))
        return surrogate(params, key, 1)

    def ahead(
        params: Any, states: jax.Array, value: Value, alpha: Any, key: jax.Array
    ) -> jax.Array:
        fixed = jax.lax.stop_gradient(params)

        def last(x: jax.Array) -> jax.Array:
            return value(x, jnp.tanh(distribution(fixed, x).mean))

        def bonus(states: jax.Array, x: jax.Array) -> jax.Array:
            return -alpha * log_prob(params, states, x)

        def distribution_fn(p: Any) -> Trajectories:
            def act(observation: jax.Array) -> Any:
                return policy.apply(p, observation)

            return Trajectories(wide, act, lambda key, count: states, config.lookahead)

        function = discounted_return(wide, config.discount, last, bonus)
        if config.algorithm == "svg":
            surrogate = estimators.pathwise(function, distribution_fn)
        elif config.baseline == "value":
            # The value of the first state, on which no parameter has influence.
            n = environment.state_size
            surrogate = estimators.score_function(
                lambda z: function(z) - jax.lax.stop_gradient(last(z[0, :n])), distribution_fn
            )
        else:
            surrogate = estimators.score_function(
                function, distribution_fn, baseline=config.baseline
            )
        return surrogate(params, key, states.shape[0])

    return soft if config.algorithm == "sac" else ahead
