import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from repara.special import von_mises_fisher_angle, von_mises_fisher_log_normalizer


def test_gradient_of_the_mean_resultant_length(dtype):
    """d = 5, k = 2: dE[cos y]/dk = 0.147389, by the midpoint rule in Phi(eps)."""
    u = (np.arange(4000) + 0.5) / 4000
    eps = jnp.asarray(special.ndtri(u), dtype)

    def mean(k):
        return jnp.mean(jnp.cos(von_mises_fisher_angle(eps, k, 5)))

    slope = jax.jit(jax.grad(mean))(jnp.asarray(2.0, dtype))
    assert abs(float(slope) - 0.147389) < 2e-6


def test_three_dimensions_in_closed_form(dtype):
    """cos y = 1 + log(p + (1 - p) e^(-2 k)) / k for p = 1 - Phi(eps)."""
    eps, k = np.meshgrid(np.linspace(-3, 3, 13), [0.1, 2.0, 30.0, 1e4])
    p = special.ndtr(-eps)
    # 1 - cos y, without cancellation
    true = -np.log1p(-special.ndtr(eps) * -np.expm1(-2 * k)) / k
    del p
    y = jax.jit(lambda e, k: von_mises_fisher_angle(e, k, 3))(eps.astype(dtype), k.astype(dtype))
    found = 2 * np.sin(np.asarray(y, "float64") / 2) ** 2
    np.testing.assert_allclose(found, true, rtol=2e-5 if dtype == "float32" else 1e-10)
    normalizer = von_mises_fisher_log_normalizer(jnp.asarray(k[:, 0], dtype), 3)
    exact = np.log(2 * np.pi * -np.expm1(-2 * k[:, 0]) / k[:, 0])
    np.testing.assert_allclose(normalizer, exact, rtol=1e-6, atol=1e-6)


def test_opposite_to_the_mean_direction(dtype):
    """On a circle without concentration the angle is pi Phi(eps): pi, for the largest eps."""
    eps = jnp.asarray([5.5, 6.0, 8.0], dtype)
    y, slope = jax.jit(
        lambda k: jax.jvp(lambda k: von_mises_fisher_angle(eps, k, 2), (k,), (jnp.ones_like(k),))
    )(jnp.zeros(3, dtype))
    np.testing.assert_allclose(y, np.pi, atol=3e-6)
    np.testing.assert_allclose(slope, 0, atol=3e-6)


def test_bad_input():
    assert np.isnan(von_mises_fisher_angle(0.0, -1.0, 3))
    with pytest.raises(ValueError, match="integer from 2 up"):
        von_mises_fisher_angle(0.0, 1.0, 1)
