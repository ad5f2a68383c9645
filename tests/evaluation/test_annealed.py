"""Annealed importance sampling on models whose log p(x) is known."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import repara as rp
from repara import evaluation
from tests import linear_gaussian as model

# The linear map of a model in three dimensions: x | z ~ N(W z, s^2), z ~ N(0, 1).
_MAP = np.array([[1.0, 0.5, 0.0], [0.0, 1.0, -0.5]])
_SCALE = 0.3


def _prior():
    return rp.Independent(rp.Normal(jnp.zeros(3), 1.0), 1)


def _log_likelihood(x):
    def log_likelihood(z):
        mean = jnp.einsum("...d,xd->...x", z, jnp.asarray(_MAP, z.dtype))
        return rp.Independent(rp.Normal(mean, _SCALE), 1).log_prob(x[None])

    return log_likelihood


def _log_evidence(x):
    covariance = _MAP @ _MAP.T + _SCALE**2 * np.eye(2)
    return rp.MultivariateNormal(jnp.zeros(2), jnp.linalg.cholesky(jnp.asarray(covariance,
        x.dtype))).log_prob(x)  # fmt: skip


@functools.cache
def _sandwich(num_steps, num_chains, count, start="prior"):
    """Both estimates for data of the model, and the exact log-likelihood."""
    z_key, x_key, key = jax.random.split(jax.random.key(0), 3)
    z = _prior().sample(z_key, (count,))
    x = jnp.asarray(_MAP, z.dtype) @ z.T
    x = x.T + _SCALE * jax.random.normal(x_key, (count, 2))
    q = rp.Independent(rp.Normal(0.3 * z, 0.9), 1)
    given = jax.jit(
        lambda key: evaluation.bidirectional_log_likelihood(
            key, q, _prior(), _log_likelihood(x), z,
            num_steps=num_steps, num_chains=num_chains, start=start,
        )
    )(key)  # fmt: skip
    return given, _log_evidence(x)


def test_both_directions_hold_the_exact_log_likelihood_between_them():
    few, exact = _sandwich(5, 2, 500)
    for below in (exact - few.lower.log_likelihood, few.upper.log_likelihood - exact):
        # With few steps both miss it clearly, on average, and on the right side.
        mean, stderr = evaluation.mean_and_stderr(np.asarray(below))
        assert mean > 5 * stderr
    many, exact = _sandwich(200, 8, 400)
    for miss in (exact - many.lower.log_likelihood, many.upper.log_likelihood - exact):
        mean, stderr = evaluation.mean_and_stderr(np.asarray(miss))
        assert 5 * stderr < 0.1
        assert -5 * stderr < mean < 0.1
    np.testing.assert_allclose(many.gap, many.upper.log_likelihood - many.lower.log_likelihood)
    # The step size has found the acceptance that it was to find, without a chain's own help.
    for side in many:
        np.testing.assert_allclose(jnp.mean(side.acceptance), 0.65, atol=0.05)


@pytest.mark.parametrize("start", ["prior", "posterior"])
def test_weights_are_unbiased(start):
    # With as few temperatures nothing but the exact invariance of the transitions gives this.
    count = 100_000
    q = rp.Normal(jnp.full(count, 0.2), 0.9)
    x, s = 0.7, 0.9
    exact = rp.Normal(0.0, (1 + s**2) ** 0.5).log_prob(x)
    posterior = rp.Normal(x / (1 + s**2), (1 + s**-2) ** -0.5)
    exact_sample = posterior.sample(jax.random.key(1), (count,))
    given = evaluation.bidirectional_log_likelihood(
        jax.random.key(0), q, rp.Normal(0.0, 1.0), lambda z: rp.Normal(z, s).log_prob(x),
        exact_sample, num_steps=4, num_chains=1, start=start,
    )  # fmt: skip
    for weights in (
        jnp.exp(given.lower.log_likelihood - exact),
        jnp.exp(exact - given.upper.log_likelihood),
    ):
        mean, stderr = evaluation.mean_and_stderr(np.asarray(weights))
        assert 5 * stderr < 0.03
        assert abs(mean - 1) < 5 * stderr


def test_starting_from_the_exact_posterior_leaves_no_error():
    given = evaluation.annealed_log_likelihood(
        jax.random.key(0), model.exact_posterior(), model.prior(), model.log_likelihood,
        num_steps=3, num_chains=2, start="posterior",
    )  # fmt: skip
    np.testing.assert_allclose(given.log_likelihood, model.log_evidence(), atol=1e-5)
    np.testing.assert_allclose(given.effective_chains, 2, rtol=1e-5)
    np.testing.assert_allclose(given.stderr, 0, atol=1e-3)


def test_standard_error_is_that_of_the_estimate():
    q = rp.Normal(jnp.zeros(400), 1.0)
    given = evaluation.annealed_log_likelihood(
        jax.random.key(0), q, model.prior(), lambda z: rp.Normal(z, 0.7).log_prob(0.5),
        num_steps=5, num_chains=50,
    )  # fmt: skip
    # The standard deviation of 400 values is known to 4%.
    np.testing.assert_allclose(
        jnp.mean(given.stderr), jnp.std(given.log_likelihood), rtol=0.2
    )  # fmt: skip


def test_memory_does_not_grow_with_the_number_of_steps():
    def size(num_steps):
        lowered = jax.jit(
            lambda key: evaluation.annealed_log_likelihood(
                key, model.wrong_posterior(), model.prior(), model.log_likelihood,
                num_steps=num_steps, num_chains=200,
            )
        ).lower(jax.random.key(0))  # fmt: skip
        return lowered.compile().memory_analysis().temp_size_in_bytes

    # A key and an acceptance a step are kept, no latents.
    assert size(400) <= 1.5 * size(4)


def test_refusals():
    arguments = jax.random.key(0), model.wrong_posterior(), model.prior(), model.log_likelihood
    for options, message in [
        ({"num_steps": 0}, "at least 1, got 0 and 16"),
        ({"start": "middle"}, "start must be prior or posterior, got 'middle'"),
    ]:
        with pytest.raises(ValueError, match=message):
            evaluation.annealed_log_likelihood(*arguments, **options)
    with pytest.raises(ValueError, match=r"exact_sample must have shape \(3,\), got \(2,\)"):
        evaluation.bidirectional_log_likelihood(*arguments, jnp.zeros(2))
    sphere = rp.VonMisesFisher(jnp.array([1.0, 0.0]), 1.0)
    for prior in (rp.Gamma(1.0, 1.0), rp.Bernoulli(probs=0.5), sphere):
        with pytest.raises(ValueError, match=rf"R\^D, got the prior {type(prior).__name__}"):
            evaluation.annealed_log_likelihood(*arguments[:2], prior, arguments[3])
