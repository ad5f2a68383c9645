import jax
import jax.numpy as jnp
import numpy as np
import pytest

import repara as rp
from repara import evaluation
from tests import linear_gaussian as model


def _estimate(posterior, key=0, **options):
    return evaluation.importance_log_likelihood(
        jax.random.key(key), posterior, model.prior(), model.log_likelihood, **options
    )


def test_exact_posterior_gives_the_evidence_without_error():
    e = _estimate(model.exact_posterior(), num_samples=7, chunk_size=3)
    np.testing.assert_allclose(e.log_likelihood, model.log_evidence(), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(e.stderr, 0, atol=1e-3)
    np.testing.assert_allclose(e.effective_samples, 7, rtol=1e-4)


@pytest.mark.parametrize(("num_samples", "chunk_size"), [(1, 1), (7, 3), (7, 7), (7, 50), (12, 4)])
def test_exactly_k_samples_whatever_the_chunk(num_samples, chunk_size):
    # Equal weights: the effective number of samples is the number of samples.
    q = rp.Normal(jnp.zeros(2), 1.0)
    e = evaluation.importance_log_likelihood(
        jax.random.key(0), q, q, lambda z: jnp.full(z.shape, -300.0),
        num_samples=num_samples, chunk_size=chunk_size,
    )  # fmt: skip
    np.testing.assert_allclose(e.effective_samples, num_samples, rtol=1e-4)
    np.testing.assert_allclose(e.log_likelihood, -300.0, rtol=1e-6)


def test_estimate_and_its_standard_error():
    keys = jnp.arange(300)
    e = jax.vmap(lambda k: evaluation.importance_log_likelihood(
        jax.random.key(k), model.wrong_posterior(), model.prior(), model.log_likelihood,
        num_samples=1000, chunk_size=300))(keys)  # fmt: skip
    spread = np.std(np.asarray(e.log_likelihood), axis=0)
    # The standard deviation of 300 values is known to 4%.
    np.testing.assert_allclose(np.mean(np.asarray(e.stderr), axis=0), spread, rtol=0.2)
    bias = np.mean(np.asarray(e.log_likelihood), axis=0) - np.asarray(model.log_evidence())
    assert np.all(np.abs(bias) < 5 * spread / np.sqrt(300) + spread**2)


def test_memory_does_not_grow_with_k():
    def size(k):
        lowered = jax.jit(
            lambda key: evaluation.importance_log_likelihood(
                key, model.wrong_posterior(), model.prior(), model.log_likelihood,
                num_samples=k, chunk_size=50,
            )
        ).lower(jax.random.key(0))  # fmt: skip
        return lowered.compile().memory_analysis().temp_size_in_bytes

    assert size(50_000) <= 2 * size(500)


def test_bad_counts():
    with pytest.raises(ValueError, match="at least 1, got 0 and 50"):
        _estimate(model.exact_posterior(), num_samples=0)


def test_kl_per_dimension_sums_to_the_divergence():
    q = rp.Independent(rp.Normal(jnp.arange(6.0).reshape(2, 3), 0.5), 1)
    p = rp.Independent(rp.Normal(jnp.zeros(3), 1.0), 1)
    each = evaluation.kl_per_dimension(q, p)
    assert each.shape == (2, 3)
    np.testing.assert_allclose(jnp.sum(each, -1), rp.kl_divergence(q, p), rtol=1e-6)


def test_kl_per_dimension_of_marginals():
    tril = jnp.array([[1.0, 0.0], [0.5, 2.0]])
    q = rp.MultivariateNormal(jnp.zeros((4, 2)), tril)
    p = rp.MultivariateNormal(jnp.zeros(2), scale_diag=jnp.ones(2))
    scale = jnp.sqrt(jnp.array([1.0, 4.25]))
    expected = rp.kl_divergence(rp.Normal(jnp.zeros(2), scale), rp.Normal(0.0, 1.0))
    np.testing.assert_allclose(
        evaluation.kl_per_dimension(q, p), np.broadcast_to(expected, (4, 2)), rtol=1e-5
    )
    with pytest.raises(NotImplementedError, match="not of Normal"):
        evaluation.kl_per_dimension(rp.Normal(0.0, 1.0), rp.Normal(0.0, 1.0))


def test_active_units():
    means = np.random.default_rng(0).normal(size=(1000, 3)) * np.array([1.0, 0.05, 0.2])
    assert evaluation.active_units(means) == 2
    assert evaluation.active_units(means, threshold=1e-4) == 3


def test_over_batches_covers_the_data_once():
    data = np.arange(10, dtype=np.float32)
    shapes, done = [], []

    def function(key, batch):
        shapes.append(batch.shape)
        return batch, jnp.full(batch.shape, jax.random.uniform(key))

    values, noise = evaluation.over_batches(
        function, jax.random.key(0), data, 4, progress=done.append
    )
    np.testing.assert_array_equal(values, data)
    assert shapes == [(4,)] * 3
    assert done == [4, 8, 10]
    assert len(np.unique(noise)) == 3


def test_mean_and_stderr():
    mean, error = evaluation.mean_and_stderr(np.array([1.0, 3.0]))
    assert mean == 2.0
    np.testing.assert_allclose(error, 1.0)
