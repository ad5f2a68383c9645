"""Actor and critic: acting, storing and learning as one pure step, for `lax.scan`."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from experiments.policy_gradient.environments.environment import Environment
from experiments.policy_gradient.networks import Policy, TwinCritic, squash_log_det
from experiments.policy_gradient.objectives import PolicyObjective

__all__ = ["Algorithm", "Noise", "State", "init", "make_epoch", "make_noise", "make_step"]

Params = Any
Metrics = dict[str, jax.Array]
_METRICS = ("critic_loss", "value", "entropy", "temperature")


class Algorithm(NamedTuple):
    """The networks and how they are trained.

    Attributes:
      policy: the module of the policy.
      critic: the module of the two critics.
      objective: the objective of the policy.
      learning_rate: of Adam, for all parameters.
      batch_size: replay rows per gradient step.
      discount: the discount factor.
      target_rate: the rate at which the target critics follow the critics.
      learning_starts: the number of steps with random actions before the first gradient step.
      replay_size: the number of steps that the replay holds.
    """

    policy: Policy
    critic: TwinCritic
    objective: PolicyObjective
    learning_rate: float
    batch_size: int
    discount: float
    target_rate: float
    learning_starts: int
    replay_size: int


class State(NamedTuple):
    """The state of one seed between two steps; a pytree.

    Attributes:
      params: "policy", "critic" and "log_temperature".
      target: the moving average of "critic".
      opt_state: of Adam over `params`.
      environment: the state of the environment.
      replay: rows (state, action, reward, next state); the oldest row is overwritten.
    """

    params: Params
    target: Params
    opt_state: optax.OptState
    environment: jax.Array
    replay: jax.Array


class Noise(NamedTuple):
    """The random numbers of a step, which do not depend on the state of the learner; a pytree.

    Attributes:
      start: the first state of an episode, if one starts at this step.
      random_action: the action of a step before learning starts, [action_size].
      action: the noise of the policy's action, [action_size].
      indices: the rows of the minibatch, [batch_size].
      next_actions: the noise of the actions in the next states, [batch_size, action_size].
      objective: a typed key for the objective of the policy.
    """

    start: jax.Array
    random_action: jax.Array
    action: jax.Array
    indices: jax.Array
    next_actions: jax.Array
    objective: jax.Array


def make_noise(
    algorithm: Algorithm, environment: Environment
) -> Callable[[jax.Array, jax.Array], Noise]:
    """Returns the function that draws the random numbers of a step.

    They are drawn for many steps at once, before the `lax.scan` over these: for the small arrays
    of one step, calling the generator costs more than the numbers.

    Args:
      algorithm: the algorithm.
      environment: the problem.

    Returns:
      A function `(step, key) -> Noise` for one seed; the key is consumed.
    """
    m = environment.action_size

    def noise(step: jax.Array, key: jax.Array) -> Noise:
        start_key, random_key, action_key, index_key, next_key, objective_key = jax.random.split(
            key, 6
        )
        num_rows = jnp.minimum(step + 1, algorithm.replay_size)
        return Noise(
            start=environment.reset(start_key),
            random_action=jax.random.uniform(random_key, (m,), minval=-1.0),
            action=jax.random.normal(action_key, (m,)),
            indices=jax.random.randint(index_key, (algorithm.batch_size,), 0, num_rows),
            next_actions=jax.random.normal(next_key, (algorithm.batch_size, m)),
            objective=objective_key,
        )

    return noise


def init(algorithm: Algorithm, environment: Environment, key: jax.Array) -> State:
    """Returns the state before the first step.

    Args:
      algorithm: the algorithm.
      environment: the problem.
      key: a typed key; consumed.

    Returns:
      The state of one seed.
    """
    policy_key, critic_key, reset_key = jax.random.split(key, 3)
    observation = jnp.zeros(environment.observation_size)
    action = jnp.zeros(environment.action_size)
    params = {
        "policy": algorithm.policy.init(policy_key, observation),
        "critic": algorithm.critic.init(critic_key, observation, action),
        "log_temperature": jnp.zeros(()),
    }
    width = 2 * environment.state_size + environment.action_size + 1
    return State(
        params,
        jax.tree.map(jnp.copy, params["critic"]),
        optax.adam(algorithm.learning_rate).init(params),
        environment.reset(reset_key),
        jnp.zeros((algorithm.replay_size, width)),
    )


def _observe(environment: Environment, states: jax.Array) -> jax.Array:
    return jnp.vectorize(environment.observe, signature="(n)->(o)")(states)


def _draw_actions(
    algorithm: Algorithm, environment: Environment, params: Params, states: jax.Array,
    eps: jax.Array,
) -> tuple[jax.Array, jax.Array]:  # fmt: skip
    """Returns actions [..., m] and their log-densities [...] from noise of the actions' shape."""
    q: Any = algorithm.policy.apply(params, _observe(environment, states))
    x = q.transform(eps)
    return jnp.tanh(x), q.log_prob(x) - squash_log_det(x)


