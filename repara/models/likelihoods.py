"""Likelihoods of images: distributions over pixels, parameterized by the outputs of a decoder."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from repara.distributions import (
    Bernoulli,
    ContinuousBernoulli,
    DiscretizedLogistic,
    Distribution,
    Independent,
    Normal,
)

__all__ = ["LIKELIHOODS", "Likelihood"]

# The smallest initial probability of a pixel: one gray level of 255.
_MARGIN = 1 / 255
# A tenth of the gray range, the order of magnitude of the deviation of pixels from their mean.
_INITIAL_SCALE = 0.1


class Likelihood(NamedTuple):
    """A family of distributions over images.

    Attributes:
      name: its name on the command line.
      binary: whether it is for binarized data, 0 or 1, rather than gray data.
      observe: maps gray data in [0, 1] (or binarized data) to the values of `distribution`.
      output_bias: maps the mean image in [0, 1], [H, W, C], to the decoder outputs that mean it.
      distribution: maps decoder outputs [..., H, W, C] and a log-scale (a scalar, or None if
        `initial_log_scale` is None) to a distribution with event [H, W, C].
      picture: maps decoder outputs to the mean image in [0, 1].
      initial_log_scale: the initial value of the learned log-scale; None if there is none.
    """

    name: str
    binary: bool
    observe: Callable[[jax.Array], jax.Array]
    output_bias: Callable[[np.ndarray], np.ndarray]
    distribution: Callable[[jax.Array, jax.Array | None], Distribution]
    picture: Callable[[jax.Array], jax.Array]
    initial_log_scale: float | None = None


def _logit(mean: np.ndarray) -> np.ndarray:
    p = np.clip(mean, _MARGIN, 1 - _MARGIN)
    logit: np.ndarray = np.log(p) - np.log1p(-p)
    return logit


def _identity(x: jax.Array) -> jax.Array:
    return x


def _unchanged(mean: np.ndarray) -> np.ndarray:
    return mean


def _bernoulli(outputs: jax.Array, log_scale: jax.Array | None) -> Distribution:
    return Independent(Bernoulli(logits=outputs), 3)


def _continuous_bernoulli(outputs: jax.Array, log_scale: jax.Array | None) -> Distribution:
    return Independent(ContinuousBernoulli(logits=outputs), 3)


def _gaussian(outputs: jax.Array, log_scale: jax.Array | None) -> Distribution:
    assert log_scale is not None
    return Independent(Normal(outputs, jnp.exp(log_scale)), 3)


def _discretized_logistic(outputs: jax.Array, log_scale: jax.Array | None) -> Distribution:
    assert log_scale is not None
    return Independent(DiscretizedLogistic(255 * outputs, 255 * jnp.exp(log_scale)), 3)


def _eight_bit(x: jax.Array) -> jax.Array:
    return jnp.round(255 * x)


def _continuous_bernoulli_mean(outputs: jax.Array) -> jax.Array:
    return ContinuousBernoulli(logits=outputs).mean


LIKELIHOODS: dict[str, Likelihood] = {
    likelihood.name: likelihood
    for likelihood in (
        Likelihood("bernoulli", True, _identity, _logit, _bernoulli, jax.nn.sigmoid),
        Likelihood(
            "continuous_bernoulli",
            False,
            _identity,
            # The mean of a continuous Bernoulli is closer to 1/2 than p; good enough for a start.
            _logit,
            _continuous_bernoulli,
            _continuous_bernoulli_mean,
        ),
        # One learned scale for all pixels: Rybkin, Daniilidis and Levine (2021), "Simple and
        # Effective VAE Training with Calibrated Decoders", https://arxiv.org/abs/2006.13202.
        Likelihood(
            "gaussian", False, _identity, _unchanged, _gaussian, _identity, math.log(_INITIAL_SCALE)
        ),
        Likelihood(
            "discretized_logistic",
            False,
            _eight_bit,
            _unchanged,
            _discretized_logistic,
            _identity,
            # The standard deviation of a logistic distribution is pi / sqrt(3) times its scale.
            math.log(_INITIAL_SCALE * math.sqrt(3) / math.pi),
        ),
    )
}
"""The likelihoods by name: "bernoulli" for binarized data, the other three for gray data."""
