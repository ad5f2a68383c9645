"""An expectation over five coordinates that is known in closed form.

f(z) = cos(t . z),   z = (Gamma, Gamma, Beta, Beta, Normal)
"""

import cmath
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import scipy.special

import repara as rp

__all__ = ["Coordinate", "coordinates", "exact", "mean"]


class Coordinate(NamedTuple):
    """A coordinate of z.

    Attributes:
      frequency: its entry of t.
      distribution: the law of the coordinate.
      characteristic: the characteristic function of this law, t -> E exp(i t z).
    """

    frequency: float
    distribution: rp.Distribution
    characteristic: Callable[[float], complex]


def coordinates() -> list[Coordinate]:
    """Returns the five coordinates."""
    return [
        _gamma(0.3, 2.5, 1.0),
        _gamma(-0.4, 0.8, 2.0),
        _beta(1.0, 2.0, 3.0),
        _beta(-1.5, 0.7, 1.5),
        _normal(0.4, 0.3, 1.2),
    ]


# The characteristic functions use the parameters as the distributions store them: in float32.


def _gamma(frequency: float, concentration: float, rate: float) -> Coordinate:
    q = rp.Gamma(concentration, rate)
    a, b = float(q.concentration), float(q.rate)
    return Coordinate(frequency, q, lambda t: (1 - 1j * t / b) ** -a)


def _beta(frequency: float, concentration1: float, concentration0: float) -> Coordinate:
    q = rp.Beta(concentration1, concentration0)
    a, b = float(q.concentration1), float(q.concentration0)
    return Coordinate(frequency, q, lambda t: complex(scipy.special.hyp1f1(a, a + b, 1j * t)))


def _normal(frequency: float, loc: float, scale: float) -> Coordinate:
    q = rp.Normal(loc, scale)
    mean, stddev = float(q.loc), float(q.scale)
    return Coordinate(frequency, q, lambda t: cmath.exp(1j * mean * t - 0.5 * (stddev * t) ** 2))


def exact() -> float:
    """Returns E f, the real part of the product of the characteristic functions.

    Example:
      >>> round(exact(), 3)
      0.582
    """
    value = 1.0 + 0.0j
    for coordinate in coordinates():
        value *= coordinate.characteristic(coordinate.frequency)
    return value.real


def mean(key: jax.Array, count: int, source: rp.noise.Source) -> jax.Array:
    """Computes the mean of f over draws with the noise of one source.

    Args:
      key: a typed key; consumed.
      count: the number of draws.
      source: the source of the noise; one point of it serves all five coordinates.

    Returns:
      The mean, a scalar.

    Example:
      >>> mean(jax.random.key(0), 16, rp.noise.sobol).shape
      ()
    """
    parts = coordinates()
    eps = source(key, (count,), (len(parts),), "normal", jnp.result_type(float))
    phase: Any = 0.0
    for k, coordinate in enumerate(parts):
        phase = phase + coordinate.frequency * coordinate.distribution.transform(eps[:, k])
    return jnp.mean(jnp.cos(phase))
