"""Truncated normal variates: against mpmath, far out, narrow, and at the edges."""

import functools
from typing import NamedTuple

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


class Exact(NamedTuple):
    """Points and, by mpmath, z with its derivatives in noise and both bounds."""

    points: np.ndarray
    z: tuple
    gradient: list


@functools.cache
def exact(dtype):
    bound = 5 if dtype == "float32" else 8
    noise = np.linspace(-bound, bound, 9) + 0.013
    points = np.array([(e, *interval) for interval in INTERVALS for e in noise]).astype(dtype).T
    with mp.workdps(60):
        values = [truth(*p) for p in zip(*(reference.exact(axis) for axis in points), strict=True)]
        z, *gradient = zip(*values, strict=True)
    return Exact(points, z, gradient)


def finite_or_zero(x):
    return np.where(np.isfinite(x), x, 0).astype("float64")


def derivative(argnum, order, points):
    return np.asarray(reference.derivative(truncated_normal_from_normal, argnum, order)(*points))


every_argument = pytest.mark.parametrize("argnum", [0, 1, 2], ids=["eps", "low", "high"])


@pytest.mark.slow
def test_values_against_mpmath(dtype):
    points, z, gradient = exact(dtype)
    with mp.workdps(60):
        terms = [
            np.abs(finite_or_zero(x) * np.array(by, float))
            for x, by in zip(points, gradient, strict=True)
        ]
        condition = sum(terms) / np.abs(np.array(z, float))
        error = reference.relative_error(jax.jit(truncated_normal_from_normal)(*points), z)
        assert np.max(error / (4 + 4 * condition)) < np.finfo(dtype).eps


@pytest.mark.slow
@every_argument
def test_derivatives_against_mpmath(argnum, dtype):
    points, _, gradient = exact(dtype)
    true = gradient[argnum]
    found = derivative(argnum, 1, points)
    with mp.workdps(60):
        assert np.all(found[[v == 0 for v in true]] == 0)
        error = reference.relative_error(found, true, [v or mp.mpf(1) for v in true])
        error = np.where(reference.representable(true, dtype), error, 0)
        assert np.max(error) < (2e-5 if dtype == "float32" else 1e-12)


@pytest.mark.slow
@every_argument
def test_second_derivatives_against_mpmath(argnum, dtype):
    """d2z/dx2 = z' (z z' - x) for each argument x, which passes 0: on the scale of z' / x."""
    points, z, gradient = exact(dtype)
    with mp.workdps(60):
        x = [mp.mpf(float(v)) for v in finite_or_zero(points[argnum])]
        rows = list(zip(gradient[argnum], z, x, strict=True))
        second = [d * (a * d - v) for d, a, v in rows]
        scale = [
            max(abs(s), abs(d) / (1 + abs(v)), mp.mpf(10) ** -37)
            for s, (d, _, v) in zip(second, rows, strict=True)
        ]
        error = reference.relative_error(derivative(argnum, 2, points), second, scale)
        assert np.max(error) < (1e-3 if dtype == "float32" else 1e-10)


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


@reference.both_dtypes
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
