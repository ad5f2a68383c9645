"""Monotone rational-quadratic splines with linear tails."""

import math

import jax
import jax.numpy as jnp

from repara.special.elementary import softplus

__all__ = ["rational_quadratic", "rational_quadratic_inverse"]

# Durkan et al. (2019), "Neural spline flows", section 3.1 and their program: standard-normal values
# are nearly all inside; bins and slopes that neither vanish nor overflow in float32.
_BOUND = 5.0
_LEAST_BIN = 1e-3
_LEAST_SLOPE = 1e-3
# softplus of it is 1 - _LEAST_SLOPE: slopes of one at zero parameters.
_UNIT_SLOPE = math.log(math.expm1(1 - _LEAST_SLOPE))


def _edges(raw: jax.Array) -> jax.Array:
    """K + 1 increasing numbers from -B to B, the ends exactly."""
    k = raw.shape[-1]
    share = _LEAST_BIN + (1 - k * _LEAST_BIN) * jax.nn.softmax(raw, axis=-1)
    inner = _BOUND * (2 * jnp.cumsum(share, axis=-1)[..., :-1] - 1)
    end = jnp.full_like(inner[..., :1], _BOUND)
    return jnp.concatenate([-end, inner, end], axis=-1)


def _knots(raw: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Abscissae, ordinates and slopes at the K + 1 knots, from 3 K - 1 parameters."""
    k = (raw.shape[-1] + 1) // 3
    one = jnp.ones_like(raw[..., :1])
    slopes = _LEAST_SLOPE + softplus(raw[..., 2 * k :] + _UNIT_SLOPE)
    # Slopes of one at the ends, where the identity begins.
    slopes = jnp.concatenate([one, slopes, one], axis=-1)
    return _edges(raw[..., :k]), _edges(raw[..., k : 2 * k]), slopes


def _bin(x: jax.Array, edges: jax.Array, *knots: jax.Array) -> list[jax.Array]:
    """For each of the knots' values those at the left and at the right end of the bin of x."""
    inside = (x[..., None] >= edges[..., :-1]) & (x[..., None] < edges[..., 1:])

    def pick(values: jax.Array) -> jax.Array:
        return jnp.sum(jnp.where(inside, values, 0), axis=-1)

    return [pick(end) for v in knots for end in (v[..., :-1], v[..., 1:])]


def _piece(
    x: jax.Array, x0: jax.Array, x1: jax.Array, y0: jax.Array, y1: jax.Array, d0: jax.Array,
    d1: jax.Array,
) -> tuple[jax.Array, jax.Array]:  # fmt: skip
    """Value and log-slope in one bin; every sum is of positive terms."""
    width, height = x1 - x0, y1 - y0
    s = height / width
    t = (x - x0) / width
    rest = (x1 - x) / width
    both = t * rest
    # s + (d0 + d1 - 2 s) t (1 - t), with t^2 + (1 - t)^2 for 1 - 2 t (1 - t).
    below = s * (t * t + rest * rest) + (d0 + d1) * both
    y = y0 + height * (s * t * t + d0 * both) / below
    slope = d1 * t * t + 2 * s * both + d0 * rest * rest
    return y, 2 * jnp.log(s / below) + jnp.log(slope)


def rational_quadratic(x: jax.Array, raw: jax.Array) -> tuple[jax.Array, jax.Array]:
    """A monotone spline of rational-quadratic pieces on [-5, 5], the identity outside.

        y = y_k + h (s t^2 + d_k t (1 - t)) / (s + (d_k + d_(k+1) - 2 s) t (1 - t))

    in bin k, with t the place of x in it, h its height, s the mean slope and d the slopes at knots.

    Args:
      x: numbers, `[...]`.
      raw: parameters of bins and slopes, `[..., 3 K - 1]`; zeros make it the identity.

    Returns:
      y and log dy/dx, each `[...]`.

    Source:
      Gregory & Delbourgo (1982), "Piecewise rational quadratic interpolation to monotonic data";
      Durkan et al. (2019), "Neural spline flows", section 3.1.

    Example:
      >>> y, log_slope = rational_quadratic(jnp.array([0.3, 7.0]), jnp.zeros((1, 8)))
      >>> [round(float(v), 4) for v in y]
      [0.3, 7.0]
    """
    inside = jnp.abs(x) < _BOUND
    x_knots, y_knots, slopes = _knots(raw)
    safe = jnp.where(inside, x, 0.0)
    y, log_slope = _piece(safe, *_bin(safe, x_knots, x_knots, y_knots, slopes))
    return jnp.where(inside, y, x), jnp.where(inside, log_slope, 0.0)


def rational_quadratic_inverse(y: jax.Array, raw: jax.Array) -> jax.Array:
    """The x of which `rational_quadratic` gives y.

        a t^2 + b t + c = 0,   a = h (s - d_k) + (y - y_k) e,   b = h d_k - (y - y_k) e,
        c = -s (y - y_k),      e = d_k + d_(k+1) - 2 s

    The root is that of the quadratic in the form that does not cancel; its derivatives are those of
    the inverse map and not those of the root, whose square root has none where it is zero.

    Args:
      y: numbers, `[...]`.
      raw: parameters, `[..., 3 K - 1]`.

    Returns:
      x, `[...]`; differentiable in both arguments, right to the third order.

    Source:
      Durkan et al. (2019), "Neural spline flows", section 3.1 and appendix A.

    Example:
      >>> raw = jnp.arange(8.0)
      >>> x = jnp.float32(0.3)
      >>> round(float(rational_quadratic_inverse(rational_quadratic(x, raw)[0], raw)), 4)
      0.3
    """
    inside = jnp.abs(y) < _BOUND
    x_knots, y_knots, slopes = _knots(raw)
    safe = jnp.where(inside, y, 0.0)
    ends = _bin(safe, y_knots, x_knots, y_knots, slopes)
    x0, x1, y0, y1, d0, d1 = ends
    s, part = (y1 - y0) / (x1 - x0), (safe - y0) / (y1 - y0)
    bend = part * (d0 + d1 - 2 * s)
    a, b, c = s - d0 + bend, d0 - bend, -s * part
    root = jnp.sqrt(jnp.maximum(b * b - 4 * a * c, 0))
    # For b < 0 a is above s, for b >= 0 the sum b + root is positive unless y is y_k and d_k 0.
    positive = b >= 0
    t = jnp.where(
        positive,
        -2 * c / jnp.where(positive, b + root, 1.0),
        (root - b) / jnp.where(positive, 1.0, 2 * a),
    )
    x = jax.lax.stop_gradient(x0 + jnp.clip(t, 0, 1) * (x1 - x0))
    # The first step of Newton's method takes off what rounding left, the next two give derivatives
    # of three orders.
    for i in range(3):
        value, log_slope = _piece(x, *ends)
        step = (safe - value) * jnp.exp(-log_slope)
        x = x + step if i == 0 else x + (step - jax.lax.stop_gradient(step))
        if i == 0:
            x = jax.lax.stop_gradient(jnp.clip(x, x0, x1))
    return jnp.where(inside, x, y)
