"""The variational autoencoder: an encoder to a posterior, a decoder to a likelihood, a prior."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from repara.distributions import Distribution, Transformed
from repara.models.likelihoods import Likelihood
from repara.models.networks import dense
from repara.models.posteriors import POSTERIORS, PosteriorFamily, centre

__all__ = ["VAE", "PosteriorHead"]


class PosteriorHead(nn.Module):
    """Maps features to an approximate posterior.

    Attributes:
      latent_dim: D.
      family: one of `POSTERIORS`.
      num_components: of a mixture, or the values of each categorical variable.
      flow: one of `FLOWS`, through which the posterior goes; None for none.

    Example:
      >>> head = PosteriorHead(3)
      >>> h = jnp.zeros((2, 8))
      >>> head.apply(head.init(jax.random.key(0), h), h).event_shape
      (3,)
    """

    latent_dim: int
    family: str = "normal"
    num_components: int = 5
    flow: nn.Module | None = None

    @nn.compact
    def __call__(self, h: jax.Array) -> Distribution:
        """Maps features [..., F] to a distribution of batch shape [...] and the event's shape."""

        def outputs(name: str, size: int, **initializers: Any) -> jax.Array:
            return dense(h, size, name=name, **initializers)

        q = self.posterior_family.distribution(outputs, self.latent_dim, self.num_components)
        return q if self.flow is None else Transformed(q, self.flow(h))

    @property
    def posterior_family(self) -> PosteriorFamily:
        """The record of the family."""
        if self.family not in POSTERIORS:
            raise ValueError(
                f'posterior family must be one of {", ".join(POSTERIORS)}, got "{self.family}"'
            )
        return POSTERIORS[self.family]

    def prior(self) -> Distribution:
        """The standard prior of the family."""
        return self.posterior_family.prior(self.latent_dim, self.num_components)

    def inputs(self, z: jax.Array) -> jax.Array:
        """What the decoder is given for latents: a vector, [..., N]."""
        return self.posterior_family.inputs(z)


class VAE(nn.Module):
    """A variational autoencoder; its methods return distributions, noise is drawn by the caller.

    Attributes:
      encoder: maps images [..., H, W, C] to features.
      head: maps features to q(z | x).
      decoder: maps what the head shows of latents to pixel outputs [..., H, W, C].
      likelihood: turns pixel outputs into p(x | z).
      prior_net: a learnt prior, of `repara.models.priors`; None for the standard one of the head.
      num_classes: of the labels that encoder and decoder are given; 0 where there are none.

    Source:
      Kingma & Welling (2013), "Auto-encoding variational Bayes", appendix C.

    Example:
      >>> import numpy as np
      >>> from repara.models import LIKELIHOODS, MLPDecoder, MLPEncoder
      >>> decoder = MLPDecoder((8,), (4, 4, 1), np.zeros((4, 4, 1)))
      >>> vae = VAE(MLPEncoder((8,)), PosteriorHead(2), decoder, LIKELIHOODS["bernoulli"])
      >>> x = jnp.zeros((5, 4, 4, 1))
      >>> variables = vae.init(jax.random.key(0), x)
      >>> q = vae.apply(variables, x, method="encode")
      >>> p = vae.apply(variables, q.rsample(jax.random.key(1), (7,)), method="decode")
      >>> p.log_prob(jnp.broadcast_to(x, (7, *x.shape))).shape
      (7, 5)
    """

    encoder: nn.Module
    head: Any
    decoder: nn.Module
    likelihood: Likelihood
    prior_net: nn.Module | None = None
    num_classes: int = 0

    def setup(self) -> None:
        """Declares the log-scale of the likelihood, where it has one."""
        self.log_scale: Any = None
        if self.likelihood.initial_log_scale is not None:
            init = nn.initializers.constant(self.likelihood.initial_log_scale)
            self.log_scale = self.param("log_scale", init, ())

    def __call__(
        self, x: jax.Array, y: jax.Array | None = None
    ) -> tuple[Distribution, Distribution]:
        """Encodes and decodes the posterior's centre; serves to initialise all parameters."""
        q = self.encode(x, y)
        self.prior()
        return q, self.decode(centre(q), y)

    def encode(self, x: jax.Array, y: jax.Array | None = None) -> Distribution:
        """The posterior of images.

        Args:
          x: images as floats, [..., H, W, C], values in [0, 1].
          y: one-hot labels, [..., num_classes], for a conditional model.

        Returns:
          q(z | x), batch shape [...], the event's shape that of the family.
        """
        return self.head(self.encoder(x) if y is None else self.encoder(x, y))

    def outputs(self, z: jax.Array, y: jax.Array | None = None) -> jax.Array:
        """The decoder's pixel outputs [..., H, W, C] for latents [..., *event]."""
        inputs = self.head.inputs(z)
        if y is not None:
            missing = inputs.ndim - y.ndim
            y = y.reshape((1,) * missing + y.shape)
            y = jnp.broadcast_to(y, (*inputs.shape[:-1], y.shape[-1]))
            inputs = jnp.concatenate([inputs, y], axis=-1)
        return self.decoder(inputs)

    def decode(self, z: jax.Array, y: jax.Array | None = None) -> Distribution:
        """The likelihood given latents.

        Args:
          z: latents, [..., *event].
          y: one-hot labels that broadcast with the latents, for a conditional model.

        Returns:
          p(x | z), batch shape [...], event shape [H, W, C].
        """
        return self.likelihood.distribution(self.outputs(z, y), self.log_scale)

    def picture(self, z: jax.Array, y: jax.Array | None = None) -> jax.Array:
        """The mean images [..., H, W, C] in [0, 1] for latents [..., *event]."""
        return jnp.clip(self.likelihood.picture(self.outputs(z, y)), 0, 1)

    def prior(self) -> Distribution:
        """p(z), of batch shape []: the standard one of the family, or the learnt one."""
        if self.prior_net is None:
            return self.head.prior()
        return self.prior_net(self.encode)
