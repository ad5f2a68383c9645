"""The score-function bound: latents that can be enumerated, and the linear-Gaussian model."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import logsumexp

import repara as rp
from repara import objectives
from repara.objectives.vimco import learning_signal
from tests import linear_gaussian as model
from tests.objectives import quadrature

_LOGITS = jnp.array([-1.0, 1.2])
_BIAS = jnp.array([0.3, -0.5, 1.0])
_X = jnp.array([1.0, 0.0, 1.0])
_K = 3


def _log_joint(b, shift):
    """log p(x, z) for two coins z, [..., 2] and the likelihood's parameter `shift`."""
    bias = _BIAS.reshape((1,) * (b.ndim - 1) + _BIAS.shape)
    logits = 1.5 * b[..., :1] - 2.0 * b[..., 1:] + shift + bias
    return rp.Independent(rp.Bernoulli(logits=logits), 1).log_prob(_X)


def _exact(logits, shift):
    """E[log 1/K sum w] by the sum over all K pairs of coins."""
    values = jnp.array(list(itertools.product([0.0, 1.0], repeat=2)))  # [4, 2]
    q = rp.Independent(rp.Bernoulli(logits=logits), 1)
    log_q = q.log_prob(values)
    log_w = _log_joint(values, shift) - 2 * jnp.log(2.0) - log_q
    indices = np.array(list(itertools.product(range(4), repeat=_K)))  # [4^K, K]
    bound = logsumexp(log_w[indices], axis=1) - jnp.log(float(_K))
    return jnp.sum(jnp.exp(jnp.sum(log_q[indices], axis=1)) * bound)


def _value_and_gradients(each, params):
    """Values and gradients of a function whose examples are repetitions, in one program."""

    @jax.jit
    def program(params):
        values, pull_back = jax.vjp(each, params)
        return values, pull_back(jnp.ones_like(values))[0]

    return program(params)


def test_gradient_is_unbiased_for_discrete_latents():
    count = 200_000

    def each(params):
        logits, shift = params
        q = rp.Independent(rp.Bernoulli(logits=logits), 1)
        p = rp.Independent(rp.Bernoulli(logits=jnp.zeros(2)), 1)
        return objectives.vimco(
            jax.random.key(0), q, p, lambda z: _log_joint(z, shift[None, :, None]), num_samples=_K
        ).bound

    value, samples = _value_and_gradients(each, (jnp.tile(_LOGITS, (count, 1)), jnp.zeros(count)))
    exact_value, exact = jax.value_and_grad(_exact, argnums=(0, 1))(_LOGITS, 0.0)
    for given, truth in [(value, exact_value), *zip(samples, exact, strict=True)]:
        given = np.asarray(given, np.float64)
        stderr = given.std(axis=0) / np.sqrt(count)
        assert np.all(5 * stderr < 0.05 * np.abs(truth))
        np.testing.assert_array_less(np.abs(given.mean(axis=0) - truth), 5 * stderr)


def test_gradient_is_unbiased_for_continuous_latents():
    count = 1_000_000
    q = rp.Normal(jnp.full(count, 0.9), jnp.full(count, 0.8))

    def each(q):
        return objectives.vimco(
            jax.random.key(1), q, model.prior(),
            lambda z: rp.Normal(z, model.SCALE).log_prob(quadrature.X), num_samples=2,
        ).bound  # fmt: skip

    value, samples = _value_and_gradients(each, q)
    params = (jnp.float32(0.9), jnp.float32(0.8))
    exact_value, exact = jax.value_and_grad(
        lambda p: quadrature.expectation("iwae", p, num_samples=2)
    )(params)
    for given, truth in [(value, exact_value), (samples.loc, exact[0]), (samples.scale, exact[1])]:
        given = np.asarray(given, np.float64)
        stderr = given.std() / np.sqrt(count)
        assert 5 * stderr < 0.05 * np.abs(truth)
        assert np.abs(given.mean() - truth) < 5 * stderr


def test_value_is_that_of_iwae_at_the_same_samples():
    q = model.wrong_posterior()
    arguments = jax.random.key(0), q, model.prior(), model.log_likelihood
    given = objectives.vimco(*arguments, num_samples=5)
    for a, b in zip(given, objectives.iwae(*arguments, num_samples=5), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="num_samples must be at least 2, got 1"):
        objectives.vimco(*arguments, num_samples=1)


def test_learning_signal():
    log_w = np.random.default_rng(0).normal(size=(5, 3)) * 3 - 200
    others = [np.delete(log_w, k, axis=0) for k in range(5)]
    exact = np.stack([
        logsumexp(log_w, axis=0)
        - logsumexp(np.concatenate([o, o.mean(axis=0, keepdims=True)]), axis=0) for o in others
    ])  # fmt: skip
    np.testing.assert_allclose(learning_signal(jnp.asarray(log_w)), exact, rtol=1e-4, atol=1e-4)
    # Hundreds of nats apart, one weight of zero among them.
    far = jnp.array([[-500.0], [0.0], [-jnp.inf], [-900.0]])
    np.testing.assert_allclose(learning_signal(far), [[0.0], [500.0], [0.0], [0.0]], atol=1e-4)
