"""What every bound is made of: samples, their weights, and how these are differentiated."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp

from repara import noise
from repara.distributions import Distribution

__all__ = ["Bound", "Gradient", "LogLikelihood"]

LogLikelihood = Callable[[jax.Array], jax.Array]
"""Maps latents [K, B, *event] to log p(x | z), [K, B]."""

Gradient = Literal["plain", "stl", "dreg"]
"""How the gradient in the posterior's parameters is formed; the bound's value is the same."""


class Bound(NamedTuple):
    """A bound with its parts, one value an example.

    Attributes:
      bound: the quantity of the function's name, at the given options; [B], nats.
      log_likelihood: the mean over samples of log p(x | z); [B], nats.
      kl: KL(q(z | x) || p(z)), in closed form or as estimated from the samples; [B], nats.
    """

    bound: jax.Array
    log_likelihood: jax.Array
    kl: jax.Array


class Weighted(NamedTuple):
    """Importance-weighted samples: log w = log_p_x - excess.

    Attributes:
      log_p_x: log p(x | z_k), [K, B].
      excess: log q(z_k | x) - log p(z_k), [K, B].
    """

    log_p_x: jax.Array
    excess: jax.Array

    @property
    def log_w(self) -> jax.Array:
        """The logarithms of the weights, [K, B]."""
        return self.log_p_x - self.excess

    def bound(self, value: jax.Array) -> Bound:
        """A bound of that value, with the parts of the ELBO from these samples."""
        return Bound(value, jnp.mean(self.log_p_x, axis=0), jnp.mean(self.excess, axis=0))


def weigh(
    key: jax.Array,
    posterior: Distribution,
    prior: Distribution,
    log_likelihood: LogLikelihood,
    num_samples: int,
    source: noise.Source,
    gradient: Gradient,
    path_factor: Callable[[jax.Array], jax.Array] | None = None,
) -> Weighted:
    """Samples of the posterior and their weights, differentiated as `gradient` says.

    For a bound F of the log-weights with derivatives c_k = dF/dlog w_k, the total derivative in the
    posterior's parameters phi is

        sum_k c_k (dlog w_k/dz_k dz_k/dphi - dlog q(z_k)/dphi)

    "plain" is that. "stl" leaves out the score, the second term in the bracket. "dreg" puts the
    derivative through the samples for it: by the identity E[g(z) dlog q/dphi] = E[dg/dz dz/dphi],
    with g = c_k, the expectation of c_k times the score is that of d2F/dlog w_k^2 times the first
    term (Tucker et al. 2019), so that what remains is

        sum_k (c_k - d2F/dlog w_k^2) dlog w_k/dz_k dz_k/dphi

    Args:
      key: a typed key; consumed.
      posterior: q(z | x), batch shape [B], reparameterized.
      prior: p(z), batch shape [] or [B].
      log_likelihood: maps latents [K, B, *event] to log p(x | z), [K, B].
      num_samples: K.
      source: where the noise comes from.
      gradient: one of the three.
      path_factor: for "dreg": maps log-weights [K, B] to 1 - d2F/dlog w_k^2 / c_k, [K, B].

    Returns:
      The weighted samples.
    """
    z, log_q = sample(key, posterior, num_samples, source, gradient)
    if gradient == "dreg":
        assert path_factor is not None
        # The weights are computed twice from the same values; the compiler makes one pass of it.
        fixed = jax.lax.stop_gradient(z)
        factor = path_factor(
            jax.lax.stop_gradient(log_likelihood(fixed) + prior.log_prob(fixed) - log_q)
        )
        z = _scale_tangent(z, factor.reshape(factor.shape + (1,) * (z.ndim - factor.ndim)))
        log_q = without_parameters(posterior).log_prob(z)
    log_p_x = log_likelihood(z)
    return Weighted(log_p_x, log_q - prior.log_prob(z))


def sample(
    key: jax.Array,
    posterior: Distribution,
    num_samples: int,
    source: noise.Source,
    gradient: Gradient,
) -> tuple[jax.Array, jax.Array]:
    """Samples and their log-densities, differentiated through the samples alone if so asked."""
    if gradient == "plain":
        return posterior.rsample_and_log_prob(key, (num_samples,), source=source)
    z = posterior.rsample(key, (num_samples,), source=source)
    return z, without_parameters(posterior).log_prob(z)


def without_parameters(posterior: Distribution) -> Distribution:
    """The same distribution, without gradient in its parameters."""
    return jax.tree.map(jax.lax.stop_gradient, posterior)


def log_mean_exp(x: jax.Array, axis: int = 0) -> jax.Array:
    """log 1/K sum_k exp(x_k) along an axis."""
    return logsumexp(x, axis=axis) - jnp.log(float(x.shape[axis]))


@jax.custom_jvp
def _scale_tangent(z: jax.Array, factor: jax.Array) -> jax.Array:
    """z, with its derivative multiplied by a factor."""
    return z


@_scale_tangent.defjvp
def _scale_tangent_rule(primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
    z, factor = primals
    return z, factor * tangents[0]


def check_count(name: str, count: int, at_least: int = 1) -> None:
    """Raises for a number of samples that will not do."""
    if count < at_least:
        raise ValueError(f"{name} must be at least {at_least}, got {count}")


def check_gradient(gradient: str, known: tuple[str, ...] = ("plain", "stl", "dreg")) -> None:
    """Raises for a form of the gradient that the bound does not have."""
    if gradient not in known:
        raise ValueError(f"gradient must be one of {', '.join(known)}, got {gradient!r}")
