"""Families of approximate posteriors: how features become a distribution over latents.

Each family has its standard prior, and says how its latents are shown to the decoder and drawn in
figures. D, the dimension of the latents, counts degrees of freedom: a point of the sphere or of the
simplex has D + 1 coordinates.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtri

from repara.distributions import (
    Bernoulli,
    Beta,
    Categorical,
    Dirichlet,
    Distribution,
    ExpRelaxedOneHotCategorical,
    Gamma,
    Independent,
    Logistic,
    LogisticNormal,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    OneHotCategorical,
    PowerSpherical,
    Transformed,
    Uniform,
    VonMises,
    VonMisesFisher,
)

__all__ = ["POSTERIORS", "PosteriorFamily", "Relaxation", "centre", "posterior_mean", "prior_grid"]

Outputs = Callable[..., jax.Array]
"""`outputs(name, size, **initializers)`: a dense layer from the features, [..., size]."""


class Relaxation(NamedTuple):
    """A discrete distribution made continuous, for training.

    Attributes:
      relax: maps a discrete distribution and a temperature to the distribution of relaxed latents
        on a scale where nothing underflows: logits, or logarithms.
      soften: maps relaxed latents to values between the discrete ones, which the decoder is given.
    """

    relax: Callable[[Any, Any], Distribution]
    soften: Callable[[jax.Array], jax.Array]


def _identity(z: jax.Array) -> jax.Array:
    return z


# The first layer of a decoder begins for inputs of mean 0 and variance 1, as those of the standard
# normal are: where the standard prior has others, the decoder is given them standardized. Without
# that a Dirichlet posterior, whose coordinates are small, collapsed to its prior on digits.


def _interval(z: jax.Array) -> jax.Array:
    return math.sqrt(12) * (z - 0.5)


def _signs(z: jax.Array) -> jax.Array:
    return 2 * z - 1


def _unit_vectors(z: jax.Array) -> jax.Array:
    return math.sqrt(z.shape[-1]) * z


def _shares(z: jax.Array) -> jax.Array:
    return z.shape[-1] * z - 1


def _one_hot(z: jax.Array) -> jax.Array:
    k = z.shape[-1]
    return ((k * z - 1) / math.sqrt(k - 1)).reshape(*z.shape[:-2], -1)


def _straight(a: jax.Array, b: jax.Array, t: jax.Array) -> jax.Array:
    return (1 - t) * a + t * b


class PosteriorFamily(NamedTuple):
    """A family of q(z | x) with its standard prior.

    Attributes:
      name: its name on the command line.
      distribution: maps dense layers of the features, D and the number of components to q(z | x).
      prior: maps D and the number of components to p(z).
      closed_kl: whether the divergence between the two has a closed form.
      factorized: whether that is a sum over latent coordinates, or over those of the marginals.
      euclidean: whether latents fill R^D, so that flows and learnt priors fit.
      inputs: maps latents to what the decoder is given.
      between: maps two latents and a weight t in [0, 1] to a point on the way between them.
      grid: maps the unit square, uniform there, to the prior where D = 2; None: by `transform`.
      relaxation: how discrete latents are trained; None where they are not relaxed.
    """

    name: str
    distribution: Callable[[Outputs, int, int], Distribution]
    prior: Callable[[int, int], Distribution]
    closed_kl: bool = True
    factorized: bool = False
    euclidean: bool = False
    inputs: Callable[[jax.Array], jax.Array] = _identity
    between: Callable[[jax.Array, jax.Array, jax.Array], jax.Array] = _straight
    grid: Callable[[jax.Array], jax.Array] | None = None
    relaxation: Relaxation | None = None


def _loc_and_log_scale(outputs: Outputs, d: int) -> tuple[jax.Array, jax.Array]:
    # One layer for both: two small products and their updates take longer than one.
    both = outputs("loc_and_log_scale", 2 * d)
    # exp keeps the scale positive, and a linear layer under it can reach any magnitude.
    return both[..., :d], jnp.exp(both[..., d:])


def _normal(outputs: Outputs, d: int, _: int) -> Distribution:
    return Independent(Normal(*_loc_and_log_scale(outputs, d)), 1)


def _standard_normal(d: int, _: int) -> Distribution:
    return Independent(Normal(jnp.zeros(d), jnp.ones(d)), 1)


def _multivariate_normal(outputs: Outputs, d: int, _: int) -> Distribution:
    loc, scale = _loc_and_log_scale(outputs, d)
    rows, columns = jnp.tril_indices(d, -1)
    # Zero at the start: the first posterior is that of independent coordinates.
    below = outputs("lower", len(rows), kernel_init=jax.nn.initializers.zeros)
    batch = loc.shape[:-1]
    tril = jnp.zeros((*batch, d, d), loc.dtype).at[..., rows, columns].set(below)
    eye = jnp.eye(d, dtype=loc.dtype).reshape((1,) * len(batch) + (d, d))
    return MultivariateNormal(loc, scale_tril=tril + scale[..., None] * eye)


def _standard_multivariate_normal(d: int, _: int) -> Distribution:
    return MultivariateNormal(jnp.zeros(d), scale_diag=jnp.ones(d))


def _mixture(outputs: Outputs, d: int, k: int) -> Distribution:
    def apart(key: jax.Array, shape: Any, dtype: Any = jnp.float32) -> jax.Array:
        # Components that begin alike stay alike: the locations begin a unit apart.
        n = k * d
        loc = jax.random.normal(key, (n,), dtype)
        return jnp.concatenate([loc, jnp.zeros(shape[0] - n, dtype)])

    both = outputs("loc_and_log_scale", 2 * k * d, bias_init=apart)
    loc, log_scale = both[..., : k * d], both[..., k * d :]
    loc, log_scale = (x.reshape(*x.shape[:-1], k, d) for x in (loc, log_scale))
    weights = Categorical(logits=outputs("logits", k))
    return MixtureSameFamily(weights, Independent(Normal(loc, jnp.exp(log_scale)), 1))


# Figurnov, Mohamed & Mnih (2018), "Implicit reparameterization gradients", for VAEs: sparse.
_GAMMA_PRIOR = 0.3
# Keeps z = x / rate from overflow where the layer's output is far below zero.
_LEAST_RATE = 1e-4


def _gamma(outputs: Outputs, d: int, _: int) -> Distribution:
    # Near 0 the true posterior goes like the prior, z^(0.3 - 1), wherever the likelihood of z = 0
    # is not zero: smaller concentrations are not needed, and their samples would underflow.
    both = jax.nn.softplus(outputs("concentration_and_rate", 2 * d))
    return Independent(Gamma(_GAMMA_PRIOR + both[..., :d], _LEAST_RATE + both[..., d:]), 1)


def _gamma_prior(d: int, _: int) -> Distribution:
    return Independent(Gamma(jnp.full(d, _GAMMA_PRIOR), jnp.full(d, _GAMMA_PRIOR)), 1)


def _beta(outputs: Outputs, d: int, _: int) -> Distribution:
    # The true posterior is bounded, as the prior and the likelihood are: no concentration below 1.
    both = 1 + jax.nn.softplus(outputs("concentrations", 2 * d))
    return Independent(Beta(both[..., :d], both[..., d:]), 1)


def _unit_interval(d: int, _: int) -> Distribution:
    return Independent(Uniform(jnp.zeros(d), jnp.ones(d)), 1)


def _direction(v: jax.Array) -> jax.Array:
    """v, or the first axis where v is zero, as it is at zero features and biases."""
    axis = jnp.zeros(v.shape[-1], v.dtype).at[0].set(1)
    none = jnp.all(v == 0, axis=-1, keepdims=True)
    return jnp.where(none, axis.reshape((1,) * (v.ndim - 1) + axis.shape), v)


def _von_mises(outputs: Outputs, d: int, _: int) -> Distribution:
    # An angle from a vector: no place where it jumps by 2 pi but the centre.
    v = outputs("direction", 2 * d)
    v = _direction(v.reshape(*v.shape[:-1], d, 2))
    # At first about 3, so that angles tell the decoder something: from 0.7 some latents collapsed.
    size = outputs("concentration", d, bias_init=jax.nn.initializers.constant(3.0))
    concentration = jax.nn.softplus(size)
    return Independent(VonMises(jnp.arctan2(v[..., 1], v[..., 0]), concentration), 1)


def _circle(d: int, _: int) -> Distribution:
    return Independent(VonMises(jnp.zeros(d), jnp.zeros(d)), 1)


def _cos_sin(z: jax.Array) -> jax.Array:
    """Of period 2 pi, for which alone the gradients of von Mises samples are right."""
    return jnp.concatenate([jnp.cos(z), jnp.sin(z)], axis=-1)


def _arc(a: jax.Array, b: jax.Array, t: jax.Array) -> jax.Array:
    """The shorter way round the circle."""
    return a + t * (jnp.mod(b - a + math.pi, 2 * math.pi) - math.pi)


def _on_sphere(outputs: Outputs, d: int) -> tuple[jax.Array, jax.Array]:
    # The softplus and the 1, which keeps the posterior from collapsing, are those of Davidson et
    # al. (2018), "Hyperspherical variational auto-encoders", in their published program; so is the
    # meaning of D, the sphere in D + 1 dimensions.
    mu = _direction(outputs("direction", d + 1))
    return mu, 1 + jax.nn.softplus(outputs("concentration", 1)[..., 0])


def _von_mises_fisher(outputs: Outputs, d: int, _: int) -> Distribution:
    return VonMisesFisher(*_on_sphere(outputs, d))


def _power_spherical(outputs: Outputs, d: int, _: int) -> Distribution:
    return PowerSpherical(*_on_sphere(outputs, d))


def _sphere(d: int, _: int) -> Distribution:
    return VonMisesFisher(jnp.zeros(d + 1).at[0].set(1), jnp.zeros(()))


def _great_circle(a: jax.Array, b: jax.Array, t: jax.Array) -> jax.Array:
    """The shortest way on the unit sphere, at constant speed."""
    # The angle from the chord keeps its digits where it is small.
    chord = jnp.sqrt(jnp.sum((a - b) ** 2, axis=-1, keepdims=True))
    angle = 2 * jnp.arcsin(jnp.clip(0.5 * chord, 0, 1))
    sine = jnp.sin(angle)
    near = sine < 1e-4
    safe = jnp.where(near, 1.0, sine)
    left = jnp.where(near, 1 - t, jnp.sin((1 - t) * angle) / safe)
    right = jnp.where(near, t, jnp.sin(t * angle) / safe)
    return left * a + right * b


def _sphere_grid(u: jax.Array) -> jax.Array:
    """Longitude and height, in which area is uniform (Archimedes)."""
    angle, height = 2 * math.pi * u[..., 0], 2 * u[..., 1] - 1
    radius = jnp.sqrt(1 - height**2)
    return jnp.stack([height, radius * jnp.cos(angle), radius * jnp.sin(angle)], axis=-1)


def _dirichlet(outputs: Outputs, d: int, _: int) -> Distribution:
    # As for the beta: the flat prior has concentrations of 1, and a posterior needs none below.
    return Dirichlet(1 + jax.nn.softplus(outputs("concentration", d + 1)))


def _simplex(d: int, _: int) -> Distribution:
    return Dirichlet(jnp.ones(d + 1))


def _simplex_grid(u: jax.Array) -> jax.Array:
    """Uniform on the triangle: the square root makes rows as wide as they are probable."""
    root = jnp.sqrt(u[..., 0])
    return jnp.stack([1 - root, root * (1 - u[..., 1]), root * u[..., 1]], axis=-1)


def _logistic_normal(outputs: Outputs, d: int, _: int) -> Distribution:
    return LogisticNormal(*_loc_and_log_scale(outputs, d))


def _logistic_normal_prior(d: int, _: int) -> Distribution:
    return LogisticNormal(jnp.zeros(d), jnp.ones(d))


def _bernoulli(outputs: Outputs, d: int, _: int) -> Distribution:
    return Independent(Bernoulli(logits=outputs("logits", d)), 1)


def _coins(d: int, _: int) -> Distribution:
    return Independent(Bernoulli(logits=jnp.zeros(d)), 1)


def _categorical(outputs: Outputs, d: int, k: int) -> Distribution:
    logits = outputs("logits", d * k)
    return Independent(OneHotCategorical(logits=logits.reshape(*logits.shape[:-1], d, k)), 1)


def _dice(d: int, k: int) -> Distribution:
    return Independent(OneHotCategorical(logits=jnp.zeros((d, k))), 1)


def _as_logistic(q: Independent, temperature: Any) -> Distribution:
    # Maddison, Mnih & Teh (2017), "The concrete distribution", appendix B: the logit of the binary
    # concrete variable is logistic. Posterior and prior are both seen on that scale, where their
    # ratio is the same and no value rounds to 0 or 1.
    logits = q.base.logits  # type: ignore[attr-defined]
    t = jnp.asarray(temperature, logits.dtype)
    return Independent(Logistic(logits / t, 1 / t), 1)


def _as_logarithms(q: Independent, temperature: Any) -> Distribution:
    # The same, appendix C.3: the logarithms of the concrete variable.
    logits = q.base.logits  # type: ignore[attr-defined]
    t = jnp.asarray(temperature, logits.dtype)
    return Independent(ExpRelaxedOneHotCategorical(t, logits=logits), 1)


POSTERIORS: dict[str, PosteriorFamily] = {
    family.name: family
    for family in (
        PosteriorFamily("normal", _normal, _standard_normal, factorized=True, euclidean=True),
        PosteriorFamily(
            "multivariate_normal",
            _multivariate_normal,
            _standard_multivariate_normal,
            factorized=True,
            euclidean=True,
        ),
        PosteriorFamily("mixture", _mixture, _standard_normal, closed_kl=False, euclidean=True),
        PosteriorFamily("gamma", _gamma, _gamma_prior, factorized=True),
        PosteriorFamily("beta", _beta, _unit_interval, factorized=True, inputs=_interval),
        PosteriorFamily(
            "von_mises", _von_mises, _circle, factorized=True, inputs=_cos_sin, between=_arc
        ),
        PosteriorFamily(
            "von_mises_fisher",
            _von_mises_fisher,
            _sphere,
            inputs=_unit_vectors,
            between=_great_circle,
            grid=_sphere_grid,
        ),
        PosteriorFamily(
            "power_spherical",
            _power_spherical,
            _sphere,
            inputs=_unit_vectors,
            between=_great_circle,
            grid=_sphere_grid,
        ),
        PosteriorFamily("dirichlet", _dirichlet, _simplex, inputs=_shares, grid=_simplex_grid),
        PosteriorFamily(
            "logistic_normal", _logistic_normal, _logistic_normal_prior, inputs=_shares
        ),
        PosteriorFamily("bernoulli", _bernoulli, _coins, factorized=True, inputs=_signs),
        PosteriorFamily("categorical", _categorical, _dice, factorized=True, inputs=_one_hot),
        PosteriorFamily(
            "relaxed_bernoulli",
            _bernoulli,
            _coins,
            factorized=True,
            inputs=_signs,
            relaxation=Relaxation(_as_logistic, jax.nn.sigmoid),
        ),
        PosteriorFamily(
            "relaxed_categorical",
            _categorical,
            _dice,
            factorized=True,
            inputs=_one_hot,
            relaxation=Relaxation(_as_logarithms, jnp.exp),
        ),
    )
}
"""The families by name."""


def centre(q: Distribution) -> jax.Array:
    """A point in the middle of a posterior, in its support: what reconstructions are decoded from.

        E[z], where it lies in the support; otherwise the mode, or the image of the base's centre

    Args:
      q: a distribution of one of the families, one of those through a flow, or a hierarchy.

    Returns:
      The point, `batch_shape + event_shape`.

    Example:
      >>> [float(v) for v in centre(VonMisesFisher(jnp.array([0.0, 2.0, 0.0]), 5.0))]
      [0.0, 1.0, 0.0]
    """
    own = getattr(q, "centre", None)
    if own is not None:
        return own()
    if isinstance(q, Transformed):
        return q.bijector.forward(centre(q.base))
    if isinstance(q, LogisticNormal):
        return q.transform(jnp.zeros(q.batch_shape + q.noise_shape, q.dtype))
    if isinstance(q, VonMisesFisher | PowerSpherical) or not q.has_rsample:
        return q.mode
    return q.mean


def posterior_mean(q: Distribution) -> jax.Array:
    """E[z] where it is known, and otherwise the centre: what tells whether a coordinate is used.

    Args:
      q: as in `centre`.

    Returns:
      The mean, `batch_shape + event_shape`.

    Example:
      >>> float(posterior_mean(Bernoulli(probs=0.25)))
      0.25
    """
    try:
        return q.mean
    except NotImplementedError:
        return centre(q)


def prior_grid(family: PosteriorFamily, prior: Distribution, side: int) -> jax.Array | None:
    """Latents on a square grid on which every cell has the same prior probability, for D = 2.

    Args:
      family: the family, which knows the grid of its standard prior where `transform` does not.
      prior: p(z).
      side: the number of points along each side.

    Returns:
      The latents, [side^2, *event], rows from the top; None where there are not two coordinates.

    Example:
      >>> prior = POSTERIORS["beta"].prior(2, 1)
      >>> [float(v) for v in prior_grid(POSTERIORS["beta"], prior, 2)[0]]
      [0.25, 0.75]
    """
    if not prior.has_rsample:
        return None
    steps = jnp.asarray((np.arange(side) + 0.5) / side, prior.dtype)
    u = jnp.stack(jnp.meshgrid(steps, steps[::-1]), axis=-1).reshape(-1, 2)
    if prior.noise_shape == (2,):
        # The noise of two independent coordinates, by its quantiles.
        return prior.transform(u if prior.noise_marginal == "uniform" else ndtri(u))
    if prior.event_shape == (3,) and family.grid is not None:
        return family.grid(u)
    return None
