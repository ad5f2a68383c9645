"""What every distribution must do, over the registry."""

import inspect
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from jax.test_util import check_grads

import repara as rp
from repara import noise
from tests.distributions.registry import CASES, CONTINUOUS, DISCRETE

every = pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
continuous = pytest.mark.parametrize("case", CONTINUOUS, ids=lambda c: c.name)
discrete = pytest.mark.parametrize("case", DISCRETE, ids=lambda c: c.name)
scalar = pytest.mark.parametrize(
    "case", [c for c in CASES if c.reference is not None], ids=lambda c: c.name
)


def _close(a, b, dtype, factor=64):
    tolerance = factor * np.finfo(dtype).eps
    np.testing.assert_allclose(
        np.asarray(a, "float64"), np.asarray(b, "float64"), tolerance, tolerance
    )


def test_registry_is_complete():
    families = {
        value
        for value in vars(rp).values()
        if inspect.isclass(value) and issubclass(value, rp.Distribution)
    } - {rp.Distribution}
    assert families == {case.family for case in CASES}


def _sample_and_log_prob(q, shape):
    z = q.sample(jax.random.key(0), shape)
    return z, q.log_prob(z)


@every
def test_shapes_and_dtype(case, dtype):
    q = case.build(dtype)
    for shape in [(), (5,), (2, 3)]:
        z, log_prob = jax.jit(_sample_and_log_prob, static_argnums=1)(q, shape)
        assert z.shape == shape + q.batch_shape + q.event_shape
        assert z.dtype == dtype
        assert log_prob.shape == shape + q.batch_shape
        assert log_prob.dtype == dtype
        assert bool(jnp.all(q.support.check(z)))
        assert bool(jnp.all(jnp.isfinite(log_prob)))


@continuous
def test_rsample_is_the_transform_of_its_noise(case, dtype):
    q, key = case.build(dtype), jax.random.key(1)
    eps = q.noise(key, (4,))
    assert eps.shape == (4, *q.batch_shape, *q.noise_shape)
    z = q.rsample(key, (4,))
    np.testing.assert_array_equal(q.transform(eps), z)
    np.testing.assert_array_equal(q.sample(key, (4,)), z)
    pair = q.rsample_and_log_prob(key, (4,))
    np.testing.assert_array_equal(pair[0], z)
    # The log-density from the noise and that from the sample differ by the rounding of z, which
    # the narrowest normal of the registry (|loc| / scale = 3000) magnifies.
    _close(pair[1], q.log_prob(z), dtype, factor=1e5)


@continuous
def test_noise_knows_nothing_of_the_parameters(case):
    q, key = case.build(), jax.random.key(1)
    other = jax.tree.map(lambda x: x * 0.5, q)
    np.testing.assert_array_equal(q.noise(key, (3,)), other.noise(key, (3,)))


@continuous
def test_inverse_gives_the_noise_back(case, dtype):
    q = case.build(dtype)
    eps = q.noise(jax.random.key(2), (100,))
    # The condition number of the narrowest normal is about 3000, that of a continuous Bernoulli
    # with logit -30 is 30.
    _close(q.inverse(q.transform(eps)), eps, dtype, factor=2e4)


@continuous
def test_sample_stops_the_gradient_and_rsample_does_not(case):
    q, key = case.build(), jax.random.key(3)
    stopped = jax.grad(lambda q: jnp.sum(q.sample(key, (8,)) ** 2))(q)
    passed = jax.grad(lambda q: jnp.sum(q.rsample(key, (8,)) ** 2))(q)
    assert all(bool(jnp.all(g == 0)) for g in jax.tree.leaves(stopped))
    assert all(bool(jnp.any(g != 0)) for g in jax.tree.leaves(passed))
    assert isinstance(passed, type(q))


@continuous
def test_derivatives_at_fixed_noise(case, x64):
    parameters = {k: jnp.asarray(v, "float64") for k, v in case.parameters.items()}
    eps = case.build("float64").noise(jax.random.key(4), (3,))

    def transform(parameters, eps):
        # Symmetric and triangular matrices are perturbed within their kind.
        fixed = dict(parameters)
        for name in ("covariance_matrix", "precision_matrix"):
            if name in fixed:
                fixed[name] = 0.5 * (fixed[name] + jnp.swapaxes(fixed[name], -2, -1))
        if "scale_tril" in fixed:
            fixed["scale_tril"] = jnp.tril(fixed["scale_tril"])
        return case.make(**fixed, **case.static).transform(eps)

    check_grads(
        jax.jit(transform), (parameters, eps), order=2, modes=["fwd", "rev"], atol=1e-4, rtol=1e-4
    )


