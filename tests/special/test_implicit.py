"""Quantiles by search: value, derivatives of every order and mode, inside and outside of scan."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from repara.special.implicit import quantile


def _cdf(z, rate):
    return -jnp.expm1(-rate * z)


def _log_prob(z, rate):
    return jnp.log(rate) - rate * z


def _solve(u, rate):
    return quantile(_cdf, _log_prob, None, rate, u, jnp.zeros_like(u), jnp.full_like(u, 1e3))


def _exact(u, rate):
    return -jnp.log1p(-u) / rate


def test_value(dtype):
    u = jnp.asarray(np.logspace(-6, np.log10(0.9), 30), dtype)
    given = _solve(u, jnp.asarray(1.7, dtype))
    tolerance = 1e3 * np.finfo(dtype).eps
    np.testing.assert_allclose(given, _exact(u, jnp.asarray(1.7, dtype)), rtol=tolerance)


def test_nan_parameter():
    assert np.isnan(_solve(jnp.float32(0.5), jnp.float32(np.nan)))


_FORWARD = {"f": jax.jacfwd, "r": jax.jacrev}


@pytest.mark.parametrize("modes", ["f", "r", "ff", "fr", "rf", "rr", "frf", "rrr"])
@pytest.mark.parametrize("scanned", [False, True])
def test_derivatives_in_every_mode(modes, scanned, x64):
    """Of the quantile itself, and through a scan, where jax may forget the custom rule."""

    def through(solve):
        def function(rate):
            if not scanned:
                return solve(jnp.asarray(0.3), rate) ** 2

            def one(total, u):
                z = solve(u, rate * (1 + total))
                return total + z, z

            return jax.lax.scan(one, jnp.zeros(()), jnp.asarray([0.3, 0.8]))[0]

        for mode in modes:
            function = _FORWARD[mode](function)
        return jax.jit(function)(jnp.asarray(1.7))

    np.testing.assert_allclose(through(_solve), through(_exact), rtol=1e-9)
