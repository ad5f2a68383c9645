"""Expectations over the noise of two samples of the linear-Gaussian model, without sampling error.

An example is a pair of Gauss-Hermite nodes: a bound that draws its noise from `source` is known at
each of them, and its expectation, or that of an estimate of its gradient, is a weighted sum.
"""

import jax
import jax.numpy as jnp
import numpy as np

import repara as rp
from repara import objectives
from tests import linear_gaussian as model

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(100)
PAIRS = np.stack([x.ravel() for x in np.meshgrid(_NODES, _NODES)])  # [2, B]
WEIGHTS = np.outer(_WEIGHTS, _WEIGHTS).ravel() / _WEIGHTS.sum() ** 2  # [B]
X = float(model.X[2])


def source(key, shape, noise_shape, marginal, dtype):
    assert (*shape, *noise_shape) == PAIRS.shape
    assert marginal == "normal"
    return jnp.asarray(PAIRS, dtype)


source.independent = True  # the pairs are all pairs of nodes


def posterior(params):
    loc, scale = params
    full = jnp.ones_like(jnp.asarray(WEIGHTS, loc.dtype))
    return rp.Normal(loc * full, scale * full)


def expectation(name, params, shift=0.0, **options):
    """E[bound] for the posterior N(loc, scale); `shift` is a parameter of the likelihood."""
    bound = getattr(objectives, name)(
        jax.random.key(0),
        posterior(params),
        rp.Normal(0.0, 1.0),
        lambda z: rp.Normal(z + shift, model.SCALE).log_prob(X),
        source=source,
        **options,
    ).bound
    return jnp.sum(jnp.asarray(WEIGHTS, bound.dtype) * bound)


def log_weights(loc, scale):
    """log w at the nodes in float64, [2, B], written out."""
    z = loc + scale * PAIRS
    log_joint = -0.5 * ((X - z) / model.SCALE) ** 2 - np.log(model.SCALE) - 0.5 * z**2
    return log_joint - 0.5 * np.log(2 * np.pi) + 0.5 * PAIRS**2 + np.log(scale)
