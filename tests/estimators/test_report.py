"""The report on an estimator, and recompilation."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import repara as rp
from repara.estimators import (
    arm,
    delta_method,
    disarm,
    enumerate_exactly,
    gumbel_rao,
    gumbel_softmax,
    measure_valued,
    pathwise,
    rebar,
    relax,
    score_function,
    straight_through,
    variance,
)
from tests.estimators.toys import KEY, coin, toy, unit_normal


def test_report_on_a_known_case():
    # g_s = 2 z_s: mean 2 m, variance 4 s^2 / S.
    surrogate = pathwise(lambda z: z**2, functools.partial(rp.Normal, scale=0.5))
    report = variance(surrogate, 1.0, KEY, 4, 20_000, truth=2.0)
    assert abs(report.bias) < 5 * report.stderr
    np.testing.assert_allclose(report.total_variance, 0.25, rtol=5 * (2 / 20_000) ** 0.5)
    np.testing.assert_allclose(report.snr, 4.0, rtol=0.05)
    assert report.seconds > 0
    assert report.variance_time == report.total_variance * report.seconds


_ONE_COMPILATION = {
    "pathwise": (pathwise, unit_normal),
    "measure_valued": (measure_valued, unit_normal),
    "delta_method": (delta_method, unit_normal),
    "score_function": (score_function, coin),
    "enumerate_exactly": (enumerate_exactly, coin),
    "straight_through": (straight_through, coin),
    "gumbel_softmax": (functools.partial(gumbel_softmax, temperature=0.5), coin),
    "gumbel_rao": (functools.partial(gumbel_rao, temperature=0.5), coin),
    "arm": (arm, coin),
    "disarm": (disarm, coin),
    "rebar": (rebar, coin),
    "relax": (functools.partial(relax, control_variate=lambda p, z: jnp.sum(jnp.tanh(z))), coin),
}


@pytest.mark.parametrize("name", list(_ONE_COMPILATION))
def test_one_compilation_for_one_shape(name):
    make, distribution_fn = _ONE_COMPILATION[name]
    traces = []

    def function(z):
        traces.append(1)
        return toy(z)

    surrogate = make(function, distribution_fn)
    compiled = jax.jit(jax.grad(lambda p, k: jnp.mean(surrogate(p, k, 4))))
    compiled(jnp.zeros(2), KEY)
    before = len(traces)
    compiled(jnp.ones(2), jax.random.key(1))
    assert len(traces) == before > 0


def test_the_report_prints_numbers_and_shapes():
    surrogate = pathwise(lambda z: jnp.sum(z**2), lambda p: rp.Normal(p["loc"], p["scale"]))
    params = {"loc": jnp.zeros(50), "scale": 1.0}
    text = repr(variance(surrogate, params, KEY, 4, 20))
    assert text.startswith("VarianceReport(mean={'loc': float32[50], 'scale': ")
    assert "bias=None" in text
    assert len(text) < 300
