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
