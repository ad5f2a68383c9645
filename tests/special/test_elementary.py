"""Quotients with a removable singularity, against mpmath: value and two derivatives."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from repara.special import elementary


def _expm1_over(x):
    return mpmath.expm1(x) / x if x else mpmath.mpf(1)


def _log1p_over(x):
    return mpmath.log1p(x) / x if x else mpmath.mpf(1)


def _log_sinh_over(x):
    return mpmath.log(mpmath.sinh(x) / x) if x else mpmath.mpf(0)


# On both sides of the seam at 1/2, through 0, and far out.
_SEAM = [0.4999999, 0.5, 0.5000001]
_NEAR = [0.0, 1e-30, 1e-8, 1e-3, 0.1, 0.3, *_SEAM, 0.7, 1.0, 3.0]
_BOTH = [-x for x in _NEAR] + _NEAR
FUNCTIONS = {
    "expm1_over": (_expm1_over, [*_BOTH, -80.0, -20.0, 20.0, 80.0]),
    "log1p_over": (_log1p_over, [x for x in _BOTH if x > -0.99] + [-0.99, 50.0, 1e6, 1e20]),
    "log_sinh_over": (_log_sinh_over, [*_BOTH, -300.0, 300.0, 1e4]),
}


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_against_mpmath(name, order, dtype):
    exact, points = FUNCTIONS[name]
    function = getattr(elementary, name)
    for _ in range(order):
        function = jax.grad(function)
    x = np.asarray(points, dtype)
    given = np.asarray(jax.jit(jax.vmap(function))(jnp.asarray(x)), "float64")
    with mpmath.workdps(120):
        true = [mpmath.diff(exact, mpmath.mpf(float(v)), order, h=mpmath.mpf(10) ** -18)
                if order else exact(mpmath.mpf(float(v))) for v in x]  # fmt: skip
        true = np.asarray([float(v) for v in true])
    eps = np.finfo(dtype).eps
    # Each derivative costs the far branch one division by x, and cancellation of as much: at the
    # seam 1/x^order = 2^order. Values that underflow are not asked for their digits.
    bound = 32 * 8**order * eps * (np.abs(true) + np.minimum(1, np.abs(x)) ** 2 * 2.0**-order)
    assert np.all(np.abs(given - true) <= bound + np.finfo(dtype).tiny), (x, given, true)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_known_values_at_zero(name, x64):
    value, first, second = {
        "expm1_over": (1.0, 1 / 2, 1 / 3),
        "log1p_over": (1.0, -1 / 2, 2 / 3),
        "log_sinh_over": (0.0, 0.0, 1 / 3),
    }[name]
    function = getattr(elementary, name)
    assert float(function(jnp.zeros(()))) == value
    np.testing.assert_allclose(jax.grad(function)(0.0), first, rtol=1e-15)
    np.testing.assert_allclose(jax.grad(jax.grad(function))(0.0), second, rtol=1e-15)


def test_far_out_is_finite(dtype):
    big = jnp.asarray([-1e5, 1e5], dtype)
    for function in (elementary.log_sinh_over, lambda x: elementary.expm1_over(-jnp.abs(x))):
        value, slope = jax.jvp(function, (big,), (jnp.ones_like(big),))
        assert bool(jnp.all(jnp.isfinite(value)))
        assert bool(jnp.all(jnp.isfinite(slope)))


def test_log1p_against_mpmath(dtype):
    """To a few units of rounding in itself, also where it is close to 0 and at its seams."""
    x = np.array([1e-30, 1e-9, 1e-4, 0.1, 0.2499, 0.25, 0.2501, 0.7, 1.0, 3.0, 1e6, 1e30], dtype)
    x = np.concatenate([-x[x < 1], x, np.array([-0.9999, 0.0], dtype)])
    given = np.asarray(jax.jit(elementary.log1p)(x), "float64")
    slope = np.asarray(jax.jit(jax.vmap(jax.grad(elementary.log1p)))(x), "float64")
    with mpmath.workdps(60):
        true = np.asarray([float(mpmath.log1p(mpmath.mpf(float(v)))) for v in x])
        true_slope = np.asarray([float(1 / (1 + mpmath.mpf(float(v)))) for v in x])
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(given, true, rtol=4 * eps)
    np.testing.assert_allclose(slope, true_slope, rtol=4 * eps)


@pytest.mark.parametrize(
    ("name", "exact"),
    [("sigmoid", lambda x: 1 / (1 + mpmath.exp(-x))), ("tanh", mpmath.tanh)],
)
@pytest.mark.parametrize("order", [1, 2])
def test_derivatives_where_the_value_rounds_to_one(name, exact, order, dtype):
    function = getattr(elementary, name)
    for _ in range(order):
        function = jax.grad(function)
    x = np.asarray([0.5, 3.0, 9.0, 17.0, 30.0], dtype)
    x = np.concatenate([-x, x])
    given = np.asarray(jax.jit(jax.vmap(function))(jnp.asarray(x)), "float64")
    with mpmath.workdps(120):
        h = mpmath.mpf(10) ** -25
        true = [float(mpmath.diff(exact, mpmath.mpf(float(v)), order, h=h)) for v in x]
    np.testing.assert_allclose(given, true, rtol=64 * float(np.finfo(dtype).eps))
