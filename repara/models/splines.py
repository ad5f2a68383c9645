"""Monotone rational-quadratic splines with linear tails."""

import math

import jax
import jax.numpy as jnp

from repara.special.elementary import softplus

__all__ = ["rational_quadratic", "rational_quadratic_inverse"]

# Durkan et al. (2019), section 3.1, and their program: nearly all standard-normal values are inside
# the bound, and bins and derivatives are bounded away from 0 and infinity in float32.
_BOUND = 5.0
_MIN_BIN = 1e-3
_MIN_DERIVATIVE = 1e-3
# Its softplus is 1 - _MIN_DERIVATIVE, so that derivatives are 1 at zero parameters.
_UNIT_DERIVATIVE = math.log(math.expm1(1 - _MIN_DERIVATIVE))


def _edges(raw: jax.Array) -> jax.Array:
    """Returns K + 1 increasing numbers from -B to B, the ends exactly."""
    k = raw.shape[-1]
    width = _MIN_BIN + (1 - k * _MIN_BIN) * jax.nn.softmax(raw, axis=-1)
    inner = _BOUND * (2 * jnp.cumsum(width, axis=-1)[..., :-1] - 1)
    end = jnp.full_like(inner[..., :1], _BOUND)
    return jnp.concatenate([-end, inner, end], axis=-1)


def _knots(raw: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Returns x, y and dy/dx at the K + 1 knots, from 3 K - 1 parameters."""
    k = (raw.shape[-1] + 1) // 3
    one = jnp.ones_like(raw[..., :1])
    derivatives = _MIN_DERIVATIVE + softplus(raw[..., 2 * k :] + _UNIT_DERIVATIVE)
    # Derivatives of one at the ends, since outside it is the identity.
    derivatives = jnp.concatenate([one, derivatives, one], axis=-1)
    return _edges(raw[..., :k]), _edges(raw[..., k : 2 * k]), derivatives


def _bin(x: jax.Array, edges: jax.Array, *knots: jax.Array) -> list[jax.Array]:
    """Returns each quantity at the left and at the right end of the bin that x is in."""
    inside = (x[..., None] >= edges[..., :-1]) & (x[..., None] < edges[..., 1:])

    def pick(values: jax.Array) -> jax.Array:
        return jnp.sum(jnp.where(inside, values, 0), axis=-1)

    return [pick(end) for v in knots for end in (v[..., :-1], v[..., 1:])]


def _piece(
    x: jax.Array, x0: jax.Array, x1: jax.Array, y0: jax.Array, y1: jax.Array, d0: jax.Array,
    d1: jax.Array,
) -> tuple[jax.Array, jax.Array]:  # fmt: skip
    """Returns y and log dy/dx in one bin; every sum is of positive terms."""
    width, height = x1 - x0, y1 - y0
    s = height / width
    t = (x - x0) / width
    u = (x1 - x) / width  # 1 - t, without cancellation
    tu = t * u
    # s + (d0 + d1 - 2 s) t (1 - t), with t^2 + (1 - t)^2 in place of 1 - 2 t (1 - t).
    denominator = s * (t * t + u * u) + (d0 + d1) * tu
    y = y0 + height * (s * t * t + d0 * tu) / denominator
    numerator = d1 * t * t + 2 * s * tu + d0 * u * u
    return y, 2 * jnp.log(s / denominator) + jnp.log(numerator)


def rational_quadratic(x: jax.Array, raw: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns a monotone rational-quadratic spline on [-5, 5]; outside it is the identity.

        y = y_k + h (s t^2 + d_k t (1 - t)) / (s + (d_k + d_(k+1) - 2 s) t (1 - t))

    in bin k, with t in [0, 1] the position of x in the bin, h its height, s its mean derivative,
    and d the derivatives at the knots.

    Args:
      x: numbers, `[...]`.
      raw: parameters of bins and derivatives, `[..., 3 K - 1]`; at zero it is the identity.

    Returns:
      y and log dy/dx, each `[...]`.

    References:
      Gregory and Delbourgo (1982), "Piecewise Rational Quadratic Interpolation to Monotonic Data"

      Durkan et al. (2019), "Neural Spline Flows", section 3.1, https://arxiv.org/abs/1906.04032

    Example:
      >>> y, log_derivative = rational_quadratic(jnp.array([0.3, 7.0]), jnp.zeros((1, 8)))
      >>> [round(float(v), 4) for v in y]
      [0.3, 7.0]
    """
    inside = jnp.abs(x) < _BOUND
    x_knots, y_knots, derivatives = _knots(raw)
    safe = jnp.where(inside, x, 0.0)
    y, log_derivative = _piece(safe, *_bin(safe, x_knots, x_knots, y_knots, derivatives))
    return jnp.where(inside, y, x), jnp.where(inside, log_derivative, 0.0)


def rational_quadratic_inverse(y: jax.Array, raw: jax.Array) -> jax.Array:
    """Returns x with `rational_quadratic(x, raw)[0] = y`.

        a t^2 + b t + c = 0,   a = h (s - d_k) + (y - y_k) e,   b = h d_k - (y - y_k) e,
        c = -s (y - y_k),      e = d_k + d_(k+1) - 2 s

    in bin k. The root of the quadratic has the form that does not cancel. Derivatives are those of
    the inverse map, since the square root in the root has none at zero.

    Args:
      y: numbers, `[...]`.
      raw: parameters, `[..., 3 K - 1]`.

    Returns:
      x, `[...]`; differentiable in both arguments, up to the third order.

    References:
      Durkan et al. (2019), "Neural Spline Flows", section 3.1 and appendix A,
      https://arxiv.org/abs/1906.04032

    Example:
      >>> raw = jnp.arange(8.0)
      >>> x = jnp.float32(0.3)
      >>> round(float(rational_quadratic_inverse(rational_quadratic(x, raw)[0], raw)), 4)
      0.3
    """
    inside = jnp.abs(y) < _BOUND
    x_knots, y_knots, derivatives = _knots(raw)
    safe = jnp.where(inside, y, 0.0)
    ends = _bin(safe, y_knots, x_knots, y_knots, derivatives)
    x0, x1, y0, y1, d0, d1 = ends
    s, part = (y1 - y0) / (x1 - x0), (safe - y0) / (y1 - y0)
    curvature = part * (d0 + d1 - 2 * s)
    a, b, c = s - d0 + curvature, d0 - curvature, -s * part
    root = jnp.sqrt(jnp.maximum(b * b - 4 * a * c, 0))
    # If b < 0, a is greater than s > 0; if b >= 0, b + root is positive unless y = y_k and d_k = 0.
    positive = b >= 0
    t = jnp.where(
        positive,
        -2 * c / jnp.where(positive, b + root, 1.0),
        (root - b) / jnp.where(positive, 1.0, 2 * a),
    )
    x = jax.lax.stop_gradient(x0 + jnp.clip(t, 0, 1) * (x1 - x0))
    # The first Newton step removes the rounding error, the next two give derivatives up to the
    # third order.
    for i in range(3):
        value, log_derivative = _piece(x, *ends)
        step = (safe - value) * jnp.exp(-log_derivative)
        x = x + step if i == 0 else x + (step - jax.lax.stop_gradient(step))
        if i == 0:
            x = jax.lax.stop_gradient(jnp.clip(x, x0, x1))
    return jnp.where(inside, x, y)
