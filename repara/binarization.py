"""8-bit images as data of a likelihood: dynamic or static binarization, threshold, gray."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from repara._bits import bits
from repara.noise import check_key

__all__ = ["draw", "draw_once", "gray", "threshold"]


def draw(key: jax.Array, images: jax.Array) -> jax.Array:
    """Draws every pixel as a Bernoulli variable whose probability is its gray level.

        x_ij = 1 with probability image_ij / 255, otherwise 0

    Called with a new key in every step, this is dynamic binarization. The probability is exact at 0
    and 255, and rounded to multiples of 2^-16 between them, which needs half of the random bits
    that a comparison of floats needs.

    Args:
      key: a typed key; consumed.
      images: uint8, [B, ...].

    Returns:
      Zeros and ones, float32, of the shape of `images`.

    References:
      Salakhutdinov and Murray (2008), "On the Quantitative Analysis of Deep Belief Networks",
      section 4.1, https://doi.org/10.1145/1390156.1390266

      Burda, Grosse and Salakhutdinov (2016), "Importance Weighted Autoencoders", section 5,
      https://arxiv.org/abs/1509.00519

    Example:
      >>> [float(x) for x in draw(jax.random.key(0), jnp.array([0, 255], jnp.uint8))]
      [0.0, 1.0]
    """
    check_key(key)
    # Two 16-bit numbers from each 32-bit word: if asked for 16 bits, jax draws 32 and drops half.
    # The low halves are for the first pixels and the high halves for the others. Side by side, as
    # after a bitcast, they would prevent vectorized code (which costs a fifth of a step's time).
    rows = images.shape[:1]
    size = math.prod(images.shape[1:])
    words = bits(key, (*rows, -(-size // 2)), jnp.uint32)
    halves = jnp.concatenate([words & 0xFFFF, words >> 16], axis=-1)[..., :size].astype(jnp.int32)
    # round(2^16 p / 255) = 257 p + (1 if p > 127 else 0): 0 never draws a one, 255 always does.
    level = images.reshape(*rows, size).astype(jnp.int32)
    ones = halves < 257 * level + (level > 127).astype(jnp.int32)
    return ones.astype(jnp.float32).reshape(images.shape)


def draw_once(key: jax.Array, images: np.ndarray) -> np.ndarray:
    """Draws every pixel of a dataset once: static binarization.

    Args:
      key: a typed key; consumed. Key and images determine the result.
      images: uint8, any shape.

    Returns:
      uint8 of the same shape, every value 0 or 255, so that `gray` returns zeros and ones.

    Example:
      >>> images = np.array([0, 255], np.uint8)
      >>> [int(x) for x in draw_once(jax.random.key(0), images)]
      [0, 255]
    """
    return np.asarray(draw(key, jnp.asarray(images)), np.uint8) * np.uint8(255)


def threshold(images: np.ndarray) -> np.ndarray:
    """Sets pixels to black or white, by whether they are in the upper half of the gray levels.

    Args:
      images: uint8, any shape.

    Returns:
      uint8 of the same shape, 255 if a pixel is at least 128, otherwise 0.

    Example:
      >>> [int(x) for x in threshold(np.array([127, 128], np.uint8))]
      [0, 255]
    """
    return np.where(images >= 128, np.uint8(255), np.uint8(0))


def gray(images: jax.Array) -> jax.Array:
    """Scales 8-bit images to the interval [0, 1].

        image / 255

    Args:
      images: uint8, any shape.

    Returns:
      float32 of the same shape.

    Example:
      >>> [float(x) for x in gray(jnp.array([0, 255], jnp.uint8))]
      [0.0, 1.0]
    """
    return images.astype(jnp.float32) / 255
