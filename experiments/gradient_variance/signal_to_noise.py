"""Signal-to-noise ratio of the importance-weighted bound's gradient in the encoder.

    z ~ N(0, I),  x | z ~ N(z, I),  q(z | x) = N(x/2 + b, 2/3 I)

The gradient in b of the bound with K samples has a mean of order 1/K. The standard deviation of
the plain gradient is of order K^-1/2, so that more samples make its ratio worse; the ratio of the
doubly reparameterized gradient improves.

References:
  Rainforth et al. (2018), "Tighter variational bounds are not necessarily better", section 4,
  https://arxiv.org/abs/1802.04537
  Tucker et al. (2018), "Doubly reparameterized gradient estimators for Monte Carlo objectives",
  https://arxiv.org/abs/1810.04152
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import repara as rp
from repara import objectives

__all__ = ["GRADIENTS", "Gradient", "exponents", "study"]


class Gradient(NamedTuple):
    """A gradient of the importance-weighted bound.

    Attributes:
      name: the name of it in `repara.objectives.iwae`.
      label: its name in figures.
      exponent: the theoretical exponent of K in the signal-to-noise ratio, for large K.
    """

    name: objectives.Gradient
    label: str
    exponent: float


GRADIENTS = (
    Gradient("plain", "plain", -0.5),
    Gradient("dreg", "doubly reparameterized", 0.5),
)
_DIMENSION = 5
# Theory describes large K; for smaller K the ratio does not follow a power law yet.
_SMALLEST_FITTED_K = 64


def _gradients(key: jax.Array, num_samples: int, repeats: int) -> dict[str, jax.Array]:
    """Draws gradients in b of the bound with `num_samples` samples, [repeats, dimension] each."""
    data_key, offset_key, noise_key = jax.random.split(key, 3)
    x = 1.4 * jax.random.normal(data_key, (_DIMENSION,))
    offset = 0.3 * jax.random.normal(offset_key, (_DIMENSION,))
    prior = rp.Independent(rp.Normal(jnp.zeros(_DIMENSION), 1.0), 1)

    def log_likelihood(z: jax.Array) -> jax.Array:
        return rp.Independent(rp.Normal(z, 1.0), 1).log_prob(jnp.broadcast_to(x, z.shape))

    def bound(offset: jax.Array, key: jax.Array, name: objectives.Gradient) -> jax.Array:
        loc = (0.5 * x + offset)[None]
        posterior = rp.Independent(rp.Normal(loc, (2 / 3) ** 0.5), 1)
        return objectives.iwae(
            key, posterior, prior, log_likelihood, num_samples=num_samples, gradient=name
        ).bound[0]

    keys = jax.random.split(noise_key, repeats)
    chunk = max(1, min(repeats, 100_000 // num_samples))

    def gradients(key: jax.Array) -> dict[str, jax.Array]:
        # Both at the same noise.
        return {g.name: jax.grad(bound)(offset, key, g.name) for g in GRADIENTS}

    return jax.lax.map(gradients, keys, batch_size=chunk)


def study(
    key: jax.Array, *, log4_samples: int, repeats: int, on_part_done: Callable[[str], None]
) -> list[dict]:
    """Measures the signal-to-noise ratio of both gradients for K = 1, 4, 16, ...

    Both gradients have the same mean. It is estimated from the doubly reparameterized one, which
    has far less noise: for a small ratio the mean of the plain gradients themselves would be
    dominated by noise.

    Args:
      key: a typed key; all K use the same data.
      log4_samples: the base-4 logarithm of the largest K.
      repeats: gradients per point; fewer for large K, so that all points cost about the same.
      on_part_done: called with a label after each K.

    Returns:
      One row per K and gradient: the ratio, averaged over coordinates, and its standard error.
    """
    rows = []
    for power in range(log4_samples + 1):
        k = 4**power
        count = max(500, min(repeats, 64 * repeats // k))
        program = jax.jit(functools.partial(_gradients, num_samples=k, repeats=count))
        g = {name: np.asarray(x, np.float64) for name, x in program(key).items()}
        mean = np.abs(g["dreg"].mean(axis=0))
        error = g["dreg"].std(axis=0, ddof=1) / np.sqrt(count)
        for gradient in GRADIENTS:
            spread = g[gradient.name].std(axis=0, ddof=1)
            rows.append({
                "gradient": gradient.name, "num_samples": k,
                "snr": float(np.mean(mean / spread)),
                "stderr": float(np.sqrt(np.sum((error / spread) ** 2)) / _DIMENSION),
            })  # fmt: skip
        on_part_done(f"K = {k}")
    return rows


def exponents(rows: list[dict]) -> dict[str, float]:
    """Fits SNR ~ K^exponent from K = 64 on, by least squares of the logarithms.

    Args:
      rows: the result of `study`.

    Returns:
      Name of the gradient -> exponent; theory predicts -1/2 for "plain" and 1/2 for "dreg".
    """
    result: dict[str, float] = {}
    for gradient in GRADIENTS:
        points = [(r["num_samples"], r["snr"]) for r in rows if r["gradient"] == gradient.name]
        x, y = np.log([p for p in points if p[0] >= _SMALLEST_FITTED_K]).T
        result[gradient.name] = float(np.polyfit(x, y, 1)[0])
    return result
