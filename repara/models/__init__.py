"""Flax (Linen) modules that map arrays to distributions; the only folder that imports flax."""

from repara.models.likelihoods import LIKELIHOODS, Likelihood
from repara.models.networks import ACTIVATIONS, ConvDecoder, ConvEncoder, MLPDecoder, MLPEncoder
from repara.models.vae import VAE, PosteriorHead

__all__ = [
    "ACTIVATIONS",
    "LIKELIHOODS",
    "VAE",
    "ConvDecoder",
    "ConvEncoder",
    "Likelihood",
    "MLPDecoder",
    "MLPEncoder",
    "PosteriorHead",
]
