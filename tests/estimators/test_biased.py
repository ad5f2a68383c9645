"""Biased estimators: their values, and a bias that behaves as stated."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from repara.estimators import (
    enumerate_exactly,
    gumbel_rao,
    gumbel_softmax,
    straight_through,
)
from tests.estimators.toys import KEY, coin, die, gradients, samples, toy


@pytest.mark.parametrize("distribution_fn", [coin, die])
@pytest.mark.parametrize(
    "estimator",
    [
        straight_through,
        functools.partial(gumbel_softmax, straight_through=True),
        gumbel_rao,
    ],
)
def test_forward_value_is_that_of_the_hard_sample(estimator, distribution_fn):
    logits = jnp.array([0.3, -0.2, 0.5])
    weights = jnp.array([1.0, 3.0, -2.0])

    values = estimator(lambda z: jnp.sum(weights * z**2), distribution_fn)(logits, KEY, 200)
    hard = samples(distribution_fn(logits), KEY, 200)
    np.testing.assert_array_equal(values, jnp.sum(weights[None] * hard**2, axis=1))


@pytest.mark.parametrize("distribution_fn", [coin, die])
def test_straight_through_is_exact_for_linear_functions(distribution_fn):
    logits, weights = jnp.array([0.3, -0.2, 0.5]), jnp.array([1.0, 3.0, -2.0])

    def linear(z):
        return jnp.sum(weights * z)

    got = jax.jacrev(lambda p: straight_through(linear, distribution_fn)(p, KEY, 4))(logits)
    exact = jax.grad(lambda p: jnp.sum(weights * distribution_fn(p).mean))(logits)
    np.testing.assert_allclose(got, jnp.broadcast_to(exact, (4, 3)), rtol=1e-5)


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("distribution_fn", [coin, die])
def test_bias_of_gumbel_softmax_falls_with_the_temperature(distribution_fn, hard):
    logits, weights = jnp.array([0.8, -0.6, 0.3]), jnp.array([1.0, 3.0, -2.0])

    def function(z):
        return jnp.exp(jnp.sum(weights * z))

    exact = jax.grad(lambda p: enumerate_exactly(function, distribution_fn)(p, KEY, 1)[0])(logits)

    def surrogate(temperature):
        return gumbel_softmax(
            function, distribution_fn, temperature=temperature, straight_through=hard
        )

    # Straight through, the bias does not vanish; at high temperatures the gradient itself does.
    temperatures = [4.0, 0.7] if hard else [2.0, 0.2]
    biases, errors = [], []
    for t in temperatures:
        g = gradients(surrogate(t), logits, 16, 20_000)
        biases.append(float(np.linalg.norm(g.mean(axis=0) - exact)))
        errors.append(float(np.linalg.norm(g.std(axis=0) / np.sqrt(len(g)))))
    for i in range(len(temperatures) - 1):
        assert biases[i] - biases[i + 1] > 5 * (errors[i] + errors[i + 1])


def test_gumbel_rao_has_the_mean_of_straight_through_gumbel_softmax_and_less_variance():
    logits, weights = jnp.array([0.8, -0.6, 0.3]), jnp.array([1.0, 3.0, -2.0])

    def function(z):
        return jnp.exp(jnp.sum(weights * z))

    plain = gumbel_softmax(function, die, temperature=0.3, straight_through=True)
    inner = gumbel_rao(function, die, temperature=0.3, num_inner=20)
    a = gradients(plain, logits, 4, 20_000)
    b = gradients(inner, logits, 4, 20_000, jax.random.key(1))
    stderr = np.sqrt(a.var(axis=0) / len(a) + b.var(axis=0) / len(b))
    np.testing.assert_array_less(np.abs(a.mean(axis=0) - b.mean(axis=0)), 5 * stderr)
    # Rao-Blackwell: never more, and here clearly less.
    assert b.var(axis=0).sum() < 0.9 * a.var(axis=0).sum()


def test_temperature_may_be_traced():
    def loss(temperature):
        return jnp.mean(gumbel_softmax(toy, coin, temperature=temperature)(jnp.zeros(2), KEY, 8))

    assert jnp.isfinite(jax.jit(jax.grad(loss))(0.5))
