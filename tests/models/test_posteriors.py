"""Families of posteriors: shapes, gradients, priors, divergences, interpolation."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import repara as rp
from repara import evaluation, objectives
from repara.models import POSTERIORS, PosteriorHead, center, posterior_mean, prior_grid
from tests.distributions.programs import compiled

_D, _K, _B = 2, 3, 4
_DISCRETE = ("bernoulli", "categorical", "relaxed_bernoulli", "relaxed_categorical")
_CONTINUOUS = [name for name in POSTERIORS if name not in _DISCRETE]
_EVENT = {
    "von_mises_fisher": (3,), "power_spherical": (3,), "dirichlet": (3,), "logistic_normal": (3,),
    "categorical": (2, 3), "relaxed_categorical": (2, 3),
}  # fmt: skip


@functools.cache
def _head(name):
    head = PosteriorHead(_D, name, _K)
    h = jax.random.normal(jax.random.key(1), (_B, 5))
    return head, jax.jit(head.init)(jax.random.key(0), h), h


@functools.cache
def _results(name):
    """Samples, densities, gradients and divergences, all from one compiled program."""
    head, variables, h = _head(name)
    relaxation = POSTERIORS[name].relaxation

    def program(variables, h):
        def loss(variables, h):
            q, p = head.apply(variables, h), head.prior()
            if relaxation is not None:
                q, p = relaxation.relax(q, 0.5), relaxation.relax(p, 0.5)
            if not q.has_rsample:
                z = q.sample(jax.random.key(2), (7,))
                log_q = q.log_prob(z)
            else:
                z, log_q = q.rsample_and_log_prob(jax.random.key(2), (7,))
            soft = z if relaxation is None else relaxation.soften(z)
            inputs = head.decoder_inputs(soft)
            score = log_q - p.log_prob(z) + jnp.sum(jnp.sin(3 * inputs), axis=-1)
            return jnp.sum(score), (soft, log_q, p.log_prob(z), inputs)

        (_, values), slopes = jax.value_and_grad(loss, (0, 1), has_aux=True)(variables, h)
        q, p = head.apply(variables, h), head.prior()
        middle = center(q), posterior_mean(q)
        kl = ()
        if POSTERIORS[name].closed_kl:
            kl = rp.kl_divergence(q, p), *rp.monte_carlo_kl(jax.random.key(3), q, p, 20_000)
        return values, slopes, middle, kl

    return jax.tree.map(np.asarray, compiled(program)(variables, h))


@pytest.mark.parametrize("name", POSTERIORS)
def test_shapes_support_and_gradients(name):
    head = _head(name)[0]
    event = _EVENT.get(name, (2,))
    (z, log_q, log_p, inputs), slopes, middle, _ = _results(name)
    assert z.shape == (7, _B, *event)
    assert log_q.shape == log_p.shape == (7, _B)
    assert inputs.shape[:2] == (7, _B)
    assert inputs.ndim == 3
    assert all(np.all(np.isfinite(x)) for x in (z, log_q, log_p, inputs, *middle))
    assert head.prior().event_shape == event
    for path, leaf in jax.tree_util.tree_leaves_with_path(slopes):
        assert np.all(np.isfinite(leaf)), path
        assert np.any(leaf != 0), path
    prior = head.prior()
    assert np.all(prior.support.check(jnp.asarray(middle[0])))
    if name not in _DISCRETE:
        assert np.all(prior.support.check(jnp.asarray(z)))


@pytest.mark.parametrize("name", POSTERIORS)
def test_closed_divergence_against_monte_carlo(name):
    family = POSTERIORS[name]
    if not family.closed_kl:
        q, p = _build(name)
        with pytest.raises(NotImplementedError):
            rp.kl_divergence(q, p)
        return
    exact, estimate, error = _results(name)[3]
    assert exact.shape == (_B,)
    assert np.all(exact > 0)
    assert np.all(error < 0.05 * (0.1 + exact))
    assert np.all(np.abs(estimate - exact) < 5 * error)


def _build(name, **kwargs):
    head, variables, h = _head(name)
    return head.apply(variables, h, **kwargs), head.prior()


@pytest.mark.parametrize("name", [n for n in POSTERIORS if POSTERIORS[n].factorized])
def test_divergences_of_coordinates(name):
    q, p = _build(name)
    each = evaluation.kl_per_dimension(q, p)
    assert each.shape == (_B, _D)
    np.testing.assert_allclose(jnp.sum(each, axis=-1), _results(name)[3][0], rtol=1e-4)


@pytest.mark.parametrize("name", POSTERIORS)
def test_standard_prior_has_mass_one(name):
    """Exact sums and quadrature, over coordinates in which the base measure is known."""
    p = POSTERIORS[name].prior(2, _K)
    if name in _DISCRETE:
        values = [np.eye(_K)[list(k)] for k in itertools.product(range(_K), repeat=2)]
        if "bernoulli" in name:
            values = list(itertools.product((0.0, 1.0), repeat=2))
        total = np.sum(np.exp(p.log_prob(jnp.asarray(np.stack(values), jnp.float32))))
        np.testing.assert_allclose(total, 1, rtol=1e-6)
        return
    nodes, weights = np.polynomial.legendre.leggauss(60)
    u, w = 0.5 * (nodes + 1), 0.5 * weights
    a, b = (x.ravel() for x in np.meshgrid(u, u))
    both = np.outer(w, w).ravel()
    t, s = np.log(a) - np.log1p(-a), np.log(b) - np.log1p(-b)
    if p.event_shape == (3,) and "spher" not in name and "fisher" not in name:
        # The triangle z1 + z2 < 1, in (a, (1 - a) b).
        z, both = np.stack([a, (1 - a) * b, (1 - a) * (1 - b)], axis=-1), both * (1 - a)
    elif p.event_shape == (3,):
        radius = np.sqrt(1 - (2 * a - 1) ** 2)
        angle = 2 * np.pi * b
        z = np.stack([2 * a - 1, radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
        both = both * 4 * np.pi
    elif name == "beta":
        z = np.stack([a, b], axis=-1)
    elif name == "von_mises":
        z, both = 2 * np.pi * np.stack([a, b], axis=-1), both * 4 * np.pi**2
    elif name == "gamma":
        # z = e^y with y from the tail at -60 on: half a logit each way.
        y = np.stack([30 * (2 * a - 1) - 25, 30 * (2 * b - 1) - 25], axis=-1)
        z, both = np.exp(y), both * 3600 * np.exp(np.sum(y, axis=-1))
    else:
        z = 2 * np.stack([t, s], axis=-1)
        both = both * 4 / (a * (1 - a) * b * (1 - b))
    density = np.exp(np.asarray(p.log_prob(jnp.asarray(z, jnp.float32)), np.float64))
    np.testing.assert_allclose(np.sum(both * density), 1, rtol=2e-3)


@pytest.mark.parametrize("name", POSTERIORS)
def test_interpolation_stays_in_the_support(name):
    family = POSTERIORS[name]
    q, p = _build(name)
    ends = np.asarray(center(q))
    a, b = ends[:2], ends[2:]
    weights = np.linspace(0, 1, 5, dtype=np.float32).reshape(5, 1, *(1,) * len(p.event_shape))
    way = np.asarray(family.interpolate(a[None], b[None], weights))
    np.testing.assert_allclose(family.decoder_inputs(way[0]), family.decoder_inputs(a), atol=1e-6)
    np.testing.assert_allclose(family.decoder_inputs(way[-1]), family.decoder_inputs(b), atol=1e-6)
    if name in _CONTINUOUS:
        assert np.all(p.support.check(jnp.asarray(way)))


def test_interpolation_on_spheres_has_constant_speed():
    for name in ("von_mises_fisher", "power_spherical"):
        a, b = np.eye(3, dtype=np.float32)[:2]
        way = POSTERIORS[name].interpolate(
            a[None], b[None], np.linspace(0, 1, 7, dtype="f")[:, None]
        )
        angle = np.arctan2(way[:, 1], way[:, 0])
        np.testing.assert_allclose(angle, np.linspace(0, np.pi / 2, 7), atol=1e-6)
    circle = POSTERIORS["von_mises"].interpolate(
        np.float32([3.0]), np.float32([-3.0]), np.float32([0.5])
    )
    np.testing.assert_allclose(np.cos(circle), -1, atol=1e-6)


@pytest.mark.parametrize("name", _CONTINUOUS)
def test_the_grid_has_equal_prior_probability(name):
    """A third of the grid lies where a third of the samples lie, by each coordinate's tertiles."""
    family, p = POSTERIORS[name], POSTERIORS[name].prior(2, _K)
    grid = np.asarray(prior_grid(family, p, 60))
    assert grid.shape == (3600, *p.event_shape)
    samples = np.asarray(p.sample(jax.random.key(0), (30_000,)))
    for i in range(samples.shape[-1]):
        cuts = np.quantile(samples[:, i], [1 / 3, 2 / 3])
        share = np.mean(grid[:, i : i + 1] < cuts, axis=0)
        # The error of a quantile of 30,000 samples, and a row of the grid.
        np.testing.assert_allclose(share, [1 / 3, 2 / 3], atol=5 * 0.5 / np.sqrt(30_000) + 1 / 60)
    assert prior_grid(family, POSTERIORS[name].prior(3, _K), 4) is None


