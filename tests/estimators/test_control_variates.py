"""Learned baselines and control variates."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import repara as rp
from repara.estimators import (
    control_variate_loss,
    moving_average,
    rebar,
    relax,
    score_function,
)
from tests.estimators.toys import KEY, coin, gradients, samples, toy


@pytest.mark.parametrize("name", ["rebar", "relax"])
def test_trained_control_variates_beat_leave_one_out_on_the_toy(name):
    # Both contain the leave-one-out baseline, at eta = 0, from which training begins. By quadrature
    # over the noise the best eta of REBAR leaves 0.45 of its variance at this logit. (At logit 0
    # leave-one-out is itself the best of the family.)
    logits = jnp.float32(2.0)

    def coin_of(params):
        return rp.Bernoulli(logits=params["logits"])

    if name == "rebar":
        surrogate = rebar(
            toy, coin_of, temperature=lambda p: jnp.exp(p["t"]), eta=lambda p: p["eta"]
        )
    else:
        surrogate = relax(
            toy, coin_of, control_variate=lambda p, z: p["eta"] * jnp.tanh(z * jnp.exp(p["t"]))
        )
    learned = {"t": jnp.float32(0.0), "eta": jnp.float32(0.0)}

    @jax.jit
    def train(learned, keys):
        def body(learned, key):
            def loss(learned):
                params = {"logits": logits, **learned}
                return control_variate_loss(surrogate, params, key, 2, 200)

            gradient = jax.grad(loss)(learned)
            # The sign of the gradient: its scale is that of the toy's differences, 0.002, squared.
            return jax.tree.map(lambda w, g: w - 3e-5 * jnp.sign(g), learned, gradient), None

        return jax.lax.scan(body, learned, keys)[0]

    learned = train(learned, jax.random.split(KEY, 300))
    leave_one_out = score_function(toy, coin, baseline="leave_one_out")
    ours = gradients(lambda p, k, n: surrogate({"logits": p, **learned}, k, n), logits, 2, 40_000)
    theirs = gradients(leave_one_out, logits, 2, 40_000)
    # Of 40,000 gradients each variance has a relative standard error of about 1%.
    assert ours.var() < 0.7 * theirs.var()
    none = gradients(score_function(toy, coin), logits, 2, 20_000)
    assert ours.var() < 1e-3 * none.var()


@pytest.mark.parametrize("name", ["rebar", "relax"])
def test_control_variate_loss_has_the_gradient_of_its_value(name):
    # By central differences at a fixed key; several samples, so that their baselines take part.
    def coin_of(params):
        return rp.Bernoulli(logits=params["logits"])

    if name == "rebar":
        surrogate = rebar(toy, coin_of, temperature=0.7, eta=lambda p: p["eta"])
    else:
        surrogate = relax(toy, coin_of, control_variate=lambda p, z: p["eta"] * jnp.tanh(z))

    @jax.jit
    @jax.value_and_grad
    def loss(eta):
        params = {"logits": jnp.float32(1.0), "eta": eta}
        return control_variate_loss(surrogate, params, KEY, 3, 50)

    # The loss is a parabola in eta: central differences are exact but for rounding.
    slope = loss(jnp.float32(0.5))[1]
    assert abs(slope) > 1e-3
    difference = (loss(jnp.float32(1.0))[0] - loss(jnp.float32(0.0))[0]) / 1.0
    np.testing.assert_allclose(slope, difference, rtol=1e-4)


def test_control_variate_loss_finds_the_best_baseline():
    # For z ~ N(loc, 1) and f = 3 + z the variance of the score function is least at
    # b = E[f s^2] / E[s^2] = 3 + loc.
    surrogate = score_function(
        lambda z: 3.0 + z,
        lambda params: rp.Normal(params["loc"], 1.0),
        baseline=lambda params: params["baseline"],
    )

    @jax.jit
    def step(baseline, key):
        def loss(baseline):
            params = {"loc": jnp.float32(0.5), "baseline": baseline}
            return control_variate_loss(surrogate, params, key, 1, 2000)

        return baseline - 0.2 * jax.grad(loss)(baseline)

    baseline = jnp.float32(0.0)
    for key in jax.random.split(KEY, 40):
        baseline = step(baseline, key)
    assert abs(float(baseline) - 3.5) < 0.2
    params = {"loc": jnp.float32(0.5), "baseline": baseline}
    gradient = jax.grad(lambda p: surrogate(p, KEY, 8).mean())(params)
    assert float(gradient["baseline"]) == 0.0


class _Net(nn.Module):
    @nn.compact
    def __call__(self, z):
        return nn.Dense(1)(jnp.tanh(nn.Dense(8)(z)))[..., 0]


@pytest.mark.slow
def test_relax_trains_a_flax_control_variate():
    net = _Net()
    surrogate = relax(
        toy,
        lambda params: rp.Bernoulli(logits=params["logits"]),
        control_variate=lambda params, z: net.apply(params["net"], z),
    )
    logits = jnp.zeros(2)
    weights = net.init(KEY, jnp.zeros(2))

    @jax.jit
    def step(weights, key):
        def loss(weights):
            return control_variate_loss(surrogate, {"logits": logits, "net": weights}, key, 2, 100)

        value, gradient = jax.value_and_grad(loss)(weights)
        return jax.tree.map(lambda w, g: w - 0.5 * g, weights, gradient), value

    losses = []
    for key in jax.random.split(KEY, 150):
        weights, value = step(weights, key)
        losses.append(float(value))
    assert np.mean(losses[-20:]) < 0.7 * np.mean(losses[:20])
    gradient = jax.grad(
        lambda p: surrogate(p, KEY, 4).mean()
    )({"logits": logits, "net": weights})  # fmt: skip
    assert all(np.all(np.abs(x) < 1e-6) for x in jax.tree.leaves(gradient["net"]))
    assert np.any(gradient["logits"] != 0)


def test_moving_average_goes_on_where_it_ended():
    surrogate = score_function(lambda z: z, functools.partial(rp.Normal, scale=1.0),
                               baseline="moving_average")  # fmt: skip
    values = surrogate(2.0, KEY, 3)
    average, by_hand = moving_average(values, 0.5), 0.5
    for v in np.asarray(values):
        by_hand = 0.9 * by_hand + 0.1 * v
    np.testing.assert_allclose(average, by_hand, rtol=1e-6)
    # b_1 is the average with which the call begins: (f - b) s for the first sample.
    first = jax.jacrev(lambda loc: surrogate(loc, KEY, 3, average))(2.0)[0]
    z = samples(rp.Normal(2.0, 1.0), KEY, 3)[0]
    np.testing.assert_allclose(first, (z - average) * (z - 2.0), rtol=1e-5)
