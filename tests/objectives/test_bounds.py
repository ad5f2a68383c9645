import jax
import jax.numpy as jnp
import numpy as np
import pytest

import repara as rp
from repara import objectives
from tests import linear_gaussian as model


def _call(name, posterior, key=0, **options):
    function = getattr(objectives, name)
    return function(jax.random.key(key), posterior, model.prior(), model.log_likelihood, **options)


def _exact_elbo(q):
    """E_q[log p(x | z)] - KL(q || p) of the model, in closed form."""
    quadratic = ((model.X - q.loc) ** 2 + q.scale**2) / model.SCALE**2
    reconstruction = -0.5 * quadratic - jnp.log(model.SCALE) - 0.5 * jnp.log(2 * jnp.pi)
    return reconstruction, rp.kl_divergence(q, model.prior())


@pytest.mark.parametrize("name", ["elbo", "elbo_monte_carlo"])
def test_elbo_is_right_on_average(name):
    q = model.wrong_posterior()
    reconstruction, kl = _exact_elbo(q)
    bounds = jax.vmap(lambda k: getattr(objectives, name)(
        k, q, model.prior(), model.log_likelihood))(jax.random.split(jax.random.key(1), 20_000)
    )  # fmt: skip
    for given, exact in [
        (bounds.bound, reconstruction - kl),
        (bounds.log_likelihood, reconstruction),
        (bounds.kl, kl),
    ]:
        error = jnp.std(given, axis=0) / np.sqrt(20_000)
        assert bool(jnp.all(error < 0.02))
        assert bool(jnp.all(jnp.abs(jnp.mean(given, axis=0) - exact) <= 5 * error + 1e-5))


@pytest.mark.parametrize("name", ["elbo_monte_carlo", "iwae"])
def test_bounds_are_tight_at_the_exact_posterior(name):
    bound = _call(name, model.exact_posterior(), num_samples=3).bound
    np.testing.assert_allclose(bound, model.log_evidence(), rtol=1e-5, atol=1e-5)


def test_iwae_with_one_sample_is_the_elbo_and_tightens_with_more():
    q = model.wrong_posterior()
    np.testing.assert_allclose(
        _call("iwae", q).bound, _call("elbo_monte_carlo", q).bound, rtol=1e-5
    )
    keys = jax.random.split(jax.random.key(2), 4000)
    means = []
    for k in (1, 5, 50):
        bounds = jax.vmap(lambda key, k=k: objectives.iwae(
            key, q, model.prior(), model.log_likelihood, num_samples=k).bound)(keys)  # fmt: skip
        means.append(np.asarray(jnp.mean(bounds, axis=0)))
        error = np.asarray(jnp.std(bounds, axis=0)) / np.sqrt(4000)
    assert np.all(means[0] < means[1])
    assert np.all(means[1] < means[2])
    assert np.all(means[2] < model.log_evidence() + 5 * error)
    np.testing.assert_allclose(means[2], model.log_evidence(), atol=0.02)


@pytest.mark.parametrize("name", ["elbo", "elbo_monte_carlo"])
def test_gradient_in_the_posterior(name):
    q = model.wrong_posterior()
    q = rp.Normal(jnp.broadcast_to(q.loc, (3,)), jnp.full(3, 0.8))

    def exact(q):
        reconstruction, kl = _exact_elbo(q)
        return jnp.sum(reconstruction - kl)

    def estimate(q, key):
        return jnp.sum(
            getattr(objectives, name)(
                key, q, model.prior(), model.log_likelihood, num_samples=4
            ).bound
        )

    keys = jax.random.split(jax.random.key(3), 10_000)
    estimates = jax.jit(jax.vmap(jax.grad(estimate), (None, 0)))(q, keys)
    for true, samples in zip(
        jax.tree.leaves(jax.grad(exact)(q)), jax.tree.leaves(estimates), strict=True
    ):
        error = jnp.std(samples, axis=0) / np.sqrt(10_000)
        assert bool(jnp.all(error < 0.03))
        assert bool(jnp.all(jnp.abs(jnp.mean(samples, axis=0) - true) <= 5 * error))


