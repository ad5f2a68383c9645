"""IWAE and its combinations: values against quadrature, gradients against each other."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import repara as rp
from repara import noise, objectives
from repara.objectives.renyi import log_power_mean
from tests import linear_gaussian as model
from tests.objectives import quadrature

# name of a setting -> bound, options, the bound as a function of the log-weights of two samples.
_BOUNDS = {
    "elbo_monte_carlo": (
        "elbo_monte_carlo", {"num_samples": 2}, lambda v: v.mean(axis=0),
    ),
    "iwae": ("iwae", {"num_samples": 2}, lambda v: np.log(np.exp(v).mean(axis=0))),
    "ciwae": (
        "ciwae", {"num_samples": 2, "elbo_weight": 0.3},
        lambda v: 0.3 * v.mean(axis=0) + 0.7 * np.log(np.exp(v).mean(axis=0)),
    ),
    "miwae_one_outer": (
        "miwae", {"num_outer": 1, "num_samples": 2}, lambda v: np.log(np.exp(v).mean(axis=0)),
    ),
    "miwae_two_outer": ("miwae", {"num_outer": 2, "num_samples": 1}, lambda v: v.mean(axis=0)),
    "piwae": (
        "piwae", {"num_outer": 2, "num_samples": 1}, lambda v: np.log(np.exp(v).mean(axis=0)),
    ),
    "renyi": (
        "renyi", {"num_samples": 2, "alpha": 0.3},
        lambda v: np.log(np.exp(0.7 * v).mean(axis=0)) / 0.7,
    ),
    "renyi_2": (
        "renyi", {"num_samples": 2, "alpha": 2.0}, lambda v: -np.log(np.exp(-v).mean(axis=0)),
    ),
    "renyi_near_1": (
        "renyi", {"num_samples": 2, "alpha": 1 + 1e-6},
        lambda v: v.mean(axis=0) - 0.5e-6 * v.var(axis=0),
    ),
}  # fmt: skip
_PARAMS = (jnp.float32(0.9), jnp.float32(0.8))


@pytest.mark.parametrize("setting", list(_BOUNDS))
def test_expectation_is_that_of_the_formula(setting, x64):
    name, options, formula = _BOUNDS[setting]
    params = (jnp.float64(0.9), jnp.float64(0.8))
    exact = np.sum(quadrature.WEIGHTS * formula(quadrature.log_weights(0.9, 0.8)))
    given = quadrature.expectation(name, params, **options)
    np.testing.assert_allclose(given, exact, rtol=1e-10)
    # A lower bound of log p(x), also Renyi's for alpha >= 0.
    assert given < float(model.log_evidence()[2])


@functools.cache
def _gradients(setting, gradient):
    """The expectation of the gradient's estimate in loc and scale, and its parts at the nodes."""
    name, options, _ = _BOUNDS[setting]
    with jax.enable_x64(True):
        params = (jnp.float64(0.9), jnp.float64(0.8))
        return np.array(
            jax.grad(
                lambda p: quadrature.expectation(name, p, gradient=gradient, **options)
            )(params)
        )  # fmt: skip


@pytest.mark.parametrize("setting", ["iwae", "ciwae", "miwae_one_outer", "renyi", "renyi_2"])
def test_doubly_reparameterized_gradients_are_unbiased_and_stl_is_not(setting):
    plain = _gradients(setting, "plain")
    np.testing.assert_allclose(_gradients(setting, "dreg"), plain, rtol=1e-6)
    assert np.max(np.abs(_gradients(setting, "stl") / plain - 1)) > 0.05


def test_all_gradients_are_unbiased_if_the_bound_is_a_mean():
    plain = _gradients("elbo_monte_carlo", "plain")
    np.testing.assert_allclose(_gradients("elbo_monte_carlo", "stl"), plain, rtol=1e-10)
    # With K = 1 the posterior's gradient is that of the ELBO, not of the value.
    for gradient in ("plain", "stl", "dreg"):
        np.testing.assert_allclose(_gradients("piwae", gradient), plain, rtol=1e-10)
        np.testing.assert_allclose(_gradients("miwae_two_outer", gradient), plain, rtol=1e-10)


