"""Student-t variates: against mpmath, scipy and closed forms, and at the edges."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from scipy import stats

from repara.special import normal_from_student_t, student_t_from_normal
from repara.special.fits import student_t as student_t_fit
from tests.special import reference

SEAM = {"float32": 4.0, "float64": 64.0}


@pytest.mark.parametrize(
    "size", [(7, 6), pytest.param((31, 16), marks=pytest.mark.slow)], ids=["small", "large"]
)
def test_values_and_derivatives_against_mpmath(dtype, size):
    sides = SEAM[dtype] * (1 + np.array([-1e-6, 1e-6]))
    df = np.concatenate([np.logspace(np.log10(0.3), 6, size[0]), sides])
    eps, df = reference.points(dtype, df, size[1])
    # Second derivatives in float64 compile for longer than all else: only in the slow test.
    orders = 1 if dtype == "float64" and size[0] == 7 else 2
    with mp.workdps(60):
        reference.assert_accurate(
            student_t_from_normal, reference.student_t_from_normal, dtype, eps, df, orders, df
        )


def test_reference_is_mpmaths_own_incomplete_beta_function():
    with mp.workdps(50):
        for df, e in [(0.3, 2), (2, 5), (7, 0.1), (40, 8), (1e5, 1)]:
            df, e = mp.mpf(df), mp.mpf(e)
            z = mp.exp(student_t_fit.log_quantile_at_noise(df, e))
            tail = mp.betainc(df / 2, 0.5, 0, df / (df + z * z), regularized=True) / 2
            assert abs(tail / mp.ncdf(-e) - 1) < mp.mpf(10) ** -30


def test_seam_is_smooth(dtype):
    """Value and derivatives of both regimes agree where they meet, up to their own accuracy."""
    bound = {"float32": 5, "float64": 8}[dtype]
    eps = jnp.linspace(-bound, bound, 40, dtype=dtype)
    seam = jnp.asarray(SEAM[dtype], dtype)
    sides = jnp.full_like(eps, seam), jnp.full_like(eps, jnp.nextafter(seam, 2 * seam))
    bars = {"float32": (3e-6, 2e-5, 1e-3), "float64": (1e-11, 1e-10)}[dtype]
    for order, bar in enumerate(bars):
        f = reference.derivative(student_t_from_normal, 1, order)
        below, above = (f(eps, side) for side in sides)
        assert np.max(np.abs((below - above) / below)) < bar


def test_whole_range_of_noise(dtype):
    """Far beyond what a generator draws, and for df beyond any: odd and increasing in the noise."""
    bound = {"float32": 13.0, "float64": 37.5}[dtype]
    eps = jnp.linspace(0, bound, 200, dtype=dtype)
    for df in (1.0, 5.0, 100.0, 1e30):
        z = jax.jit(student_t_from_normal)(eps, jnp.asarray(df, dtype))
        assert np.all(np.diff(z) > 0), df
        np.testing.assert_array_equal(
            -z, jax.jit(student_t_from_normal)(-eps, jnp.asarray(df, dtype))
        )
    tail = stats.norm.logsf(bound)
    np.testing.assert_allclose(
        np.log(student_t_from_normal(jnp.asarray(bound, dtype), 1.0)),  # cot(pi Phi(-e)), far out
        -tail - np.log(np.pi),
        rtol=1e-6,
    )
    assert np.isnan(student_t_from_normal(jnp.asarray(1.02 * bound, dtype), 3.0))


def test_cauchy_and_two_degrees_of_freedom(dtype):
    """df = 1 and df = 2 have closed forms, in value and, by the density, in the noise."""
    bound = 5 if dtype == "float32" else 8
    eps = np.concatenate([np.linspace(-bound, bound, 41), [0.059, 0.061]]).astype(dtype)
    z = np.asarray(
        jax.jit(student_t_from_normal)(eps, np.asarray([[1.0], [2.0]], dtype)), "float64"
    )
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
    df = np.logspace(np.log10(0.3), 6, 13)
    eps = np.linspace(0.1, 5, 9)
    df, eps = np.stack(np.meshgrid(df, eps)).reshape(2, -1)
    total = jax.jit(jax.grad(lambda d, e: jnp.sum(student_t_from_normal(e, d))))
    true = stats.t.isf(stats.norm.sf(eps), df)
    z = jax.jit(student_t_from_normal)(eps, df)
    np.testing.assert_allclose(z, true, rtol=1e-8)  # scipy's own accuracy
    step = 1e-4 * df
    ends = [np.asarray(jax.jit(student_t_from_normal)(eps, df + s)) for s in (-step, step)]
    difference = (ends[1] - ends[0]) / (2 * step)
    np.testing.assert_allclose(total(df, eps), difference, rtol=1e-5, atol=1e-15)
    back = jax.jit(normal_from_student_t)(z[df < 1e5], df[df < 1e5])
    np.testing.assert_allclose(back, eps[df < 1e5], rtol=1e-10)


def test_edges():
    eps = jnp.asarray([-np.inf, np.inf, 0.0, 1.0, 1.0, 1.0])
    df = jnp.asarray([2.0, 2.0, 2.0, -1.0, np.nan, np.inf])
    z = student_t_from_normal(eps, df)
    np.testing.assert_array_equal(z, [-np.inf, np.inf, 0, np.nan, np.nan, 1])
    with pytest.raises(TypeError, match="float32 or float64"):
        student_t_from_normal(jnp.ones(2, jnp.bfloat16), 2)
