"""Errors that say what to do."""

import jax
import jax.numpy as jnp
import pytest

import repara as rp
from repara import noise
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
from tests.estimators.toys import KEY, ForeignNormal, coin, die, toy, unit_normal


def raises(error, message, surrogate, params=0.0, num_samples=4):
    with pytest.raises(error, match=message):
        surrogate(params, KEY, num_samples)


@pytest.mark.parametrize("estimator", [pathwise, delta_method])
def test_function_must_return_a_scalar(estimator):
    surrogate = estimator(lambda z: z, unit_normal)
    message = r"one sample, of shape \(2,\), to a scalar; it returned shape \(2,\)"
    raises(ValueError, message, surrogate, jnp.zeros(2))


def test_function_must_return_a_real_number():
    surrogate = pathwise(lambda z: z > 0, unit_normal)
    raises(TypeError, "must return a real number, it returned bool", surrogate)


def test_function_must_be_finite():
    surrogate = pathwise(jnp.log, unit_normal)
    message = "not finite at 4 of 4 samples; the first is z = -"
    raises(ValueError, message, surrogate, -9.0)
    with pytest.raises(ValueError, match=message):
        jax.grad(lambda loc: surrogate(loc, KEY, 4).mean())(-9.0)
    with pytest.raises(ValueError, match="the function or its gradient is not finite"):
        variance(surrogate, 0.0, KEY, 2, 10)


def test_keys_are_typed():
    with pytest.raises(TypeError, match=r"pass jax\.random\.key"):
        pathwise(toy, unit_normal)(0.0, 0, 2)


def test_numbers_of_samples():
    plain = score_function(toy, coin)
    raises(TypeError, "must be an integer", plain, num_samples=2.0)
    raises(ValueError, "at least 1, got 0", plain, num_samples=0)
    leave_one_out = score_function(toy, coin, baseline="leave_one_out")
    raises(ValueError, "at least 2, got 1: leave_one_out", leave_one_out, num_samples=1)
    raises(ValueError, "at least 3, got 2", delta_method(jnp.sum, unit_normal), num_samples=2)
    with pytest.raises(ValueError, match="repeats must be at least 2, got 1"):
        variance(pathwise(toy, unit_normal), 0.0, KEY, 2, 1)
    with pytest.raises(ValueError, match="num_inner"):
        gumbel_rao(toy, coin, num_inner=0)


def test_baselines():
    with pytest.raises(ValueError, match=r"baseline must be one of none, .* got 'mean'"):
        score_function(toy, coin, baseline="mean")
    surrogate = score_function(toy, coin, baseline=lambda p: jnp.ones(2))
    raises(ValueError, r"baseline must return a scalar, it returned shape \(2,\)", surrogate)


def test_temperatures():
    surrogate = gumbel_softmax(toy, coin, temperature=0.0)
    raises(ValueError, "temperature must be positive, got 0.0", surrogate)


def test_pathwise_needs_rsample():
    message = "Bernoulli has none: use score_function"
    raises(ValueError, message, pathwise(toy, coin))


def test_noise_sources_need_a_distribution_of_this_library():
    surrogate = pathwise(jnp.sum, ForeignNormal, source=rp.noise.sobol)
    message = "ForeignNormal draws its own noise: leave source out"
    raises(TypeError, message, surrogate, jnp.zeros(2))


def test_delta_method_needs_moments():
    message = "ForeignNormal lacks one"
    raises(NotImplementedError, message, delta_method(jnp.sum, ForeignNormal), jnp.zeros(2))
    surrogate = delta_method(jnp.sum, lambda loc: rp.LogisticNormal(loc, jnp.ones(2)))
    raises(NotImplementedError, "no closed-form mean", surrogate, jnp.zeros(2))


def test_measure_valued_needs_a_decomposition():
    surrogate = measure_valued(toy, lambda loc: rp.Laplace(loc, 1.0))
    raises(NotImplementedError, "not Laplace: use score_function, or pathwise", surrogate)
    surrogate = measure_valued(toy, lambda concentration: rp.Weibull(1.0, concentration))
    with pytest.raises(NotImplementedError, match="no estimate for one of the parameters"):
        jax.grad(lambda k: surrogate(k, KEY, 2).mean())(2.0)


def test_enumeration_needs_a_finite_support_of_moderate_size():
    raises(ValueError, "Poisson has an infinite one", enumerate_exactly(toy, rp.Poisson), 1.0)
    surrogate = enumerate_exactly(toy, coin)
    raises(ValueError, r"2\^30 joint values", surrogate, jnp.zeros(30))


def test_estimators_for_discrete_variables_say_which_they_need():
    surrogate = gumbel_softmax(toy, lambda logits: rp.Categorical(logits=logits))
    message = "got Categorical; for an index use OneHotCategorical"
    raises(TypeError, message, surrogate, jnp.zeros(3))
    raises(TypeError, "got Normal", rebar(toy, unit_normal))
    raises(TypeError, "over one-hot vectors: use rebar", disarm(toy, die), jnp.zeros(3))


def test_delta_method_refuses_dependent_samples():
    with pytest.raises(ValueError, match="biased if the samples depend on one another"):
        delta_method(jnp.sum, unit_normal, source=noise.antithetic)


@pytest.mark.parametrize("baseline", ["leave_one_out", "moving_average"])
def test_delta_method_refuses_baselines_from_other_samples(baseline):
    with pytest.raises(ValueError, match=f'biased with baseline="{baseline}"'):
        delta_method(jnp.sum, unit_normal, estimator=score_function, baseline=baseline)
