"""Second derivatives: right, or refused."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import repara as rp
from repara.estimators import (
    arm,
    disarm,
    enumerate_exactly,
    gumbel_rao,
    gumbel_softmax,
    measure_valued,
    pathwise,
    rebar,
    relax,
    score_function,
    straight_through,
)
from tests.estimators.toys import KEY, coin, samples, toy


@pytest.mark.parametrize(
    "estimator",
    [
        pathwise,
        score_function,
        functools.partial(score_function, baseline="leave_one_out"),
        functools.partial(score_function, baseline=lambda loc: 0.3 * loc),
    ],
)
def test_second_derivatives_of_continuous_estimators(estimator):
    # E[z^3] = m^3 + 3 m s^2 has the second derivative 6 m.
    surrogate = estimator(lambda z: z**3, functools.partial(rp.Normal, scale=0.5))

    @jax.jit
    def hessians(keys):
        one = lambda k: jax.hessian(lambda m: jnp.mean(surrogate(m, k, 16)))(0.7)  # noqa: E731
        return jax.lax.map(one, keys, batch_size=500)

    h = np.asarray(hessians(jax.random.split(KEY, 40_000)), np.float64)
    stderr = h.std() / np.sqrt(len(h))
    assert 5 * stderr < 0.05 * 4.2
    assert abs(h.mean() - 4.2) < 5 * stderr


@pytest.mark.parametrize(
    "estimator",
    [enumerate_exactly, score_function, rebar,
     functools.partial(relax, control_variate=lambda params, z: jnp.sum(jnp.sin(z)) * params[0])],
)  # fmt: skip
def test_second_derivatives_of_discrete_estimators(estimator):
    logits = jnp.array([0.4, -0.7])
    function = lambda b: jnp.exp(b[0] - 2 * b[1])  # noqa: E731
    surrogate = estimator(function, coin)

    def exact(logits):
        p = jax.nn.sigmoid(logits)
        return sum(
            jnp.exp(float(a - 2 * b)) * (p[0] if a else 1 - p[0]) * (p[1] if b else 1 - p[1])
            for a in (0, 1)
            for b in (0, 1)
        )

    @jax.jit
    def hessians(keys):
        one = lambda k: jax.hessian(lambda m: jnp.mean(surrogate(m, k, 16)))(logits)  # noqa: E731
        return jax.lax.map(one, keys, batch_size=min(500, len(keys)))

    repeats = 2 if estimator is enumerate_exactly else 40_000
    h = np.asarray(hessians(jax.random.split(KEY, repeats)), np.float64)
    stderr = h.std(axis=0) / np.sqrt(repeats)
    np.testing.assert_array_less(
        np.abs(h.mean(axis=0) - np.asarray(jax.hessian(exact)(logits))), 5 * stderr + 1e-5
    )


@pytest.mark.parametrize("estimator", [arm, disarm])
def test_second_derivatives_are_refused_for_antithetic_pairs(estimator):
    surrogate = estimator(toy, coin)
    with pytest.raises(NotImplementedError, match=r"first derivatives only.*score_function"):
        jax.hessian(lambda p: surrogate(p, KEY, 2).mean())(jnp.zeros(2))


@pytest.mark.parametrize(
    "estimator",
    [straight_through, functools.partial(gumbel_softmax, straight_through=True), gumbel_rao],
)
def test_second_derivatives_are_refused_straight_through(estimator):
    # There the hard sample stays what it is: its second derivative would be that of nothing.
    surrogate = estimator(toy, coin)
    with pytest.raises(NotImplementedError, match=r"first derivatives only.*score_function"):
        jax.hessian(lambda p: surrogate(p, KEY, 2).mean())(jnp.zeros(2))


def test_second_derivatives_are_refused_for_measures():
    surrogate = measure_valued(jnp.sum, lambda loc: rp.Normal(loc, 1.0))
    with pytest.raises(NotImplementedError, match=r"first derivatives only.*pathwise"):
        jax.jit(jax.hessian(lambda p: surrogate(p, KEY, 2).mean()))(jnp.zeros(2))


def test_gradients_of_what_the_function_closes_over():
    def loss(weight):
        return jnp.mean(measure_valued(lambda z: weight * z, rp.Poisson)(2.0, KEY, 8))

    z = samples(rp.Poisson(2.0), KEY, 8)
    np.testing.assert_allclose(jax.grad(loss)(3.0), jnp.mean(z), rtol=1e-6)
