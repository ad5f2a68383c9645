"""Encoder and decoder networks: images to features, and latents to pixel outputs."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

__all__ = [
    "ACTIVATIONS",
    "ConvDecoder",
    "ConvEncoder",
    "MLPDecoder",
    "MLPEncoder",
    "dense",
    "hidden_layers",
]

Activation = Callable[[jax.Array], jax.Array]
"""An elementwise function."""

ACTIVATIONS: dict[str, Activation] = {
    "elu": nn.elu,
    "gelu": nn.gelu,
    "leaky_relu": nn.leaky_relu,
    "relu": nn.relu,
    "silu": nn.silu,
    "softplus": nn.softplus,
    "tanh": nn.tanh,
}
"""The activations by name."""

# Each of the two stages of a convolutional network halves the image.
_CONV_STRIDES = 2
_CONV_STAGES = 2


def dense(h: jax.Array, size: int, **options: Any) -> jax.Array:
    """Applies a dense layer to the last axis, inside the `__call__` of a compact module.

    The other axes are merged into one for the product: on a CPU the backward pass of a product with
    three axes (samples, images and features) takes twice as long as that of one with two.

    Args:
      h: inputs, [..., D].
      size: the number of outputs.
      **options: arguments of `flax.linen.Dense`.

    Returns:
      Outputs, [..., size].

    Example:
      >>> class Net(nn.Module):
      ...     @nn.compact
      ...     def __call__(self, h):
      ...         return dense(h, 8)
      >>> net = Net()
      >>> h = jnp.zeros((2, 3, 5))
      >>> net.apply(net.init(jax.random.key(0), h), h).shape
      (2, 3, 8)
    """
    rows = h.reshape(math.prod(h.shape[:-1]), h.shape[-1])
    return nn.Dense(size, **options)(rows).reshape(*h.shape[:-1], size)


def hidden_layers(h: jax.Array, sizes: Sequence[int], activation: Activation) -> jax.Array:
    """Applies dense layers with activations to the last axis, inside a compact module.

    Args:
      h: inputs, [..., D].
      sizes: the width of each layer.
      activation: applied after each layer.

    Returns:
      Features, [..., sizes[-1]].

    Example:
      >>> class Net(nn.Module):
      ...     @nn.compact
      ...     def __call__(self, h):
      ...         return hidden_layers(h, (8, 4), nn.tanh)
      >>> net = Net()
      >>> h = jnp.zeros((2, 3, 5))
      >>> net.apply(net.init(jax.random.key(0), h), h).shape
      (2, 3, 4)
    """
    for size in sizes:
        h = activation(dense(h, size))
    return h


class MLPEncoder(nn.Module):
    """Dense layers from an image to features.

    Attributes:
      hidden_sizes: the width of each layer.
      activation: applied after each layer.

    Example:
      >>> net = MLPEncoder((8,))
      >>> x = jnp.zeros((2, 4, 4, 1))
      >>> net.apply(net.init(jax.random.key(0), x), x).shape
      (2, 8)
    """

    hidden_sizes: Sequence[int]
    activation: Activation = nn.tanh

    @nn.compact
    def __call__(self, x: jax.Array, y: jax.Array | None = None) -> jax.Array:
        """Maps images [..., H, W, C], and labels [..., Y], to features [..., hidden_sizes[-1]]."""
        h = x.reshape(*x.shape[:-3], -1)
        if y is not None:
            h = jnp.concatenate([h, y], axis=-1)
        return hidden_layers(h, self.hidden_sizes, self.activation)


class MLPDecoder(nn.Module):
    """Dense layers from a latent to one output per pixel and channel.

    Attributes:
      hidden_sizes: the width of each hidden layer, starting at the latent.
      image_shape: (H, W, C).
      output_bias: the initial bias of the last layer, [H, W, C]; see `Likelihood.output_bias`.
      activation: applied after each hidden layer.

    Example:
      >>> net = MLPDecoder((8,), (4, 4, 1), np.zeros((4, 4, 1)))
      >>> z = jnp.zeros((2, 3))
      >>> net.apply(net.init(jax.random.key(0), z), z).shape
      (2, 4, 4, 1)
    """

    hidden_sizes: Sequence[int]
    image_shape: tuple[int, int, int]
    output_bias: Any
    activation: Activation = nn.tanh

    @nn.compact
    def __call__(self, z: jax.Array) -> jax.Array:
        """Maps latents [..., D] to pixel outputs [..., H, W, C]."""
        h = hidden_layers(z, self.hidden_sizes, self.activation)
        bias = np.asarray(self.output_bias, np.float32).reshape(-1)
        out = dense(h, math.prod(self.image_shape), bias_init=_constant(bias))
        return out.reshape(*z.shape[:-1], *self.image_shape)


class ConvEncoder(nn.Module):
    """Two strided convolutions and a dense layer from an image to features.

    Attributes:
      channels: the channels of the first convolution; the second has twice as many.
      features: the width of the dense layer.
      activation: applied after each layer.

    Example:
      >>> net = ConvEncoder(4, 8)
      >>> x = jnp.zeros((2, 7, 5, 1))
      >>> net.apply(net.init(jax.random.key(0), x), x).shape
      (2, 8)
    """

    channels: int = 32
    features: int = 256
    activation: Activation = nn.relu

    @nn.compact
    def __call__(self, x: jax.Array, y: jax.Array | None = None) -> jax.Array:
        """Maps images [..., H, W, C], and labels [..., Y], to features [..., features]."""
        h = x.reshape(-1, *x.shape[-3:])
        for stage in range(_CONV_STAGES):
            h = nn.Conv(self.channels * 2**stage, (4, 4), strides=_CONV_STRIDES)(h)
            h = self.activation(h)
        h = h.reshape(*x.shape[:-3], -1)
        if y is not None:
            h = jnp.concatenate([h, y], axis=-1)
        return self.activation(dense(h, self.features))


class ConvDecoder(nn.Module):
    """Dense layers and two transposed convolutions from a latent to one output per pixel.

    Attributes:
      image_shape: (H, W, C); if a side is not a multiple of four, the output is cropped from the
        next multiple.
      output_bias: the initial bias of each pixel and channel, [H, W, C]; see
        `Likelihood.output_bias`.
      channels: as in `ConvEncoder`, in reverse order.
      features: the width of the dense layer.
      activation: applied after each hidden layer.

    Example:
      >>> net = ConvDecoder((7, 5, 1), np.zeros((7, 5, 1)), 4, 8)
      >>> z = jnp.zeros((2, 3))
      >>> net.apply(net.init(jax.random.key(0), z), z).shape
      (2, 7, 5, 1)
    """

    image_shape: tuple[int, int, int]
    output_bias: Any
    channels: int = 32
    features: int = 256
    activation: Activation = nn.relu

    @nn.compact
    def __call__(self, z: jax.Array) -> jax.Array:
        """Maps latents [..., D] to pixel outputs [..., H, W, C]."""
        height, width, depth = self.image_shape
        factor = _CONV_STRIDES**_CONV_STAGES
        rows, columns = -(-height // factor), -(-width // factor)
        channels = self.channels * 2 ** (_CONV_STAGES - 1)
        h = self.activation(nn.Dense(self.features)(z.reshape(-1, z.shape[-1])))
        h = self.activation(nn.Dense(rows * columns * channels)(h))
        h = h.reshape(-1, rows, columns, channels)
        for _ in range(_CONV_STAGES - 1):
            channels //= 2
            h = nn.ConvTranspose(channels, (4, 4), strides=(_CONV_STRIDES, _CONV_STRIDES))(h)
            h = self.activation(h)
        strides = (_CONV_STRIDES, _CONV_STRIDES)
        out = nn.ConvTranspose(depth, (4, 4), strides=strides, use_bias=False)(h)
        out = out[:, :height, :width]
        bias = np.asarray(self.output_bias, np.float32).reshape(self.image_shape)
        out = out + self.param("output_bias", _constant(bias), self.image_shape)[None]
        return out.reshape(*z.shape[:-1], *self.image_shape)


def _constant(value: np.ndarray) -> Callable[..., jax.Array]:
    """Returns an initializer with this value."""

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = jnp.float32) -> jax.Array:
        del key
        return jnp.asarray(value, dtype).reshape(tuple(shape))

    return init
