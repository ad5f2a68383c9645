"""Policies in Gymnasium."""

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.policy_gradient.environments import gymnasium_adapter
from experiments.policy_gradient.environments.environment import episode_returns
from experiments.policy_gradient.environments.pendulum import pendulum


def test_gymnasium_gives_the_returns_of_our_environment():
    environment = pendulum()

    def act(gain, observations):
        return jnp.tanh(observations @ gain)[..., None]

    gain = jnp.asarray([0.5, -2.0, -1.0])
    returns = gymnasium_adapter.evaluate(environment, act, gain, 3, seed=5)
    raw = gymnasium.make(environment.gymnasium_id)
    for i, expected in enumerate(returns):
        raw.reset(seed=5 + i)
        first = jnp.asarray(raw.unwrapped.state, jnp.float32)
        same_start = environment._replace(reset=lambda key, first=first: first)
        ours = episode_returns(same_start, lambda o: act(gain, o), jax.random.key(0), 1)
        # Two hundred steps in float32 against float64.
        np.testing.assert_allclose(ours[0], expected, rtol=1e-3)


@pytest.mark.parametrize(("horizon", "ended"), [(150, 150), (201, 200)])
def test_an_environment_of_another_length_is_refused(horizon, ended):
    other = pendulum()._replace(horizon=horizon)
    with pytest.raises(RuntimeError, match=f"ended an episode after {ended} steps, not {horizon}"):
        gymnasium_adapter.evaluate(other, lambda p, o: p * o[:, :1], jnp.zeros(()), 2, 0)
