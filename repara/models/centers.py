"""Central points of posteriors, and grids of latents."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtri

from repara.distributions import (
    Distribution,
    LogisticNormal,
    PowerSpherical,
    Transformed,
    VonMisesFisher,
)
from repara.models.posteriors import PosteriorFamily

__all__ = ["center", "posterior_mean", "prior_grid"]


@functools.singledispatch
def center(q: Distribution) -> jax.Array:
    """Returns a central point of a posterior, in its support, from which to decode reconstructions.

    It is the mean if the support contains it. Otherwise it is the mode, or for a transformed
    distribution the image of the base's center. For a distribution of your own, register a function
    with `center.register`.

    Args:
      q: a posterior.

    Returns:
      The point, `batch_shape + event_shape`.

    Example:
      >>> [float(v) for v in center(VonMisesFisher(jnp.array([0.0, 2.0, 0.0]), 5.0))]
      [0.0, 1.0, 0.0]
    """
    return q.mean if q.has_rsample else q.mode


@center.register
def _(q: Transformed) -> jax.Array:
    transformed: jax.Array = q.bijector.forward(center(q.base))
    return transformed


@center.register
def _(q: LogisticNormal) -> jax.Array:
    return q.transform(jnp.zeros(q.batch_shape + q.noise_shape, q.dtype))


@center.register(VonMisesFisher)
@center.register(PowerSpherical)
def _(q: VonMisesFisher | PowerSpherical) -> jax.Array:
    return q.mode


def posterior_mean(q: Distribution) -> jax.Array:
    """Returns E[z] if it has a closed form, and otherwise the center.

    Its variance over the data shows whether a coordinate is used.

    Args:
      q: a posterior.

    Returns:
      The mean, `batch_shape + event_shape`.

    Example:
      >>> import repara as rp
      >>> float(posterior_mean(rp.Bernoulli(probs=0.25)))
      0.25
    """
    try:
        return q.mean
    except NotImplementedError:
        return center(q)


def prior_grid(family: PosteriorFamily, prior: Distribution, side: int) -> jax.Array | None:
    """Returns latents on a square grid whose cells have equal prior probability, for D = 2.

    Args:
      family: the family of the posterior; it has the grid of its standard prior if `transform`
        cannot map one.
      prior: p(z).
      side: the number of points along each side.

    Returns:
      The latents, [side^2, *event], rows from the top; None if the latents do not have two
      coordinates.

    Example:
      >>> from repara.models import POSTERIORS
      >>> prior = POSTERIORS["beta"].prior(2, 1)
      >>> [float(v) for v in prior_grid(POSTERIORS["beta"], prior, 2)[0]]
      [0.25, 0.75]
    """
    if not prior.has_rsample:
        return None
    steps = jnp.asarray((np.arange(side) + 0.5) / side, prior.dtype)
    u = jnp.stack(jnp.meshgrid(steps, steps[::-1]), axis=-1).reshape(-1, 2)
    if prior.noise_shape == (2,):
        # Two independent coordinates: the quantiles of their noise.
        return prior.transform(u if prior.noise_marginal == "uniform" else ndtri(u))
    if prior.event_shape == (3,) and family.grid is not None:
        return family.grid(u)
    return None
