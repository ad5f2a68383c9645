"""Truncated distributions in the tails, where samplers of other libraries fail."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import repara as rp
from tests.distributions.programs import compiled


@pytest.mark.parametrize(("low", "high"), [(5.0, 6.0), (8.0, 9.0), (-9.0, -8.0)])
def test_normal_in_the_tails(low, high, dtype):
    """Samples spread over the interval; mean dz/dloc is the derivative of the exact mean."""
    u = (np.arange(4096) + 0.5) / 4096

    @compiled
    def program(loc, u):
        def transform(loc):
            base = rp.Normal(loc, jnp.ones((), dtype))
            return rp.Truncated(base, low, high).transform(u)

        return jax.jvp(transform, (loc,), (jnp.ones_like(loc),))

    z, slope = program(jnp.zeros((), dtype), jnp.asarray(u, dtype))
    exact = scipy.stats.truncnorm(low, high)
    # In float32 the quantile function itself has an error of a few units in the last place of z^2.
    tolerance = 2e-5 if dtype == "float32" else 1e-10
    np.testing.assert_allclose(z, exact.ppf(u.astype(dtype)), rtol=tolerance)
    # The exact derivative of the mean by a central difference of scipy's.
    h = 1e-3
    above = scipy.stats.truncnorm(low - h, high - h, h, 1).mean()
    below = scipy.stats.truncnorm(low + h, high + h, -h, 1).mean()
    np.testing.assert_allclose(
        np.mean(np.asarray(slope, "float64")), (above - below) / (2 * h), rtol=0.01
    )


def test_an_interval_without_probability_is_nan():
    """If the probability of the interval underflows in float32, samples are NaN."""
    q = rp.Truncated(rp.Normal(0.0, 1.0), 20.0, 21.0)
    assert np.all(np.isnan(q.sample(jax.random.key(0), (3,))))
    assert np.isnan(q.log_prob(20.5))


def test_errors():
    base = rp.Normal(0.0, 1.0)
    with pytest.raises(TypeError, match="got neither"):
        rp.Truncated(base)
    with pytest.raises(ValueError, match="Truncated: high must be greater than low, got 1"):
        rp.Truncated(base, 2.0, 1.0)
    with pytest.raises(ValueError, match="continuous scalar"):
        rp.Truncated(rp.Independent(rp.Normal(jnp.zeros(2), 1.0), 1), 0.0)
