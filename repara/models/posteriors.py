"""Families of approximate posteriors: distributions over latents as functions of features.

Each family has a standard prior, and functions from its latents to decoder inputs and to figures.
D, the dimension of the latents, counts degrees of freedom: a point of the sphere or of the simplex
has D + 1 coordinates.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

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
    Uniform,
    VonMises,
    VonMisesFisher,
)
from repara.models import latent_geometry as geometry

__all__ = ["POSTERIORS", "PosteriorFamily", "Relaxation"]

Outputs = Callable[..., jax.Array]
"""`outputs(name, size, **initializers)` applies a dense layer to the features, [..., size]."""


class Relaxation(NamedTuple):
    """A continuous relaxation of a discrete distribution, for training.

    Attributes:
      relax: maps a discrete distribution and a temperature to the distribution of the logits, or
        logarithms, of relaxed latents, which do not underflow.
      soften: maps these logits or logarithms to the relaxed latents.
    """

    relax: Callable[[Any, Any], Distribution]
    soften: Callable[[jax.Array], jax.Array]


class PosteriorFamily(NamedTuple):
    """A family of q(z | x) with its standard prior.

    Attributes:
      name: its name on the command line.
      distribution: maps dense layers of the features, D and the number of components to q(z | x).
      prior: maps D and the number of components to p(z).
      closed_kl: whether KL(q || p) has a closed form.
      factorized: whether the KL of each latent coordinate, or of its marginal, has a closed form.
      euclidean: whether the support is R^D, as flows and learned priors require.
      decoder_inputs: maps latents to inputs of the decoder, [..., N].
      interpolate: maps two latents and a weight t in [0, 1] to a point between them.
      grid: for D = 2, maps uniform points of the unit square to the prior; None to use `transform`.
      relaxation: the relaxation of discrete latents; None if they are not relaxed.
    """

    name: str
    distribution: Callable[[Outputs, int, int], Distribution]
    prior: Callable[[int, int], Distribution]
    closed_kl: bool = True
    factorized: bool = False
    euclidean: bool = False
    decoder_inputs: Callable[[jax.Array], jax.Array] = geometry.unchanged_inputs
    interpolate: Callable[[jax.Array, jax.Array, jax.Array], jax.Array] = (
        geometry.interpolate_on_line
    )
    grid: Callable[[jax.Array], jax.Array] | None = None
    relaxation: Relaxation | None = None


def _loc_and_log_scale(outputs: Outputs, d: int) -> tuple[jax.Array, jax.Array]:
    # One layer for both: two small products and their updates take longer than one.
    both = outputs("loc_and_log_scale", 2 * d)
    # exp keeps the scale positive, and a linear layer before it can reach any magnitude.
    return both[..., :d], jnp.exp(both[..., d:])


def _normal(outputs: Outputs, d: int, _: int) -> Distribution:
    return Independent(Normal(*_loc_and_log_scale(outputs, d)), 1)


def _standard_normal(d: int, _: int) -> Distribution:
    return Independent(Normal(jnp.zeros(d), jnp.ones(d)), 1)


def _multivariate_normal(outputs: Outputs, d: int, _: int) -> Distribution:
    loc, scale = _loc_and_log_scale(outputs, d)
    rows, columns = jnp.tril_indices(d, -1)
    # Zero at the start, so that the coordinates start independent.
    lower = outputs("lower", len(rows), kernel_init=jax.nn.initializers.zeros)
    batch = loc.shape[:-1]
    tril = jnp.zeros((*batch, d, d), loc.dtype).at[..., rows, columns].set(lower)
    eye = jnp.eye(d, dtype=loc.dtype).reshape((1,) * len(batch) + (d, d))
    return MultivariateNormal(loc, scale_tril=tril + scale[..., None] * eye)


def _standard_multivariate_normal(d: int, _: int) -> Distribution:
    return MultivariateNormal(jnp.zeros(d), scale_diag=jnp.ones(d))


def _mixture(outputs: Outputs, d: int, k: int) -> Distribution:
    def spread_locations(key: jax.Array, shape: Any, dtype: Any = jnp.float32) -> jax.Array:
        # Components that start equal stay equal, so the locations start about one unit apart.
        n = k * d
        loc = jax.random.normal(key, (n,), dtype)
        return jnp.concatenate([loc, jnp.zeros(shape[0] - n, dtype)])

    both = outputs("loc_and_log_scale", 2 * k * d, bias_init=spread_locations)
    loc, log_scale = both[..., : k * d], both[..., k * d :]
    loc, log_scale = (x.reshape(*x.shape[:-1], k, d) for x in (loc, log_scale))
    weights = Categorical(logits=outputs("logits", k))
    return MixtureSameFamily(weights, Independent(Normal(loc, jnp.exp(log_scale)), 1))


# The sparse prior for VAEs of Figurnov, Mohamed and Mnih (2018), "Implicit Reparameterization
# Gradients", https://arxiv.org/abs/1805.08498.
_GAMMA_PRIOR = 0.3
# Keeps z = x / rate from overflow if the layer's output is very negative.
_MIN_RATE = 1e-4


def _gamma(outputs: Outputs, d: int, _: int) -> Distribution:
    # If the likelihood at z = 0 is positive, the true posterior near 0 is proportional to the
    # prior, z^(0.3 - 1). Smaller concentrations are not needed; their samples would underflow.
    both = jax.nn.softplus(outputs("concentration_and_rate", 2 * d))
    return Independent(Gamma(_GAMMA_PRIOR + both[..., :d], _MIN_RATE + both[..., d:]), 1)


def _gamma_prior(d: int, _: int) -> Distribution:
    return Independent(Gamma(jnp.full(d, _GAMMA_PRIOR), jnp.full(d, _GAMMA_PRIOR)), 1)


def _beta(outputs: Outputs, d: int, _: int) -> Distribution:
    # Prior and likelihood are bounded, so the true posterior is: no concentration below 1.
    both = 1 + jax.nn.softplus(outputs("concentrations", 2 * d))
    return Independent(Beta(both[..., :d], both[..., d:]), 1)


def _uniform_interval(d: int, _: int) -> Distribution:
    return Independent(Uniform(jnp.zeros(d), jnp.ones(d)), 1)


def _direction(v: jax.Array) -> jax.Array:
    """Returns v, or the first axis if v is zero, as it is at zero features and biases."""
    axis = jnp.zeros(v.shape[-1], v.dtype).at[0].set(1)
    zero = jnp.all(v == 0, axis=-1, keepdims=True)
    return jnp.where(zero, axis.reshape((1,) * (v.ndim - 1) + axis.shape), v)


def _von_mises(outputs: Outputs, d: int, _: int) -> Distribution:
    # As the angle of a vector it jumps by 2 pi only through the origin, where the vector is zero.
    v = outputs("direction", 2 * d)
    v = _direction(v.reshape(*v.shape[:-1], d, 2))
    # It starts near 3, so that the angles are informative: starting at 0.7, some latents collapsed.
    size = outputs("concentration", d, bias_init=jax.nn.initializers.constant(3.0))
    concentration = jax.nn.softplus(size)
    return Independent(VonMises(jnp.arctan2(v[..., 1], v[..., 0]), concentration), 1)


def _uniform_circle(d: int, _: int) -> Distribution:
    return Independent(VonMises(jnp.zeros(d), jnp.zeros(d)), 1)


def _on_sphere(outputs: Outputs, d: int) -> tuple[jax.Array, jax.Array]:
    # From the program of Davidson et al. (2018), "Hyperspherical Variational Auto-Encoders",
    # https://arxiv.org/abs/1804.00891: the softplus, the 1, which keeps the posterior from
    # collapsing, and the meaning of D, the sphere in D + 1 dimensions.
    mu = _direction(outputs("direction", d + 1))
    return mu, 1 + jax.nn.softplus(outputs("concentration", 1)[..., 0])


def _von_mises_fisher(outputs: Outputs, d: int, _: int) -> Distribution:
    return VonMisesFisher(*_on_sphere(outputs, d))


def _power_spherical(outputs: Outputs, d: int, _: int) -> Distribution:
    return PowerSpherical(*_on_sphere(outputs, d))


def _uniform_sphere(d: int, _: int) -> Distribution:
    return VonMisesFisher(jnp.zeros(d + 1).at[0].set(1), jnp.zeros(()))


def _dirichlet(outputs: Outputs, d: int, _: int) -> Distribution:
    # As for beta: no concentration below 1.
    return Dirichlet(1 + jax.nn.softplus(outputs("concentration", d + 1)))


def _uniform_simplex(d: int, _: int) -> Distribution:
    return Dirichlet(jnp.ones(d + 1))


def _logistic_normal(outputs: Outputs, d: int, _: int) -> Distribution:
    return LogisticNormal(*_loc_and_log_scale(outputs, d))


def _logistic_normal_prior(d: int, _: int) -> Distribution:
    return LogisticNormal(jnp.zeros(d), jnp.ones(d))


def _bernoulli(outputs: Outputs, d: int, _: int) -> Distribution:
    return Independent(Bernoulli(logits=outputs("logits", d)), 1)


def _fair_bernoulli(d: int, _: int) -> Distribution:
    return Independent(Bernoulli(logits=jnp.zeros(d)), 1)


def _categorical(outputs: Outputs, d: int, k: int) -> Distribution:
    logits = outputs("logits", d * k)
    return Independent(OneHotCategorical(logits=logits.reshape(*logits.shape[:-1], d, k)), 1)


def _uniform_categorical(d: int, k: int) -> Distribution:
    return Independent(OneHotCategorical(logits=jnp.zeros((d, k))), 1)


def _as_logistic(q: Independent, temperature: Any) -> Distribution:
    # Maddison, Mnih and Teh (2017), "The Concrete Distribution", appendix B,
    # https://arxiv.org/abs/1611.00712: the logit of a binary concrete variable is logistic. The
    # densities of posterior and prior are those of the logit, which have the same ratio, and no
    # value rounds to 0 or 1.
    assert isinstance(q.base, Bernoulli)
    logits = q.base.logits
    t = jnp.asarray(temperature, logits.dtype)
    return Independent(Logistic(logits / t, 1 / t), 1)


def _as_logarithms(q: Independent, temperature: Any) -> Distribution:
    # Likewise, appendix C.3: the logarithms of a concrete variable.
    assert isinstance(q.base, OneHotCategorical)
    logits = q.base.logits
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
        PosteriorFamily(
            "beta",
            _beta,
            _uniform_interval,
            factorized=True,
            decoder_inputs=geometry.unit_interval_inputs,
        ),
        PosteriorFamily(
            "von_mises",
            _von_mises,
            _uniform_circle,
            factorized=True,
            decoder_inputs=geometry.circle_inputs,
            interpolate=geometry.interpolate_on_circle,
        ),
        PosteriorFamily(
            "von_mises_fisher",
            _von_mises_fisher,
            _uniform_sphere,
            decoder_inputs=geometry.sphere_inputs,
            interpolate=geometry.interpolate_on_sphere,
            grid=geometry.sphere_grid,
        ),
        PosteriorFamily(
            "power_spherical",
            _power_spherical,
            _uniform_sphere,
            decoder_inputs=geometry.sphere_inputs,
            interpolate=geometry.interpolate_on_sphere,
            grid=geometry.sphere_grid,
        ),
        PosteriorFamily(
            "dirichlet",
            _dirichlet,
            _uniform_simplex,
            decoder_inputs=geometry.simplex_inputs,
            grid=geometry.simplex_grid,
        ),
        PosteriorFamily(
            "logistic_normal",
            _logistic_normal,
            _logistic_normal_prior,
            decoder_inputs=geometry.simplex_inputs,
        ),
        PosteriorFamily(
            "bernoulli",
            _bernoulli,
            _fair_bernoulli,
            factorized=True,
            decoder_inputs=geometry.zero_one_inputs,
        ),
        PosteriorFamily(
            "categorical",
            _categorical,
            _uniform_categorical,
            factorized=True,
            decoder_inputs=geometry.one_hot_inputs,
        ),
        PosteriorFamily(
            "relaxed_bernoulli",
            _bernoulli,
            _fair_bernoulli,
            factorized=True,
            decoder_inputs=geometry.zero_one_inputs,
            relaxation=Relaxation(_as_logistic, jax.nn.sigmoid),
        ),
        PosteriorFamily(
            "relaxed_categorical",
            _categorical,
            _uniform_categorical,
            factorized=True,
            decoder_inputs=geometry.one_hot_inputs,
            relaxation=Relaxation(_as_logarithms, jnp.exp),
        ),
    )
}
"""The families of posteriors by name."""
