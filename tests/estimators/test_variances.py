"""Orderings of variances that theory asserts."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import repara as rp
from repara.estimators import (
    arm,
    delta_method,
    disarm,
    measure_valued,
    pathwise,
    score_function,
)
from tests.estimators.toys import KEY, coin, gradients, toy


def test_variances_on_the_toy():
    logits = jnp.float32(0.0)
    estimators = {
        "none": score_function(toy, coin),
        "leave_one_out": score_function(toy, coin, baseline="leave_one_out"),
        "arm": arm(toy, coin),
        "disarm": disarm(toy, coin),
    }
    spread = {
        name: gradients(surrogate, logits, 8, 20_000).var()
        for name, surrogate in estimators.items()
    }
    # The relative standard error of each is below 5%: the differences are far larger.
    assert spread["leave_one_out"] < 0.5 * spread["none"]
    assert spread["disarm"] < 0.9 * spread["arm"]


def test_disarm_is_the_conditional_mean_of_arm():
    # Given the pair of samples the uniform is spread evenly: many draws of ARM that share the pair.
    logits = jnp.float32(0.7)
    p = float(jax.nn.sigmoid(logits))
    f0, f1 = 0.499**2, 0.501**2
    # b = 1, b' = 0 of DisARM where u < 1 - p: the mean of ARM's (f(1) - f(0)) (1/2 - u) there is
    # (f(1) - f(0)) p / 2, DisARM's value.
    g = np.asarray(
        jax.vmap(lambda k: jax.grad(lambda p: disarm(toy, coin)(p, k, 1)[0])(logits))(
            jax.random.split(KEY, 500)
        )
    )
    expected = (f1 - f0) * p / 2
    size = np.abs(g[g != 0])
    assert 0 < len(size) < len(g)
    np.testing.assert_allclose(size, expected, rtol=1e-4)


def test_delta_method_takes_the_variance_of_a_quadratic_away():
    loc = jnp.array([0.5, -1.0])
    curvature = jnp.array([[2.0, 0.7], [0.7, 1.0]])

    def function(z):
        return z @ curvature @ z + jnp.sum(z)

    tril = jnp.array([[1.0, 0.0], [0.5, 2.0]])
    for distribution_fn, covariance in [
        (lambda m: rp.Normal(m, jnp.array([1.0, 2.0])), jnp.diag(jnp.array([1.0, 4.0]))),
        (lambda m: rp.MultivariateNormal(m, scale_tril=tril), tril @ tril.T),
    ]:
        for estimator in (pathwise, measure_valued, score_function):
            if estimator is measure_valued and covariance[0, 1] != 0:
                continue
            surrogate = delta_method(function, distribution_fn, estimator=estimator)
            g = jax.jacrev(lambda m, s=surrogate: s(m, KEY, 6))(loc)
            exact = jax.grad(lambda m: function(m))(loc)
            np.testing.assert_allclose(g, jnp.broadcast_to(exact, g.shape), rtol=2e-3, atol=2e-3)


@pytest.mark.slow
def test_delta_method_lowers_the_variance_of_what_is_nearly_quadratic():
    def function(z):
        return jnp.sum(jnp.exp(0.3 * z))

    def distribution_fn(params):
        return rp.Normal(params[0], params[1])

    params = jnp.array([0.5, 0.4])
    for estimator in (pathwise, score_function, measure_valued):
        plain = gradients(estimator(function, distribution_fn), params, 8, 2000)
        less = gradients(
            delta_method(function, distribution_fn, estimator=estimator), params, 8, 2000
        )
        assert less.var(axis=0).sum() < 0.5 * plain.var(axis=0).sum()


def test_antithetic_noise_halves_nothing_and_removes_the_odd_part():
    distribution_fn = functools.partial(rp.Normal, scale=1.0)
    surrogate = pathwise(lambda z: z**2, distribution_fn, source=rp.noise.antithetic)
    g = gradients(surrogate, jnp.float32(1.0), 2, 100)
    np.testing.assert_allclose(g, 2.0, rtol=1e-5)
