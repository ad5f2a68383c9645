"""The speed limit of training: the matrix products of an epoch, and how fast the machine is."""

import itertools
import time
from collections.abc import Iterable

import jax
import jax.numpy as jnp

from experiments.benchmark.training.config import Setting

__all__ = ["PIXELS", "operations_per_image", "operations_per_second"]

PIXELS = 784


def operations_per_image(setting: Setting) -> float:
    """Counts the floating-point operations in matrix products for one image and its gradient.

    Args:
      setting: the model.

    Returns:
      Multiplications and additions, forward and backward.
    """

    def forward(sizes: Iterable[int]) -> int:
        return sum(2 * a * b for a, b in itertools.pairwise(sizes))

    hidden = setting.hidden_sizes
    encoder = forward([PIXELS, *hidden, 2 * setting.latent_dim])
    decoder = forward([setting.latent_dim, *hidden[::-1], PIXELS]) * setting.num_samples
    # The backward pass has two products per layer, but does not need the gradient of the images.
    return 3 * (encoder + decoder) - 2 * PIXELS * hidden[0]


def operations_per_second() -> float:
    """Measures the floating-point operations per second in a large matrix product."""
    n, repeats = 2048, 5
    a = jnp.ones((n, n))
    product = jax.jit(jnp.matmul)
    product(a, a).block_until_ready()
    best = 0.0
    for _ in range(repeats):
        begin = time.perf_counter()
        product(a, a).block_until_ready()
        best = max(best, 2 * n**3 / (time.perf_counter() - begin))
    return best