def test_beta_weighs_the_divergence():
    q = model.wrong_posterior()
    plain, heavy = _call("elbo", q), _call("elbo", q, beta=4.0)
    np.testing.assert_allclose(heavy.bound, plain.bound - 3 * plain.kl, rtol=1e-5)
    np.testing.assert_array_equal(heavy.kl, plain.kl)


def test_bounds_have_one_value_per_example():
    for name in ("elbo", "elbo_monte_carlo", "iwae"):
        for part in _call(name, model.wrong_posterior(), num_samples=5):
            assert part.shape == (3,)
        with pytest.raises(ValueError, match="num_samples must be at least 1, got 0"):
            _call(name, model.wrong_posterior(), num_samples=0)


def test_sobol_noise_lowers_the_error():
    q, exact = model.wrong_posterior(), _exact_elbo(model.wrong_posterior())[0]
    given = _call("elbo", q, num_samples=256, source=rp.noise.sobol).log_likelihood
    # Quasi-Monte Carlo: the error of 256 points is about 1/256, not 1/16.
    np.testing.assert_allclose(given, exact, atol=0.03)


def test_linear_warmup():
    steps = jnp.arange(0, 30, 5)
    weights = jax.vmap(lambda t: objectives.linear_warmup(t, 20, 2.0))(steps)
    np.testing.assert_allclose(weights, [0.0, 0.5, 1.0, 1.5, 2.0, 2.0])
    assert float(objectives.linear_warmup(jnp.int32(0), 0, 3.0)) == 3.0


@pytest.mark.parametrize("gradient", ["stl", "dreg"])
def test_path_gradients_vanish_at_the_true_posterior(gradient):
    def bound(q):
        return jnp.sum(
            objectives.iwae(
                jax.random.key(0), q, model.prior(), model.log_likelihood,
                num_samples=5, gradient=gradient,
            ).bound
        )  # fmt: skip

    q = model.exact_posterior()
    assert np.all(np.abs(jax.grad(bound)(q).loc) < 1e-5)
    assert np.all(np.abs(jax.grad(bound)(q).scale) < 1e-5)


