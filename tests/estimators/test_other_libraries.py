"""Distributions of other libraries: objects with a few methods."""

import functools
from typing import NamedTuple

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
    pathwise,
    rebar,
    relax,
    score_function,
    straight_through,
)
from tests.estimators.toys import KEY, ForeignNormal, gradients, toy


@pytest.mark.parametrize("estimator", [pathwise, score_function])
def test_any_object_with_the_methods(estimator):
    g = gradients(
        estimator(lambda z: jnp.sum(z**2), ForeignNormal), jnp.array([1.0, 2.0]), 64, 8000
    )
    stderr = g.std(axis=0) / np.sqrt(len(g))
    assert np.all(5 * stderr < 0.1)
    np.testing.assert_array_less(np.abs(g.mean(axis=0) - [2.0, 4.0]), 5 * stderr)


class _ForeignCoin(NamedTuple):
    """Zeros and ones with nothing but two methods, integers as numpyro's are."""

    logits_: jax.Array

    def sample(self, key, shape):
        u = jax.random.uniform(key, (*shape, *self.logits_.shape))
        return (u < jax.nn.sigmoid(self.logits_)[None]).astype(jnp.int32)

    def log_prob(self, z):
        logits = jnp.broadcast_to(self.logits_[None], z.shape)
        return jnp.where(z == 1, jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits))


class _ForeignDie(NamedTuple):
    """One-hot vectors, with the support as numpyro has it: spread out over the batch."""

    logits_: jax.Array  # [D, K]

    def sample(self, key, shape):
        index = jax.random.categorical(key, self.logits_, shape=(*shape, len(self.logits_)))
        return jax.nn.one_hot(index, self.logits_.shape[1])

    def log_prob(self, z):
        return jnp.sum(jax.nn.log_softmax(self.logits_)[None] * z, axis=-1)

    def enumerate_support(self):
        k = self.logits_.shape[1]
        return jnp.broadcast_to(jnp.eye(k)[:, None], (k, *self.logits_.shape))


@pytest.mark.parametrize(
    "estimator",
    [arm, disarm, rebar, gumbel_softmax, gumbel_rao, straight_through,
     functools.partial(relax, control_variate=lambda params, z: jnp.sum(jnp.tanh(z)))],
)  # fmt: skip
def test_any_coin(estimator, monkeypatch):
    def same_draws(coin, key, shape):
        return (jax.random.uniform(key, shape) < jax.nn.sigmoid(coin.logits)).astype(jnp.float32)

    monkeypatch.setattr(rp.Bernoulli, "_sample", same_draws)
    logits = jnp.array([0.5, -1.0])

    def gradient(coin):
        return jax.grad(lambda p: estimator(toy, coin)(p, KEY, 8).mean())(logits)

    ours = gradient(lambda p: rp.Bernoulli(logits=p))
    np.testing.assert_allclose(gradient(_ForeignCoin), ours, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("estimator", [enumerate_exactly, straight_through, rebar])
def test_any_die(estimator):
    logits = jnp.array([[0.5, -1.0, 0.2], [0.0, 0.3, -0.3]])
    w = jnp.array([1.0, -2.0, 0.5])
    surrogate = estimator(lambda z: jnp.sum(z @ w), _ForeignDie)
    got = jax.grad(lambda p: surrogate(p, KEY, 4000).mean())(logits)
    exact = jax.grad(lambda p: jnp.sum(jax.nn.softmax(p) @ w))(logits)
    tolerance = 0.1 if estimator is rebar else 1e-5
    np.testing.assert_allclose(got, exact, rtol=0, atol=tolerance)


def test_counts_are_not_coins():
    # A count also has logits, and an event without axes.
    surrogate = disarm(toy, lambda p: rp.Geometric(logits=p))
    with pytest.raises(TypeError, match="needs a distribution over zeros and ones"):
        surrogate(jnp.zeros(2), KEY, 4)
    gradient = jax.jit(jax.grad(lambda p: surrogate(p, KEY, 4).mean()))(jnp.zeros(2))
    assert np.all(np.isnan(gradient))


class _SplittingCoin:
    """A coin whose sampler splits its key, as samplers with several streams do."""

    def __init__(self, logit):
        self.logit = logit

    def sample(self, key, shape):
        u = jax.random.uniform(jax.random.split(key)[1], shape)
        return (u < jax.nn.sigmoid(self.logit)).astype(jnp.float32)

    def log_prob(self, z):
        return z * self.logit - jax.nn.softplus(self.logit)


def test_the_second_stream_is_independent_of_a_sampler_that_splits_its_key():
    # d/dl E[5 b] = 5 p (1 - p); an estimate from dependent streams is 1.53 at l = 1/2.
    surrogate = disarm(lambda b: 5.0 * b, _SplittingCoin)
    p = jax.nn.sigmoid(0.5)
    gradients = jax.jit(jax.jacrev(lambda logit: surrogate(logit, KEY, 20_000)))(0.5)
    stderr = jnp.std(gradients) / jnp.sqrt(20_000.0)
    assert stderr < 0.02
    assert abs(jnp.mean(gradients) - 5 * p * (1 - p)) < 5 * stderr