@pytest.mark.parametrize("name", ["von_mises", "von_mises_fisher", "power_spherical"])
def test_zero_features_give_a_direction(name):
    """At zero features and biases the encoder's direction is the zero vector."""
    head, variables, h = _head(name)

    def of(variables):
        q = head.apply(variables, 0 * h)
        return jnp.sum(q.rsample(jax.random.key(0)) ** 2)

    value, slopes = compiled(jax.value_and_grad(of))(variables)
    assert all(np.all(np.isfinite(x)) for x in (value, *jax.tree.leaves(slopes)))


def test_relaxed_densities_are_those_of_the_values():
    """In logits or logarithms the density ratio is the one of the relaxed values themselves."""
    t = 0.6
    for name, of_values in (
        ("relaxed_bernoulli", rp.RelaxedBernoulli),
        ("relaxed_categorical", rp.RelaxedOneHotCategorical),
    ):
        relaxation, (q, p) = POSTERIORS[name].relaxation, _build(name)
        y = relaxation.relax(q, t).rsample(jax.random.key(0))
        ratio = relaxation.relax(q, t).log_prob(y) - relaxation.relax(p, t).log_prob(y)
        z = relaxation.soften(y)
        q, p = (rp.Independent(of_values(t, logits=d.base.logits), 1) for d in (q, p))
        np.testing.assert_allclose(ratio, q.log_prob(z) - p.log_prob(z), rtol=1e-3, atol=1e-4)


