"""The pendulum swing-up, with the same steps as Gymnasium's Pendulum-v1."""

import jax
import jax.numpy as jnp

from experiments.policy_gradient.environments.environment import Environment

__all__ = ["pendulum"]

# The constants of gymnasium/envs/classic_control/pendulum.py; mass and length are 1.
_GRAVITY = 10.0
_SECONDS = 0.05
_MAX_SPEED = 8.0
_MAX_TORQUE = 2.0


def _reset(key: jax.Array) -> jax.Array:
    high = jnp.array([jnp.pi, 1.0])
    return high * jax.random.uniform(key, (2,), minval=-1.0)


def _observe(state: jax.Array) -> jax.Array:
    angle, speed = state
    return jnp.stack([jnp.cos(angle), jnp.sin(angle), speed])


def _step(state: jax.Array, action: jax.Array) -> tuple[jax.Array, jax.Array]:
    angle, speed = state
    torque = _MAX_TORQUE * jnp.clip(action[0], -1.0, 1.0)
    from_top = jnp.mod(angle + jnp.pi, 2 * jnp.pi) - jnp.pi
    reward = -(from_top**2 + 0.1 * speed**2 + 0.001 * torque**2)
    speed = speed + (1.5 * _GRAVITY * jnp.sin(angle) + 3.0 * torque) * _SECONDS
    speed = jnp.clip(speed, -_MAX_SPEED, _MAX_SPEED)
    return jnp.stack([angle + speed * _SECONDS, speed]), reward


def pendulum() -> Environment:
    """Returns the problem of swinging up a pendulum with too little torque to lift it directly.

        angle'' = 3 g / (2 l) sin(angle) + 3 torque / (m l^2),   |torque| <= 2 N m
        r = -(angle^2 + 0.1 angle'^2 + 0.001 torque^2)

    The state is the angle from the top in radians, not wrapped, and its speed. It starts at any
    angle. The observation is (cos, sin, speed). An episode has 200 steps of 0.05 s.

    Returns:
      The environment.

    References:
      Gymnasium, `gymnasium/envs/classic_control/pendulum.py`, version 1 of the environment,
      https://gymnasium.farama.org
    """
    return Environment(
        "pendulum", 2, 3, 1, 200, _reset, _observe, _step, "Pendulum-v1", _MAX_TORQUE
    )
