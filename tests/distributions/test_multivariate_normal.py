"""Tests of the multivariate normal that the registry does not cover."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import repara as rp
from tests.distributions.programs import compiled

LOC = np.asarray([0.5, -1.0, 2.0])
TRIL = np.asarray([[1.5, 0.0, 0.0], [0.4, 0.7, 0.0], [-0.3, 0.2, 2.0]])
COVARIANCE = TRIL @ TRIL.T


def _arguments(root, dtype):
    covariance = root @ root.T
    return {
        "scale_tril": np.asarray(root, dtype),
        "covariance_matrix": np.asarray(covariance, dtype),
        "precision_matrix": np.asarray(np.linalg.inv(covariance), dtype),
    }


@pytest.mark.parametrize("name", ["scale_tril", "covariance_matrix", "precision_matrix"])
def test_constructors_agree(name, dtype):
    value = _arguments(TRIL, dtype)[name]
    q = rp.MultivariateNormal(np.asarray(LOC, dtype), **{name: value})
    tolerance = 64 * np.finfo(dtype).eps
    np.testing.assert_allclose(q.scale_tril, TRIL, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(q.covariance_matrix, COVARIANCE, rtol=tolerance, atol=tolerance)
    x = np.asarray([[0.0, 0.0, 0.0], [5.0, -3.0, 1.0], [100.0, 0.0, -40.0]], dtype)
    exact = scipy.stats.multivariate_normal(LOC, COVARIANCE).logpdf(x.astype("float64"))
    np.testing.assert_allclose(q.log_prob(x), exact, rtol=8 * tolerance)
    np.testing.assert_allclose(
        q.entropy(), scipy.stats.multivariate_normal(LOC, COVARIANCE).entropy(), rtol=tolerance
    )
    np.testing.assert_allclose(q.variance, np.diagonal(COVARIANCE), rtol=tolerance)


def test_diagonal_agrees_with_triangular(dtype):
    diagonal = np.asarray([0.5, 2.0, 1.0], dtype)
    a = rp.MultivariateNormal(np.asarray(LOC, dtype), scale_diag=diagonal)
    b = rp.MultivariateNormal(np.asarray(LOC, dtype), np.diag(diagonal))
    tolerance = 8 * np.finfo(dtype).eps
    eps = a.noise(jax.random.key(0), (5,))
    np.testing.assert_allclose(a.transform(eps), b.transform(eps), rtol=tolerance, atol=tolerance)
    z = a.transform(eps)
    np.testing.assert_allclose(a.log_prob(z), b.log_prob(z), rtol=tolerance)
    np.testing.assert_allclose(a.covariance_matrix, b.covariance_matrix, rtol=tolerance)
    np.testing.assert_allclose(a.entropy(), b.entropy(), rtol=tolerance)


def test_gradient_is_lower_triangular():
    """The upper triangle is not a parameter: its gradient is zero, and values there raise."""

    @compiled
    @jax.grad
    def gradient(root):
        q = rp.MultivariateNormal(jnp.asarray(LOC, "float32"), root)
        z, log_q = q.rsample_and_log_prob(jax.random.key(0), (7,))
        return jnp.sum(z**3) + jnp.sum(log_q) + jnp.sum(q.log_prob(jnp.ones(3))) + q.entropy()

    g = np.asarray(gradient(jnp.asarray(TRIL, "float32")))
    np.testing.assert_array_equal(g, np.tril(g))
    assert np.all(g[np.tril_indices(3)] != 0)
    with pytest.raises(ValueError, match="scale_tril must be lower triangular"):
        rp.MultivariateNormal(LOC, TRIL + np.triu(np.full((3, 3), 1e-3), 1))
    assert bool(jnp.all(jnp.isnan(gradient(jnp.full((3, 3), 0.5)))))


@pytest.mark.parametrize("name", ["covariance_matrix", "precision_matrix"])
@pytest.mark.parametrize(
    "bad",
    [
        [[1.0, 2.0], [2.0, 1.0]],  # indefinite
        [[1.0, 0.5], [0.0, 1.0]],  # asymmetric, though its lower triangle is fine
        [[1.0, 0.0], [0.5, 1.0]],
        [[1.0, np.nan], [np.nan, 1.0]],
        [[0.0, 0.0], [0.0, 0.0]],
    ],
)
def test_matrices_that_are_not_covariances(name, bad):
    with pytest.raises(ValueError, match=f"{name} must be symmetric and positive definite"):
        rp.MultivariateNormal(np.zeros(2, "f"), **{name: np.asarray(bad, "f")})
    traced = compiled(
        lambda m: rp.MultivariateNormal(jnp.zeros(2), **{name: m}).sample(jax.random.key(0))
    )
    assert bool(jnp.all(jnp.isnan(traced(jnp.asarray(bad, "float32")))))


def test_only_the_bad_member_of_a_batch_is_nan():
    roots = np.stack([TRIL, -TRIL, TRIL]).astype("f")
    z = compiled(lambda r: rp.MultivariateNormal(jnp.zeros(3), r).sample(jax.random.key(0), (4,)))(
        roots
    )
    np.testing.assert_array_equal(np.isnan(z).all(axis=(0, 2)), [False, True, False])
    np.testing.assert_array_equal(np.isnan(z).any(axis=(0, 2)), [False, True, False])


def test_near_singular_covariance_keeps_its_samples(dtype):
    """The condition number of a given root is never squared."""
    root = np.asarray([[1.0, 0.0], [1.0, 1e-6]], dtype)
    q = rp.MultivariateNormal(np.zeros(2, dtype), root)
    eps = np.asarray([[0.3, -0.7]], dtype)
    np.testing.assert_allclose(q.log_prob(q.transform(eps)), -0.5 * (0.09 + 0.49)
                               - np.log(2 * np.pi) + 6 * np.log(10), rtol=0.05)  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, TypeError, "got none"),
        ({"scale_tril": np.eye(2), "scale_diag": np.ones(2)}, TypeError, "scale_tril, scale_diag"),
        ({"scale_diag": np.ones(3)}, ValueError, r"scale_diag of shape \(..., d\)"),
        ({"covariance_matrix": np.eye(3)}, ValueError, "covariance_matrix of shape"),
    ],
)
def test_constructor_errors(arguments, error, message):
    with pytest.raises(error, match=message):
        rp.MultivariateNormal(np.zeros(2), **arguments)


def test_a_scalar_loc_raises():
    with pytest.raises(ValueError, match="at least 1 dimension"):
        rp.MultivariateNormal(0.0, scale_diag=np.ones(2))


def test_covariance_of_samples():
    q = rp.MultivariateNormal(LOC.astype("f"), covariance_matrix=COVARIANCE.astype("f"))
    n = 100_000
    z = np.asarray(compiled(lambda q: q.sample(jax.random.key(1), (n,)))(q), "float64")
    # Var of a product of two centered normals is below 2 times the product of the variances.
    deviation = np.sqrt(2 * np.outer(np.diag(COVARIANCE), np.diag(COVARIANCE)) / n)
    assert np.all(np.abs(np.cov(z.T) - COVARIANCE) < 5 * deviation)
