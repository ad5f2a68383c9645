"""How 8-bit images become what a likelihood is given: drawn anew, drawn once, cut, or grey."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from repara._bits import bits
from repara.noise import check_key

__all__ = ["draw", "draw_once", "grey", "threshold"]


def draw(key: jax.Array, images: jax.Array) -> jax.Array:
    """Draws every pixel as a Bernoulli variable with its grey level as probability.

        x_ij = 1 with probability image_ij / 255, else 0

    Called with the key of each step this is the dynamic binarization of Salakhutdinov & Murray.
    The probability is exact at 0 and 255 and rounded to multiples of 2^-16 between, which halves
    the random bits that a float comparison would take.

    Args:
      key: a typed key; consumed.
      images: uint8, [B, ...].

    Returns:
      Zeros and ones, float32, of the shape of `images`.

    Source:
      Salakhutdinov & Murray (2008), "On the quantitative analysis of deep belief networks",
      section 4.1; Burda et al. (2016), section 5.

    Example:
      >>> [float(x) for x in draw(jax.random.key(0), jnp.array([0, 255], jnp.uint8))]
      [0.0, 1.0]
    """
    check_key(key)
    # Two 16-bit numbers from each 32-bit word: asked for 16 bits, jax draws 32 and drops half. The
    # low halves serve the first pixels and the high ones the others: next to each other, as a
    # bitcast leaves them, they would keep the compiler from vectors (a fifth of a step's time).
    rows = images.shape[:1]
    size = math.prod(images.shape[1:])
    words = bits(key, (*rows, -(-size // 2)), jnp.uint32)
    halves = jnp.concatenate([words & 0xFFFF, words >> 16], axis=-1)[..., :size].astype(jnp.int32)
    # round(2^16 p / 255) = 257 p + (1 if p > 127 else 0): 0 never draws a one, 255 always does.
    level = images.reshape(*rows, size).astype(jnp.int32)
    drawn = halves < 257 * level + (level > 127).astype(jnp.int32)
    return drawn.astype(jnp.float32).reshape(images.shape)


def draw_once(key: jax.Array, images: np.ndarray) -> np.ndarray:
    """Draws a data set once, to be kept: the static binarization of a data set.

    Args:
      key: a typed key; consumed. Together with the data it determines the draw.
      images: uint8, any shape.

    Returns:
      uint8 of the same shape, every value 0 or 255, so that `grey` gives zeros and ones.

    Example:
      >>> images = np.array([0, 255], np.uint8)
      >>> [int(x) for x in draw_once(jax.random.key(0), images)]
      [0, 255]
    """
    return np.asarray(draw(key, jnp.asarray(images)), np.uint8) * np.uint8(255)


def threshold(images: np.ndarray) -> np.ndarray:
    """Cuts at half of the grey range.

    Args:
      images: uint8, any shape.

    Returns:
      uint8 of the same shape, 255 where a pixel is at least 128, otherwise 0.

    Example:
      >>> [int(x) for x in threshold(np.array([127, 128], np.uint8))]
      [0, 255]
    """
    return np.where(images >= 128, np.uint8(255), np.uint8(0))


def grey(images: jax.Array) -> jax.Array:
    """Scales 8-bit images to the interval [0, 1].

    Args:
      images: uint8, any shape.

    Returns:
      float32 of the same shape, image / 255.

    Example:
      >>> [float(x) for x in grey(jnp.array([0, 255], jnp.uint8))]
      [0.0, 1.0]
    """
    return images.astype(jnp.float32) / 255
