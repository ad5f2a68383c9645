"""The variational autoencoder: an encoder to a posterior, a decoder to a likelihood, a prior."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from repara.distributions import Distribution, Independent, MultivariateNormal, Normal
from repara.models.likelihoods import Likelihood

__all__ = ["VAE", "PosteriorHead"]


class PosteriorHead(nn.Module):
    """Maps features to an approximate posterior.

    Attributes:
      latent_dim: D.
      family: "normal", independent coordinates; or "multivariate_normal", a full covariance
        through its Cholesky factor.

    Example:
      >>> head = PosteriorHead(3)
      >>> h = jnp.zeros((2, 8))
      >>> head.apply(head.init(jax.random.key(0), h), h).event_shape
      (3,)
    """

    latent_dim: int
    family: str = "normal"

    @nn.compact
    def __call__(self, h: jax.Array) -> Distribution:
        """Maps features [..., F] to a distribution of batch shape [...] and event shape [D]."""
        # One layer for both: two small products and their updates take longer than one.
        both = nn.Dense(2 * self.latent_dim, name="loc_and_log_scale")(h)
        loc, log_scale = both[..., : self.latent_dim], both[..., self.latent_dim :]
        # exp keeps the scale positive, and a linear layer under it can reach any magnitude.
        scale = jnp.exp(log_scale)
        if self.family == "normal":
            return Independent(Normal(loc, scale), 1)
        if self.family == "multivariate_normal":
            d = self.latent_dim
            rows, columns = jnp.tril_indices(d, -1)
            # Zero at the start: the first posterior is that of independent coordinates.
            below = nn.Dense(len(rows), name="lower", kernel_init=nn.initializers.zeros)(h)
            tril = jnp.zeros((*h.shape[:-1], d, d), h.dtype).at[..., rows, columns].set(below)
            diagonal = scale[..., None] * jnp.eye(d, dtype=h.dtype).reshape(
                (1,) * (h.ndim - 1) + (d, d)
            )
            return MultivariateNormal(loc, scale_tril=tril + diagonal)
        raise ValueError(
            f'posterior family must be "normal" or "multivariate_normal", got "{self.family}"'
        )


class VAE(nn.Module):
    """A variational autoencoder; its methods return distributions, noise is drawn by the caller.

    Attributes:
      encoder: maps images [..., H, W, C] to features.
      head: maps features to q(z | x).
      decoder: maps latents [..., D] to pixel outputs [..., H, W, C].
      likelihood: turns pixel outputs into p(x | z).

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
    head: PosteriorHead
    decoder: nn.Module
    likelihood: Likelihood

    def setup(self) -> None:
        """Declares the log-scale of the likelihood, where it has one."""
        self.log_scale: Any = None
        if self.likelihood.initial_log_scale is not None:
            init = nn.initializers.constant(self.likelihood.initial_log_scale)
            self.log_scale = self.param("log_scale", init, ())

    def __call__(self, x: jax.Array) -> tuple[Distribution, Distribution]:
        """Encodes and decodes the posterior mean; serves to initialise all parameters."""
        q = self.encode(x)
        return q, self.decode(q.mean)

    def encode(self, x: jax.Array) -> Distribution:
        """The posterior of images.

        Args:
          x: images as floats, [..., H, W, C], values in [0, 1].

        Returns:
          q(z | x), batch shape [...], event shape [D].
        """
        return self.head(self.encoder(x))

    def outputs(self, z: jax.Array) -> jax.Array:
        """The decoder's pixel outputs [..., H, W, C] for latents [..., D]."""
        return self.decoder(z)

    def decode(self, z: jax.Array) -> Distribution:
        """The likelihood given latents.

        Args:
          z: latents, [..., D].

        Returns:
          p(x | z), batch shape [...], event shape [H, W, C].
        """
        return self.likelihood.distribution(self.outputs(z), self.log_scale)

    def picture(self, z: jax.Array) -> jax.Array:
        """The mean images [..., H, W, C] in [0, 1] for latents [..., D]."""
        return jnp.clip(self.likelihood.picture(self.outputs(z)), 0, 1)

    def prior(self) -> Distribution:
        """p(z): standard normal, of the family of the posterior."""
        d = self.head.latent_dim
        zeros, ones = jnp.zeros(d), jnp.ones(d)
        if self.head.family == "multivariate_normal":
            return MultivariateNormal(zeros, scale_diag=ones)
        return Independent(Normal(zeros, ones), 1)
