"""Learnt priors: Flax modules that return a distribution over latents.

Each is called with the function that encodes images, of which only the VampPrior makes use.
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


class MixturePrior(nn.Module):
    """A learnt mixture of normals with independent coordinates.

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
        # Apart at first, and each narrower than all of them together.
        loc = self.param("loc", nn.initializers.normal(1.0), (m, d), jnp.float32)
        log_scale = self.param("log_scale", nn.initializers.zeros, (m, d), jnp.float32)
        logits = self.param("logits", nn.initializers.zeros, (m,), jnp.float32)
        normals = Independent(Normal(loc, jnp.exp(log_scale)), 1)
        return MixtureSameFamily(Categorical(logits=logits), normals)


class VampPrior(nn.Module):
    """The mixture of the posteriors of learnt pseudo-inputs.

        p(z) = 1/M sum_m q(z | u_m)

    Attributes:
      image_shape: (H, W, C).
      num_components: M.
      mean: of the first pseudo-inputs, an image or a number; by default the source's 0.05.

    Source:
      Tomczak & Welling (2018), "VAE with a VampPrior"; pseudo-inputs are cut to [0, 1] and begin
      within 0.01 of their mean, as in their program.

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
        """Encodes the pseudo-inputs and mixes their posteriors, independent scalars each."""
        m = self.num_components

        def around(key: jax.Array, shape: Any, dtype: Any = jnp.float32) -> jax.Array:
            mean = jnp.broadcast_to(jnp.asarray(self.mean, dtype), shape[1:])
            return mean[None] + 0.01 * jax.random.normal(key, shape, dtype)

        pseudo = self.param("pseudo_inputs", around, (m, *self.image_shape))
        posteriors = encode(jnp.clip(pseudo, 0, 1))
        return MixtureSameFamily(Categorical(logits=jnp.zeros(m)), posteriors)


class FlowPrior(nn.Module):
    """A learnt flow over the standard normal.

        z = flow(x),   x ~ N(0, I)

    Attributes:
      latent_dim: D.
      flow: one of `FLOWS`; its density needs the inverse, which couplings have in one pass.

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
