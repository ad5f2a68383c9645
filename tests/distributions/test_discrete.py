"""Discrete families beyond the registry's tests."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import repara as rp


def test_entropies_are_sums_over_the_support(dtype):
    families = [
        rp.Categorical(logits=np.asarray([[0.0, 1.0, -2.0], [3.0, 3.0, 3.0]], dtype)),
        rp.Categorical(probs=np.asarray([[0.0, 0.25, 0.75], [1.0, 0.0, 0.0]], dtype)),
        rp.OneHotCategorical(logits=np.asarray([0.0, 1.0, -2.0], dtype)),
        rp.Binomial(np.asarray([3.0, 9.0], dtype), probs=np.asarray(0.3, dtype)),
    ]
    for q in families:
        log_prob = np.asarray(q.log_prob(q.enumerate_support()), "float64")
        terms = np.exp(log_prob) * np.where(log_prob > -np.inf, log_prob, 0.0)
        np.testing.assert_allclose(q.entropy(), -terms.sum(0), rtol=1e-6, atol=1e-6)
    p = 0.3
    q = rp.Geometric(probs=np.asarray(p, dtype))
    np.testing.assert_allclose(q.entropy(), scipy.stats.geom(p).entropy(), rtol=1e-6)


def test_an_impossible_category_has_no_poisoned_gradient():
    """A logit of -inf: its probability is 0, and so is its gradient, not NaN."""

    def entropy(logits):
        return rp.Categorical(logits=logits).entropy()

    logits = jnp.asarray([0.0, 1.0, -jnp.inf])
    np.testing.assert_allclose(entropy(logits), entropy(logits[:2]), rtol=1e-6)
    q = rp.Categorical(logits=logits)
    assert float(q.log_prob(2)) == -np.inf
    draws = q.sample(jax.random.key(0), (1000,))
    assert not np.any(draws == 2)


def test_log_prob_gradient_is_the_score():
    logits = jnp.asarray([0.3, -0.2, 1.0])
    score = jax.grad(lambda v: rp.Categorical(logits=v).log_prob(1))(logits)
    np.testing.assert_allclose(score, jnp.asarray([0.0, 1, 0]) - jax.nn.softmax(logits), rtol=1e-6)


def test_probabilities_that_are_no_simplex():
    for family in (rp.Categorical, rp.OneHotCategorical):
        for bad in ([0.5, 0.6], [-0.1, 1.1], [np.nan, 1.0]):
            with pytest.raises(ValueError, match=rf"{family.__name__}: probs must be nonneg"):
                family(probs=np.asarray(bad, "f"))


def test_edges_of_probabilities():
    # The logarithms of the factorials are rounded.
    given = [rp.Binomial(3.0, probs=p).log_prob(np.asarray([0.0, 1.0, 2.0, 3.0])) for p in (0, 1)]
    np.testing.assert_allclose(given[0], [0, -np.inf, -np.inf, -np.inf], atol=1e-6)
    np.testing.assert_allclose(given[1], [-np.inf, -np.inf, -np.inf, 0], atol=1e-6)
    ends = np.asarray([0.0, 1.0])
    np.testing.assert_allclose(rp.Poisson(0.0).log_prob(ends), [0, -np.inf], atol=1e-6)
    np.testing.assert_array_equal(rp.Geometric(probs=1.0).log_prob(ends), [0, -np.inf])
    assert float(rp.Geometric(probs=1.0).sample(jax.random.key(0))) == 0


def test_no_enumeration_under_jit_where_the_size_is_a_parameter():
    with pytest.raises(NotImplementedError, match="total_count is concrete"):
        jax.jit(lambda n: rp.Binomial(n, probs=0.5).entropy())(3.0)