# Bounds whose gradient has all three forms, with options for six samples.
_FORMS = {
    "iwae": {"num_samples": 6},
    "ciwae": {"num_samples": 6, "elbo_weight": 0.3},
    "miwae": {"num_outer": 2, "num_samples": 3},
    "piwae": {"num_outer": 2, "num_samples": 3},
    "renyi": {"num_samples": 6, "alpha": 0.3},
}


def _bound(name, q, shift=0.0, prior_loc=0.0, gradient="plain", **options):
    return getattr(objectives, name)(
        jax.random.key(0), q, rp.Normal(prior_loc, 1.0),
        lambda z: model.log_likelihood(z + shift), gradient=gradient, **options,
    )  # fmt: skip


@pytest.mark.parametrize("name", list(_FORMS))
@pytest.mark.parametrize("gradient", ["stl", "dreg"])
def test_path_gradients_vanish_at_the_true_posterior(name, gradient):
    def total(q, gradient):
        return jnp.sum(_bound(name, q, gradient=gradient, **_FORMS[name]).bound)

    q = model.exact_posterior()
    for leaf in jax.tree.leaves(jax.grad(total)(q, gradient)):
        assert np.all(np.abs(leaf) < 2e-5)
    # The plain one does not.
    assert np.max(np.abs(jax.grad(total)(q, "plain").loc)) > 1e-2


@pytest.mark.parametrize("name", list(_FORMS))
def test_the_form_of_the_gradient_changes_neither_the_value_nor_the_models_gradient(name):
    q = model.wrong_posterior()

    def parameters_of_the_model(gradient):
        return jax.value_and_grad(
            lambda p: jnp.sum(_bound(name, q, *p, gradient=gradient, **_FORMS[name]).bound)
        )((0.1, -0.2))

    value, plain = parameters_of_the_model("plain")
    for gradient in ("stl", "dreg"):
        other, g = parameters_of_the_model(gradient)
        np.testing.assert_allclose(other, value, rtol=1e-5)
        np.testing.assert_allclose(g, plain, rtol=1e-5)