def _values(
    algorithm: Algorithm, environment: Environment, params: Params, states: jax.Array,
    actions: jax.Array,
) -> jax.Array:  # fmt: skip
    """Returns the values of actions by both critics, [2, ...]."""
    both: Any = algorithm.critic.apply(params, _observe(environment, states), actions)
    return both


def _act(
    algorithm: Algorithm, environment: Environment, state: State, step: jax.Array, noise: Noise
) -> tuple[State, jax.Array]:
    """Takes one step in the environment and stores it; returns the new state and the reward."""
    starts = step % environment.horizon == 0
    x = jnp.where(starts, noise.start, state.environment)
    policy_action, _ = _draw_actions(
        algorithm, environment, state.params["policy"], x, noise.action
    )
    action = jnp.where(step < algorithm.learning_starts, noise.random_action, policy_action)
    after, reward = environment.step(x, action)
    row = jnp.concatenate([x, action, reward[None], after])
    index = step % algorithm.replay_size
    replay = jax.lax.dynamic_update_slice(state.replay, row[None], (index, 0))
    return state._replace(environment=after, replay=replay), reward


def _loss(
    algorithm: Algorithm, environment: Environment, params: Params, target: Params,
    rows: jax.Array, noise: Noise,
) -> tuple[jax.Array, Metrics]:  # fmt: skip
    """Returns the sum of the three losses, and metrics; each loss has gradients in its own part."""
    n, m = environment.state_size, environment.action_size
    fixed = jax.lax.stop_gradient(params)
    states, actions, rewards, after = jnp.split(rows, (n, n + m, n + m + 1), axis=1)
    alpha = jnp.exp(fixed["log_temperature"])

    next_actions, log_prob = _draw_actions(
        algorithm, environment, fixed["policy"], after, noise.next_actions
    )
    next_values = _values(algorithm, environment, target, after, next_actions)
    soft_value = jnp.min(next_values, axis=0) - alpha * log_prob
    critic_target = rewards[:, 0] + algorithm.discount * soft_value
    error = _values(algorithm, environment, params["critic"], states, actions) - critic_target[None]
    critic_loss = 0.5 * jnp.sum(jnp.mean(error**2, axis=1))

    def value(states: jax.Array, actions: jax.Array) -> jax.Array:
        return jnp.min(_values(algorithm, environment, fixed["critic"], states, actions), axis=0)

    policy_objective = jnp.mean(
        algorithm.objective(params["policy"], states, value, alpha, noise.objective)
    )
    entropy = -jnp.mean(log_prob)
    temperature_loss = params["log_temperature"] * (entropy + m)
    metrics = (critic_loss, policy_objective, entropy, alpha)
    total = critic_loss - policy_objective + temperature_loss
    return total, dict(zip(_METRICS, metrics, strict=True))


def _learn(
    algorithm: Algorithm, environment: Environment, state: State, noise: Noise
) -> tuple[State, Metrics]:
    """Takes one gradient step on a minibatch from the replay."""

    def loss(params: Params, rows: jax.Array) -> tuple[jax.Array, Metrics]:
        return _loss(algorithm, environment, params, state.target, rows, noise)

    rows = state.replay.at[noise.indices].get(mode="promise_in_bounds")
    gradient, metrics = jax.grad(loss, has_aux=True)(state.params, rows)
    updates, opt_state = optax.adam(algorithm.learning_rate).update(gradient, state.opt_state)
    params = optax.apply_updates(state.params, updates)
    target = optax.incremental_update(params["critic"], state.target, algorithm.target_rate)
    return state._replace(params=params, target=target, opt_state=opt_state), metrics


