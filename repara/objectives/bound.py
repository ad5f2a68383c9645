"""The parts that all bounds share: samples, their weights, and the gradients of both."""

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
"""The estimator of the gradient in the posterior's parameters; the value is the same for all."""


class Bound(NamedTuple):
    """A bound with its parts, one value per example.

    Attributes:
      bound: the bound itself; [B], nats.
      log_likelihood: the mean over samples of log p(x | z); [B], nats.
      kl: KL(q(z | x) || p(z)), in closed form or estimated from the samples; [B], nats.
    """

    bound: jax.Array
    log_likelihood: jax.Array
    kl: jax.Array


class WeightedSamples(NamedTuple):
    """Importance weights of samples, log w = log_p_x - log_ratio.

    Attributes:
      log_p_x: log p(x | z_k), [K, B].
      log_ratio: log q(z_k | x) - log p(z_k), [K, B].
    """

    log_p_x: jax.Array
    log_ratio: jax.Array

    @property
    def log_w(self) -> jax.Array:
        """The logarithms of the weights, [K, B]."""
        return self.log_p_x - self.log_ratio

    def bound(self, value: jax.Array) -> Bound:
        """Returns a bound of this value, with the parts of the ELBO from these samples."""
        return Bound(value, jnp.mean(self.log_p_x, axis=0), jnp.mean(self.log_ratio, axis=0))


def weigh(
    key: jax.Array,
    posterior: Distribution,
    prior: Distribution,
    log_likelihood: LogLikelihood,
    *,
    num_samples: int,
    source: noise.Source,
    gradient: Gradient,
    path_factor: Callable[[jax.Array], jax.Array],
) -> WeightedSamples:
    """Draws samples of the posterior and computes their weights, differentiable as `gradient` says.

    For a bound F of the log-weights with derivatives c_k = dF/dlog w_k, the total derivative in the
    posterior's parameters phi is

        sum_k c_k (dlog w_k/dz_k dz_k/dphi - dlog q(z_k)/dphi)

    "plain" is this sum. "stl" leaves out the score, the second term in the parentheses. "dreg"
    replaces it by a derivative through the samples: since E[g(z) dlog q/dphi] = E[dg/dz dz/dphi],
    with g = c_k, the expectation of c_k times the score is that of d2F/dlog w_k^2 times the first
    term (Tucker et al., 2019), so that

        sum_k (c_k - d2F/dlog w_k^2) dlog w_k/dz_k dz_k/dphi

    remains. The identity holds the other samples fixed, so they must be independent.

    Args:
      key: a typed key; consumed.
      posterior: q(z | x), batch shape [B], reparameterized.
      prior: p(z), batch shape [] or [B].
      log_likelihood: maps latents [K, B, *event] to log p(x | z), [K, B].
      num_samples: K, at least 1.
      source: the noise source.
      gradient: "plain", "stl" or "dreg".
      path_factor: maps log-weights [K, B] to 1 - d2F/dlog w_k^2 / c_k, [K, B]; used by "dreg".

    Returns:
      The weighted samples.

    Raises:
      ValueError: K < 1, an unknown gradient, or "dreg" with a source of dependent samples.
    """
    check_count("num_samples", num_samples)
    check_gradient(gradient)
    check_source(gradient, source)
    z, log_q = sample(key, posterior, num_samples, source, gradient)
    if gradient == "dreg":
        # The weights are computed twice from the same values; the compiler merges the two.
        fixed = jax.lax.stop_gradient(z)
        factor = path_factor(
            jax.lax.stop_gradient(log_likelihood(fixed) + prior.log_prob(fixed) - log_q)
        )
        z = _scale_tangent(z, factor.reshape(factor.shape + (1,) * (z.ndim - factor.ndim)))
        log_q = without_gradient(posterior).log_prob(z)
    log_p_x = log_likelihood(z)
    return WeightedSamples(log_p_x, log_q - prior.log_prob(z))


def sample(
    key: jax.Array,
    posterior: Distribution,
    num_samples: int,
    source: noise.Source,
    gradient: Gradient,
) -> tuple[jax.Array, jax.Array]:
    """Draws samples and their log q(z); only "plain" has a direct gradient of log q in phi."""
    if gradient == "plain":
        return posterior.rsample_and_log_prob(key, (num_samples,), source=source)
    z = posterior.rsample(key, (num_samples,), source=source)
    return z, without_gradient(posterior).log_prob(z)


def without_gradient(posterior: Distribution) -> Distribution:
    """Returns the same distribution, without gradient in its parameters."""
    constant: Distribution = jax.tree.map(jax.lax.stop_gradient, posterior)
    return constant


def log_mean_exp(x: jax.Array, axis: int = 0) -> jax.Array:
    """Returns log 1/K sum_k exp(x_k) along an axis."""
    return logsumexp(x, axis=axis) - jnp.log(float(x.shape[axis]))


@jax.custom_jvp
def _scale_tangent(z: jax.Array, factor: jax.Array) -> jax.Array:
    """Returns z, with its derivative multiplied by a factor."""
    return z


@_scale_tangent.defjvp
def _scale_tangent_rule(
    primals: tuple[jax.Array, jax.Array], tangents: tuple[jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    z, factor = primals
    return z, factor * tangents[0]


def check_count(name: str, count: int, at_least: int = 1) -> None:
    """Raises if a number of samples is too small."""
    if count < at_least:
        raise ValueError(f"{name} must be at least {at_least}, got {count}")


def check_source(gradient: str, source: noise.Source) -> None:
    """Raises if the gradient needs independent samples and the source does not draw them."""
    if gradient == "dreg" and not noise.draws_independently(source):
        raise ValueError(
            'gradient="dreg" is biased if the samples depend on one another, because its identity '
            'holds the other samples fixed: give source=noise.iid, or gradient="plain"'
        )


def check_gradient(gradient: str, known: tuple[str, ...] = ("plain", "stl", "dreg")) -> None:
    """Raises if the bound does not have this gradient."""
    if gradient not in known:
        raise ValueError(f"gradient must be one of {', '.join(known)}, got {gradient!r}")
