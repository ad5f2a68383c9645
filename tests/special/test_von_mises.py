"""Von Mises angles: against mpmath and scipy, across seams, and at the edges."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from scipy import special, stats

from repara.special import normal_from_von_mises, von_mises_from_normal
from repara.special.fits import von_mises as von_mises_fit
from tests.special import reference

SEAM = 14.0


@pytest.mark.parametrize(
    "size", [(5, 6), pytest.param((25, 14), marks=pytest.mark.slow)], ids=["small", "large"]
)
def test_values_and_derivatives_against_mpmath(dtype, size):
    sides = SEAM * (1 + np.array([-1e-6, 1e-6]))
    k = np.concatenate([[0], np.logspace(-3, 5, size[0]), sides])
    eps, k = reference.points(dtype, k, size[1])
    # Second derivatives in float64 compile for longer than all else: only in the slow test.
    orders = 1 if size[0] == 5 else 2
    with mp.workdps(60):
        reference.assert_accurate(
            von_mises_from_normal,
            reference.von_mises_from_normal,
            dtype,
            eps,
            k,
            orders,
            np.maximum(k, 1),
        )


def test_reference_against_mpmaths_own_quadrature():
    with mp.workdps(40):
        for k, e in [(0, 2), (0.5, 5), (7, 0.1), (40, 8)]:
            k, e = mp.mpf(k), mp.mpf(e)
            z = 2 * mp.atan(mp.exp(von_mises_fit.log_quantile_at_noise(k, e)))
            tail = mp.quad(lambda t, k=k: mp.exp(k * mp.cos(t)), mp.linspace(z, mp.pi, 9))
            assert abs(tail / (2 * mp.pi * mp.besseli(0, k)) / mp.ncdf(-e) - 1) < mp.mpf(10) ** -20


def test_seams_are_smooth(dtype):
    """Value and slopes jump by no more than their own accuracy where two regimes meet."""
    jumps = {"float32": (6e-6, 4e-5), "float64": (1e-11, 1e-10)}[dtype]
    steps = 1 + np.linspace(-1, 1, 9)[:, None] * {"float32": 1e-6, "float64": 1e-13}[dtype]
    k = np.array([1e-6, 0.1, 1.0, 5.0, 12.0])
    # where the fits near 0 and far from it meet; in float64, where the series near 0 ends
    split = np.sqrt(2.5) / (np.sqrt(2 * np.pi) * special.i0e(k))
    split = split if dtype == "float32" else np.full_like(k, 1e-2)
    across = np.linspace(-5, 5, 12)
    eps = np.concatenate([split * steps, across + 0 * steps], axis=1).astype(dtype)
    k = np.concatenate([k + 0 * steps, SEAM * steps + 0 * across], axis=1).astype(dtype)
    for argnum, order, bar in ((1, 0, jumps[0]), (1, 1, jumps[1]), (0, 1, jumps[1])):
        f = reference.derivative(von_mises_from_normal, argnum, order)
        values = np.asarray(f(eps, k), "float64")
        assert np.max(np.abs(values / values[4] - 1)) < bar


def test_never_beyond_pi_and_increasing():
    eps = jnp.linspace(-6, 6, 2001)
    for k in (0.0, 0.3, 3.0, 13.9, 14.1, 1e3):
        z = np.asarray(jax.jit(von_mises_from_normal)(eps, k), "float64")
        assert np.all(np.abs(z) <= np.float32(np.pi))
        assert np.all(np.diff(z) > -5e-7)  # of rounding
    assert np.isnan(von_mises_from_normal(6.1, 1.0))


def test_uniform_at_zero_and_normal_at_infinity(dtype):
    bound = 5 if dtype == "float32" else 8
    eps = np.linspace(-bound, bound, 41).astype(dtype)
    k = np.asarray([[0.0], [1e12]], dtype)
    z = np.asarray(jax.jit(von_mises_from_normal)(eps, k), "float64")
    wide = eps.astype("float64")
    uniform = np.sign(wide) * np.pi * (1 - 2 * stats.norm.sf(np.abs(wide)))
    tolerance = 3e-6 if dtype == "float32" else 1e-11
    np.testing.assert_allclose(z, [uniform, wide * 1e-6], rtol=tolerance)


def test_value_and_derivatives_against_the_distribution_function(x64):
    """Of scipy, to its own accuracy; differences of the quantile for the slope, and of that."""
    k, eps = np.meshgrid([1e-3, 0.3, 2.0, 9.0, 400.0, 1e5], [-3.0, -0.7, 1e-4, 0.2, 1.5, 4.0])
    k, eps = jnp.asarray(k), jnp.asarray(eps)

    def slope(k):
        return jax.jvp(lambda k: von_mises_from_normal(eps, k), (k,), (jnp.ones_like(k),))

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
    np.testing.assert_allclose(jax.jit(normal_from_von_mises)(z, k), eps, rtol=1e-9)


def test_edges():
    eps = jnp.asarray([-np.inf, np.inf, 0.0, 1.0, np.nan])
    k = jnp.asarray([2.0, 2.0, 2.0, -1.0, 1.0])
    z = von_mises_from_normal(eps, k)
    np.testing.assert_allclose(z, [-np.pi, np.pi, 0, np.nan, np.nan], rtol=1e-6)