def test_relaxed_bound_is_finite_at_low_temperature():
    """Values round to 0 and 1 there; their logits do not."""
    relaxation, (q, p) = POSTERIORS["relaxed_bernoulli"].relaxation, _build("relaxed_bernoulli")
    q, p = relaxation.relax(q, 0.01), relaxation.relax(p, 0.01)
    bound = objectives.elbo_monte_carlo(
        jax.random.key(0), q, p, lambda y: -jnp.sum(relaxation.soften(y), axis=-1), num_samples=50
    )
    assert np.all(np.isfinite(bound.bound))


def test_importance_sampling_with_discrete_latents():
    """Against the sum over all values."""
    (q, p), values = _build("bernoulli"), np.float32(list(itertools.product((0, 1), repeat=2)))

    def log_likelihood(z):
        return -3 * jnp.sum((z - 0.3) ** 2, axis=-1)

    exact = jax.nn.logsumexp(log_likelihood(values) + p.log_prob(values))
    e = compiled(
        lambda q: evaluation.importance_log_likelihood(
            jax.random.key(0), q, p, log_likelihood, num_samples=3000, chunk_size=1000
        )
    )(q)
    assert np.all((e.stderr > 0) & (e.stderr < 0.05))
    assert np.all(np.abs(e.log_likelihood - exact) < 5 * e.stderr)


@pytest.mark.parametrize(
    "name", ["normal", "beta", "von_mises_fisher", "bernoulli", "categorical", "dirichlet"]
)
def test_decoder_inputs_have_mean_zero_and_variance_near_one(name):
    family = POSTERIORS[name]
    z = family.prior(2, _K).sample(jax.random.key(0), (20_000,))
    inputs = np.asarray(family.decoder_inputs(z))
    # Values are below 3, so the standard error of a mean is about 0.01.
    np.testing.assert_allclose(np.mean(inputs, axis=0), 0, atol=0.05)
    variance = 0.5 if name == "dirichlet" else 1.0  # d / (d + 2)
    np.testing.assert_allclose(np.var(inputs, axis=0), variance, atol=0.05)
