"""The cart-pole swing-up: the mechanics of Gymnasium's CartPole-v1; the pole starts hanging."""

import jax
import jax.numpy as jnp

from experiments.policy_gradient.environments.environment import Environment

__all__ = ["cartpole"]

# The constants of gymnasium/envs/classic_control/cartpole.py.
_GRAVITY = 9.8
_CART_MASS = 1.0
_POLE_MASS = 0.1
_HALF_LENGTH = 0.5
_MAX_FORCE = 10.0
_SECONDS = 0.02
_TRACK = 2.4

_TOTAL_MASS = _CART_MASS + _POLE_MASS
_POLE_MOMENT = _POLE_MASS * _HALF_LENGTH


def _reset(key: jax.Array) -> jax.Array:
    noise = 0.05 * jax.random.uniform(key, (4,), minval=-1.0)
    return noise + jnp.array([0.0, 0.0, jnp.pi, 0.0])


def _observe(state: jax.Array) -> jax.Array:
    position, velocity, angle, speed = state
    return jnp.stack([position, velocity, jnp.cos(angle), jnp.sin(angle), speed])


def _step(state: jax.Array, action: jax.Array) -> tuple[jax.Array, jax.Array]:
    position, velocity, angle, speed = state
    action = jnp.clip(action[0], -1.0, 1.0)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    reward = 0.5 * (1 + cos) - 0.1 * (position / _TRACK) ** 2 - 0.01 * action**2
    push = (_MAX_FORCE * action + _POLE_MOMENT * speed**2 * sin) / _TOTAL_MASS
    turn = (_GRAVITY * sin - cos * push) / (
        _HALF_LENGTH * (4.0 / 3.0 - _POLE_MASS * cos**2 / _TOTAL_MASS)
    )
    acceleration = push - _POLE_MOMENT * turn * cos / _TOTAL_MASS
    # Explicit Euler, as in Gymnasium: the position moves by the old velocity.
    change = jnp.stack([velocity, acceleration, speed, turn])
    return state + _SECONDS * change, reward


def cartpole() -> Environment:
    """Returns the problem of swinging up a pole that hangs from a cart, by pushing the cart.

        r = (1 + cos(angle)) / 2 - 0.1 (position / 2.4)^2 - 0.01 action^2

    The state is position, velocity, angle from the top and its speed, in meters, radians and
    seconds. The observation has cos and sin of the angle in place of the angle. The force is 10 N
    at action 1. An episode has 250 steps of 0.02 s; leaving the track costs reward but does not
    end it.

    Returns:
      The environment. Gymnasium has the same mechanics, but only two forces and a pole that starts
      upright; it has no swing-up.

    References:
      Gymnasium, `gymnasium/envs/classic_control/cartpole.py`, https://gymnasium.farama.org
      Florian (2007), "Correct equations for the dynamics of the cart-pole system", equations 23 and
      24 without friction.
    """
    return Environment("cartpole", 4, 5, 1, 250, _reset, _observe, _step)
