"""The steps of normalizing flows: bijectors from R^D to R^D, for `Transformed`.

The weights of their networks are leaves of the pytree. `Transformed.rsample_and_log_prob` uses the
forward map only. Inverses are exact, or solved to rounding, and have the derivatives of the inverse
map.
"""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp

from repara.distributions.base import Shape
from repara.distributions.pytree import pytree_dataclass
from repara.models.splines import rational_quadratic, rational_quadratic_inverse
from repara.special.elementary import softplus
from repara.special.implicit import quantile

__all__ = ["Autoregressive", "Coupling", "Layers", "Planar", "Reverse", "SplineCoupling"]


class _FlowStep:
    """A bijector from R^D onto R^D."""

    event_ndims: ClassVar[int] = 1
    onto_reals: ClassVar[bool] = True

    def forward_shape(self, shape: Shape) -> Shape:
        return shape


def _like(value: jax.Array, x: jax.Array) -> jax.Array:
    """Returns the value with leading axes of length one up to the rank of x."""
    return value.reshape((1,) * (x.ndim - value.ndim) + value.shape)


@pytree_dataclass
class Reverse(_FlowStep):
    """The coordinates in reverse order, so that the next layer changes the other ones.

        y_i = x_(D + 1 - i)

    Args:
      None.

    Example:
      >>> [float(v) for v in Reverse().forward(jnp.array([1.0, 2.0, 3.0]))]
      [3.0, 2.0, 1.0]
    """

    def forward(self, x: jax.Array) -> jax.Array:
        return x[..., ::-1]

    def inverse(self, y: jax.Array) -> jax.Array:
        return y[..., ::-1]

    def log_det(self, x: jax.Array) -> jax.Array:
        return jnp.zeros(x.shape[:-1], x.dtype)


# softplus(_UNIT) = 1.
_UNIT = math.log(math.e - 1)


