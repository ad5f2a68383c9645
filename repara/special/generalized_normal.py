"""The generalized normal distribution: variates from normal noise, and the inverse.

The density is exp(-|x|^p) / (2 Gamma(1 + a)) with a = 1 / p. Therefore |z|^p is a gamma variate of
concentration a, with distribution function P = erf(|eps| / sqrt 2). With R fitted for
`repara.special.gamma`, v = P^p and m = -log(1 - v),

    z = sign(eps) P (m / v)^a exp(a R(m, a)).

This is linear in eps near 0 for every p, and no power underflows.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from repara.special.constants import NOISE_BOUND_FLOAT32, NOISE_BOUND_FLOAT64
from repara.special.elementary import log1p_over, minus_log_complement
from repara.special.elementwise import as_floats, select_by_dtype, with_forward_derivatives
from repara.special.gamma import gamma_tails, log_growth_of_mass
from repara.special.normal import log_ndtr, ndtri_exp

__all__ = ["generalized_normal_from_normal", "normal_from_generalized_normal"]

_LEAST_POWER = 0.125  # the range of the fits: concentrations up to 8


def generalized_normal_from_normal(eps: ArrayLike, power: ArrayLike) -> Array:
    """Computes a generalized normal variate of scale 1 from standard-normal noise.

        (1 + sign(z) P(1 / p, |z|^p)) / 2 = Phi(eps)

    The CDF is inverted. Here p is the power and P(a, .) the regularized lower incomplete gamma
    function.

    Args:
      eps: standard-normal noise; any shape that broadcasts with the power. In [-6, 6] for float32
        and [-8.5, 8.5] for float64; NaN outside, except that -inf and inf give themselves.
      power: p, at least 1/8. 1 is the Laplace distribution and 2 a normal one of variance 1/2; the
        limit for large p is uniform on [-1, 1].

    Returns:
      The variates, of the broadcast shape and the common dtype; odd in eps. Relative errors are
      below 4 eps (1 + condition number) in float32 and 1e-11 in float64, but up to 2% in float32
      for powers below 1 and |eps| below 1e-15. NaN if the power is below 1/8. Derivatives exist in
      both arguments as far as the function has them: at eps = 0 the second one in eps exists for
      powers above 1, and is 0.

    Raises:
      TypeError: the common dtype is neither float32 nor float64.
      ValueError: the shapes do not broadcast.

    Example:
      >>> z = generalized_normal_from_normal(jnp.array([-1.0, 0.0, 1.0]), 2.0)  # eps / sqrt(2)
      >>> [round(float(v), 4) + 0.0 for v in z]
      [-0.7071, 0.0, 0.7071]
    """
    return _generalized_normal(*as_floats("generalized_normal_from_normal", eps, power))


def normal_from_generalized_normal(z: ArrayLike, power: ArrayLike) -> Array:
    """Computes the noise from which `generalized_normal_from_normal` makes z: its inverse.

        eps with Phi(eps) = (1 + sign(z) P(1 / p, |z|^p)) / 2

    Args:
      z: any real number; any shape that broadcasts with the power.
      power: as in `generalized_normal_from_normal`.

    Returns:
      The noise, of the broadcast shape and the common dtype; odd in z, accurate to rounding near 0
      and in the tails.

    Raises:
      TypeError: the common dtype is neither float32 nor float64.
      ValueError: the shapes do not broadcast.

    Example:
      >>> z = generalized_normal_from_normal(0.5, 3.0)
      >>> round(float(normal_from_generalized_normal(z, 3.0)), 4)
      0.5
    """
    return _normal(*as_floats("normal_from_generalized_normal", z, power))


def _half_normal_cdf(eps: Array) -> tuple[Array, Array]:
    """P = erf(|eps| / sqrt 2) for eps >= 0, and its logarithm, which has derivatives."""
    far = eps > 1
    near = jax.lax.erf(math.sqrt(0.5) * jnp.where(far, 1.0, eps))
    log_rest = math.log(2) + log_ndtr(-jnp.where(far, eps, 1.0))
    # Far below any noise that is drawn. The square of its inverse does not overflow.
    least = float(jnp.finfo(eps.dtype).tiny) ** 0.4
    log_near = jnp.log(jnp.where(near > least, near, least))
    return (
        jnp.where(far, -jnp.expm1(log_rest), near),
        jnp.where(far, jnp.log1p(-jnp.exp(log_rest)), log_near),
    )


def _size_from_normal(eps: Array, p: Array) -> Array:
    """z for eps >= 0."""
    a = 1 / p
    share, log_share = _half_normal_cdf(eps)
    x = -p * log_share
    v, m = jnp.exp(-x), minus_log_complement(x)
    low = v < 0.5
    series = log1p_over(-jnp.where(low, v, 0.0))
    log_growth = jnp.log(jnp.where(low, series, m / jnp.where(low, 1.0, v)))
    return share * jnp.exp(a * (log_growth + log_growth_of_mass(m, a)))


@with_forward_derivatives
def _generalized_normal(eps: Array, p: Array) -> Array:
    eps, p = jnp.broadcast_arrays(eps, p)
    bound = select_by_dtype(eps, NOISE_BOUND_FLOAT32, NOISE_BOUND_FLOAT64)
    valid = (p >= _LEAST_POWER) & (p < jnp.inf)
    inside = valid & (eps <= bound) & (eps >= -bound)
    e = jnp.where(inside, eps, 0.0)
    size = _size_from_normal(jnp.where(e < 0, -e, e), jnp.where(inside, p, 1.0))
    z = jnp.where(e < 0, -size, size)
    beyond = jnp.where(valid & (jnp.abs(eps) == jnp.inf), eps, jnp.nan)
    return jnp.where(inside, z, beyond)


# P(a, x) = x^a / Gamma(1 + a) sum_k (-x)^k / (k! (1 + k / a)), DLMF 8.7.1: for x < 1/4 cut where
# the next term is below rounding.
_SERIES = 12


def _normal_from_size(z: Array, p: Array) -> Array:
    """eps for z >= 0."""
    a = 1 / p
    least = float(jnp.finfo(z.dtype).tiny)
    x = jnp.where(z > least, jnp.exp(p * jnp.log(jnp.where(z > least, z, 1.0))), 0.0)
    near = x < 0.25
    small = jnp.where(near, x, 0.0)
    total = term = jnp.ones_like(x)
    for k in range(1, select_by_dtype(x, 7, _SERIES)):
        term = term * (-small / k)
        total = total + term / (1 + k * p)
    series = jnp.where(near, z, 0.5) * jnp.exp(-jax.lax.lgamma(1 + a)) * total
    _, lower, upper = gamma_tails(a, jnp.where(near, 1.0, x))
    central = near | (lower < -math.log(2))
    share = jnp.where(near, series, jnp.exp(jnp.where(central, lower, -1.0)))
    middle = math.sqrt(2) * jax.lax.erf_inv(jnp.where(central, share, 0.5))
    outer = -ndtri_exp(jnp.where(central, -1.0, upper) - math.log(2))
    return jnp.where(central, middle, outer)


@with_forward_derivatives
def _normal(z: Array, p: Array) -> Array:
    z, p = jnp.broadcast_arrays(z, p)
    valid = (p >= _LEAST_POWER) & (p < jnp.inf)
    inside = valid & (jnp.abs(z) < jnp.inf)
    size = _normal_from_size(
        jnp.where(inside, jnp.where(z < 0, -z, z), 0.0), jnp.where(valid, p, 1.0)
    )
    eps = jnp.where(z < 0, -size, size)
    return jnp.where(valid, jnp.where(inside, eps, z), jnp.nan)
