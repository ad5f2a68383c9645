"""Flax (Linen) modules that map arrays to distributions.

This is the only folder that imports flax.linen.
"""

from repara.models.centers import center, posterior_mean, prior_grid
from repara.models.flow_steps import (
    Autoregressive,
    Coupling,
    Planar,
    Reverse,
    SplineCoupling,
)
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
from repara.models.posteriors import POSTERIORS, PosteriorFamily, Relaxation
from repara.models.priors import FlowPrior, MixturePrior, VampPrior
from repara.models.splines import rational_quadratic, rational_quadratic_inverse
from repara.models.vae import VAE, PosteriorHead

__all__ = [
    "ACTIVATIONS",
    "FLOWS",
    "LIKELIHOODS",
    "POSTERIORS",
    "VAE",
    "Autoregressive",
    "AutoregressiveFlow",
    "Conditional",
    "ConvDecoder",
    "ConvEncoder",
    "Coupling",
    "CouplingFlow",
    "FlowPrior",
    "Hierarchical",
    "Likelihood",
    "MLPDecoder",
    "MLPEncoder",
    "MixturePrior",
    "Planar",
    "PlanarFlow",
    "PosteriorFamily",
    "PosteriorHead",
    "Relaxation",
    "Reverse",
    "SplineCoupling",
    "SplineFlow",
    "TwoLayerHead",
    "VampPrior",
    "center",
    "posterior_mean",
    "prior_grid",
    "rational_quadratic",
    "rational_quadratic_inverse",
]
