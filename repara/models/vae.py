"""The variational autoencoder: an encoder to a posterior, a decoder to a likelihood, a prior."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from repara.distributions import Distribution, Transformed
from repara.models.centers import center
from repara.models.likelihoods import Likelihood
from repara.models.networks import dense
from repara.models.posteriors import POSTERIORS, PosteriorFamily

__all__ = ["VAE", "PosteriorHead"]


class PosteriorHead(nn.Module):
    """Maps features to an approximate posterior.

    Attributes:
      latent_dim: D.
      family: one of `POSTERIORS`.
      num_components: the number of components of a mixture, or of values of a categorical variable.
      flow: one of `FLOWS`, which transforms the posterior; None for no flow.

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
        """Maps features [..., F] to q(z | x), batch shape [...], event shape that of the family."""

        def outputs(name: str, size: int, **initializers: Any) -> jax.Array:
            return dense(h, size, name=name, **initializers)

        q = self.posterior_family.distribution(outputs, self.latent_dim, self.num_components)
        return q if self.flow is None else Transformed(q, self.flow(h))

    @property
    def posterior_family(self) -> PosteriorFamily:
        """The family of the posterior."""
        if self.family not in POSTERIORS:
            raise ValueError(f'family must be one of {", ".join(POSTERIORS)}, got "{self.family}"')
        return POSTERIORS[self.family]

    def prior(self) -> Distribution:
        """Returns the standard prior of the family."""
        return self.posterior_family.prior(self.latent_dim, self.num_components)

    def decoder_inputs(self, z: jax.Array) -> jax.Array:
        """Maps latents [..., *event] to inputs of the decoder, [..., N]."""
        return self.posterior_family.decoder_inputs(z)


class VAE(nn.Module):
    """A variational autoencoder. Its methods return distributions; the caller draws the noise.

    Attributes:
      encoder: maps images [..., H, W, C] to features.
      head: maps features to q(z | x).
      decoder: maps `head.decoder_inputs(z)` to pixel outputs [..., H, W, C].
      likelihood: maps pixel outputs to p(x | z).
      prior_net: a learned prior of `repara.models.priors`; None for the head's standard prior.
      num_classes: the number of classes of the labels for encoder and decoder; 0 for no labels.

    References:
      Kingma and Welling (2013), "Auto-Encoding Variational Bayes", appendix C,
      https://arxiv.org/abs/1312.6114

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
        """Declares the log-scale of the likelihood if it has one."""
        self.log_scale: Any = None
        if self.likelihood.initial_log_scale is not None:
            init = nn.initializers.constant(self.likelihood.initial_log_scale)
            self.log_scale = self.param("log_scale", init, ())

    def __call__(
        self, x: jax.Array, y: jax.Array | None = None
    ) -> tuple[Distribution, Distribution]:
        """Encodes images and decodes the center of the posterior; initializes all parameters."""
        q = self.encode(x, y)
        self.prior()
        return q, self.decode(center(q), y)

    def encode(self, x: jax.Array, y: jax.Array | None = None) -> Distribution:
        """Returns the posterior of images.

        Args:
          x: images as floats, [..., H, W, C], values in [0, 1].
          y: one-hot labels, [..., num_classes], for a conditional model.

        Returns:
          q(z | x), batch shape [...], event shape that of the family.
        """
        h = self.encoder(x) if y is None else self.encoder(x, y)
        q: Distribution = self.head(h)
        return q

    def outputs(self, z: jax.Array, y: jax.Array | None = None) -> jax.Array:
        """Returns the decoder's pixel outputs [..., H, W, C] for latents [..., *event]."""
        inputs = self.head.decoder_inputs(z)
        if y is not None:
            missing = inputs.ndim - y.ndim
            y = y.reshape((1,) * missing + y.shape)
            y = jnp.broadcast_to(y, (*inputs.shape[:-1], y.shape[-1]))
            inputs = jnp.concatenate([inputs, y], axis=-1)
        outputs: jax.Array = self.decoder(inputs)
        return outputs

    def decode(self, z: jax.Array, y: jax.Array | None = None) -> Distribution:
        """Returns the likelihood given latents.

        Args:
          z: latents, [..., *event].
          y: one-hot labels that broadcast with the latents, for a conditional model.

        Returns:
          p(x | z), batch shape [...], event shape [H, W, C].
        """
        return self.likelihood.distribution(self.outputs(z, y), self.log_scale)

    def picture(self, z: jax.Array, y: jax.Array | None = None) -> jax.Array:
        """Returns the mean images [..., H, W, C] in [0, 1] for latents [..., *event]."""
        return jnp.clip(self.likelihood.picture(self.outputs(z, y)), 0, 1)

    def prior(self) -> Distribution:
        """Returns p(z), batch shape []: the learned prior or the standard one of the head."""
        p: Distribution = (
            self.head.prior() if self.prior_net is None else self.prior_net(self.encode)
        )
        return p
