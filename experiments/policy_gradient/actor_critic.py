"""Actor and critic: acting, storing and learning as one pure step, for `lax.scan`."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from experiments.policy_gradient.environments.environment import Environment
from experiments.policy_gradient.networks import Policy, TwinCritic, squash_log_det
from experiments.policy_gradient.surrogates import make_surrogate

__all__ = ["Noise", "State", "init", "make_noise", "make_step"]

Params = Any
Metrics = dict[str, jax.Array]
_METRICS = ("critic_loss", "value", "entropy", "temperature")


class State(NamedTuple):
    """What a step of one seed reads and writes; a pytree.

    Attributes:
      params: "policy", "critic" and "log_temperature".
      target: the slow copy of "critic".
      opt_state: of Adam over `params`.
      environment: the state of the environment.
      replay: rows (state, action, reward, next state), the oldest overwritten.
    """

    params: Params
    target: Params
    opt_state: optax.OptState
    environment: jax.Array
    replay: jax.Array


class Noise(NamedTuple):
    """Everything random of a step, none of which depends on the state of the learner; a pytree.

    Attributes:
      start: the state in which an episode begins at this step, if one does.
      explored: the action of a step before learning starts, [action_size].
      action: the noise of the policy's action, [action_size].
      indices: the rows of the minibatch, [batch_size].
      next_actions: the noise of the actions in the states after, [batch_size, action_size].
      surrogate: a typed key for the policy's surrogate.
    """

    start: jax.Array
    explored: jax.Array
    action: jax.Array
    indices: jax.Array
    next_actions: jax.Array
    surrogate: jax.Array


def make_noise(config: Any, environment: Environment) -> Any:
    """What is random in a step, to be drawn for many steps at once before their `lax.scan`.

    Arrays as small as those of one step cost the generator little more than being called.

    Args:
      config: the configuration of `experiments.policy_gradient`.
      environment: the problem.

    Returns:
      A function `(step, key) -> Noise` of one seed; the key is consumed.
    """
    m = environment.action_size

    def noise(step: jax.Array, key: jax.Array) -> Noise:
        start_key, explore_key, action_key, index_key, next_key, surrogate_key = jax.random.split(
            key, 6
        )
        filled = jnp.minimum(step + 1, config.replay_size)
        return Noise(
            environment.reset(start_key),
            jax.random.uniform(explore_key, (m,), minval=-1.0),
            jax.random.normal(action_key, (m,)),
            jax.random.randint(index_key, (config.batch_size,), 0, filled),
            jax.random.normal(next_key, (config.batch_size, m)),
            surrogate_key,
        )

    return noise


def init(config: Any, environment: Environment, key: jax.Array) -> State:
    """The state before the first step.

    Args:
      config: the configuration of `experiments.policy_gradient`.
      environment: the problem.
      key: a typed key; consumed.

    Returns:
      The state of one seed.
    """
    policy = Policy(config.hidden_sizes, environment.action_size)
    policy_key, critic_key, reset_key = jax.random.split(key, 3)
    observation = jnp.zeros(environment.observation_size)
    action = jnp.zeros(environment.action_size)
    params = {
        "policy": policy.init(policy_key, observation),
        "critic": TwinCritic(config.hidden_sizes).init(critic_key, observation, action),
        "log_temperature": jnp.zeros(()),
    }
    width = 2 * environment.state_size + environment.action_size + 1
    return State(
        params,
        jax.tree.map(jnp.copy, params["critic"]),
        optax.adam(config.learning_rate).init(params),
        environment.reset(reset_key),
        jnp.zeros((config.replay_size, width)),
    )


def make_step(config: Any, environment: Environment) -> Any:
    """One step in the environment and one gradient step.

        L(critic)      = 1/2 sum_i (Q_i(x, a) - y)^2
        y              = r + discount (min_i Q'_i(x', a') - alpha log pi(a'))
        L(policy)      = -surrogate, that of the algorithm
        L(temperature) = -log alpha (log pi(a) + target entropy),   target entropy = -action_size

    means over a minibatch from the replay, with a' ~ pi(x') and Q' a moving average of Q. The end
    of an episode is a cut, not a terminal state, and is bootstrapped like any other step.

    Args:
      config: the configuration of `experiments.policy_gradient`.
      environment: the problem.

    Returns:
      The step `(state, step, noise) -> (state, metrics)` of one seed, a deterministic function.
      `step` counts from 0 and is the same for all seeds; the noise is that of `make_noise`.

    Source:
      Haarnoja et al. (2018), "Soft actor-critic algorithms and applications", sections 4 to 6;
      Fujimoto et al. (2018), "Addressing function approximation error in actor-critic methods",
      for the two critics.
    """
    policy = Policy(config.hidden_sizes, environment.action_size)
    critic = TwinCritic(config.hidden_sizes)
    optimizer = optax.adam(config.learning_rate)
    surrogate = make_surrogate(config, environment, policy)
    n, m = environment.state_size, environment.action_size
    observe = jnp.vectorize(environment.observe, signature="(n)->(o)")

    def draw(params: Params, states: jax.Array, eps: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Actions [..., m] and their log-densities [...] from noise of the actions' shape."""
        q: Any = policy.apply(params, observe(states))
        x = q.transform(eps)
        return jnp.tanh(x), q.log_prob(x) - squash_log_det(x)

    def values(params: Params, states: jax.Array, actions: jax.Array) -> jax.Array:
        both: Any = critic.apply(params, observe(states), actions)
        return both

    def act(state: State, step: jax.Array, noise: Noise) -> tuple[State, jax.Array]:
        start = step % environment.horizon == 0
        x = jnp.where(start, noise.start, state.environment)
        drawn, _ = draw(state.params["policy"], x, noise.action)
        action = jnp.where(step < config.learning_starts, noise.explored, drawn)
        after, reward = environment.step(x, action)
        row = jnp.concatenate([x, action, reward[None], after])
        at = step % config.replay_size
        replay = jax.lax.dynamic_update_slice(state.replay, row[None], (at, 0))
        return state._replace(environment=after, replay=replay), reward

    def losses(
        params: Params, target: Params, rows: jax.Array, noise: Noise
    ) -> tuple[jax.Array, Metrics]:
        fixed = jax.lax.stop_gradient(params)
        states, actions, rewards, after = jnp.split(rows, (n, n + m, n + m + 1), axis=1)
        alpha = jnp.exp(fixed["log_temperature"])

        next_actions, log_prob = draw(fixed["policy"], after, noise.next_actions)
        soft = jnp.min(values(target, after, next_actions), axis=0) - alpha * log_prob
        aim = rewards[:, 0] + config.discount * soft
        error = values(params["critic"], states, actions) - aim[None]
        critic_loss = 0.5 * jnp.sum(jnp.mean(error**2, axis=1))

        def value(states: jax.Array, actions: jax.Array) -> jax.Array:
            return jnp.min(values(fixed["critic"], states, actions), axis=0)

        climbed = jnp.mean(surrogate(params["policy"], states, value, alpha, noise.surrogate))
        entropy = -jnp.mean(log_prob)
        temperature_loss = params["log_temperature"] * (entropy + m)
        metrics = (critic_loss, climbed, entropy, alpha)
        total = critic_loss - climbed + temperature_loss
        return total, dict(zip(_METRICS, metrics, strict=True))

    def learn(state: State, noise: Noise) -> tuple[State, Metrics]:
        rows = state.replay.at[noise.indices].get(mode="promise_in_bounds")
        gradient, metrics = jax.grad(losses, has_aux=True)(state.params, state.target, rows, noise)
        updates, opt_state = optimizer.update(gradient, state.opt_state)
        params = optax.apply_updates(state.params, updates)
        target = optax.incremental_update(params["critic"], state.target, config.target_rate)
        return state._replace(params=params, target=target, opt_state=opt_state), metrics

    def step(state: State, step: jax.Array, noise: Noise) -> tuple[State, Metrics]:
        state, reward = act(state, step, noise)
        # The step is the same for all seeds, so that this stays a branch under `vmap`.
        state, metrics = jax.lax.cond(
            step >= config.learning_starts,
            lambda s: learn(s, noise),
            lambda s: (s, {name: jnp.zeros(()) for name in _METRICS}),
            state,
        )
        return state, {"reward": reward, **metrics}

    return step
