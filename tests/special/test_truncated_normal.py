"""Truncated normal variates: against mpmath, far out, narrow, and at the edges."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from jax.test_util import check_grads

from repara.special import truncated_normal_from_normal
from tests.special import reference

INF = np.inf
INTERVALS = [
    *[(20, 21), (40, 41), (40, INF), (-41, -40), (-INF, -40), (-1, 1), (-INF, INF), (0, INF)],
    *[(1e-3, 2e-3), (3, 3.001), (-10, 9.5), (-40, 45), (8, 9), (0, 1), (-0.5, 8), (30, 30.25)],
    *[(-2, INF), (39, 100), (-1e-3, 1e-3), (-3, -2.5)],
]


def tail(x):
    return mp.erfc(x / mp.sqrt(2)) / 2


def truth(eps, low, high):
    """z and dz/deps, dz/dlow, dz/dhigh."""
    if low + high < 0:
        z, by_eps, by_high, by_low = truth(-eps, -high, -low)
        return -z, by_eps, by_low, by_high
    u, rest = tail(-eps), tail(eps)
    target = rest * tail(low) + u * tail(high)
    z = min(max(mp.sqrt(max(-2 * mp.log(target) - 1, mp.mpf(0))), low), high)
    for _ in range(200):
        q = tail(z)
        gap = mp.log(q) - mp.log(target)
        step = (gap * q if abs(gap) > 0.1 else q - target) / mp.npdf(z)
        z += step
        if abs(step) < mp.mpf(10) ** -45:
            break
    else:
        raise ArithmeticError((eps, low, high))
    density = mp.npdf(z)
    by_low = rest * mp.npdf(low) / density if mp.isfinite(low) else mp.mpf(0)
    by_high = u * mp.npdf(high) / density if mp.isfinite(high) else mp.mpf(0)
    return z, mp.npdf(eps) * (tail(low) - tail(high)) / density, by_low, by_high


def derivative(argnum, order):
    f = truncated_normal_from_normal
    for _ in range(order):
        f = jax.grad(lambda *args, f=f: jnp.sum(f(*args)), argnum)
    return jax.jit(f)


@pytest.mark.slow
def test_values_and_derivatives_against_mpmath(dtype):
    bound = 5 if dtype == "float32" else 8
    noise = np.linspace(-bound, bound, 9) + 0.013
    points = np.array([(e, *interval) for interval in INTERVALS for e in noise]).astype(dtype).T
    unit = np.finfo(dtype).eps
    with mp.workdps(60):
        exact = [truth(*p) for p in zip(*(reference.exact(axis) for axis in points), strict=True)]
        z, *slopes = zip(*exact, strict=True)
        eps, low, high = (np.asarray(axis, np.float64) for axis in points)
        by = [np.array([float(v) for v in slope]) for slope in slopes]
        low_part, high_part = (
            np.where(np.isfinite(low), low, 0),
            np.where(np.isfinite(high), high, 0),
        )
        terms = np.abs(eps * by[0]) + np.abs(low_part * by[1]) + np.abs(high_part * by[2])
        condition = terms / np.abs([float(v) for v in z])
        value = reference.relative_error(jax.jit(truncated_normal_from_normal)(*points), z)
        assert np.max(value / (4 + 4 * condition)) < unit
        for argnum, slope in enumerate(slopes):
            found = derivative(argnum, 1)(*points)
            zero = np.array([v == 0 for v in slope])
            assert np.all(np.asarray(found)[zero] == 0)
            scale = [v if v else mp.mpf(1) for v in slope]
            use = reference.representable(slope, dtype)
            error = np.where(use, reference.relative_error(found, slope, scale), 0)
            assert np.max(error) < (2e-5 if dtype == "float32" else 1e-12), argnum
        # Second derivatives, which pass zero, against the slope over the bound's own scale:
        # d2z/dlow2 = z' (z z' - low), d2z/dhigh2 = z' (z z' - high), d2z/deps2 = z' (z z' - eps)
        for argnum, (slope, x) in enumerate(zip(slopes, points, strict=True)):
            found = derivative(argnum, 2)(*points)
            x = [mp.mpf(float(v)) if np.isfinite(v) else mp.mpf(0) for v in x]
            second = [d * (a * d - v) for d, a, v in zip(slope, z, x, strict=True)]
            scale = [
                max(abs(s), abs(d) / (1 + abs(v)), mp.mpf(10) ** -37)
                for s, d, v in zip(second, slope, x, strict=True)
            ]
            error = reference.relative_error(found, second, scale)
            assert np.max(error) < (1e-3 if dtype == "float32" else 1e-10), argnum


def test_whole_line_is_the_identity(dtype):
    eps = jnp.linspace(-5, 5, 21, dtype=dtype)
    z = truncated_normal_from_normal(eps, -jnp.inf, jnp.inf)
    np.testing.assert_allclose(z, eps, atol=16 * np.finfo(dtype).eps)


def test_edges(dtype):
    eps = jnp.array([-np.inf, np.inf, np.nan, 0, 0], dtype)
    low = jnp.array([40, 40, 40, 2, 1], dtype)
    high = jnp.array([41, 41, 41, 1, 1], dtype)
    z = truncated_normal_from_normal(eps, low, high)
    np.testing.assert_array_equal(z, [40, 41, np.nan, np.nan, np.nan])


def test_stays_inside_and_varies(dtype):
    eps = jnp.linspace(-5, 5, 1001, dtype=dtype)
    for low, high in [(20.0, 21.0), (-41.0, -40.0), (40.0, 40.5), (0.0, 1e-3)]:
        z = np.asarray(truncated_normal_from_normal(eps, low, high))
        assert np.all((z >= low) & (z <= high) & (np.diff(z, append=np.inf) >= 0))
        assert len(np.unique(z)) > 300


def test_modes_agree():
    with jax.enable_x64(True):
        points = jnp.array([0.3, -1.2]), jnp.array([2.0, -1.0]), jnp.array([2.5, 4.0])
        f = jax.jit(truncated_normal_from_normal)
        check_grads(f, points, order=1, modes=("fwd", "rev"), rtol=1e-5)


def test_bounds_broadcast():
    f = truncated_normal_from_normal
    gradient = jax.jit(jax.grad(lambda low: jnp.sum(f(jnp.ones((3, 2)), low, 3.0))))
    assert gradient(jnp.array([0.0, 1.0])).shape == (2,)
    with pytest.raises(ValueError, match="broadcast"):
        truncated_normal_from_normal(jnp.ones(3), jnp.ones(2), 2.0)
