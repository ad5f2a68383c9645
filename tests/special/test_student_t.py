import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from repara.special import student_t_normal_score, student_t_quantile


def test_cauchy_and_two_degrees_of_freedom(dtype):
    """df = 1 and df = 2 have closed forms, in value and, by the density, in the noise."""
    bound = 5 if dtype == "float32" else 8
    eps = np.concatenate([np.linspace(-bound, bound, 41), [0.059, 0.061]]).astype(dtype)
    z = np.asarray(jax.jit(student_t_quantile)(eps, np.asarray([[1.0], [2.0]], dtype)), "float64")
    p = stats.norm.sf(np.abs(eps.astype("float64")))
    sign = np.sign(eps)
    with np.errstate(divide="ignore"):
        cauchy = sign * np.where(p < 0.25, 1 / np.tan(np.pi * p), np.tan(np.pi * (0.5 - p)))
        two = sign * (1 - 2 * p) / np.sqrt(2 * p * (1 - p))
    # the slope d log z / d log eps is up to eps^2; 1/2 - p loses what a small eps has
    tolerance = 3e-5 if dtype == "float32" else 1e-11
    np.testing.assert_allclose(z, [cauchy, two], rtol=tolerance, atol=1e-16)


@pytest.mark.slow
def test_against_scipy_and_smooth_in_df(x64):
    df = np.logspace(np.log10(0.3), 6, 25)
    eps = np.linspace(0.1, 5, 9)
    df, eps = np.stack(np.meshgrid(df, eps)).reshape(2, -1)
    total = jax.jit(jax.grad(lambda d, e: jnp.sum(student_t_quantile(e, d))))
    true = stats.t.isf(stats.norm.sf(eps), df)
    z = jax.jit(student_t_quantile)(eps, df)
    np.testing.assert_allclose(z, true, rtol=1e-8)  # scipy's own accuracy
    step = 1e-4 * df
    ends = [np.asarray(jax.jit(student_t_quantile)(eps, df + s)) for s in (-step, step)]
    difference = (ends[1] - ends[0]) / (2 * step)
    np.testing.assert_allclose(total(df, eps), difference, rtol=1e-5, atol=1e-15)
    back = jax.jit(student_t_normal_score)(z[df < 1e5], df[df < 1e5])
    np.testing.assert_allclose(back, eps[df < 1e5], rtol=1e-10)


def test_edges():
    eps = jnp.asarray([-np.inf, np.inf, 0.0, 1.0, 1.0, 1.0])
    df = jnp.asarray([2.0, 2.0, 2.0, -1.0, np.nan, np.inf])
    z = student_t_quantile(eps, df)
    np.testing.assert_array_equal(z, [-np.inf, np.inf, 0, np.nan, np.nan, 1])
    with pytest.raises(TypeError, match="float32 or float64"):
        student_t_quantile(jnp.ones(2, jnp.bfloat16), 2)
