"""The beta distribution: variates from normal noise, as logits, the inverse, and the log CDF.

In float32 `logit_beta_from_normal` is a fit (`repara.special.beta_fit`). In float64, and for all
other functions, a tail is integrated (`repara.special.beta_integral`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from repara.special.beta_fit import logit_beta_from_normal_by_fit
from repara.special.beta_integral import log_beta_tails, solve_logit
from repara.special.elementary import log1p, sigmoid
from repara.special.elementwise import as_floats, select_by_dtype, with_forward_derivatives
from repara.special.normal import ndtri_exp

__all__ = [
    "beta_from_normal",
    "far_logit_beta_from_normal",
    "log_betainc",
    "logit_beta_from_normal",
    "normal_from_beta",
]

# Smaller blocks than elsewhere: the integration makes some 80 arrays.
_with_small_blocks = functools.partial(with_forward_derivatives, block=320_000)


def logit_beta_from_normal(
    eps: ArrayLike, concentration1: ArrayLike, concentration0: ArrayLike
) -> Array:
    """Computes the logit of a beta variate from standard-normal noise, by inversion of the CDF.

        y = log z - log(1 - z),  I_z(a, b) = Phi(eps),  dy/da = -(dF/da) / p(y)

    Here a and b are the concentrations, I is the regularized incomplete beta function, F the CDF of
    y and p its density. log z is -softplus(-y) and log(1 - z) is -softplus(y): neither is lost if z
    rounds to 0 or 1.

    Args:
      eps: standard-normal noise; any shape that broadcasts with the concentrations. In float32
        [-6, 6], a range that no normal generator of that precision leaves; NaN outside. -inf and
        inf give -inf and inf.
      concentration1: a, the power of z; from 1e-2 to 1e5 in float64, any in float32 (checked from
        1e-6 to 3e6).
      concentration0: b, the power of 1 - z; like concentration1.

    Returns:
      The logits, of the broadcast shape and the common dtype. Absolute errors are below 4 eps
      (1 + condition number) or 3e-6 in float32, and below 1e-11 in float64. NaN if a concentration
      is not positive, or in float64 if it is so far out of range that no value is found.
      Derivatives exist in all arguments and are accurate up to the second order.

    Raises:
      TypeError: the common dtype is neither float32 nor float64.
      ValueError: the shapes do not broadcast.

    References:
      Figurnov, Mohamed and Mnih (2018), "Implicit reparameterization gradients", equation 5, for
      the derivatives, https://arxiv.org/abs/1805.08498

    Example:
      >>> y = logit_beta_from_normal(jnp.array([-1.0, 0.0, 1.0]), 1.0, 1.0)  # logit Phi(eps)
      >>> [round(float(v), 3) + 0.0 for v in y]
      [-1.668, 0.0, 1.668]
    """
    arguments = as_floats("logit_beta_from_normal", eps, concentration1, concentration0)
    return _logit_from_normal(*arguments)


def far_logit_beta_from_normal(
    eps: ArrayLike, concentration1: ArrayLike, concentration0: ArrayLike
) -> Array:
    """Computes `logit_beta_from_normal` for noise of any size, also in float32.

    The tail is integrated, which takes about five times as long as the fit.

    Args:
      eps: of any size; as in `logit_beta_from_normal`.
      concentration1: as in `logit_beta_from_normal`; from 1e-2 to 1e5.
      concentration0: as in `logit_beta_from_normal`; from 1e-2 to 1e5.

    Returns:
      The logits, of the broadcast shape and the common dtype. Absolute errors in float32 are up to
      4e-5 if a concentration is below 0.05 and the mode of y is near.

    Raises:
      TypeError: the common dtype is neither float32 nor float64.
      ValueError: the shapes do not broadcast.

    Example:
      >>> round(float(far_logit_beta_from_normal(-12.0, 1.0, 1.0)), 2)  # log Phi(-12)
      -75.41
    """
    arguments = as_floats("far_logit_beta_from_normal", eps, concentration1, concentration0)
    return _by_integral(*arguments)


def beta_from_normal(eps: ArrayLike, concentration1: ArrayLike, concentration0: ArrayLike) -> Array:
    """Computes a beta variate from standard-normal noise, by inversion of its CDF.

        I_z(a, b) = Phi(eps)

    Args:
      eps: as in `logit_beta_from_normal`.
      concentration1: as in `logit_beta_from_normal`.
      concentration0: as in `logit_beta_from_normal`.

    Returns:
      The variates in [0, 1], of the broadcast shape and the common dtype. They are 0 or 1 if z
      rounds to that, which is common for small concentrations; use `logit_beta_from_normal` there.

    Raises:
      TypeError: the common dtype is neither float32 nor float64.
      ValueError: the shapes do not broadcast.

    Example:
      >>> round(float(beta_from_normal(0.5, 1.0, 1.0)), 4)  # Phi(1/2)
      0.6915
    """
    arguments = as_floats("beta_from_normal", eps, concentration1, concentration0)
    value: Array = _from_normal(*arguments)
    return value


def log_betainc(concentration1: ArrayLike, concentration0: ArrayLike, x: ArrayLike) -> Array:
    """Computes the logarithm of the regularized incomplete beta function: the beta log CDF.

        log I_x(a, b),  I_x(a, b) = 1/B(a, b) integral_0^x t^(a-1) (1-t)^(b-1) dt

    The upper tail is I_{1-x}(b, a): `log_betainc(b, a, 1 - x)`.

    Args:
      concentration1: a, from 1e-2 to 1e5; any shape that broadcasts with x.
      concentration0: b, from 1e-2 to 1e5.
      x: in [0, 1]; 0 gives -inf, 1 gives 0.

    Returns:
      The values, of the broadcast shape and the common dtype, accurate to rounding, also if I
      underflows. NaN if an argument is out of range. Derivatives exist in all arguments.

    Raises:
      TypeError: the common dtype is neither float32 nor float64.
      ValueError: the shapes do not broadcast.

    References:
      DLMF 8.17.2, https://dlmf.nist.gov/8.17.E2

    Example:
      >>> round(float(log_betainc(2.0, 1.0, 0.5)), 5)  # log(1/4)
      -1.38629
    """
    return _log_lower_tail(*as_floats("log_betainc", concentration1, concentration0, x))


def normal_from_beta(y: ArrayLike, concentration1: ArrayLike, concentration0: ArrayLike) -> Array:
    """Computes the noise from which `logit_beta_from_normal` makes y: its inverse in eps.

        eps with Phi(eps) = I_z(a, b),  y = log z - log(1 - z)

    Args:
      y: the logit of a beta variate; any shape that broadcasts with the concentrations.
      concentration1: as in `logit_beta_from_normal`.
      concentration0: as in `logit_beta_from_normal`.

    Returns:
      The noise, of the broadcast shape and the common dtype; -inf and inf at -inf and inf.
      Derivatives exist in all arguments.

    Raises:
      TypeError: the common dtype is neither float32 nor float64.
      ValueError: the shapes do not broadcast.

    Example:
      >>> round(float(normal_from_beta(logit_beta_from_normal(0.5, 3.0, 2.0), 3.0, 2.0)), 4)
      0.5
    """
    return _normal_from_beta(*as_floats("normal_from_beta", y, concentration1, concentration0))


class _Guarded(NamedTuple):
    """Arguments with harmless values in place of invalid ones."""

    valid: Array  # both concentrations were positive and finite
    x: Array  # 0 if anything was invalid or infinite
    a: Array  # 1 likewise
    b: Array  # 1 likewise


def _guard(x: Array, a: Array, b: Array) -> _Guarded:
    valid = (a > 0) & (a < jnp.inf) & (b > 0) & (b < jnp.inf)
    inside = valid & (jnp.abs(x) < jnp.inf)
    one = jnp.ones_like(a)
    return _Guarded(
        valid, jnp.where(inside, x, 0.0), jnp.where(inside, a, one), jnp.where(inside, b, one)
    )


def _extended(
    logit: Callable[[Array, Array, Array], Array], eps: Array, a: Array, b: Array
) -> Array:
    """`logit` with its values for infinite noise, and NaN for invalid concentrations."""
    eps, a, b = jnp.broadcast_arrays(eps, a, b)
    safe = _guard(eps, a, b)
    y = jnp.where(jnp.abs(eps) < jnp.inf, logit(safe.x, safe.a, safe.b), eps)
    return jnp.where(safe.valid, y, jnp.nan)


_by_fit = with_forward_derivatives(functools.partial(_extended, logit_beta_from_normal_by_fit))
_by_integral = _with_small_blocks(functools.partial(_extended, solve_logit))


def _logit_from_normal(eps: Array, a: Array, b: Array) -> Array:
    return select_by_dtype(eps, _by_fit, _by_integral)(eps, a, b)


# The sigmoid is outside of what is computed together with the derivatives: inside, it would be
# computed in the loop of each of them.
@jax.jit
def _from_normal(eps: Array, a: Array, b: Array) -> Array:
    return sigmoid(_logit_from_normal(eps, a, b))


@_with_small_blocks
def _log_lower_tail(a: Array, b: Array, x: Array) -> Array:
    a, b, x = jnp.broadcast_arrays(a, b, x)
    valid = (a > 0) & (a < jnp.inf) & (b > 0) & (b < jnp.inf)
    inside = valid & (x > 0) & (x < 1)
    x_safe = jnp.where(inside, x, 0.5)
    y = jnp.log(x_safe) - log1p(-x_safe)
    lower, _ = log_beta_tails(y, jnp.where(inside, a, 1.0), jnp.where(inside, b, 1.0))
    value = jnp.where(inside, lower, jnp.nan)
    value = jnp.where(valid & (x == 0), -jnp.inf, value)
    return jnp.where(valid & (x == 1), 0.0, value)


@_with_small_blocks
def _normal_from_beta(y: Array, a: Array, b: Array) -> Array:
    y, a, b = jnp.broadcast_arrays(y, a, b)
    safe = _guard(y, a, b)
    lower, upper = log_beta_tails(safe.x, safe.a, safe.b)
    left = lower < upper
    eps = ndtri_exp(jnp.where(left, lower, upper))
    eps = jnp.where(left, eps, -eps)
    return jnp.where(safe.valid, jnp.where(jnp.abs(y) < jnp.inf, eps, y), jnp.nan)