def make_step(
    algorithm: Algorithm, environment: Environment
) -> Callable[[State, jax.Array, Noise], tuple[State, Metrics]]:
    """Returns one step in the environment, followed by one gradient step.

        L(critic)      = 1/2 sum_i (Q_i(x, a) - y)^2
        y              = r + discount (min_i Q'_i(x', a') - alpha log pi(a'))
        L(policy)      = -objective, that of the algorithm
        L(temperature) = -log alpha (log pi(a) + target entropy),   target entropy = -action_size

    The losses are means over a minibatch from the replay, with a' ~ pi(x') and Q' a moving average
    of Q. Episodes are truncated, not terminated: values are bootstrapped at their end as at every
    other step.

    Args:
      algorithm: the algorithm.
      environment: the problem.

    Returns:
      The step `(state, step, noise) -> (state, metrics)` of one seed, a deterministic function.
      `step` counts from 0 and is the same for all seeds; `make_noise` draws the noise.

    References:
      Haarnoja et al. (2018), "Soft actor-critic algorithms and applications", sections 4 to 6,
      https://arxiv.org/abs/1812.05905
      Fujimoto et al. (2018), "Addressing function approximation error in actor-critic methods", for
      the two critics, https://arxiv.org/abs/1802.09477
    """

    def step(state: State, step: jax.Array, noise: Noise) -> tuple[State, Metrics]:
        state, reward = _act(algorithm, environment, state, step, noise)
        # The step is the same for all seeds, so that `vmap` keeps this a branch.
        state, metrics = jax.lax.cond(
            step >= algorithm.learning_starts,
            lambda s: _learn(algorithm, environment, s, noise),
            lambda s: (s, {name: jnp.zeros(()) for name in _METRICS}),
            state,
        )
        return state, {"reward": reward, **metrics}

    return step


def make_epoch(algorithm: Algorithm, environment: Environment, num_steps: int) -> Any:
    """Compiles a number of steps of all seeds into one scan.

    The key of a step is `fold_in(key of the seed, step)`: an epoch depends only on the state and
    those keys, and a run continued from a state is bit-for-bit the uninterrupted one.

    Args:
      algorithm: the algorithm.
      environment: the problem.
      num_steps: the number of steps.

    Returns:
      The compiled epoch `(state, first step, keys [S]) -> (state, metrics)`; the state argument is
      donated. Metrics are means over the steps, [S]. "first_bad_step" is the first step at which
      one was not finite, -1 for none.
    """
    step = jax.vmap(make_step(algorithm, environment), in_axes=(0, None, 0))
    noise = make_noise(algorithm, environment)

    def epoch(state: State, first: jax.Array, keys: jax.Array) -> tuple[State, Metrics]:
        def draw(t: jax.Array) -> Noise:
            return jax.vmap(lambda key: noise(t, jax.random.fold_in(key, t)))(keys)

        def body(state: State, now: tuple[jax.Array, Noise]) -> tuple[State, Metrics]:
            return step(state, *now)

        steps = first + jnp.arange(num_steps, dtype=jnp.int32)
        state, metrics = jax.lax.scan(body, state, (steps, jax.vmap(draw)(steps)))
        means = {name: jnp.mean(x, axis=0) for name, x in metrics.items()}
        return state, {**means, "first_bad_step": _first_bad_step(metrics, first)}

    return jax.jit(epoch, donate_argnums=0)


def _first_bad_step(metrics: Metrics, first: jax.Array) -> jax.Array:
    """Returns the first step at which a metric [steps, S] was not finite, -1 for none."""
    finite = jnp.stack([jnp.all(jnp.isfinite(x), axis=1) for x in metrics.values()])
    good = jnp.all(finite, axis=0)
    return jnp.where(jnp.all(good), -1, first + jnp.argmin(good).astype(jnp.int32))
