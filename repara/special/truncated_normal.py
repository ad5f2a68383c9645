"""Truncated normal variates from normal noise, for intervals anywhere and of any width."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.custom_derivatives import SymbolicZero
from jax.typing import ArrayLike

from repara.special.elementwise import as_floats, is_zero, tangent_sum
from repara.special.normal import log_ndtr, mills_ratio, ndtri_exp
from repara.special.quadrature import gauss_legendre_pairs

__all__ = ["minus_log_tail_ratio", "truncated_normal_from_normal"]

# For the integral of the hazard over at most one unit, where the hazard is so smooth that eight
# nodes suffice for float64.
_RULE = gauss_legendre_pairs(8)


def truncated_normal_from_normal(eps: ArrayLike, low: ArrayLike, high: ArrayLike) -> Array:
    """Computes a standard normal variate truncated to [low, high] from standard-normal noise.

        Phi(z) = (1 - u) Phi(low) + u Phi(high),  u = Phi(eps)

        dz/dlow  = (1 - u) phi(low) / phi(z),     dz/dhigh = u phi(high) / phi(z)
        dz/deps  = phi(eps) (Phi(high) - Phi(low)) / phi(z)

    All are computed as ratios of Mills' ratios, so nothing underflows or cancels.

    Args:
      eps: standard-normal noise; any shape that broadcasts with the bounds.
      low: lower bound in standard deviations from the mean of the untruncated normal; -inf
        for none.
      high: upper bound, above low; inf for none.

    Returns:
      The variates in [low, high], of the broadcast shape; NaN if low >= high. eps = -inf gives low
      and eps = inf gives high. Derivatives of any order exist in all three arguments.

    Raises:
      TypeError: the dtype is neither float32 nor float64.
      ValueError: the shapes do not broadcast.

    Example:
      >>> z = truncated_normal_from_normal(jnp.array([-1.0, 0.0, 1.0]), 40.0, 41.0)
      >>> bool(jnp.all((z > 40.0) & (z < 40.2)))
      True
    """
    eps, low, high = jnp.broadcast_arrays(
        *as_floats("truncated_normal_from_normal", eps, low, high)
    )
    # By symmetry the interval lies mostly to the right, where Phi(-x) is the smaller tail.
    flip = low + high < 0
    sign = jnp.where(flip, -1.0, 1.0).astype(eps.dtype)
    bounds = jnp.where(flip, -high, low), jnp.where(flip, -low, high)
    value: Array = sign * _compiled(sign * eps, *bounds)
    return value


def minus_log_tail_ratio(low: Array, high: Array) -> Array:
    """Computes the decrease of the logarithm of the upper normal tail from `low` to `high`.

        -log rho = log Phi(-low) - log Phi(-high)

    Args:
      low: nonnegative numbers; negative ones count as 0.
      high: numbers above low, or inf.

    Returns:
      The positive differences, without cancellation; inf where `high` is.

    Example:
      >>> low, high = jnp.float32(30.0), jnp.float32(30.1)
      >>> round(float(minus_log_tail_ratio(low, high)), 3)  # about 30 * 0.1
      3.008
    """
    low = jnp.where(low >= 0, low, 0.0)  # not maximum: half a derivative at 0
    width = high - low
    narrow = width < 1
    near = jnp.where(narrow, width, 0.5)
    hazard = jnp.zeros_like(near)
    for x, weight in _RULE:
        hazard = hazard + weight / mills_ratio(low + x * near)
    bounded = ~narrow & (high < jnp.inf)
    top = jnp.where(bounded, high, low + 1)
    far = 0.5 * (top - low) * (top + low) + jnp.log(mills_ratio(low)) - jnp.log(mills_ratio(top))
    return jnp.where(narrow, near * hazard, jnp.where(bounded, far, jnp.inf))


class _Shares(NamedTuple):
    """Weights of the two bounds, and for low >= 0 the tail at the variate."""

    low: Array  # 1 - u
    high: Array  # u
    drop: Array  # -log rho, rho = Phi(-high) / Phi(-low)
    tail: Array  # r = Phi(-z) / Phi(-low) = 1 - u + u rho


def _shares(eps: Array, low: Array, high: Array) -> _Shares:
    rest, u = jnp.exp(log_ndtr(-eps)), jnp.exp(log_ndtr(eps))
    drop = minus_log_tail_ratio(low, high)
    return _Shares(rest, u, drop, rest + u * jnp.exp(-drop))


@jax.custom_jvp
def _mostly_right(eps: Array, low: Array, high: Array) -> Array:
    """The variate for low + high >= 0, with an interval that lies mostly on the right."""
    shares = _shares(eps, low, high)
    valid = low < high
    # Far right: log Phi(-z) = log Phi(-low) + log r.
    tail = log_ndtr(-jnp.maximum(low, 0.0)) + jnp.log(shares.tail)
    # Both tails of z if the interval contains zero; the smaller one gives z.
    upper = jnp.logaddexp(log_ndtr(-low) + log_ndtr(-eps), log_ndtr(-high) + log_ndtr(eps))
    lower = jnp.logaddexp(log_ndtr(low) + log_ndtr(-eps), log_ndtr(high) + log_ndtr(eps))
    upper = jnp.where(low >= 0, tail, upper)
    left = (low < 0) & (lower < upper)
    smaller = jnp.where(valid, jnp.where(left, lower, upper), -1.0)
    outer = ndtri_exp(jnp.minimum(smaller, 0.0))
    z = jnp.where(left, outer, -outer)
    # In the middle Phi(z) - 1/2 keeps the digits of a small z.
    root = np.sqrt(0.5).item()
    erf_low, erf_high = jax.lax.erf(root * low), jax.lax.erf(root * high)
    mean = 0.5 * (erf_low + erf_high) + 0.5 * jax.lax.erf(root * eps) * (erf_high - erf_low)
    middle = jnp.where(low < 0, mean, shares.low * erf_low + shares.high * erf_high)
    center = valid & (jnp.abs(middle) < 0.7)
    z = jnp.where(center, jax.lax.erf_inv(jnp.where(center, middle, 0.0)) / root, z)
    # Rounding alone could put z outside. Infinite noise gives a bound exactly.
    z = jnp.where(valid, jnp.clip(z, low, high), jnp.nan)
    z = jnp.where(valid & (eps == jnp.inf), high, jnp.where(valid & (eps == -jnp.inf), low, z))
    return jnp.where(jnp.isnan(eps), jnp.nan, z)


def _mostly_right_jvp(
    primals: tuple[Array, Array, Array], tangents: tuple[Array | SymbolicZero, ...]
) -> tuple[Array, Array]:
    eps, low, high = primals
    z = _mostly_right(eps, low, high)
    rest, u, drop, r = _shares(eps, low, high)
    far = low >= 0
    tail = mills_ratio(jnp.where(far, z, 0.0)) / r
    base, cap = jnp.where(far, low, 0.0), jnp.where(high < jnp.inf, high, 1.0)
    # If the interval contains zero: exp((z^2 - low^2) / 2), with exponents of at most a few tens.
    inside = jnp.where(far, 0.0, z)

    def ratio(bound: Array) -> Array:
        finite = jnp.where(jnp.isfinite(bound) & ~far, bound, inside)
        value = jnp.exp(0.5 * (inside - finite) * (inside + finite))
        return jnp.where(jnp.isfinite(bound), value, 0.0)

    by_eps = by_low = by_high = None
    if not is_zero(tangents[0]):
        # phi(eps) (Phi(high) - Phi(low)) / phi(z); in the tail phi(eps) m(z) (1 - rho) / r
        root = np.sqrt(0.5).item()
        mass = 0.5 * (jax.lax.erf(root * high) - jax.lax.erf(root * jnp.where(far, -1.0, low)))
        by_eps = jnp.where(
            far,
            jnp.exp(-0.5 * eps * eps) * tail * -jnp.expm1(-drop) / np.sqrt(2 * np.pi).item(),
            jnp.exp(0.5 * (inside - eps) * (inside + eps)) * mass,
        )
    if not is_zero(tangents[1]):
        by_low = rest * jnp.where(far, tail / mills_ratio(base), ratio(low))
    if not is_zero(tangents[2]):
        in_tail = jnp.where(high < jnp.inf, tail / mills_ratio(cap), 0.0) * jnp.exp(-drop)
        by_high = u * jnp.where(far, in_tail, ratio(high))
    coefficients = (by_eps, by_low, by_high)
    return z, tangent_sum(z.shape, z.dtype, *zip(coefficients, tangents, strict=True))


_mostly_right.defjvp(_mostly_right_jvp, symbolic_zeros=True)
# Outside jit its many small operations would be compiled one by one.
_compiled = jax.jit(_mostly_right)