@pytest.mark.parametrize("gradient", ["plain", "stl", "dreg"])
def test_piwae_has_the_models_gradient_of_iwae_and_the_posteriors_of_miwae(gradient):
    def call(name, q, p, **options):
        return jnp.sum(_bound(name, q, *p, gradient=gradient, **options).bound)

    q, p = model.wrong_posterior(), (0.1, -0.2)
    value, (of_q, of_p) = jax.value_and_grad(
        lambda q, p: call("piwae", q, p, **_FORMS["piwae"]), argnums=(0, 1)
    )(q, p)
    np.testing.assert_allclose(value, call("iwae", q, p, num_samples=6), rtol=1e-6)
    iwae = jax.grad(lambda p: call("iwae", q, p, num_samples=6))(p)
    np.testing.assert_allclose(of_p, iwae, rtol=1e-5)
    miwae = jax.grad(lambda q: call("miwae", q, p, **_FORMS["miwae"]))(q)
    for a, b in zip(jax.tree.leaves(of_q), jax.tree.leaves(miwae), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    # The two gradients differ.
    other = jax.grad(lambda p: call("miwae", q, p, **_FORMS["miwae"]))(p)
    assert np.max(np.abs(np.subtract(other, iwae))) > 0.01


@pytest.mark.parametrize("name", list(_FORMS))
@pytest.mark.parametrize("gradient", ["plain", "stl", "dreg"])
def test_a_weight_that_underflows_leaves_the_gradient_finite(name, gradient):
    # Samples of a posterior this wide have log-weights hundreds of nats apart.
    q = rp.Normal(jnp.full(3, 5.0), 30.0)
    g = jax.grad(
        lambda q: jnp.sum(_bound(name, q, gradient=gradient, **_FORMS[name]).bound)
    )(q)  # fmt: skip
    for leaf in jax.tree.leaves(g):
        assert np.all(np.isfinite(leaf))
        assert np.all(leaf != 0)


def test_the_combined_bound_at_both_ends_and_out_of_range():
    q = model.wrong_posterior()
    elbo = objectives.elbo_monte_carlo(
        jax.random.key(0), q, model.prior(), model.log_likelihood, num_samples=6
    )
    for weight, other in ((0.0, _bound("iwae", q, num_samples=6)), (1.0, elbo)):
        given = _bound("ciwae", q, num_samples=6, elbo_weight=weight)
        np.testing.assert_allclose(given, other, rtol=1e-6)
    with pytest.raises(ValueError, match=r"elbo_weight must be from 0 to 1, got 1\.5"):
        _bound("ciwae", q, elbo_weight=1.5)
    with pytest.raises(ValueError, match="num_outer must be at least 1, got 0"):
        _bound("miwae", q, num_outer=0)


def test_renyi_falls_with_alpha_from_iwae_through_the_elbo():
    q = model.wrong_posterior()
    alphas = [-2.0, 0.0, 0.5, 0.999, 1.0, 1.001, 2.0, 20.0]
    values = np.stack([_bound("renyi", q, num_samples=50, alpha=a).bound for a in alphas])
    assert np.all(np.diff(values, axis=0) < 1e-6)
    assert np.all(values[0] > values[-1] + 0.1)
    np.testing.assert_allclose(values[1], _bound("iwae", q, num_samples=50).bound, rtol=1e-6)
    elbo = objectives.elbo_monte_carlo(
        jax.random.key(0), q, model.prior(), model.log_likelihood, num_samples=50
    )
    np.testing.assert_allclose(values[4], elbo.bound, rtol=1e-6)


def test_renyi_with_many_samples_is_the_closed_form():
    # E_q[w^t] is a Gaussian integral: with precisions of the joint, 1 + 1/s^2, and of q, 1/v, the
    # exponent is -(t a - (t - 1)/v) z^2 / 2 + (t b - (t - 1) m/v) z + constant.
    q, alpha, s2 = model.wrong_posterior(), 0.5, model.SCALE**2
    t, v = 1 - alpha, np.float64(q.scale) ** 2
    m, x = np.asarray(q.loc, np.float64), np.asarray(model.X, np.float64)
    a = t * (1 + 1 / s2) + (1 - t) / v
    b = t * x / s2 + (1 - t) * m / v
    constant = -0.5 * t * (x**2 / s2 + np.log(s2) + 2 * np.log(2 * np.pi))
    constant -= 0.5 * (1 - t) * (m**2 / v + np.log(v) + np.log(2 * np.pi))
    exact = (constant + 0.5 * np.log(2 * np.pi / a) + 0.5 * b**2 / a) / t
    given = objectives.renyi(
        jax.random.key(0), q, model.prior(), model.log_likelihood, num_samples=2**14, alpha=alpha,
        source=rp.noise.sobol,
    ).bound  # fmt: skip
    np.testing.assert_allclose(given, exact, atol=1e-3)


@pytest.mark.parametrize("alpha", [1.0, 1 - 1e-4, 1.5])
def test_renyi_is_smooth_through_one(alpha, dtype):
    # l = (-a, a) around a level: log cosh(t a) / t, and tanh(t a) its derivative in a.
    level, a = jnp.asarray(-100.0, dtype), jnp.asarray(0.7, dtype)
    t = jnp.asarray(1 - alpha, dtype)

    def value(a, t):
        return log_power_mean(level + jnp.stack([-a, a])[:, None], t)[0]

    ta = float(t) * 0.7
    exact = (
        float(t) / 2 * 0.49 * (1 - ta**2 / 6) if abs(ta) < 1e-2 else np.log(np.cosh(ta)) / float(t)
    )

    @jax.jit
    def derivatives(a, t):
        by_t = jax.grad(value, argnums=1)
        return value(a, t), jax.grad(value)(a, t), jax.grad(jax.grad(value))(a, t), by_t(a, t)

    # The level is rounded like the log-weights themselves.
    atol = 200 * float(jnp.finfo(dtype).eps)
    given, first, second, by_t = derivatives(a, t)
    np.testing.assert_allclose(given - level, exact, rtol=1e-4, atol=atol)
    np.testing.assert_allclose(first, np.tanh(ta), rtol=1e-3, atol=atol)
    np.testing.assert_allclose(second, float(t) / np.cosh(ta) ** 2, rtol=2e-3, atol=atol)
    assert np.isfinite(by_t)
    # d/dt at 0 is half the variance.
    np.testing.assert_allclose(derivatives(a, 0 * t)[3], 0.245, rtol=2e-3)


def test_weights_far_apart_and_large_orders():
    log_w = jnp.array([[-800.0], [-100.0], [0.0]])
    wide = np.asarray(log_w, np.float64)[:, 0]
    value_and_grad = jax.jit(jax.value_and_grad(lambda v, t: log_power_mean(v, t)[0]))
    for t, exact in ((1.0, -np.log(3)), (-1.0, -800 + np.log(3)), (1e-3, None), (50.0, None)):
        given, gradient = value_and_grad(log_w, jnp.float32(t))
        if exact is None:
            exact = np.log(np.mean(np.exp(t * wide))) / t
        np.testing.assert_allclose(given, exact, rtol=1e-4)
        assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize("name", list(_FORMS))
@pytest.mark.parametrize("source", [noise.antithetic, noise.stratified, noise.sobol])
def test_doubly_reparameterized_gradients_refuse_dependent_samples(name, source):
    with pytest.raises(ValueError, match="biased if the samples depend on one another"):
        _bound(name, model.wrong_posterior(), gradient="dreg", source=source, **_FORMS[name])


@pytest.mark.parametrize(
    ("gradient", "source"),
    [("plain", noise.iid), ("plain", noise.antithetic), ("dreg", noise.iid)],
    ids=["plain", "plain-antithetic", "dreg"],
)
def test_gradients_of_the_bound_with_two_samples_are_unbiased(gradient, source, x64):
    """Against a double integral over the noise, by Gauss-Hermite quadrature."""

    def bound(parameters, eps):
        loc, log_scale = parameters
        q = rp.Normal(loc, jnp.exp(log_scale))
        z = q.transform(eps)
        log_w = rp.Normal(0.0, 1.0).log_prob(z) + rp.Normal(z, 0.5).log_prob(1.5) - q.log_prob(z)
        return jax.nn.logsumexp(log_w, axis=0) - jnp.log(2.0)

    points, weights = np.polynomial.hermite_e.hermegauss(80)
    weights = weights / weights.sum()
    parameters = jnp.array([0.3, -0.2])
    if source is noise.antithetic:
        grid, mass = np.stack([points, -points]), weights
    else:
        grid = np.stack([np.repeat(points, 80), np.tile(points, 80)])
        mass = np.outer(weights, weights).ravel()
    exact = jax.grad(lambda p: jnp.sum(mass * bound(p, jnp.asarray(grid))))(parameters)

    def estimate(parameters, key):
        q = rp.Normal(jnp.broadcast_to(parameters[0], (1,)), jnp.exp(parameters[1]))
        return objectives.iwae(
            key, q, rp.Normal(0.0, 1.0), lambda z: rp.Normal(z, 0.5).log_prob(1.5),
            num_samples=2, gradient=gradient, source=source,
        ).bound[0]  # fmt: skip

    keys = jax.random.split(jax.random.key(0), 40_000)
    gradients = np.asarray(jax.jit(jax.vmap(jax.grad(estimate), (None, 0)))(parameters, keys))
    stderr = gradients.std(axis=0, ddof=1) / np.sqrt(len(keys))
    assert np.all(stderr < 0.02)  # the bias of a refused combination is 0.48 in the location
    assert np.all(np.abs(gradients.mean(axis=0) - exact) < 5 * stderr)
