"""Gauss-Legendre quadrature with a fixed number of nodes, for elementwise integrals."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

__all__ = ["Rule", "gauss_legendre", "gauss_legendre_pairs", "integrate"]

# Points and weights.
Rule = tuple[np.ndarray, np.ndarray]
T = TypeVar("T")


def gauss_legendre(count: int) -> Rule:
    """Returns the points and weights of the Gauss-Legendre rule on [0, 1].

        integral_0^1 f(t) dt = sum_i weights_i f(points_i),  exact for degrees below 2 count

    Args:
      count: the number of points.

    Returns:
      The points, increasing, and the weights: two float64 arrays of shape [count].

    Example:
      >>> points, weights = gauss_legendre(3)
      >>> round(float(weights @ points**5), 6)  # 1/6
      0.166667
    """
    points, weights = np.polynomial.legendre.leggauss(count)
    return (1 + points) / 2, weights / 2


def gauss_legendre_pairs(count: int) -> list[tuple[float, float]]:
    """Returns the same rule as pairs of Python numbers, for sums that are unrolled.

    Args:
      count: the number of points.

    Returns:
      A list of (point, weight).

    Example:
      >>> gauss_legendre_pairs(1)
      [(0.5, 1.0)]
    """
    points, weights = gauss_legendre(count)
    return list(zip(points.tolist(), weights.tolist(), strict=True))


def integrate(rule: Rule, integrand: Callable[[Array], T], end: Array) -> T:
    """Computes integrals from 0 to `end`, elementwise.

        integral_0^end f(t) dt = end sum_i weights_i f(end points_i)

    The sum is a loop: unrolled it would be slow to compile.

    Args:
      rule: points and weights on [0, 1].
      integrand: a function of t, of the shape of `end`, to an array or a tree of arrays.
      end: the upper limits.

    Returns:
      The integrals, a tree like the value of `integrand`.

    Example:
      >>> round(float(integrate(gauss_legendre(5), jnp.exp, jnp.float32(1.0))), 5)  # e - 1
      1.71828
    """
    points, weights = (jnp.asarray(x, end.dtype) for x in rule)

    def add(i: Array, totals: T) -> T:
        values = integrand(end * points[i])
        sums: T = jax.tree.map(lambda total, value: total + weights[i] * value, totals, values)
        return sums

    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(integrand, end))
    totals = jax.lax.fori_loop(0, len(rule[0]), add, zeros)
    integrals: T = jax.tree.map(lambda total: end * total, totals)
    return integrals
