"""The model: its networks, and its bound terms for a batch at given parameters."""

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from experiments.vae.images import Batch, Inputs
from experiments.vae.latents import BoundTerms, Latents
from repara.distributions import Distribution
from repara.models import VAE, ConvDecoder, ConvEncoder, MLPDecoder, MLPEncoder
from repara.objectives import LogLikelihood

__all__ = ["ROWS_PER_DECODER_CALL", "Model", "convolutional_networks", "mlp_networks"]

ROWS_PER_DECODER_CALL = 5000
"""Rows of one decoder call in evaluation: large enough for the matrix products, small enough that
the activations stay in the cache of a core."""

Activation = Callable[[jax.Array], jax.Array]
Networks = tuple[nn.Module, nn.Module]


def mlp_networks(
    image_shape: tuple[int, int, int],
    output_bias: np.ndarray,
    hidden_sizes: tuple[int, ...],
    activation: Activation,
) -> Networks:
    """Returns an encoder and a decoder of dense layers.

    Args:
      image_shape: (H, W, C).
      output_bias: the initial bias of the decoder's outputs, [H, W, C].
      hidden_sizes: the widths of the encoder; the decoder has them in reverse order.
      activation: of the hidden layers.
    """
    decoder = MLPDecoder(hidden_sizes[::-1], image_shape, output_bias, activation)
    return MLPEncoder(hidden_sizes, activation), decoder


def convolutional_networks(
    image_shape: tuple[int, int, int],
    output_bias: np.ndarray,
    channels: int,
    dense_size: int,
    activation: Activation,
) -> Networks:
    """Returns a convolutional encoder and decoder.

    Args:
      image_shape: (H, W, C).
      output_bias: the initial bias of the decoder's outputs, [H, W, C].
      channels: the channels of the first convolution.
      dense_size: the width of the dense layer.
      activation: of the hidden layers.
    """
    decoder = ConvDecoder(image_shape, output_bias, channels, dense_size, activation)
    return ConvEncoder(channels, dense_size, activation), decoder


@dataclasses.dataclass(frozen=True)
class Model:
    """A variational autoencoder with its inputs and its latents.

    Attributes:
      module: the Flax module, without parameters.
      inputs: how images reach it.
      latents: what is known of its latents.
    """

    module: VAE
    inputs: Inputs
    latents: Latents

    def init(self, key: jax.Array, image_shape: tuple[int, ...]) -> Any:
        """Draws the initial parameters.

        Args:
          key: a typed key; consumed.
          image_shape: (H, W, C) of the stored images, with the channel of labels if there is one.

        Returns:
          The variables of the module.
        """
        channels = image_shape[-1] - bool(self.inputs.num_classes)
        images = jnp.zeros((1, *image_shape[:-1], channels))
        labels = jnp.zeros((1, self.inputs.num_classes)) if self.inputs.num_classes else None
        return jax.jit(self.module.init)(key, images, *Batch(images, labels).conditions)

    def encode(self, params: Any, batch: Batch) -> Distribution:
        """Returns q(z | x) for a batch, batch shape [B]."""
        return self._apply(params, batch.images, *batch.conditions, method="encode")

    def prior(self, params: Any) -> Distribution:
        """Returns p(z), batch shape []."""
        return self._apply(params, method="prior")

    def decode(self, params: Any, z: jax.Array, *labels: jax.Array) -> Distribution:
        """Returns p(x | z) for latents [..., *event] and, for a model with labels, their labels."""
        return self._apply(params, z, *labels, method="decode")

    def mean_images(self, params: Any, z: jax.Array, *labels: jax.Array) -> jax.Array:
        """Returns the mean images [..., H, W, C] in [0, 1] for latents [..., *event]."""
        return self._apply(params, z, *labels, method="picture")

    def log_likelihood(self, params: Any, batch: Batch) -> LogLikelihood:
        """Returns the function from latents [K, B, *event] to log p(x | z), [K, B]."""
        target = self.module.likelihood.observe(batch.images)[None]
        return lambda z: self.decode(params, z, *batch.conditions).log_prob(target)

    def bound_terms(self, params: Any, batch: Batch) -> BoundTerms:
        """Returns the posterior, the prior and the log-likelihood of a batch.

        Args:
          params: the variables of the module.
          batch: the images and their labels.

        Returns:
          The terms that objectives and evaluation take.
        """
        return BoundTerms(
            self.encode(params, batch), self.prior(params), self.log_likelihood(params, batch)
        )

    def _apply(self, params: Any, *args: Any, method: str) -> Any:
        return self.module.apply(params, *args, method=method)