@continuous
def test_total_derivative_of_the_log_density(case, x64):
    q = case.build("float64")
    eps = q.noise(jax.random.key(5), (3,))

    @jax.jit
    def apart(q):
        return jnp.sum(jnp.sin(q.log_prob(q.transform(eps))))

    @jax.jit
    def together(q):
        source = lambda *_: eps  # noqa: E731 (a source that returns the noise held fixed)
        return jnp.sum(jnp.sin(q.rsample_and_log_prob(jax.random.key(0), (3,), source=source)[1]))

    for a, b in zip(
        jax.tree.leaves(jax.grad(apart)(q)), jax.tree.leaves(jax.grad(together)(q)), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-7)


@every
def test_crosses_transformations(case):
    q, key = case.build(), jax.random.key(6)
    z = q.sample(key)
    expected = q.log_prob(z)
    traces = []

    @jax.jit
    def log_prob(q, z):
        traces.append(None)
        return q.log_prob(z)

    np.testing.assert_allclose(log_prob(q, z), expected, rtol=1e-5, atol=1e-5)
    log_prob(jax.tree.map(lambda x: x * 1.0, q), z)
    assert len(traces) == 1, "one compilation for one shape"

    stacked = jax.tree.map(lambda x: jnp.stack([x, x]), q)
    mapped = jax.vmap(lambda q: q.log_prob(z))(stacked)
    np.testing.assert_allclose(mapped[1], expected, rtol=1e-5, atol=1e-5)

    carried, _ = jax.lax.scan(lambda q, _: (q, None), q, None, length=2)
    assert jax.tree.structure(carried) == jax.tree.structure(q)

    outline = jax.eval_shape(lambda q: q.log_prob(q.sample(key)), q)
    assert outline.shape == q.batch_shape

    copy = pickle.loads(pickle.dumps(q))
    np.testing.assert_array_equal(copy.log_prob(z), expected)
    nothing = jax.tree.map(lambda _: None, q)  # unflattening never validates
    assert isinstance(nothing, type(q))


@every
def test_sixteen_bit_parameters(case):
    q = case.build("bfloat16")
    exact = jax.tree.map(lambda x: x.astype("float32"), q)
    key = jax.random.key(7)
    z = q.sample(key, (4,))
    assert z.dtype == jnp.bfloat16
    np.testing.assert_array_equal(z, exact.sample(key, (4,)).astype("bfloat16"))
    assert q.log_prob(z).dtype == jnp.bfloat16


@every
def test_keys_are_typed(case):
    q = case.build()
    for key in (0, jnp.zeros(2, "uint32"), jax.random.split(jax.random.key(0))):
        with pytest.raises(TypeError, match=r"jax\.random\.key|jax\.vmap"):
            q.sample(key)


@every
def test_bad_parameters(case):
    for name, bad in case.bad.items():
        parameters = {k: np.asarray(v, "float32") for k, v in case.parameters.items()}
        parameters[name] = np.asarray(bad, "float32")
        with pytest.raises(ValueError, match=rf": {name} must be"):
            case.make(**parameters, **case.static)
        if not isinstance(case.build(), rp.Independent):
            with pytest.raises(ValueError, match=case.family.__name__):
                case.make(**parameters, **case.static)

        z = case.build().sample(jax.random.key(8))

        @jax.jit
        def traced(parameters, z=z):
            q = case.make(**parameters, **case.static)
            return q.sample(jax.random.key(0)), q.log_prob(z)

        poisoned = traced(parameters)
        # Only the batch members with a bad parameter are poisoned, and there is at least one.
        for value in poisoned:
            assert bool(jnp.any(jnp.isnan(value)))


@every
def test_bad_shapes(case):
    q = case.build()
    if q.event_shape:
        with pytest.raises(ValueError, match="shape"):
            q.log_prob(jnp.zeros((*q.batch_shape, *q.event_shape[:-1], q.event_shape[-1] + 1)))
    if q.batch_shape and q.batch_shape[-1] > 1:
        with pytest.raises(ValueError, match="shape"):
            q.log_prob(jnp.zeros((q.batch_shape[-1] + 1, *q.event_shape)))
    with pytest.raises(TypeError, match="tuple"):
        q.sample(jax.random.key(0), 3)


@every
def test_immutable(case):
    q = case.build()
    with pytest.raises(AttributeError, match="immutable"):
        q.loc = 1.0


