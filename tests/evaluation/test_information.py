import jax
import jax.numpy as jnp
import numpy as np
import pytest

import repara as rp
from repara import evaluation


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
    with pytest.raises(NotImplementedError, match="got Normal"):
        evaluation.kl_per_dimension(rp.Normal(0.0, 1.0), rp.Normal(0.0, 1.0))


def test_active_units():
    means = np.random.default_rng(0).normal(size=(1000, 3)) * np.array([1.0, 0.05, 0.2])
    assert evaluation.active_units(means) == 2
    assert evaluation.active_units(means, threshold=1e-4) == 3


def _quantiles(count):
    """Quantiles of the standard normal: a mean over them is a quadrature."""
    return jax.scipy.stats.norm.ppf((jnp.arange(1.0 * count) + 0.5) / count)


def test_mutual_information_is_the_closed_form():
    # x ~ N(0, 1), z | x ~ N(a x, s^2): then q(z) = N(0, a^2 + s^2), and all is Gaussian.
    a, s, count = 1.5, 0.8, 4000
    q = rp.Normal(a * _quantiles(count), s)
    given = evaluation.aggregate_information(jax.random.key(0), q, rp.Normal(0.0, 1.0))
    mutual = 0.5 * np.log(1 + (a / s) ** 2)
    marginal = rp.kl_divergence(rp.Normal(0.0, np.hypot(a, s)), rp.Normal(0.0, 1.0))
    for value, stderr, exact in [
        (given.mutual_information, given.mutual_information_stderr, mutual),
        (given.marginal_kl, given.marginal_kl_stderr, marginal),
    ]:
        assert 0 < stderr < 0.03
        assert abs(value - exact) < 5 * stderr
    # The two are what the mean divergence from the prior is made of.
    total = jnp.mean(rp.kl_divergence(q, rp.Normal(0.0, 1.0)))
    np.testing.assert_allclose(given.mutual_information + given.marginal_kl, total, atol=0.1)


def test_mutual_information_at_its_ends():
    p = rp.Independent(rp.Normal(jnp.zeros(2), 1.0), 1)
    # Posteriors that tell nothing: the aggregate is each of them.
    same = rp.Independent(rp.Normal(jnp.full((50, 2), 0.5), 0.9), 1)
    given = evaluation.aggregate_information(jax.random.key(0), same, p)
    np.testing.assert_allclose(given.mutual_information, 0, atol=1e-5)
    assert abs(given.marginal_kl - rp.kl_divergence(same, p)[0]) < 5 * given.marginal_kl_stderr
    # Posteriors that tell all: log N, whichever examples are sampled.
    loc = jnp.stack([100 * jnp.arange(50.0), jnp.zeros(50)], axis=-1)
    apart = rp.Independent(rp.Normal(loc, 1.0), 1)
    for num_samples in (None, 7):
        given = evaluation.aggregate_information(
            jax.random.key(0), apart, p, num_samples=num_samples
        )
        np.testing.assert_allclose(given.mutual_information, np.log(50), rtol=1e-5)
    with pytest.raises(ValueError, match="num_samples must be from 2 to the 50 examples, got 51"):
        evaluation.aggregate_information(jax.random.key(0), apart, p, num_samples=51)
    with pytest.raises(ValueError, match=r"posterior must have batch shape \(N,\), got \(\)"):
        evaluation.aggregate_information(jax.random.key(0), p, p)
