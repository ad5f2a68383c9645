"""Quantiles of a distribution that is known by its cdf: a fixed search, exact derivatives.

The search is a bisection of a fixed number of steps, the same for every element. Its derivatives
are not those of the search: differentiating F(z; theta) = u gives

    dz = (du - dF(z; theta) / dtheta . dtheta) / f(z; theta)

and as that rule is written in terms of the quantile itself, it can be differentiated again.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

__all__ = ["quantile"]


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1, 2))
def quantile(
    cdf: Callable[[jax.Array, Any], jax.Array],
    log_prob: Callable[[jax.Array, Any], jax.Array],
    place: Callable[[jax.Array], jax.Array] | None,
    parameters: Any,
    u: jax.Array,
    low: jax.Array,
    high: jax.Array,
) -> jax.Array:
    """The z with cdf(z, parameters) = u, differentiable to any order in `parameters` and `u`.

        F(z; theta) = u

    Args:
      cdf: `cdf(z, parameters)`, increasing in z, elementwise. It may not close over traced values.
      log_prob: `log_prob(z, parameters)`, the logarithm of its derivative in z.
      place: maps a coordinate s to z, increasing; None for z itself. The bisection is of s.
      parameters: a pytree of arrays, what F depends on.
      u: probabilities.
      low: the lower end of the bracket, in terms of s, of the shape of u.
      high: its upper end.

    Returns:
      z, of the shape of u; NaN where a parameter is.

    Source:
      Figurnov, Mohamed & Mnih (2018), "Implicit reparameterization gradients", equation 5.

    Example:
      >>> cdf = lambda z, rate: -jnp.expm1(-rate * z)
      >>> log_prob = lambda z, rate: jnp.log(rate) - rate * z
      >>> ends = jnp.float32(0.0), jnp.float32(50.0)
      >>> z = quantile(cdf, log_prob, None, jnp.float32(2.0), jnp.float32(0.5), *ends)
      >>> round(float(z), 4)
      0.3466
    """
    at = place or (lambda s: s)

    def halve(_: jax.Array, ends: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        lower, upper = ends
        middle = lower + 0.5 * (upper - lower)
        below = cdf(at(middle), parameters) < u
        return jnp.where(below, middle, lower), jnp.where(below, upper, middle)

    # Every step gains a bit; the exponents of the coordinate's ends are a few more.
    steps = int(jnp.finfo(u.dtype).nmant) + 12
    lower, upper = jax.lax.stop_gradient(jax.lax.fori_loop(0, steps, halve, (low, high)))
    z = at(lower + 0.5 * (upper - lower))
    # One step of Newton's method, within the bracket, squares what is left of the error.
    error = cdf(z, parameters) - u
    step = error * jnp.exp(-log_prob(z, parameters))
    moved = jnp.clip(z - step, at(lower), at(upper))
    z = jnp.where(jnp.isfinite(step), moved, z)
    z = jax.lax.stop_gradient(jnp.where(jnp.isnan(error), jnp.nan, z))
    # jax forgets a custom rule inside `scan` once that has been differentiated in reverse, and then
    # differentiates these lines. Steps of Newton's method that do not move the value give it its
    # derivatives: right to order 1 after the first, to order 3 after the second.
    for _ in range(2):
        step = (u - cdf(z, parameters)) * jnp.exp(-log_prob(z, parameters))
        step = jnp.where(jnp.isfinite(step), step, 0)
        z = z + (step - jax.lax.stop_gradient(step))
    return z


@quantile.defjvp
def _quantile_jvp(
    cdf: Callable[[jax.Array, Any], jax.Array],
    log_prob: Callable[[jax.Array, Any], jax.Array],
    place: Callable[[jax.Array], jax.Array] | None,
    primals: tuple[Any, jax.Array, jax.Array, jax.Array],
    tangents: tuple[Any, jax.Array, jax.Array, jax.Array],
) -> tuple[jax.Array, jax.Array]:
    parameters, u, low, high = primals
    moved, du, _, _ = tangents  # the bracket does not matter
    z = quantile(cdf, log_prob, place, parameters, u, low, high)
    _, by_parameters = jax.jvp(lambda p: cdf(z, p), (parameters,), (moved,))
    return z, (du - by_parameters) * jnp.exp(-log_prob(z, parameters))