@scalar
def test_distribution_against_scipy(case, dtype):
    q = case.build(dtype)
    z = np.asarray(q.sample(jax.random.key(9), (100_000,)), "float64")
    if q.has_rsample:
        assert scipy.stats.kstest(z, case.reference.cdf).pvalue > 1e-3
    for given, true in [(q.mean, case.reference.mean()), (q.variance, case.reference.var())]:
        np.testing.assert_allclose(given, true, rtol=1e-5)
    np.testing.assert_allclose(q.entropy(), case.reference.entropy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(q.stddev, case.reference.std(), rtol=1e-5)
    error = np.std(z) / np.sqrt(z.size)
    assert error < 0.02 * np.std(z)
    assert abs(z.mean() - case.reference.mean()) < 5 * error


@scalar
def test_density_against_scipy(case, dtype):
    q = case.build(dtype)
    if not q.has_rsample:
        values = np.asarray([0.0, 1.0])
        np.testing.assert_allclose(q.log_prob(values), case.reference.logpmf(values), rtol=1e-6)
        return
    # As far into the tails as the quantile function of the reference reaches.
    u = np.concatenate([np.logspace(-30, -1, 40), [0.3, 0.5, 0.7], 1 - np.logspace(-1, -15, 20)])
    x = np.asarray(case.reference.ppf(u), dtype)
    # A density at x rounded to dtype: its condition number is |x dlog q/dx|.
    exact = np.asarray(case.reference.logpdf(x.astype("float64")))
    relative = 1e-6 if dtype == "float32" else 1e-12
    slope = np.asarray(jax.vmap(jax.grad(q.log_prob))(jnp.asarray(x)), "float64")
    location = np.abs(np.asarray(case.parameters.get("loc", 0.0))) + np.abs(x)
    bound = relative * (1 + np.abs(exact)) + 4 * np.finfo(dtype).eps * location * np.abs(slope)
    assert np.all(np.abs(np.asarray(q.log_prob(x), "float64") - exact) <= bound)


@scalar
def test_cdf_and_quantiles(case, dtype):
    q = case.build(dtype)
    if not q.has_rsample:
        return
    u = np.linspace(0.001, 0.999, 301).astype(dtype)
    x = q.icdf(u)
    condition = 5e4 if case.name == "normal_narrow" else 64
    np.testing.assert_allclose(q.cdf(x), u, rtol=condition * np.finfo(dtype).eps)
    np.testing.assert_allclose(
        q.cdf(x), case.reference.cdf(np.asarray(x, "float64")), rtol=condition * np.finfo(dtype).eps
    )
    assert bool(jnp.all(jnp.isnan(q.icdf(jnp.asarray([-0.1, 1.1], dtype)))))


@continuous
def test_pathwise_gradient_against_the_exact_expectation(case, x64):
    q = case.build("float64")
    z = q.transform(q.noise(jax.random.key(10), (20_000,)))

    def statistics(q):
        return q.mean, q.variance

    def estimates(q):
        z = q.transform(q.noise(jax.random.key(10), (20_000,)))
        return z, (z - jax.lax.stop_gradient(q.mean)[None]) ** 2

    # One coordinate of one batch member of each parameter, in forward mode, per sample.
    leaves, structure = jax.tree.flatten(q)
    for i, leaf in enumerate(leaves):
        direction = [jnp.zeros_like(x) for x in leaves]
        direction[i] = direction[i].at[(0,) * leaf.ndim].set(1.0)
        tangent = structure.unflatten(direction)
        _, exact = jax.jvp(statistics, (q,), (tangent,))
        _, sampled = jax.jit(lambda t: jax.jvp(estimates, (q,), (t,)))(tangent)
        for true, samples in zip(exact, sampled, strict=True):
            error = jnp.std(samples, axis=0) / np.sqrt(z.shape[0])
            # d/dtheta E[(z - m)^2] at m = mean is the derivative of the variance.
            gap = jnp.abs(jnp.mean(samples, axis=0) - true)
            assert bool(jnp.all(gap <= 5 * error + 1e-12))


@continuous
@pytest.mark.parametrize("source", [noise.iid, noise.antithetic, noise.stratified, noise.sobol])
def test_every_source_drives_every_transform(case, source):
    q = case.build()
    z = q.rsample(jax.random.key(11), (1024,), source=source)
    assert z.shape == (1024, *q.batch_shape, *q.event_shape)
    error = q.stddev / np.sqrt(1024)
    assert bool(jnp.all(jnp.abs(jnp.mean(z, axis=0) - q.mean) < 5 * error))


@discrete
def test_discrete_has_no_rsample(case):
    q, key = case.build(), jax.random.key(0)
    for call in (q.rsample, q.noise, q.rsample_and_log_prob):
        with pytest.raises(ValueError, match="relaxed distribution"):
            call(key)
    with pytest.raises(ValueError, match="score-function"):
        q.transform(0.0)
    assert all(
        bool(jnp.all(g == 0))
        for g in jax.tree.leaves(jax.grad(lambda q: jnp.sum(q.sample(key)))(q))
    )


@discrete
def test_discrete_probabilities(case, dtype):
    q = case.build(dtype)
    if isinstance(q, rp.Independent):
        q = q.base
    support = q.enumerate_support()
    probabilities = jnp.exp(q.log_prob(support))
    np.testing.assert_allclose(jnp.sum(probabilities, axis=0), 1, rtol=1e-5)
    assert bool(jnp.all(q.log_prob(support + 0.25) == -jnp.inf))
    draws = q.sample(jax.random.key(12), (40_000,))
    for value, p in zip(support, probabilities, strict=True):
        error = jnp.sqrt(p * (1 - p) / 40_000)
        frequency = jnp.mean((draws == value[None]).astype(dtype), axis=0)
        assert bool(jnp.all(jnp.abs(frequency - p) <= 5 * error + 1e-6))
