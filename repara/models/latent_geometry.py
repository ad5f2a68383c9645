"""Geometry of latent spaces: inputs for a decoder, interpolation, and grids.

The weights of a decoder's first layer are initialized for inputs of mean 0 and variance 1, such as
standard-normal latents. If the standard prior has another mean or variance, the decoder gets
standardized latents. Without that, a Dirichlet posterior, whose coordinates are small, collapsed to
its prior on digits.
"""

import math

import jax
import jax.numpy as jnp

__all__ = [
    "circle_inputs",
    "interpolate_on_circle",
    "interpolate_on_line",
    "interpolate_on_sphere",
    "one_hot_inputs",
    "simplex_grid",
    "simplex_inputs",
    "sphere_grid",
    "sphere_inputs",
    "unchanged_inputs",
    "unit_interval_inputs",
    "zero_one_inputs",
]


def unchanged_inputs(z: jax.Array) -> jax.Array:
    """Returns the latents themselves.

    Args:
      z: latents, [..., D].

    Returns:
      Decoder inputs, [..., D].

    Example:
      >>> float(unchanged_inputs(jnp.float32(1.0)))
      1.0
    """
    return z


def unit_interval_inputs(z: jax.Array) -> jax.Array:
    """Standardizes uniform latents.

    Args:
      z: latents in [0, 1], [..., D].

    Returns:
      Decoder inputs, [..., D].

    Example:
      >>> float(unit_interval_inputs(jnp.float32(0.5)))
      0.0
    """
    return math.sqrt(12) * (z - 0.5)


def zero_one_inputs(z: jax.Array) -> jax.Array:
    """Standardizes binary latents of probability 1/2.

    Args:
      z: zeros and ones, or values between them, [..., D].

    Returns:
      Decoder inputs, -1 and 1, [..., D].

    Example:
      >>> float(zero_one_inputs(jnp.float32(0.0)))
      -1.0
    """
    return 2 * z - 1


def sphere_inputs(z: jax.Array) -> jax.Array:
    """Standardizes latents that are uniform on the unit sphere.

    Args:
      z: unit vectors, [..., D + 1].

    Returns:
      Decoder inputs, [..., D + 1].

    Example:
      >>> float(sphere_inputs(jnp.array([1.0, 0.0, 0.0, 0.0]))[0])
      2.0
    """
    return math.sqrt(z.shape[-1]) * z


def simplex_inputs(z: jax.Array) -> jax.Array:
    """Centers and scales latents that are uniform on the simplex.

    Args:
      z: probabilities, [..., D + 1].

    Returns:
      Decoder inputs of mean 0 and variance D / (D + 2), [..., D + 1].

    Example:
      >>> float(simplex_inputs(jnp.array([0.25, 0.75]))[0])
      -0.5
    """
    return z.shape[-1] * z - 1


def one_hot_inputs(z: jax.Array) -> jax.Array:
    """Standardizes one-hot latents of uniform probability.

    Args:
      z: one-hot vectors, or probabilities, [..., D, K].

    Returns:
      Decoder inputs, [..., D K].

    Example:
      >>> [float(v) for v in one_hot_inputs(jnp.array([[1.0, 0.0]]))]
      [1.0, -1.0]
    """
    k = z.shape[-1]
    return ((k * z - 1) / math.sqrt(k - 1)).reshape(*z.shape[:-2], -1)


def circle_inputs(z: jax.Array) -> jax.Array:
    """Returns cosine and sine of angles.

    Gradients through von Mises samples are right only for functions of period 2 pi, such as these.

    Args:
      z: angles, [..., D].

    Returns:
      Decoder inputs, [..., 2 D].

    Example:
      >>> [float(v) for v in circle_inputs(jnp.zeros(1))]
      [1.0, 0.0]
    """
    return jnp.concatenate([jnp.cos(z), jnp.sin(z)], axis=-1)


def interpolate_on_line(a: jax.Array, b: jax.Array, t: jax.Array) -> jax.Array:
    """Interpolates linearly.

        (1 - t) a + t b

    Args:
      a: latents.
      b: latents.
      t: weights in [0, 1].

    Returns:
      Latents.

    Example:
      >>> float(interpolate_on_line(jnp.float32(0.0), jnp.float32(4.0), jnp.float32(0.25)))
      1.0
    """
    return (1 - t) * a + t * b


def interpolate_on_circle(a: jax.Array, b: jax.Array, t: jax.Array) -> jax.Array:
    """Interpolates along the shorter arc between two angles.

    Args:
      a: angles.
      b: angles.
      t: weights in [0, 1].

    Returns:
      Angles.

    Example:
      >>> round(float(interpolate_on_circle(jnp.float32(3.0), jnp.float32(-3.0), 0.5)), 2)
      3.14
    """
    return a + t * (jnp.mod(b - a + math.pi, 2 * math.pi) - math.pi)


def interpolate_on_sphere(a: jax.Array, b: jax.Array, t: jax.Array) -> jax.Array:
    """Interpolates along the great circle between two unit vectors, at constant speed.

        sin((1 - t) angle) / sin(angle) a + sin(t angle) / sin(angle) b

    Args:
      a: unit vectors, [..., D + 1].
      b: unit vectors, [..., D + 1].
      t: weights in [0, 1].

    Returns:
      Unit vectors, [..., D + 1].

    Example:
      >>> a, b = jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0])
      >>> [round(float(v), 3) for v in interpolate_on_sphere(a, b, 0.5)]
      [0.707, 0.707]
    """
    # Computed from the chord, a small angle keeps its digits.
    chord = jnp.sqrt(jnp.sum((a - b) ** 2, axis=-1, keepdims=True))
    angle = 2 * jnp.arcsin(jnp.clip(0.5 * chord, 0, 1))
    sine = jnp.sin(angle)
    near = sine < 1e-4  # there the linear weights differ by less than the rounding in float32
    safe = jnp.where(near, 1.0, sine)
    a_weight = jnp.where(near, 1 - t, jnp.sin((1 - t) * angle) / safe)
    b_weight = jnp.where(near, t, jnp.sin(t * angle) / safe)
    return a_weight * a + b_weight * b


def sphere_grid(u: jax.Array) -> jax.Array:
    """Maps the unit square to the sphere, preserving the uniform distribution.

    The coordinates are longitude and height, in which area is uniform (Archimedes).

    Args:
      u: points of the unit square, [..., 2].

    Returns:
      Unit vectors, [..., 3].

    Example:
      >>> [float(v) for v in sphere_grid(jnp.array([0.0, 0.5]))]
      [0.0, 1.0, 0.0]
    """
    angle, height = 2 * math.pi * u[..., 0], 2 * u[..., 1] - 1
    radius = jnp.sqrt(1 - height**2)
    return jnp.stack([height, radius * jnp.cos(angle), radius * jnp.sin(angle)], axis=-1)


def simplex_grid(u: jax.Array) -> jax.Array:
    """Maps the unit square to the simplex, preserving the uniform distribution.

    The square root makes the width of a row of the triangle proportional to its probability.

    Args:
      u: points of the unit square, [..., 2].

    Returns:
      Probabilities, [..., 3].

    Example:
      >>> [float(v) for v in simplex_grid(jnp.array([0.25, 0.5]))]
      [0.5, 0.25, 0.25]
    """
    root = jnp.sqrt(u[..., 0])
    return jnp.stack([1 - root, root * (1 - u[..., 1]), root * u[..., 1]], axis=-1)
