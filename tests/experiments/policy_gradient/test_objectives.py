"""The policy objectives, and the parts that they are made of."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import repara as rp
from experiments.policy_gradient.config import Config, resolve
from experiments.policy_gradient.networks import Policy, TwinCritic, squash_log_det

LQR = Config(environment="lqr", hidden_sizes=(4,), lookahead=2, discount=0.9)
# The gradients of a batch in which every row is the same state are draws of the noise alone.
STATES = np.broadcast_to([0.8, -0.5], (4000, 2))


def value(states, actions):
    """A critic that is known in closed form."""
    return -jnp.sum(states**2, axis=-1) - jnp.sum((actions - 0.3) ** 2, axis=-1)


def mean_gradient(**changes):
    """The mean gradient of an objective over 50 batches, and its standard error."""
    algorithm = resolve(dataclasses.replace(LQR, **changes)).algorithm
    params = algorithm.policy.init(jax.random.key(0), jnp.zeros(2))
    params = jax.tree.map(lambda x: x.astype(jnp.float64), params)

    def gradient(key):
        def objective(params):
            return jnp.mean(algorithm.objective(params, jnp.asarray(STATES), value, 0.2, key))

        leaves = jax.tree.leaves(jax.grad(objective)(params))
        return jnp.concatenate([x.ravel() for x in leaves])

    keys = jax.random.split(jax.random.key(1), 50)
    gradients = jax.jit(lambda keys: jax.lax.map(gradient, keys))(keys)
    return np.mean(gradients, axis=0), np.std(gradients, axis=0, ddof=1) / 50**0.5


@pytest.mark.slow
@pytest.mark.parametrize("baseline", ["value", "leave_one_out"])
def test_svg_and_reinforce_estimate_the_same_gradient(x64, baseline):
    pathwise, pathwise_error = mean_gradient(algorithm="svg")
    assert np.linalg.norm(5 * pathwise_error) < 0.05 * np.linalg.norm(pathwise)
    score, score_error = mean_gradient(algorithm="reinforce", baseline=baseline)
    assert np.linalg.norm(5 * score_error) < 0.5 * np.linalg.norm(pathwise)
    error = np.hypot(score_error, pathwise_error)
    assert np.all(np.abs(score - pathwise) <= 5 * error + 1e-12)


def test_the_log_density_of_an_action_is_that_of_the_tanh_normal(x64):
    x = jnp.asarray([0.3, -1.2])
    q = rp.Normal(jnp.asarray([0.1, 0.2]), jnp.asarray([0.5, 2.0]))
    whole = rp.Independent(rp.Transformed(q, rp.bijectors.Tanh()), 1)
    parts = rp.Independent(q, 1).log_prob(x) - squash_log_det(x)
    np.testing.assert_allclose(parts, whole.log_prob(jnp.tanh(x)), rtol=1e-12)


def test_the_two_critics_differ():
    critic = TwinCritic((4,))
    x, a = jnp.ones((5, 3)), jnp.ones((5, 1))
    values = critic.apply(critic.init(jax.random.key(0), x, a), x, a)
    assert values.shape == (2, 5)
    assert not np.allclose(values[0], values[1])


def test_the_scale_of_a_policy_is_bounded():
    policy = Policy((4,), 1)
    params = policy.init(jax.random.key(0), jnp.zeros(3))
    params = jax.tree.map(lambda p: 1e6 * jnp.ones_like(p), params)
    np.testing.assert_allclose(policy.apply(params, jnp.ones(3)).stddev, np.exp([2.0]), rtol=1e-6)