def test_gradient_forms_keep_the_bound_and_agree_on_average():
    def bound(q, key, gradient, shift=0.0):
        return jnp.sum(
            objectives.iwae(
                key, q, model.prior(),
                lambda z: model.log_likelihood(z + shift),
                num_samples=4, gradient=gradient,
            ).bound
        )  # fmt: skip

    q = model.wrong_posterior()
    keys = jax.random.split(jax.random.key(1), 40_000)
    gradients, values, decoder = {}, {}, {}
    for name in ("plain", "stl", "dreg"):
        every = jax.jit(
            jax.vmap(jax.value_and_grad(lambda q, k, n=name: bound(q, k, n)), (None, 0))
        )
        value, g = every(q, keys)
        values[name], gradients[name] = np.asarray(value), np.asarray(g.loc, np.float64)
        decoder[name] = jax.grad(lambda s, n=name: bound(q, keys[0], n, s))(0.0)
    np.testing.assert_allclose(values["stl"], values["plain"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(values["dreg"], values["plain"], rtol=1e-5, atol=1e-5)
    # The gradient in the parameters of the likelihood does not depend on the form.
    np.testing.assert_allclose(decoder["dreg"], decoder["plain"], rtol=1e-5)
    np.testing.assert_allclose(decoder["stl"], decoder["plain"], rtol=1e-5)
    variance = {k: g.var(axis=0) / len(g) for k, g in gradients.items()}
    difference = np.abs(gradients["dreg"].mean(axis=0) - gradients["plain"].mean(axis=0))
    stderr = np.sqrt(variance["dreg"] + variance["plain"])
    assert np.all(difference < 5 * stderr)
    # The bias of "stl" is far larger than the standard error.
    bias = np.abs(gradients["stl"].mean(axis=0) - gradients["dreg"].mean(axis=0))
    assert np.max(bias / stderr) > 20


def test_sticking_the_landing_in_the_elbo():
    def bound(q, gradient):
        return jnp.sum(
            objectives.elbo_monte_carlo(
                jax.random.key(0), q, model.prior(), model.log_likelihood,
                num_samples=3, gradient=gradient,
            ).bound
        )  # fmt: skip

    q = model.exact_posterior()
    assert np.all(np.abs(jax.grad(bound)(q, "stl").loc) < 1e-5)
    assert np.any(np.abs(jax.grad(bound)(q, "plain").loc) > 1e-2)
    np.testing.assert_allclose(bound(q, "stl"), bound(q, "plain"), rtol=1e-6)
    with pytest.raises(ValueError, match="gradient must be one of plain, stl, got 'dreg'"):
        bound(q, "dreg")


def _two_coordinates():
    # KL of coordinate 0: 0.5 on average, different for each example; of coordinate 1: 0.02.
    loc = jnp.array([[0.2, 0.2], [1.0, 0.2], [1.4, 0.2]])
    q = rp.Independent(rp.Normal(loc, 1.0), 1)
    p = rp.Independent(rp.Normal(jnp.zeros(2), 1.0), 1)
    return q, p, 0.5 * loc**2


@pytest.mark.parametrize("free_bits", [0.0, 0.1, 0.9])
def test_free_bits_are_the_least_cost_of_a_coordinate_on_average(free_bits):
    q, p, each = _two_coordinates()
    arguments = jax.random.key(0), q, p, lambda z: jnp.sum(z, axis=-1)
    given = objectives.elbo(*arguments, num_samples=2, beta=2.0, free_bits=free_bits)
    cost = np.sum(np.maximum(free_bits, np.mean(each, axis=0)))
    np.testing.assert_allclose(
        jnp.mean(given.bound), jnp.mean(given.log_likelihood) - 2 * cost, rtol=1e-5
    )
    # `kl` is the divergence without free bits.
    np.testing.assert_allclose(given.kl, jnp.sum(each, axis=1), rtol=1e-5)
    if free_bits == 0.1:  # coordinate 0 costs its own divergence per example, coordinate 1 lambda
        np.testing.assert_allclose(
            given.bound, given.log_likelihood - 2 * (each[:, 0] + 0.1), rtol=1e-5
        )
    # The estimate from samples agrees up to its error.
    sampled = objectives.elbo_monte_carlo(
        *arguments, num_samples=2**14, free_bits=free_bits, source=rp.noise.sobol
    )
    np.testing.assert_allclose(
        jnp.mean(sampled.log_likelihood - sampled.bound), cost, atol=2e-3
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "options"),
    [("elbo", {}), ("elbo_monte_carlo", {}), ("elbo_monte_carlo", {"gradient": "stl"})],
)
def test_a_coordinate_below_the_free_bits_has_no_gradient(name, options):
    _, p, _ = _two_coordinates()

    def bound(q):
        return jnp.mean(getattr(objectives, name)(
            jax.random.key(0), q, p, lambda z: 0 * z[..., 0], num_samples=200, free_bits=0.2,
            **options).bound)  # fmt: skip

    g = jax.grad(bound)(_two_coordinates()[0]).base.loc
    np.testing.assert_array_equal(g[:, 1], 0)
    assert np.all(g[:, 0] != 0)


def test_free_bits_need_independent_coordinates():
    q, scalar = rp.MultivariateNormal(jnp.zeros((3, 2)), scale_diag=jnp.ones(2)), model.prior()
    arguments = jax.random.key(0), q, q, lambda z: z[..., 0]
    for function in (objectives.elbo, objectives.elbo_monte_carlo):
        with pytest.raises(NotImplementedError, match="got MultivariateNormal"):
            function(*arguments, free_bits=0.1)
        with pytest.raises(ValueError, match="free_bits must be at least 0, got -1"):
            function(*arguments, free_bits=-1.0)
    # A scalar latent is its own coordinate.
    bound = objectives.elbo(
        jax.random.key(0), rp.Normal(jnp.zeros(3), 1.0), scalar, lambda z: 0 * z, free_bits=0.1
    )
    np.testing.assert_allclose(bound.bound, -0.1, rtol=1e-6)
