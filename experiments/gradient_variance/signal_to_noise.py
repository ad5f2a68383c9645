"""Signal-to-noise ratio of the importance-weighted bound's gradient in the encoder.

    z ~ N(0, I),  x | z ~ N(z, I),  q(z | x) = N(x/2 + b, 2/3 I)

The gradient in b of the bound with K samples: its mean falls like 1/K, its standard deviation like
K^-1/2, so that more samples make it worse; the doubly reparameterized one gets better. After
Rainforth et al. (2018), "Tighter variational bounds are not necessarily better", section 4.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

import repara as rp
from repara import objectives

__all__ = ["GRADIENTS", "slopes", "study"]

GRADIENTS: tuple[objectives.Gradient, ...] = ("plain", "dreg")
_DIMENSION = 5
# The ratio is theory's for large K: below this one the slope is still bending.
_FROM = 64


def _gradients(key: jax.Array, num_samples: int, repeats: int) -> dict[str, jax.Array]:
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
        return {name: jax.grad(bound)(offset, key, name) for name in GRADIENTS}

    return jax.lax.map(gradients, keys, batch_size=chunk)


def study(
    key: jax.Array, log4_samples: int, repeats: int, tick: Callable[[str], None]
) -> list[dict]:
    """The ratio for K = 1, 4, 16, ..., for both gradients.

    The two have one mean; it is taken from the doubly reparameterized one for both, as that one's
    noise is far lower: where the plain ratio is small its own mean is not to be seen.

    Args:
      key: a typed key; consumed.
      log4_samples: the largest K is four to this power.
      repeats: gradients a point; for large K fewer, so that each costs about the same.
      tick: called with a label after each K.

    Returns:
      One row a K and gradient: the ratio, averaged over coordinates, and its standard error.
    """
    rows = []
    for power in range(log4_samples + 1):
        k = 4**power
        count = max(500, min(repeats, 64 * repeats // k))
        program = jax.jit(functools.partial(_gradients, num_samples=k, repeats=count))
        g = {name: np.asarray(x, np.float64) for name, x in program(key).items()}
        mean = np.abs(g["dreg"].mean(axis=0))
        error = g["dreg"].std(axis=0, ddof=1) / np.sqrt(count)
        for name in GRADIENTS:
            spread = g[name].std(axis=0, ddof=1)
            rows.append({
                "gradient": name, "num_samples": k, "snr": float(np.mean(mean / spread)),
                "stderr": float(np.sqrt(np.sum((error / spread) ** 2)) / _DIMENSION),
            })  # fmt: skip
        tick(f"K = {k}")
    return rows


def slopes(rows: list[dict]) -> dict[str, float]:
    """The slopes of log SNR in log K, by least squares from K = 64 on.

    Args:
      rows: what `study` returned.

    Returns:
      Gradient name -> slope; theory says -1/2 for "plain" and 1/2 for "dreg".
    """
    result: dict[str, float] = {}
    for name in GRADIENTS:
        points = [(r["num_samples"], r["snr"]) for r in rows if r["gradient"] == name]
        x, y = np.log([p for p in points if p[0] >= _FROM]).T
        result[name] = float(np.polyfit(x, y, 1)[0])
    return result
