"""log CDF and quantiles of the normal distribution against mpmath, and at the edges."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from repara.special import log_ndtr, ndtri, ndtri_exp
from tests.special import reference


def derivative(f, order):
    for _ in range(order):
        f = jax.grad(lambda x, f=f: jnp.sum(f(x)))
    return jax.jit(f)


def log_tail(x):
    return mp.log(mp.erfc(x / mp.sqrt(2)) / 2)


def inverse_log_tail(target):
    """The x >= 0 with log Phi(-x) = target, by Newton's method."""
    x = mp.sqrt(max(-2 * target - 1, mp.mpf(0)))
    for _ in range(100):
        step = (target - log_tail(x)) * mp.exp(log_tail(x)) / mp.npdf(x)
        x -= step
        if abs(step) < mp.mpf(10) ** -40:
            return x
    raise ArithmeticError(target)


def exact_ndtri_exp(log_p):
    if log_p < -mp.log(2):
        return -inverse_log_tail(log_p)
    return inverse_log_tail(mp.log(-mp.expm1(log_p)))


def worst(found, true, scale=None, use=None):
    error = reference.relative_error(found, true, scale)
    return np.max(error if use is None else np.where(use, error, 0))


def test_log_ndtr_against_mpmath(dtype):
    unit = np.finfo(dtype).eps
    x = np.concatenate([np.linspace(-60, 8, 120), [-1e4, -500.0, 0.0]]).astype(dtype)
    with mp.workdps(60):
        exact = reference.exact(x)
        true = [log_tail(-v) if v < 0 else mp.log1p(-mp.erfc(v / mp.sqrt(2)) / 2) for v in exact]
        hazard = [
            mp.exp(-v * v / 2 - t) / mp.sqrt(2 * mp.pi) for v, t in zip(exact, true, strict=True)
        ]
        slope = [-h * (h + v) for h, v in zip(hazard, exact, strict=True)]
        # for x > 0 the condition number is x^2
        condition = np.maximum(x, 0) ** 2
        assert np.max(reference.relative_error(log_ndtr(x), true) / (16 + 2 * condition)) < unit
        first = reference.relative_error(derivative(log_ndtr, 1)(x), hazard)
        assert np.max(first / (16 + condition)) < unit
        second = reference.relative_error(derivative(log_ndtr, 2)(x), slope)
        # the derivative of a fit is worst at its end, here x = 0
        assert np.max(second / (64 + condition)) < unit


def test_ndtri_exp_against_mpmath(dtype):
    unit = np.finfo(dtype).eps
    log_p = -np.concatenate([np.logspace(-25, 5, 90), np.linspace(0.6, 0.8, 9)]).astype(dtype)
    with mp.workdps(60):
        true = [exact_ndtri_exp(v) for v in reference.exact(log_p)]
        slope = [mp.ncdf(x) / mp.npdf(x) for x in true]
        second = [(1 + x * m) * m for x, m in zip(true, slope, strict=True)]
        # z itself passes zero at log(1/2)
        assert worst(ndtri_exp(log_p), true, [max(abs(x), mp.mpf(1)) for x in true]) < 8 * unit
        assert worst(derivative(ndtri_exp, 1)(log_p), slope) < 16 * unit
        # products on the way are up to 1e3 times larger
        use = reference.representable([1000 * m * m for m in slope], dtype)
        assert worst(derivative(ndtri_exp, 2)(log_p), second, use=use) < 64 * unit


def test_ndtri_against_mpmath(dtype):
    unit = np.finfo(dtype).eps
    low = np.logspace(-37, -1, 60)
    p = np.concatenate([low, np.linspace(0.09, 0.91, 42), 1 - np.logspace(-6, -1, 12)]).astype(
        dtype
    )
    with mp.workdps(60):
        true = [
            exact_ndtri_exp(mp.log(v)) if v < 0.5 else -exact_ndtri_exp(mp.log1p(-v))
            for v in reference.exact(p)
        ]
        slope = [1 / mp.npdf(x) for x in true]
        second = [x * m * m for x, m in zip(true, slope, strict=True)]
        assert worst(ndtri(p), true) < 16 * unit
        assert worst(derivative(ndtri, 1)(p), slope) < 16 * unit
        # 1 / p^2 on the way is up to 1e3 times larger
        use = reference.representable([1000 * v for v in second], dtype)
        assert worst(derivative(ndtri, 2)(p), second, use=use) < 256 * unit


def test_edges(dtype):
    x = jnp.array([-np.inf, np.inf, np.nan], dtype)
    np.testing.assert_array_equal(log_ndtr(x), [-np.inf, 0, np.nan])
    log_p = jnp.array([-np.inf, 0.0, 0.5, np.nan], dtype)
    np.testing.assert_array_equal(ndtri_exp(log_p), [-np.inf, np.inf, np.nan, np.nan])
    p = jnp.array([0.0, 1.0, 0.5, -0.1, 1.1, np.nan], dtype)
    np.testing.assert_array_equal(ndtri(p), [-np.inf, np.inf, 0, np.nan, np.nan, np.nan])


def test_other_dtypes_are_refused():
    with pytest.raises(TypeError, match="float16"):
        log_ndtr(jnp.ones(2, jnp.float16))
