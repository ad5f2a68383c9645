"""Environments step for step beside Gymnasium's own; closed forms of the linear-quadratic one."""

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from experiments.policy_gradient.environments.cartpole import cartpole
from experiments.policy_gradient.environments.environment import episode_returns, squashed
from experiments.policy_gradient.environments.lqr import (
    LinearPolicy,
    expected_return,
    lqr,
    optimal_gains,
    optimal_return,
    policy_gradient,
)
from experiments.policy_gradient.environments.pendulum import pendulum

ENVIRONMENTS = [pendulum(), cartpole(), lqr()]


def test_pendulum_is_that_of_gymnasium(dtype):
    environment = pendulum()
    step, observe = jax.jit(environment.step), jax.jit(environment.observe)
    peer = gymnasium.make(environment.gymnasium_id)
    assert peer.spec.max_episode_steps == environment.horizon
    assert peer.action_space.high == environment.action_scale
    raw, rng = peer.unwrapped, np.random.default_rng(0)
    # Beyond the limits of torque and speed too, and through several turns.
    torques = [rng.uniform(-3, 3, 100), np.full(100, 2.5), np.sign(rng.normal(size=100))]
    for torque in torques:
        raw.reset(seed=1)
        raw.state = np.asarray([rng.uniform(-np.pi, np.pi), rng.uniform(-8, 8)])
        for u in torque:
            # The state is Gymnasium's own at every step: no error is carried on.
            state = jnp.asarray(raw.state, dtype)
            new, reward = step(state, jnp.asarray([u / environment.action_scale], dtype))
            seen, expected, *_ = raw.step(np.asarray([u]))
            # From an angle of several turns float32 leaves 2e-6 of the wrapped one.
            tolerance = 1e-12 if dtype == "float64" else 1e-5
            np.testing.assert_allclose(new, raw.state, rtol=tolerance, atol=tolerance)
            np.testing.assert_allclose(reward, expected, rtol=10 * tolerance, atol=tolerance)
            np.testing.assert_allclose(observe(new), seen, atol=1e-5)


def test_cartpole_has_the_mechanics_of_gymnasium(dtype):
    environment = cartpole()
    step = jax.jit(environment.step)
    raw, rng = gymnasium.make("CartPole-v1").unwrapped, np.random.default_rng(0)
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    for angle in (0.0, 1.0, np.pi, -2.0):
        raw.reset(seed=1)
        raw.state = np.asarray([0.0, rng.normal(), angle, 3 * rng.normal()])
        raw.x_threshold = raw.theta_threshold_radians = np.inf
        for push in rng.integers(0, 2, 100):
            state = jnp.asarray(raw.state, dtype)
            new, _ = step(state, jnp.asarray([2 * push - 1], dtype))
            raw.step(int(push))
            np.testing.assert_allclose(new, raw.state, rtol=tolerance, atol=tolerance)


def test_cartpole_rewards_standing_in_the_middle():
    environment = cartpole()
    reward = jax.jit(lambda s, a: environment.step(jnp.asarray(s), jnp.asarray([a]))[1])
    standing, hanging = reward([0.0, 0.0, 0.0, 0.0], 0.0), reward([0.0, 0.0, np.pi, 0.0], 0.0)
    np.testing.assert_allclose([standing, hanging], [1.0, 0.0], atol=1e-6)
    assert reward([2.4, 0.0, 0.0, 0.0], 0.0) < standing
    assert reward([0.0, 0.0, 0.0, 0.0], 1.0) < standing
    start = environment.reset(jax.random.key(0))
    assert abs(start[2] - np.pi) <= 0.0501


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda e: e.name)
def test_steps_are_differentiable_and_pure(environment, x64):
    keys = jax.random.split(jax.random.key(0), 2)
    state = environment.reset(keys[0])
    action = jax.random.uniform(keys[1], (environment.action_size,), minval=-0.9, maxval=0.9)
    assert state.shape == (environment.state_size,)
    assert environment.observe(state).shape == (environment.observation_size,)
    for wrapped in (environment, squashed(environment)):
        check_grads(jax.jit(wrapped.step), (state, action), order=1)
    new, reward = environment.step(state, action)
    assert new.shape == state.shape
    assert reward.shape == ()
    squashed_new, _ = squashed(environment).step(state, jnp.arctanh(action))
    np.testing.assert_allclose(squashed_new, new, rtol=1e-12)
    other = environment.reset(keys[1])
    assert not np.array_equal(state, other)


def test_the_known_optimum_of_lqr_is_reached_and_not_passed(x64):
    environment = lqr()
    gains, cost = optimal_gains()
    states = jax.vmap(environment.reset)(jax.random.split(jax.random.key(0), 1000))
    assert bool(jnp.all(jnp.abs(states) <= 1))
    np.testing.assert_allclose(np.var(states, axis=0), 1 / 3, rtol=0.1)

    @jax.jit
    def returns(gains):
        def body(states, gain):
            actions = -states @ gain.T
            states, rewards = jax.vmap(environment.step)(states, actions)
            return states, (rewards, jnp.max(jnp.abs(actions)))

        rewards, largest = jax.lax.scan(body, states, gains)[1]
        return jnp.sum(rewards, axis=0), jnp.max(largest)

    best, largest = returns(jnp.asarray(gains))
    np.testing.assert_allclose(best, -np.einsum("si,ij,sj->s", states, cost, states), rtol=1e-10)
    assert largest < 1  # so that a policy with actions in [-1, 1] can reach it
    corners = np.asarray([[1, 1], [1, -1]])
    assert np.all(np.abs(corners @ gains[0].T) < 1)
    for scale in (0.9, 1.1):
        assert bool(jnp.all(returns(jnp.asarray(scale * gains))[0] < best))
    # tr(P_0 Sigma_0) is what the returns average to.
    error = np.std(best) / len(best) ** 0.5
    assert abs(float(jnp.mean(best)) - optimal_return()) < 5 * error


def test_the_policy_gradient_is_that_of_the_expected_return():
    policy = LinearPolicy(np.asarray([[0.3, 0.4]]), np.asarray([-0.7]))
    gradient = policy_gradient(policy)
    step = 1e-5
    for name, index in [("gain", (0, 0)), ("gain", (0, 1)), ("log_scale", (0,))]:
        ends = []
        for sign in (1, -1):
            moved = getattr(policy, name).copy()
            moved[index] += sign * step
            ends.append(expected_return(policy._replace(**{name: moved})))
        difference = (ends[0] - ends[1]) / (2 * step)
        np.testing.assert_allclose(getattr(gradient, name)[index], difference, rtol=1e-7)


def test_episodes_of_a_linear_policy_average_to_the_closed_form(x64):
    environment, gain = lqr(), np.asarray([[0.3, 0.4]])
    returns = jax.jit(
        lambda key: episode_returns(environment, lambda x: -jnp.asarray(gain) @ x, key, 4000)
    )(jax.random.key(2))
    exact = expected_return(LinearPolicy(gain, np.asarray([-np.inf])))
    error = float(jnp.std(returns)) / len(returns) ** 0.5
    assert 5 * error < 0.1 * abs(exact)
    assert abs(float(jnp.mean(returns)) - exact) < 5 * error
