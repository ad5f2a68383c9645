"""Quantiles of a distribution given by its CDF: a search, with exact derivatives.

The search is a bisection with a fixed number of steps, the same for every element. The derivatives
are not those of the search. Differentiating F(z; theta) = u gives

    dz = (du - dF(z; theta) / dtheta . dtheta) / f(z; theta).

This rule is written in terms of the quantile itself, so it can be differentiated again.
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
    """Computes the z with cdf(z, parameters) = u.

        F(z; theta) = u

    It is differentiable to any order in `parameters` and `u`.

    Args:
      cdf: `cdf(z, parameters)`, elementwise and increasing in z; must not close over traced values.
      log_prob: `log_prob(z, parameters)`, the logarithm of its derivative in z.
      place: an increasing map from a coordinate s, in which the bisection works, to z; None for the
        identity.
      parameters: the parameters of F, a pytree of arrays.
      u: probabilities.
      low: the lower end of the bracket of s, of the shape of u.
      high: its upper end.

    Returns:
      z, of the shape of u; NaN if a parameter is NaN.

    References:
      Figurnov, Mohamed and Mnih (2018), "Implicit reparameterization gradients", equation 5,
      https://arxiv.org/abs/1805.08498

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
        too_low = cdf(at(middle), parameters) < u
        return jnp.where(too_low, middle, lower), jnp.where(too_low, upper, middle)

    # Every step gains one bit. A few more are needed for the exponents of the ends.
    steps = int(jnp.finfo(u.dtype).nmant) + 12
    lower, upper = jax.lax.stop_gradient(jax.lax.fori_loop(0, steps, halve, (low, high)))
    z = at(lower + 0.5 * (upper - lower))
    # One step of Newton's method, within the bracket, squares the remaining error.
    error = cdf(z, parameters) - u
    step = error * jnp.exp(-log_prob(z, parameters))
    moved = jnp.clip(z - step, at(lower), at(upper))
    z = jnp.where(jnp.isfinite(step), moved, z)
    z = jax.lax.stop_gradient(jnp.where(jnp.isnan(error), jnp.nan, z))
    # Once a `scan` has been differentiated in reverse mode, jax no longer uses custom rules inside
    # it and differentiates these lines. Two steps of Newton's method that do not change the value
    # give it the right derivatives: of order 1 after the first step, up to order 3 after the
    # second.
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
    moved, du, _, _ = tangents  # z does not depend on the bracket
    z = quantile(cdf, log_prob, place, parameters, u, low, high)
    _, by_parameters = jax.jvp(lambda p: cdf(z, p), (parameters,), (moved,))
    return z, (du - by_parameters) * jnp.exp(-log_prob(z, parameters))
