"""The policy objectives; the algorithms differ in nothing else.

    sac:        Q(x, a) - alpha log pi(a | x),   pathwise in a
    svg:        sum_{t<T} discount^t (r_t - alpha log pi(a_t | x_t)) + discount^T Q(x_T, a_T),
                pathwise through the policy and the environment; a_T without noise
    reinforce:  the return of svg, by its score function and with a baseline

References:
  Haarnoja et al. (2018), "Soft actor-critic algorithms and applications", equation 7,
  https://arxiv.org/abs/1812.05905
  Heess et al. (2015), "Learning continuous control policies by stochastic value gradients",
  section 4, https://arxiv.org/abs/1510.09142
  Williams (1992), "Simple statistical gradient-following algorithms for connectionist
  reinforcement learning", https://doi.org/10.1007/BF00992696
"""

from collections.abc import Callable
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from experiments.policy_gradient.environments.environment import Environment, squashed
from experiments.policy_gradient.networks import Policy, squash_log_det
from experiments.policy_gradient.trajectories import Trajectories, discounted_return
from repara import estimators

__all__ = ["PolicyObjective", "Value", "reinforce_objective", "sac_objective", "svg_objective"]

Value = Callable[[jax.Array, jax.Array], jax.Array]
"""(states, actions) -> the value of the actions; differentiable in both, with fixed critics."""

Estimator = Callable[[Any, Any], estimators.Surrogate]
"""(function, distribution_fn) -> a surrogate."""


class PolicyObjective(Protocol):
    """The type of a policy objective: a surrogate whose gradient the policy ascends."""

    def __call__(
        self, params: Any, states: jax.Array, value: Value, alpha: Any, key: jax.Array, /
    ) -> jax.Array:
        """Returns the objective, [B] or [1], for the parameters of the policy and states [B, n].

        `alpha` is the temperature; the key is consumed.
        """
        ...


def _distribution(environment: Environment, policy: Policy, params: Any, states: jax.Array) -> Any:
    """Returns the distribution of the action before tanh, in states [..., n]."""
    observe = jnp.vectorize(environment.observe, signature="(n)->(o)")
    return policy.apply(params, observe(states))


def sac_objective(environment: Environment, policy: Policy) -> PolicyObjective:
    """Returns the objective of soft actor-critic, pathwise through the action.

    Args:
      environment: the problem.
      policy: the module of the policy.

    Returns:
      The objective; its value is the mean over the batch, [1].
    """

    def objective(
        params: Any, states: jax.Array, value: Value, alpha: Any, key: jax.Array
    ) -> jax.Array:
        # The batch of states counts as independent coordinates of one sample.
        def function(x: jax.Array) -> jax.Array:
            values = value(states, jnp.tanh(x))
            log_prob = _distribution(environment, policy, params, states).log_prob(x)
            return jnp.mean(values - alpha * (log_prob - squash_log_det(x)))

        surrogate = estimators.pathwise(
            function, lambda p: _distribution(environment, policy, p, states)
        )
        return surrogate(params, key, 1)

    return objective


def svg_objective(
    environment: Environment, policy: Policy, *, lookahead: int, discount: float
) -> PolicyObjective:
    """Returns the return of a few steps, pathwise through the policy and the environment.

    Args:
      environment: the problem.
      policy: the module of the policy.
      lookahead: the number of steps, T.
      discount: the discount factor.

    Returns:
      The objective, [B].
    """
    return _lookahead_objective(
        environment, policy, estimators.pathwise, lookahead, discount, value_baseline=False
    )


def reinforce_objective(
    environment: Environment,
    policy: Policy,
    *,
    lookahead: int,
    discount: float,
    estimator: Estimator = estimators.score_function,
    value_baseline: bool = False,
) -> PolicyObjective:
    """Returns the return of a few steps, by the score function.

    Args:
      environment: the problem.
      policy: the module of the policy.
      lookahead: the number of steps, T.
      discount: the discount factor.
      estimator: the score-function estimator, with a baseline from the batch or none.
      value_baseline: whether to subtract the critic's value of the first state.

    Returns:
      The objective, [B].
    """
    return _lookahead_objective(
        environment, policy, estimator, lookahead, discount, value_baseline=value_baseline
    )


def _lookahead_objective(
    environment: Environment,
    policy: Policy,
    estimator: Estimator,
    lookahead: int,
    discount: float,
    *,
    value_baseline: bool,
) -> PolicyObjective:
    unbounded = squashed(environment)
    n = environment.state_size

    def objective(
        params: Any, states: jax.Array, value: Value, alpha: Any, key: jax.Array
    ) -> jax.Array:
        fixed = jax.lax.stop_gradient(params)

        def state_value(state: jax.Array) -> jax.Array:
            mean = _distribution(environment, policy, fixed, state).mean
            return value(state, jnp.tanh(mean))

        def entropy_bonus(states: jax.Array, x: jax.Array) -> jax.Array:
            log_prob = _distribution(environment, policy, params, states).log_prob(x)
            return -alpha * (log_prob - squash_log_det(x))

        def distribution_fn(p: Any) -> Trajectories:
            def act(observation: jax.Array) -> Any:
                return policy.apply(p, observation)

            return Trajectories(unbounded, act, lambda key, count: states, lookahead)

        total = discounted_return(unbounded, discount, state_value, entropy_bonus)

        def function(z: jax.Array) -> jax.Array:
            if not value_baseline:
                return total(z)
            # No parameter influences the first state: its value is a valid baseline.
            return total(z) - jax.lax.stop_gradient(state_value(z[0, :n]))

        return estimator(function, distribution_fn)(params, key, states.shape[0])

    return objective
