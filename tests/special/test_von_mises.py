import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from repara.special import von_mises_normal_score, von_mises_quantile


def test_uniform_at_zero_and_normal_at_infinity(dtype):
    bound = 5 if dtype == "float32" else 8
    eps = np.linspace(-bound, bound, 41).astype(dtype)
    k = np.asarray([[0.0], [1e12]], dtype)
    z = np.asarray(jax.jit(von_mises_quantile)(eps, k), "float64")
    wide = eps.astype("float64")
    uniform = np.sign(wide) * np.pi * (1 - 2 * stats.norm.sf(np.abs(wide)))
    tolerance = 3e-6 if dtype == "float32" else 1e-11
    np.testing.assert_allclose(z, [uniform, wide * 1e-6], rtol=tolerance)


def test_value_and_slope_against_the_distribution_function(x64):
    """Of scipy, to its own accuracy; differences of the quantile for the slope, and of that."""
    k, eps = np.meshgrid([1e-3, 0.3, 2.0, 9.0, 400.0, 1e5], [-3.0, -0.7, 1e-4, 0.2, 1.5, 4.0])
    k, eps = jnp.asarray(k), jnp.asarray(eps)

    def slope(k):
        return jax.jvp(lambda k: von_mises_quantile(eps, k), (k,), (jnp.ones_like(k),))

    both = jax.jit(lambda k: jax.jvp(slope, (k,), (jnp.ones_like(k),)))
    (z, first), (_, second) = both(k)
    use = (np.abs(eps) < 2) & (np.asarray(k) < 40)  # beyond, scipy's is an approximation
    score = stats.norm.ppf(stats.vonmises.cdf(np.asarray(z), np.asarray(k)))
    np.testing.assert_allclose(score[use], np.asarray(eps)[use], atol=1e-9)
    step = 1e-4 * k
    ends = [both(k + s)[0] for s in (-step, step)]
    for found, order in ((first, 0), (second, 1)):
        difference = (ends[1][order] - ends[0][order]) / (2 * step)
        size = np.abs(difference) + 1e-3 * np.abs(z) / np.asarray(k) ** (order + 1)
        assert np.max(np.abs(found - difference) / size) < 1e-5
    np.testing.assert_allclose(jax.jit(von_mises_normal_score)(z, k), eps, rtol=1e-9)


def test_edges():
    eps = jnp.asarray([-np.inf, np.inf, 0.0, 1.0, np.nan])
    k = jnp.asarray([2.0, 2.0, 2.0, -1.0, 1.0])
    z = von_mises_quantile(eps, k)
    np.testing.assert_allclose(z, [-np.pi, np.pi, 0, np.nan, np.nan], rtol=1e-6)