@pytree_dataclass
class Planar(_FlowStep):
    """The planar map.

        y = x + v tanh(w . x + b),   v = u + (m(w . u) - w . u) w / |w|^2
        m(a) = softplus(a + log(e - 1)) - 1,   log |det| = log(1 + m (1 - tanh^2))

    m > -1 makes it one-to-one. Unlike m(a) = softplus(a) - 1 in the reference, it has m(0) = 0, so
    that v is bounded as w goes to zero. The inverse solves one equation for w . x by bisection.

    Args:
      u: the direction before its correction, `[..., D]`.
      w: the normal of the planes, `[..., D]`.
      b: the offset of the planes, `[...]`.

    References:
      Rezende and Mohamed (2015), "Variational Inference with Normalizing Flows", section 4.1 and
      appendix A.1, https://arxiv.org/abs/1505.05770

    Example:
      >>> planar = Planar(jnp.array([1.0, 0.0]), jnp.array([1.0, 1.0]), jnp.float32(0.0))
      >>> y = planar.forward(jnp.array([0.5, -0.5]))
      >>> [round(float(v), 4) for v in planar.inverse(y)]
      [0.5, -0.5]
    """

    u: jax.Array
    w: jax.Array
    b: jax.Array

    def _parts(self, x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        """Returns v, w, b and 1 + m."""
        u, w, b = _like(self.u, x), _like(self.w, x), _like(self.b, x[..., 0])
        dot = jnp.sum(w * u, axis=-1, keepdims=True)
        stretch = softplus(dot + _UNIT)
        square = jnp.sum(w * w, axis=-1, keepdims=True)
        zero = square == 0
        v = u + (stretch - 1 - dot) * w / jnp.where(zero, 1.0, square)
        return v, w, b, stretch[..., 0]

    def forward(self, x: jax.Array) -> jax.Array:
        v, w, b, _ = self._parts(x)
        return x + v * jnp.tanh(jnp.sum(w * x, axis=-1) + b)[..., None]

    def inverse(self, y: jax.Array) -> jax.Array:
        v, w, b, stretch = self._parts(y)
        target = jnp.sum(w * y, axis=-1) + b
        target, stretch = jnp.broadcast_arrays(target, stretch)
        # a + m tanh(a) = w . y + b at a = w . x + b: the left side is increasing in a, and a is
        # within |m| of the right side.
        radius = jax.lax.stop_gradient(jnp.abs(stretch - 1) + 1e-3 * (1 + jnp.abs(target)))
        a = quantile(
            _planar_height,
            _planar_log_derivative,
            None,
            stretch,
            target,
            target - radius,
            target + radius,
        )
        return y - v * jnp.tanh(a)[..., None]

    def log_det(self, x: jax.Array) -> jax.Array:
        _, w, b, stretch = self._parts(x)
        return _planar_log_derivative(jnp.sum(w * x, axis=-1) + b, stretch)


def _planar_height(a: jax.Array, stretch: jax.Array) -> jax.Array:
    """Returns a + m tanh(a), with 1 + m = `stretch`."""
    return a + (stretch - 1) * jnp.tanh(a)


def _planar_log_derivative(a: jax.Array, stretch: jax.Array) -> jax.Array:
    """Returns the log-derivative of `_planar_height` in a."""
    # Both terms are positive, so nothing cancels if the map is nearly flat.
    t = jnp.tanh(a)
    log_flat = 2 * (math.log(2) + a - softplus(2 * a))
    return jnp.log(t * t + stretch * jnp.exp(log_flat))


Layers = tuple[tuple[jax.Array, ...], tuple[jax.Array, ...]]
"""Kernels [I, O] and biases [..., O] of dense layers; the last one has no activation."""


def _dense(layers: Layers, x: jax.Array) -> jax.Array:
    """Applies dense layers with tanh between them."""
    kernels, biases = layers
    h = x
    for i, (kernel, bias) in enumerate(zip(kernels, biases, strict=True)):
        h = h @ kernel
        h = h + _like(bias, h)
        if i < len(kernels) - 1:
            h = jnp.tanh(h)
    return h


# The gate at zero weights is sigmoid(2) = 0.88. Kingma et al. (2016), section 4, use 1 or 2, so
# that a step starts close to the identity.
_GATE_BIAS = 2.0


@pytree_dataclass
class Autoregressive(_FlowStep):
    """The inverse autoregressive step.

        y_i = s_i x_i + (1 - s_i) m_i,   s = sigmoid(2 + g),   (m, g) = net(x)

    The network is masked (MADE): m_i and g_i depend on x_1 ... x_(i-1) only, so the Jacobian is
    triangular. The forward map needs one pass, the inverse D passes, one per coordinate.

    Args:
      layers: masked kernels and biases of the network from D to 2 D.

    References:
      Kingma et al. (2016), "Improving Variational Inference with Inverse Autoregressive Flow",
      algorithm 1, https://arxiv.org/abs/1606.04934

      Germain et al. (2015), "MADE: Masked Autoencoder for Distribution Estimation", for the masks,
      https://arxiv.org/abs/1502.03509

    Example:
      >>> net = ((jnp.array([[0.0, 1.0, 0.0, 0.5], [0.0] * 4]),), (jnp.zeros(4),))
      >>> step = Autoregressive(net)
      >>> x = jnp.array([1.0, 2.0])
      >>> [round(float(v), 4) for v in step.inverse(step.forward(x))]
      [1.0, 2.0]
    """

    layers: Layers

    def _gates(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        d = x.shape[-1]
        out = _dense(self.layers, x)
        return out[..., :d], out[..., d:] + _GATE_BIAS

    def forward(self, x: jax.Array) -> jax.Array:
        m, gate = self._gates(x)
        return jax.nn.sigmoid(gate) * x + jax.nn.sigmoid(-gate) * m

    def inverse(self, y: jax.Array) -> jax.Array:
        d = y.shape[-1]
        index = jnp.arange(d).reshape((1,) * (y.ndim - 1) + (d,))
        shape = jnp.broadcast_shapes(y.shape, *((*b.shape[:-1], 1) for b in self.layers[1]))
        y = jnp.broadcast_to(y, shape)

        def one(x: jax.Array, i: jax.Array) -> tuple[jax.Array, None]:
            m, gate = self._gates(x)
            value = (y - jax.nn.sigmoid(-gate) * m) / jax.nn.sigmoid(gate)
            # The remaining coordinates stay zero, as they have no value yet.
            return jnp.where(index == i, value, x), None

        return jax.lax.scan(one, jnp.zeros_like(y), jnp.arange(d))[0]

    def log_det(self, x: jax.Array) -> jax.Array:
        return jnp.sum(-softplus(-self._gates(x)[1]), axis=-1)


def _split(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns the first D // 2 coordinates and the others."""
    half = x.shape[-1] // 2
    return x[..., :half], x[..., half:]


def _join(first: jax.Array, second: jax.Array) -> jax.Array:
    """Concatenates coordinates; the batch shapes broadcast."""
    batch = jnp.broadcast_shapes(first.shape[:-1], second.shape[:-1])
    parts = [jnp.broadcast_to(p, (*batch, p.shape[-1])) for p in (first, second)]
    return jnp.concatenate(parts, axis=-1)


# Each layer scales by at most e^2, so that an inverse does not overflow.
_MAX_LOG_SCALE = 2.0


@pytree_dataclass
class Coupling(_FlowStep):
    """The affine coupling: a network of half of the coordinates scales and shifts the others.

        y_a = x_a,   y_b = exp(s) x_b + m,   (m, r) = net(x_a),   s = 2 tanh(r / 2)

    Args:
      layers: kernels and biases of the network from D // 2 to 2 (D - D // 2).

    References:
      Dinh, Sohl-Dickstein and Bengio (2017), "Density Estimation Using Real NVP", section 3.2,
      https://arxiv.org/abs/1605.08803

    Example:
      >>> step = Coupling(((jnp.array([[1.0, 0.5]]),), (jnp.zeros(2),)))
      >>> [round(float(v), 4) for v in step.inverse(step.forward(jnp.array([1.0, 2.0])))]
      [1.0, 2.0]
    """

    layers: Layers

    def _parameters(self, first: jax.Array) -> tuple[jax.Array, jax.Array]:
        out = _dense(self.layers, first)
        m, r = jnp.split(out, 2, axis=-1)
        return m, _MAX_LOG_SCALE * jnp.tanh(r / _MAX_LOG_SCALE)

    def forward(self, x: jax.Array) -> jax.Array:
        first, second = _split(x)
        m, s = self._parameters(first)
        return _join(first, jnp.exp(s) * second + m)

    def inverse(self, y: jax.Array) -> jax.Array:
        first, second = _split(y)
        m, s = self._parameters(first)
        return _join(first, jnp.exp(-s) * (second - m))

    def log_det(self, x: jax.Array) -> jax.Array:
        return jnp.sum(self._parameters(_split(x)[0])[1], axis=-1)


@pytree_dataclass
class SplineCoupling(_FlowStep):
    """The coupling with monotone rational-quadratic splines.

        y_a = x_a,   y_b = spline(x_b; net(x_a)) on [-B, B], the identity outside

    Args:
      layers: kernels and biases of the network from D // 2 to 3 K - 1 outputs for each of the other
        coordinates, with K the number of bins.

    References:
      Durkan et al. (2019), "Neural Spline Flows", section 3.1, https://arxiv.org/abs/1906.04032

    Example:
      >>> step = SplineCoupling(((jnp.full((1, 5), 0.5),), (jnp.arange(5.0),)))
      >>> [round(float(v), 4) for v in step.inverse(step.forward(jnp.array([1.0, 0.3])))]
      [1.0, 0.3]
    """

    layers: Layers

    def _parameters(self, first: jax.Array, count: int) -> jax.Array:
        out = _dense(self.layers, first)
        return out.reshape(*out.shape[:-1], count, -1)

    def forward(self, x: jax.Array) -> jax.Array:
        first, second = _split(x)
        raw = self._parameters(first, second.shape[-1])
        return _join(first, rational_quadratic(second, raw)[0])

    def inverse(self, y: jax.Array) -> jax.Array:
        first, second = _split(y)
        raw = self._parameters(first, second.shape[-1])
        return _join(first, rational_quadratic_inverse(second, raw))

    def log_det(self, x: jax.Array) -> jax.Array:
        first, second = _split(x)
        raw = self._parameters(first, second.shape[-1])
        return jnp.sum(rational_quadratic(second, raw)[1], axis=-1)
