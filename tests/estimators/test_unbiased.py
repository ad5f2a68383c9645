"""Unbiased estimators against exact gradients: constant, linear, quadratic, exponential f."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

import repara as rp
from repara.estimators import (
    arm,
    delta_method,
    disarm,
    enumerate_exactly,
    measure_valued,
    pathwise,
    rebar,
    relax,
    score_function,
)
from tests.estimators.toys import samples

_SAMPLES = 16


def _basis(z, xp=jnp):
    """Constant, linear, quadratic and exponential, of a scalar."""
    return xp.stack([1.0 + 0 * z, z, z**2, xp.exp(-0.5 * z)])


def _measure(estimator, distribution_fn, params, basis, repeats):
    """Mean gradients and standard errors for every function of a basis, compiled once."""
    params = jnp.asarray(params, jnp.float32)

    def gradient(weights, key):
        surrogate = estimator(lambda z: jnp.sum(weights * basis(z)), distribution_fn)
        return jax.grad(lambda p: jnp.mean(surrogate(p, key, _SAMPLES)))(params)

    @jax.jit
    def all_gradients(weights, keys):
        return jax.vmap(lambda w: jax.lax.map(lambda k: gradient(w, k), keys, batch_size=500))(
            weights
        )

    weights = jnp.eye(len(basis(_one_sample(distribution_fn(params)))))
    g = np.asarray(all_gradients(weights, jax.random.split(jax.random.key(0), repeats)), np.float64)
    return g.mean(axis=1), g.std(axis=1, ddof=1) / np.sqrt(repeats)


def _one_sample(distribution):
    return distribution.sample(jax.random.key(0), (1,))[0]


def _check(mean, stderr, truth, *, whole=False):
    # A bias of 5% of each entry of the gradient, or of the length of the gradient, would be seen.
    size = np.abs(truth)
    if whole:
        size = np.broadcast_to(np.linalg.norm(truth, axis=1, keepdims=True), truth.shape)
    assert np.all(5 * stderr[truth != 0] < 0.05 * size[truth != 0] + 1e-6)
    np.testing.assert_array_less(np.abs(mean - truth), 5 * stderr + 2e-5 * (1 + np.abs(truth)))


# name -> distribution of the parameters, the parameters, scipy's distribution of them.
_CONTINUOUS = {
    "normal": (lambda p: rp.Normal(p[0], p[1]), (-1.0, 1.0), lambda a, b: scipy.stats.norm(a, b)),
    "exponential": (
        lambda p: rp.Exponential(p[0]), (1.5,), lambda rate: scipy.stats.expon(scale=1 / rate),
    ),
    "weibull": (
        lambda p: rp.Weibull(p[0], 2.0), (1.2,), lambda scale: scipy.stats.weibull_min(2, 0, scale),
    ),
    "poisson": (lambda p: rp.Poisson(p[0]), (1.5,), scipy.stats.poisson),
    "gamma": (
        lambda p: rp.Gamma(p[0], p[1]), (2.5, 1.5), lambda a, b: scipy.stats.gamma(a, 0, 1 / b),
    ),
    "beta": (lambda p: rp.Beta(p[0], p[1]), (2.0, 3.0), scipy.stats.beta),
}  # fmt: skip


@functools.cache
def _truth(name):
    _, params, reference = _CONTINUOUS[name]

    def expectation(theta):
        frozen = reference(*theta)
        if name == "poisson":
            x = np.arange(60)
            return np.sum(frozen.pmf(x) * _basis(x.astype(float), np), axis=1)
        low, high = frozen.ppf([1e-15, 1 - 1e-15])
        integral, _ = scipy.integrate.quad_vec(
            lambda x: frozen.pdf(x) * _basis(np.float64(x), np), low, high, epsabs=1e-12
        )
        return integral

    columns, step = [], 1e-4
    for i in range(len(params)):
        shift = np.eye(len(params))[i] * step
        columns.append((expectation(params + shift) - expectation(params - shift)) / (2 * step))
    truth = np.stack(columns, axis=1)
    truth[np.abs(truth) < 1e-6] = 0  # of the constant
    return truth


_SCORES = {
    "score": {},
    "leave_one_out": {"baseline": "leave_one_out"},
    "moving_average": {"baseline": "moving_average"},
    "callable": {"baseline": lambda params: 2.0 + params[0]},
}
_ESTIMATORS = {
    "pathwise": pathwise,
    "antithetic": functools.partial(pathwise, source=rp.noise.antithetic),
    "sobol": functools.partial(pathwise, source=rp.noise.sobol),
    "measure_valued": measure_valued,
    "delta_pathwise": delta_method,
    "delta_score": functools.partial(delta_method, estimator=score_function),
    "delta_measure": functools.partial(delta_method, estimator=measure_valued),
    **{k: functools.partial(score_function, **v) for k, v in _SCORES.items()},
}
_REPEATS = {"score": 200_000, "moving_average": 200_000, "callable": 200_000,
            "leave_one_out": 100_000, "delta_score": 50_000}  # fmt: skip


_SLOW = ("delta_measure", "delta_score", "moving_average", "callable")


def _cases():
    for name in _CONTINUOUS:
        for estimator in _ESTIMATORS:
            smooth = name != "poisson" or "path" not in estimator
            # These depend little on the distribution: one is enough.
            alone = estimator in ("antithetic", "sobol", "moving_average", "callable")
            if estimator == "measure_valued" and name in ("gamma", "beta"):
                continue  # they have no decomposition
            if estimator == "score" and name not in ("normal", "poisson"):
                continue  # it differs from "leave_one_out" only in its baseline
            if smooth and (name == "normal" or not (alone or "delta" in estimator)):
                marks = [pytest.mark.slow] if estimator in _SLOW else []
                yield pytest.param(name, estimator, id=f"{name}-{estimator}", marks=marks)


@pytest.mark.parametrize(("name", "estimator"), list(_cases()))
def test_continuous_and_poisson(name, estimator):
    distribution_fn, params, _ = _CONTINUOUS[name]
    repeats = _REPEATS.get(estimator, 30_000)
    mean, stderr = _measure(_ESTIMATORS[estimator], distribution_fn, params, _basis, repeats)
    _check(mean, stderr, _truth(name), whole=name in ("gamma", "beta"))


_VECTOR = jnp.array([0.5, -1.0])


@pytest.mark.parametrize("estimator", ["pathwise", "leave_one_out"])
def test_multivariate_normal(estimator):
    """In loc and scale_tril; t = w . z is normal, so all expectations have a closed form."""

    def distribution_fn(p):
        tril = jnp.stack([jnp.stack([p[2], jnp.zeros(())]), jnp.stack([p[3], p[4]])])
        return rp.MultivariateNormal(p[:2], scale_tril=tril)

    def basis(z):
        return _basis(jnp.sum(_VECTOR * z))

    def expectations(p):
        m = jnp.sum(_VECTOR * p[:2])
        root = jnp.stack([_VECTOR[0] * p[2] + _VECTOR[1] * p[3], _VECTOR[1] * p[4]])
        v = jnp.sum(root**2)
        return jnp.stack([jnp.ones(()), m, m**2 + v, jnp.exp(-0.5 * m + 0.125 * v)])

    params = jnp.array([1.0, 0.7, 0.8, 0.5, 0.9])
    truth = np.asarray(jax.jacobian(expectations)(params), np.float64)
    repeats = {"pathwise": 60_000}.get(estimator, 200_000)
    mean, stderr = _measure(_ESTIMATORS[estimator], distribution_fn, params, basis, repeats)
    _check(mean, stderr, truth, whole=True)


@pytest.mark.parametrize("estimator", ["exact", "score", "leave_one_out"])
def test_categorical(estimator):
    params = jnp.array([0.3, -0.8, 1.0])

    def basis(z):
        return _basis(z.astype(jnp.float32) - 0.5)

    def expectations(p):
        mass = jax.nn.softmax(p)
        return jnp.sum(mass[:, None] * jax.vmap(basis)(jnp.arange(3)), axis=0)

    truth = np.asarray(jax.jacobian(expectations)(params), np.float64)
    truth[np.abs(truth) < 1e-6] = 0
    repeats = {"exact": 2, "score": 120_000}.get(estimator, 40_000)
    mean, stderr = _measure(
        _DISCRETE_ESTIMATORS[estimator], lambda p: rp.Categorical(logits=p), params, basis, repeats
    )
    _check(mean, stderr, truth, whole=True)


_W = jnp.array([0.5, -1.0, 2.0])


def _binary_basis(z):
    t = jnp.sum(_W * z)
    return jnp.stack([jnp.ones_like(t), t, t**2, jnp.exp(0.5 * t)])


def _one_hot_basis(z):
    return _binary_basis(z) + jnp.stack([0.0, 0.0, 0.0, z[0] * z[2]])


_DISCRETE = {
    "bernoulli": (lambda p: rp.Bernoulli(logits=p), (0.3, -0.8, 1.0), _binary_basis),
    "bernoulli_probs": (lambda p: rp.Bernoulli(probs=p), (0.6, 0.3, 0.5), _binary_basis),
    "one_hot": (lambda p: rp.OneHotCategorical(logits=p), (0.3, -0.8, 1.0), _one_hot_basis),
    "independent": (
        lambda p: rp.Independent(rp.Bernoulli(logits=p), 1), (0.3, -0.8, 1.0), _binary_basis,
    ),
}  # fmt: skip
_DISCRETE_ESTIMATORS = {
    "exact": enumerate_exactly,
    "score": score_function,
    "leave_one_out": functools.partial(score_function, baseline="leave_one_out"),
    "arm": arm,
    "disarm": disarm,
    "rebar": rebar,
    "relax": functools.partial(
        relax, control_variate=lambda params, z: jnp.sum(jnp.tanh(z) * _W) + jnp.sum(params)
    ),
}


def _discrete_cases():
    for name in _DISCRETE:
        for estimator in _DISCRETE_ESTIMATORS:
            binary = not (name == "one_hot" and "arm" in estimator)
            again = name in ("bernoulli_probs", "independent")
            if binary and not (again and estimator != "disarm"):
                yield pytest.param(name, estimator, id=f"{name}-{estimator}")


@pytest.mark.parametrize(("name", "estimator"), list(_discrete_cases()))
def test_discrete(name, estimator):
    distribution_fn, params, basis = _DISCRETE[name]

    def expectation(params, weights):
        # The exact sum, without the library's estimators.
        p = distribution_fn(params).mean
        if name == "one_hot":
            states = jnp.eye(3)
            mass = p
        else:
            states = jnp.asarray(np.indices((2, 2, 2)).reshape(3, -1).T, jnp.float32)
            mass = jnp.prod(jnp.where(states == 1, p[None], 1 - p[None]), axis=1)
        return jnp.sum(mass * jax.vmap(lambda z: jnp.sum(weights * basis(z)))(states))

    truth = jax.vmap(lambda w: jax.grad(expectation)(jnp.asarray(params), w))(jnp.eye(4))
    truth = np.asarray(truth, np.float64)
    truth[np.abs(truth) < 1e-6] = 0
    repeats = {"exact": 2, "score": 120_000}.get(estimator, 40_000)
    mean, stderr = _measure(
        _DISCRETE_ESTIMATORS[estimator], distribution_fn, params, basis, repeats
    )
    _check(mean, stderr, truth)


# Other noise sources draw other samples.
_OTHER_SOURCES = ("antithetic", "sobol")


@pytest.mark.parametrize(
    "estimator", [e for e in (*_ESTIMATORS, *_DISCRETE_ESTIMATORS) if e not in _OTHER_SOURCES]
)
def test_values_are_those_of_the_samples(estimator):
    if estimator in _ESTIMATORS:
        q, make = rp.Normal(jnp.array([0.5, 1.0]), 2.0), _ESTIMATORS[estimator]
    else:
        q = rp.Bernoulli(logits=jnp.array([0.5, 1.0]))
        make = _DISCRETE_ESTIMATORS[estimator]
        if estimator == "relax":
            make = functools.partial(relax, control_variate=lambda params, z: jnp.sum(z))
    if estimator == "callable":
        make = functools.partial(score_function, baseline=lambda q: jnp.sum(q.loc))
    key = jax.random.key(3)
    expected = jax.vmap(lambda z: jnp.sum(z**2))(samples(q, key, 5))
    values = make(lambda z: jnp.sum(z**2), lambda q: q)(q, key, 5)
    np.testing.assert_array_equal(values, expected)
