"""Errors that say what to do."""

import jax
import jax.numpy as jnp
import pytest

import repara as rp
from repara.estimators import (
    delta_method,
    disarm,
    enumerate_exactly,
    gumbel_rao,
    gumbel_softmax,
    measure_valued,
    pathwise,
    rebar,
    score_function,
    variance,
)
from tests.estimators.toys import KEY, ForeignNormal, coin, die, toy


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: pathwise(toy, coin)(jnp.zeros(2), KEY, 2), ValueError,
         "pathwise needs a distribution with rsample, Bernoulli has none: use score_function"),
        (lambda: pathwise(lambda z: z, lambda m: rp.Normal(m, 1.0))(jnp.zeros(2), KEY, 3),
         ValueError, r"one sample, of shape \(2,\), to a scalar; it returned shape \(2,\)"),
        (lambda: pathwise(jnp.log, lambda m: rp.Normal(m, 1.0))(-9.0, KEY, 3),
         ValueError, "not finite at 3 of 3 samples; the first is z = -"),
        (lambda: jax.grad(lambda m: pathwise(jnp.log, lambda m: rp.Normal(m, 1.0))(m, KEY, 3)
                          .mean())(-9.0), ValueError, "not finite at 3 of 3 samples"),
        (lambda: pathwise(lambda z: z > 0, lambda m: rp.Normal(m, 1.0))(0.0, KEY, 3),
         TypeError, "must return a real number, it returned bool"),
        (lambda: score_function(toy, coin, baseline="leave_one_out")(0.0, KEY, 1),
         ValueError, "num_samples must be at least 2, got 1: leave_one_out"),
        (lambda: score_function(toy, coin, baseline="mean"), ValueError, "got 'mean'"),
        (lambda: score_function(toy, coin, baseline=lambda p: jnp.ones(2))(0.0, KEY, 2),
         ValueError, r"baseline must return a scalar, it returned shape \(2,\)"),
        (lambda: delta_method(jnp.sum, lambda m: rp.Normal(m, 1.0))(jnp.zeros(2), KEY, 2),
         ValueError, "num_samples must be at least 3"),
        (lambda: delta_method(jnp.sum, lambda m: rp.LogisticNormal(m, jnp.ones(2)))(
            jnp.zeros(2), KEY, 4), NotImplementedError, "no closed-form mean"),
        (lambda: measure_valued(toy, lambda m: rp.Laplace(m, 1.0))(0.0, KEY, 2),
         NotImplementedError, "not Laplace: use score_function, or pathwise"),
        (lambda: jax.grad(lambda k: measure_valued(toy, lambda k: rp.Weibull(1.0, k))(k, KEY, 2)
                          .mean())(2.0), NotImplementedError, "no estimate for one of the param"),
        (lambda: enumerate_exactly(toy, rp.Poisson)(1.0, KEY, 2), ValueError,
         "needs a finite support, that of Poisson is not"),
        (lambda: enumerate_exactly(toy, coin)(jnp.zeros(30), KEY, 2), ValueError,
         r"2\^30 joint values"),
        (lambda: gumbel_softmax(toy, lambda p: rp.Categorical(logits=p))(jnp.zeros(3), KEY, 2),
         TypeError, "got Categorical; for an index use OneHotCategorical"),
        (lambda: rebar(toy, lambda m: rp.Normal(m, 1.0))(0.0, KEY, 2), TypeError, "got Normal"),
        (lambda: disarm(toy, die)(jnp.zeros(3), KEY, 2), TypeError, "use rebar"),
        (lambda: gumbel_rao(toy, coin, num_inner=0), ValueError, "num_inner"),
        (lambda: gumbel_softmax(toy, coin, temperature=0.0)(jnp.zeros(2), KEY, 2), ValueError,
         "temperature must be positive, got 0.0"),
        (lambda: pathwise(jnp.sum, ForeignNormal, source=rp.noise.sobol)(jnp.zeros(2), KEY, 2),
         TypeError, "ForeignNormal draws its own noise: leave source out"),
        (lambda: delta_method(jnp.sum, ForeignNormal)(jnp.zeros(2), KEY, 4), NotImplementedError,
         "ForeignNormal lacks one"),
        (lambda: delta_method(lambda z: z, lambda m: rp.Normal(m, 1.0))(jnp.zeros(2), KEY, 4),
         ValueError, "it returned shape"),
        (lambda: pathwise(toy, coin)(0.0, 0, 2), TypeError, "pass jax.random.key"),
        (lambda: score_function(toy, coin)(0.0, KEY, 0), ValueError, "at least 1, got 0"),
        (lambda: score_function(toy, coin)(0.0, KEY, 2.0), TypeError, "must be an integer"),
        (lambda: variance(pathwise(toy, coin), 0.0, KEY, 2, 1), ValueError, "repeats must be"),
        (lambda: variance(pathwise(jnp.log, lambda m: rp.Normal(m, 1.0)), 0.0, KEY, 2, 10),
         ValueError, "the function or its gradient is not finite"),
    ],
)  # fmt: skip
def test_errors(make, error, message):
    with pytest.raises(error, match=message):
        make()
