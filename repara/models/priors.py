"""Learned priors: Flax modules that return a distribution over latents.

Each is called with the function that encodes images, which only `VampPrior` uses.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from repara.distributions import (
    Categorical,
    Distribution,
    Independent,
    MixtureSameFamily,
    Normal,
    Transformed,
)

__all__ = ["FlowPrior", "MixturePrior", "VampPrior"]

Encode = Callable[[jax.Array], Distribution]
"""Maps images [M, H, W, C] to q(z | x)."""


class MixturePrior(nn.Module):
    """A learned mixture of normals with independent coordinates.

        p(z) = sum_m w_m N(z; loc_m, diag(scale_m^2))

    Attributes:
      latent_dim: D.
      num_components: M.

    Example:
      >>> prior = MixturePrior(3, 10)
      >>> prior.apply(prior.init(jax.random.key(0), None), None).event_shape
      (3,)
    """

    latent_dim: int
    num_components: int = 100

    @nn.compact
    def __call__(self, encode: Encode | None) -> Distribution:
        """Returns p(z); the argument is not used."""
        m, d = self.num_components, self.latent_dim
        # The components start at different locations, each narrower than the whole mixture.
        loc = self.param("loc", nn.initializers.normal(1.0), (m, d), jnp.float32)
        log_scale = self.param("log_scale", nn.initializers.zeros, (m, d), jnp.float32)
        logits = self.param("logits", nn.initializers.zeros, (m,), jnp.float32)
        normals = Independent(Normal(loc, jnp.exp(log_scale)), 1)
        return MixtureSameFamily(Categorical(logits=logits), normals)


class VampPrior(nn.Module):
    """The mixture of the posteriors of learned pseudo-inputs.

        p(z) = 1/M sum_m q(z | u_m)

    Attributes:
      image_shape: (H, W, C).
      num_components: M.
      mean: the initial mean of the pseudo-inputs, an image or a number. They are clipped to [0, 1]
        and start with a standard deviation of 0.01. Default and deviation are those of the authors'
        program.

    References:
      Tomczak and Welling (2018), "VAE with a VampPrior", https://arxiv.org/abs/1705.07120

    Example:
      >>> from repara.models import MLPEncoder, PosteriorHead
      >>> encode = nn.Sequential([MLPEncoder((8,)), PosteriorHead(3)])
      >>> class Model(nn.Module):
      ...     def setup(self):
      ...         self.encode, self.prior = encode.copy(), VampPrior((4, 4, 1), 10)
      ...     def __call__(self):
      ...         return self.prior(self.encode)
      >>> model = Model()
      >>> model.apply(model.init(jax.random.key(0))).event_shape
      (3,)
    """

    image_shape: tuple[int, int, int]
    num_components: int = 100
    mean: Any = 0.05

    @nn.compact
    def __call__(self, encode: Encode) -> Distribution:
        """Returns the mixture of the encoded pseudo-inputs."""
        m = self.num_components

        def near_mean(key: jax.Array, shape: Any, dtype: Any = jnp.float32) -> jax.Array:
            mean = jnp.broadcast_to(jnp.asarray(self.mean, dtype), shape[1:])
            return mean[None] + 0.01 * jax.random.normal(key, shape, dtype)

        pseudo = self.param("pseudo_inputs", near_mean, (m, *self.image_shape))
        posteriors = encode(jnp.clip(pseudo, 0, 1))
        return MixtureSameFamily(Categorical(logits=jnp.zeros(m)), posteriors)


class FlowPrior(nn.Module):
    """The standard normal transformed by a learned flow.

        z = flow(x),   x ~ N(0, I)

    Attributes:
      latent_dim: D.
      flow: one of `FLOWS`. The density needs its inverse, for which couplings need one pass.

    Example:
      >>> from repara.models import CouplingFlow
      >>> prior = FlowPrior(3, CouplingFlow(3, 2, (8,)))
      >>> prior.apply(prior.init(jax.random.key(0), None), None).event_shape
      (3,)
    """

    latent_dim: int
    flow: nn.Module

    @nn.compact
    def __call__(self, encode: Encode | None) -> Distribution:
        """Returns p(z); the argument is not used."""
        zeros, ones = jnp.zeros(self.latent_dim), jnp.ones(self.latent_dim)
        return Transformed(Independent(Normal(zeros, ones), 1), self.flow(None))
