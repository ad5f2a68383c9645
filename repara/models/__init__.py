"""Flax (Linen) modules that map arrays to distributions; the only folder that imports flax."""

from repara.models.flows import (
    FLOWS,
    AutoregressiveFlow,
    CouplingFlow,
    PlanarFlow,
    SplineFlow,
)
from repara.models.hierarchy import Conditional, Hierarchical, TwoLayerHead
from repara.models.likelihoods import LIKELIHOODS, Likelihood
from repara.models.networks import ACTIVATIONS, ConvDecoder, ConvEncoder, MLPDecoder, MLPEncoder
from repara.models.posteriors import (
    POSTERIORS,
    PosteriorFamily,
    Relaxation,
    centre,
    posterior_mean,
    prior_grid,
)
from repara.models.priors import FlowPrior, MixturePrior, VampPrior
from repara.models.vae import VAE, PosteriorHead

__all__ = [
    "ACTIVATIONS",
    "FLOWS",
    "LIKELIHOODS",
    "POSTERIORS",
    "VAE",
    "AutoregressiveFlow",
    "Conditional",
    "ConvDecoder",
    "ConvEncoder",
    "CouplingFlow",
    "FlowPrior",
    "Hierarchical",
    "Likelihood",
    "MLPDecoder",
    "MLPEncoder",
    "MixturePrior",
    "PlanarFlow",
    "PosteriorFamily",
    "PosteriorHead",
    "Relaxation",
    "SplineFlow",
    "TwoLayerHead",
    "VampPrior",
    "centre",
    "posterior_mean",
    "prior_grid",
]
