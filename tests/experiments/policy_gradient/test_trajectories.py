"""Trajectories as samples of a distribution, and their returns."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.policy_gradient.environments.environment import squashed
from experiments.policy_gradient.environments.pendulum import pendulum
from experiments.policy_gradient.networks import Policy
from experiments.policy_gradient.trajectories import Trajectories, discounted_return

ENVIRONMENT, POLICY, LENGTH = squashed(pendulum()), Policy((4,), 1), 6
PARAMS = POLICY.init(jax.random.key(0), jnp.zeros(3))


def act(observation):
    return POLICY.apply(PARAMS, observation)


def start(key, count):
    return jax.vmap(ENVIRONMENT.reset)(jax.random.split(key, count))


Q = Trajectories(ENVIRONMENT, act, start, LENGTH)


@pytest.fixture(scope="module")
def z():
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        return Q.rsample(jax.random.key(1), (3,))


def test_a_sample_has_one_row_per_step(z):
    assert z.shape == (3, LENGTH, 2 + 1)


def test_sample_and_rsample_agree(z):
    np.testing.assert_array_equal(Q.sample(jax.random.key(1), (3,)), z)


def test_states_follow_the_environment(z):
    step = jax.vmap(jax.vmap(ENVIRONMENT.step))
    after, _ = step(z[:, :-1, :2], z[:, :-1, 2:])
    np.testing.assert_allclose(z[:, 1:, :2], after, rtol=1e-4, atol=1e-5)


def test_the_density_is_that_of_the_actions(z):
    log_prob = [
        sum(act(ENVIRONMENT.observe(row[:2])).log_prob(row[2:]) for row in rows) for rows in z
    ]
    np.testing.assert_allclose(Q.log_prob(z), log_prob, rtol=1e-4)


def test_the_return_discounts_rewards_and_the_last_value(z):
    totals = []
    for rows in z:
        after, rewards = jax.vmap(ENVIRONMENT.step)(rows[:, :2], rows[:, 2:])
        totals.append(sum(0.9**t * r for t, r in enumerate(rewards)) + 0.9**LENGTH * after[-1, 0])
    function = discounted_return(ENVIRONMENT, 0.9, lambda x: x[0])
    np.testing.assert_allclose(jax.vmap(function)(z), totals, rtol=1e-4)
