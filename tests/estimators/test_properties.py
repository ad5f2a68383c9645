"""What the estimators promise beside being unbiased: bias, variance, higher derivatives, errors."""

import functools
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import repara as rp
from repara.estimators import (
    arm,
    control_variate_loss,
    delta_method,
    disarm,
    enumerate_exactly,
    gumbel_rao,
    gumbel_softmax,
    measure_valued,
    moving_average,
    pathwise,
    rebar,
    relax,
    score_function,
    straight_through,
    variance,
)

_KEY = jax.random.key(0)


def _toy(b):
    """Tucker et al. (2017): barely better at 0 than at 1."""
    return jnp.sum((b - 0.499) ** 2)


def _coin(logits):
    return rp.Bernoulli(logits=logits)


def _normal_of(loc):
    return rp.Normal(loc, 1.0)


def _dice(logits):
    return rp.OneHotCategorical(logits=logits)


def _gradients(surrogate, params, num_samples, repeats, key=_KEY):
    @jax.jit
    def all_gradients(keys):
        return jax.lax.map(
            lambda k: jax.grad(lambda p: jnp.mean(surrogate(p, k, num_samples)))(params),
            keys,
            batch_size=min(500, repeats),
        )

    return np.asarray(all_gradients(jax.random.split(key, repeats)), np.float64)


# Biased estimators.


@pytest.mark.parametrize("distribution_fn", [_coin, _dice])
@pytest.mark.parametrize(
    "estimator",
    [
        straight_through,
        functools.partial(gumbel_softmax, straight_through=True),
        gumbel_rao,
    ],
)
def test_forward_value_is_that_of_the_hard_sample(estimator, distribution_fn):
    logits = jnp.array([0.3, -0.2, 0.5])
    weights = jnp.array([1.0, 3.0, -2.0])
    seen = []

    def function(z):
        seen.append(z)
        return jnp.sum(weights * z**2)

    values = estimator(function, distribution_fn)(logits, _KEY, 200)
    hard = distribution_fn(logits).sample(_KEY, (200,))
    np.testing.assert_array_equal(values, jnp.sum(weights[None] * hard**2, axis=1))


@pytest.mark.parametrize("distribution_fn", [_coin, _dice])
def test_straight_through_is_exact_for_linear_functions(distribution_fn):
    logits, weights = jnp.array([0.3, -0.2, 0.5]), jnp.array([1.0, 3.0, -2.0])

    def linear(z):
        return jnp.sum(weights * z)

    got = jax.jacrev(lambda p: straight_through(linear, distribution_fn)(p, _KEY, 4))(logits)
    exact = jax.grad(lambda p: jnp.sum(weights * distribution_fn(p).mean))(logits)
    np.testing.assert_allclose(got, jnp.broadcast_to(exact, (4, 3)), rtol=1e-5)


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("distribution_fn", [_coin, _dice])
def test_bias_of_gumbel_softmax_falls_with_the_temperature(distribution_fn, hard):
    logits, weights = jnp.array([0.8, -0.6, 0.3]), jnp.array([1.0, 3.0, -2.0])

    def function(z):
        return jnp.exp(jnp.sum(weights * z))

    exact = jax.grad(lambda p: enumerate_exactly(function, distribution_fn)(p, _KEY, 1)[0])(logits)

    def surrogate(temperature):
        return gumbel_softmax(
            function, distribution_fn, temperature=temperature, straight_through=hard
        )

    # Straight through, the bias does not vanish; at high temperatures the gradient itself does.
    temperatures = [4.0, 0.7] if hard else [2.0, 0.2]
    biases, errors = [], []
    for t in temperatures:
        g = _gradients(surrogate(t), logits, 16, 20_000)
        biases.append(float(np.linalg.norm(g.mean(axis=0) - exact)))
        errors.append(float(np.linalg.norm(g.std(axis=0) / np.sqrt(len(g)))))
    for i in range(len(temperatures) - 1):
        assert biases[i] - biases[i + 1] > 5 * (errors[i] + errors[i + 1])


def test_gumbel_rao_has_the_mean_of_straight_through_gumbel_softmax_and_less_variance():
    logits, weights = jnp.array([0.8, -0.6, 0.3]), jnp.array([1.0, 3.0, -2.0])

    def function(z):
        return jnp.exp(jnp.sum(weights * z))

    plain = gumbel_softmax(function, _dice, temperature=0.3, straight_through=True)
    inner = gumbel_rao(function, _dice, temperature=0.3, num_inner=20)
    a = _gradients(plain, logits, 4, 20_000)
    b = _gradients(inner, logits, 4, 20_000, jax.random.key(1))
    stderr = np.sqrt(a.var(axis=0) / len(a) + b.var(axis=0) / len(b))
    np.testing.assert_array_less(np.abs(a.mean(axis=0) - b.mean(axis=0)), 5 * stderr)
    # Rao-Blackwell: never more, and here clearly less.
    assert b.var(axis=0).sum() < 0.9 * a.var(axis=0).sum()


def test_temperature_may_be_traced():
    def loss(temperature):
        return jnp.mean(gumbel_softmax(_toy, _coin, temperature=temperature)(jnp.zeros(2), _KEY, 8))

    assert jnp.isfinite(jax.jit(jax.grad(loss))(0.5))


# Orderings that theory asserts.


def test_variances_on_the_toy():
    logits = jnp.float32(0.0)
    estimators = {
        "none": score_function(_toy, _coin),
        "leave_one_out": score_function(_toy, _coin, baseline="leave_one_out"),
        "arm": arm(_toy, _coin),
        "disarm": disarm(_toy, _coin),
    }
    spread = {
        name: _gradients(surrogate, logits, 8, 20_000).var()
        for name, surrogate in estimators.items()
    }
    # The relative standard error of each is below 5%: the differences are far larger.
    assert spread["leave_one_out"] < 0.5 * spread["none"]
    assert spread["disarm"] < 0.9 * spread["arm"]


@pytest.mark.parametrize("name", ["rebar", "relax"])
def test_trained_control_variates_beat_leave_one_out_on_the_toy(name):
    # Both contain the leave-one-out baseline, at eta = 0, from which training begins. By quadrature
    # over the noise the best eta of REBAR leaves 0.45 of its variance at this logit. (At logit 0
    # leave-one-out is itself the best of the family.)
    logits = jnp.float32(2.0)

    def coin(params):
        return rp.Bernoulli(logits=params["logits"])

    if name == "rebar":
        surrogate = rebar(_toy, coin, temperature=lambda p: jnp.exp(p["t"]), eta=lambda p: p["eta"])
    else:
        surrogate = relax(
            _toy, coin, control_variate=lambda p, z: p["eta"] * jnp.tanh(z * jnp.exp(p["t"]))
        )
    learnt = {"t": jnp.float32(0.0), "eta": jnp.float32(0.0)}

    @jax.jit
    def train(learnt, keys):
        def body(learnt, key):
            def loss(learnt):
                params = {"logits": logits, **learnt}
                return control_variate_loss(surrogate, params, key, 2, 200)

            gradient = jax.grad(loss)(learnt)
            # The sign of the gradient: its scale is that of the toy's differences, 0.002, squared.
            return jax.tree.map(lambda w, g: w - 3e-5 * jnp.sign(g), learnt, gradient), None

        return jax.lax.scan(body, learnt, keys)[0]

    learnt = train(learnt, jax.random.split(_KEY, 300))
    leave_one_out = score_function(
        _toy, lambda logits: rp.Bernoulli(logits=logits), baseline="leave_one_out"
    )
    ours = _gradients(lambda p, k, n: surrogate({"logits": p, **learnt}, k, n), logits, 2, 40_000)
    theirs = _gradients(leave_one_out, logits, 2, 40_000)
    # Of 40,000 gradients each variance has a relative standard error of about 1%.
    assert ours.var() < 0.7 * theirs.var()
    none = _gradients(score_function(_toy, _coin), logits, 2, 20_000)
    assert ours.var() < 1e-3 * none.var()


@pytest.mark.parametrize("name", ["rebar", "relax"])
def test_control_variate_loss_has_the_gradient_of_its_value(name):
    # By central differences at a fixed key; several samples, so that their baselines take part.
    def coin(params):
        return rp.Bernoulli(logits=params["logits"])

    if name == "rebar":
        surrogate = rebar(_toy, coin, temperature=0.7, eta=lambda p: p["eta"])
    else:
        surrogate = relax(_toy, coin, control_variate=lambda p, z: p["eta"] * jnp.tanh(z))

    @jax.jit
    @jax.value_and_grad
    def loss(eta):
        params = {"logits": jnp.float32(1.0), "eta": eta}
        return control_variate_loss(surrogate, params, _KEY, 3, 50)

    # The loss is a parabola in eta: central differences are exact but for rounding.
    slope = loss(jnp.float32(0.5))[1]
    assert abs(slope) > 1e-3
    difference = (loss(jnp.float32(1.0))[0] - loss(jnp.float32(0.0))[0]) / 1.0
    np.testing.assert_allclose(slope, difference, rtol=1e-4)


def test_disarm_is_the_conditional_mean_of_arm():
    # Given the pair of samples the uniform is spread evenly: many draws of ARM that share the pair.
    logits = jnp.float32(0.7)
    p = float(jax.nn.sigmoid(logits))
    f0, f1 = 0.499**2, 0.501**2
    # b = 1, b' = 0 of DisARM where u < 1 - p: the mean of ARM's (f(1) - f(0)) (1/2 - u) there is
    # (f(1) - f(0)) p / 2, DisARM's value.
    g = np.asarray(
        jax.vmap(lambda k: jax.grad(lambda p: disarm(_toy, _coin)(p, k, 1)[0])(logits))(
            jax.random.split(_KEY, 500)
        )
    )
    expected = (f1 - f0) * p / 2
    size = np.abs(g[g != 0])
    assert 0 < len(size) < len(g)
    np.testing.assert_allclose(size, expected, rtol=1e-4)


def test_delta_method_takes_the_variance_of_a_quadratic_away():
    loc = jnp.array([0.5, -1.0])
    curvature = jnp.array([[2.0, 0.7], [0.7, 1.0]])

    def function(z):
        return z @ curvature @ z + jnp.sum(z)

    tril = jnp.array([[1.0, 0.0], [0.5, 2.0]])
    for distribution_fn, covariance in [
        (lambda m: rp.Normal(m, jnp.array([1.0, 2.0])), jnp.diag(jnp.array([1.0, 4.0]))),
        (lambda m: rp.MultivariateNormal(m, scale_tril=tril), tril @ tril.T),
    ]:
        for estimator in (pathwise, measure_valued, score_function):
            if estimator is measure_valued and covariance[0, 1] != 0:
                continue
            surrogate = delta_method(function, distribution_fn, estimator=estimator)
            g = jax.jacrev(lambda m, s=surrogate: s(m, _KEY, 6))(loc)
            exact = jax.grad(lambda m: function(m))(loc)
            np.testing.assert_allclose(g, jnp.broadcast_to(exact, g.shape), rtol=2e-3, atol=2e-3)


@pytest.mark.slow
def test_delta_method_lowers_the_variance_of_what_is_nearly_quadratic():
    def function(z):
        return jnp.sum(jnp.exp(0.3 * z))

    def distribution_fn(params):
        return rp.Normal(params[0], params[1])

    params = jnp.array([0.5, 0.4])
    for estimator in (pathwise, score_function, measure_valued):
        plain = _gradients(estimator(function, distribution_fn), params, 8, 2000)
        less = _gradients(
            delta_method(function, distribution_fn, estimator=estimator), params, 8, 2000
        )
        assert less.var(axis=0).sum() < 0.5 * plain.var(axis=0).sum()


def test_antithetic_noise_halves_nothing_and_removes_the_odd_part():
    distribution_fn = functools.partial(rp.Normal, scale=1.0)
    surrogate = pathwise(lambda z: z**2, distribution_fn, source=rp.noise.antithetic)
    g = _gradients(surrogate, jnp.float32(1.0), 2, 100)
    np.testing.assert_allclose(g, 2.0, rtol=1e-5)


# Learnt baselines and control variates.


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
    for key in jax.random.split(_KEY, 40):
        baseline = step(baseline, key)
    assert abs(float(baseline) - 3.5) < 0.2
    params = {"loc": jnp.float32(0.5), "baseline": baseline}
    gradient = jax.grad(lambda p: surrogate(p, _KEY, 8).mean())(params)
    assert float(gradient["baseline"]) == 0.0


class _Net(nn.Module):
    @nn.compact
    def __call__(self, z):
        return nn.Dense(1)(jnp.tanh(nn.Dense(8)(z)))[..., 0]


@pytest.mark.slow
def test_relax_trains_a_flax_control_variate():
    net = _Net()
    surrogate = relax(
        _toy,
        lambda params: rp.Bernoulli(logits=params["logits"]),
        control_variate=lambda params, z: net.apply(params["net"], z),
    )
    logits = jnp.zeros(2)
    weights = net.init(_KEY, jnp.zeros(2))

    @jax.jit
    def step(weights, key):
        def loss(weights):
            return control_variate_loss(surrogate, {"logits": logits, "net": weights}, key, 2, 100)

        value, gradient = jax.value_and_grad(loss)(weights)
        return jax.tree.map(lambda w, g: w - 0.5 * g, weights, gradient), value

    losses = []
    for key in jax.random.split(_KEY, 150):
        weights, value = step(weights, key)
        losses.append(float(value))
    assert np.mean(losses[-20:]) < 0.7 * np.mean(losses[:20])
    gradient = jax.grad(
        lambda p: surrogate(p, _KEY, 4).mean()
    )({"logits": logits, "net": weights})  # fmt: skip
    assert all(np.all(np.abs(x) < 1e-6) for x in jax.tree.leaves(gradient["net"]))
    assert np.any(gradient["logits"] != 0)


def test_moving_average_goes_on_where_it_ended():
    surrogate = score_function(lambda z: z, functools.partial(rp.Normal, scale=1.0),
                               baseline="moving_average")  # fmt: skip
    values = surrogate(2.0, _KEY, 3)
    average, by_hand = moving_average(values, 0.5), 0.5
    for v in np.asarray(values):
        by_hand = 0.9 * by_hand + 0.1 * v
    np.testing.assert_allclose(average, by_hand, rtol=1e-6)
    # b_1 is the average with which the call begins: (f - b) s for the first sample.
    first = jax.jacrev(lambda loc: surrogate(loc, _KEY, 3, average))(2.0)[0]
    z = rp.Normal(2.0, 1.0).sample(_KEY, (3,))[0]
    np.testing.assert_allclose(first, (z - average) * (z - 2.0), rtol=1e-5)


# Higher derivatives.


@pytest.mark.parametrize(
    "estimator",
    [
        pathwise,
        score_function,
        functools.partial(score_function, baseline="leave_one_out"),
        functools.partial(score_function, baseline=lambda loc: 0.3 * loc),
    ],
)
def test_second_derivatives_of_continuous_estimators(estimator):
    # E[z^3] = m^3 + 3 m s^2 has the second derivative 6 m.
    surrogate = estimator(lambda z: z**3, functools.partial(rp.Normal, scale=0.5))

    @jax.jit
    def hessians(keys):
        one = lambda k: jax.hessian(lambda m: jnp.mean(surrogate(m, k, 16)))(0.7)  # noqa: E731
        return jax.lax.map(one, keys, batch_size=500)

    h = np.asarray(hessians(jax.random.split(_KEY, 40_000)), np.float64)
    stderr = h.std() / np.sqrt(len(h))
    assert 5 * stderr < 0.05 * 4.2
    assert abs(h.mean() - 4.2) < 5 * stderr


@pytest.mark.parametrize(
    "estimator",
    [enumerate_exactly, score_function, rebar,
     functools.partial(relax, control_variate=lambda params, z: jnp.sum(jnp.sin(z)) * params[0])],
)  # fmt: skip
def test_second_derivatives_of_discrete_estimators(estimator):
    logits = jnp.array([0.4, -0.7])
    function = lambda b: jnp.exp(b[0] - 2 * b[1])  # noqa: E731
    surrogate = estimator(function, _coin)

    def exact(logits):
        p = jax.nn.sigmoid(logits)
        return sum(
            jnp.exp(float(a - 2 * b)) * (p[0] if a else 1 - p[0]) * (p[1] if b else 1 - p[1])
            for a in (0, 1)
            for b in (0, 1)
        )

    @jax.jit
    def hessians(keys):
        one = lambda k: jax.hessian(lambda m: jnp.mean(surrogate(m, k, 16)))(logits)  # noqa: E731
        return jax.lax.map(one, keys, batch_size=min(500, len(keys)))

    repeats = 2 if estimator is enumerate_exactly else 40_000
    h = np.asarray(hessians(jax.random.split(_KEY, repeats)), np.float64)
    stderr = h.std(axis=0) / np.sqrt(repeats)
    np.testing.assert_array_less(
        np.abs(h.mean(axis=0) - np.asarray(jax.hessian(exact)(logits))), 5 * stderr + 1e-5
    )


@pytest.mark.parametrize("estimator", [arm, disarm])
def test_second_derivatives_are_refused_for_antithetic_pairs(estimator):
    surrogate = estimator(_toy, _coin)
    with pytest.raises(NotImplementedError, match=r"first derivatives only.*score_function"):
        jax.hessian(lambda p: surrogate(p, _KEY, 2).mean())(jnp.zeros(2))


@pytest.mark.parametrize(
    "estimator",
    [straight_through, functools.partial(gumbel_softmax, straight_through=True), gumbel_rao],
)
def test_second_derivatives_are_refused_straight_through(estimator):
    # There the hard sample stays what it is: its second derivative would be that of nothing.
    surrogate = estimator(_toy, _coin)
    with pytest.raises(NotImplementedError, match=r"first derivatives only.*score_function"):
        jax.hessian(lambda p: surrogate(p, _KEY, 2).mean())(jnp.zeros(2))


def test_second_derivatives_are_refused_for_measures():
    surrogate = measure_valued(jnp.sum, lambda loc: rp.Normal(loc, 1.0))
    with pytest.raises(NotImplementedError, match=r"first derivatives only.*pathwise"):
        jax.jit(jax.hessian(lambda p: surrogate(p, _KEY, 2).mean()))(jnp.zeros(2))


def test_gradients_of_what_the_function_closes_over():
    def loss(weight):
        return jnp.mean(measure_valued(lambda z: weight * z, rp.Poisson)(2.0, _KEY, 8))

    z = rp.Poisson(2.0).sample(_KEY, (8,))
    np.testing.assert_allclose(jax.grad(loss)(3.0), jnp.mean(z), rtol=1e-6)


# The report.


def test_report_on_a_known_case():
    # g_s = 2 z_s: mean 2 m, variance 4 s^2 / S.
    surrogate = pathwise(lambda z: z**2, functools.partial(rp.Normal, scale=0.5))
    report = variance(surrogate, 1.0, _KEY, 4, 20_000, truth=2.0)
    assert abs(report.bias) < 5 * report.stderr
    np.testing.assert_allclose(report.total_variance, 0.25, rtol=5 * (2 / 20_000) ** 0.5)
    np.testing.assert_allclose(report.snr, 4.0, rtol=0.05)
    assert report.seconds > 0
    assert report.variance_time == report.total_variance * report.seconds


_ONE_COMPILATION = {
    "pathwise": (pathwise, _normal_of),
    "measure_valued": (measure_valued, _normal_of),
    "delta_method": (delta_method, _normal_of),
    "score_function": (score_function, _coin),
    "enumerate_exactly": (enumerate_exactly, _coin),
    "straight_through": (straight_through, _coin),
    "gumbel_softmax": (functools.partial(gumbel_softmax, temperature=0.5), _coin),
    "gumbel_rao": (functools.partial(gumbel_rao, temperature=0.5), _coin),
    "arm": (arm, _coin),
    "disarm": (disarm, _coin),
    "rebar": (rebar, _coin),
    "relax": (functools.partial(relax, control_variate=lambda p, z: jnp.sum(jnp.tanh(z))), _coin),
}


@pytest.mark.parametrize("name", list(_ONE_COMPILATION))
def test_one_compilation_for_one_shape(name):
    make, distribution_fn = _ONE_COMPILATION[name]
    traces = []

    def function(z):
        traces.append(1)
        return _toy(z)

    surrogate = make(function, distribution_fn)
    compiled = jax.jit(jax.grad(lambda p, k: jnp.mean(surrogate(p, k, 4))))
    compiled(jnp.zeros(2), _KEY)
    before = len(traces)
    compiled(jnp.ones(2), jax.random.key(1))
    assert len(traces) == before > 0


# Objects that are not of this library.


class _Foreign(NamedTuple):
    """A normal with nothing but the two methods."""

    loc: jax.Array

    def rsample(self, key, shape):
        return self.loc[None] + jax.random.normal(key, (*shape, *self.loc.shape))

    def log_prob(self, z):
        return -0.5 * (z - self.loc[None]) ** 2


@pytest.mark.parametrize("estimator", [pathwise, score_function])
def test_any_object_with_the_methods(estimator):
    g = _gradients(estimator(lambda z: jnp.sum(z**2), _Foreign), jnp.array([1.0, 2.0]), 64, 8000)
    stderr = g.std(axis=0) / np.sqrt(len(g))
    assert np.all(5 * stderr < 0.1)
    np.testing.assert_array_less(np.abs(g.mean(axis=0) - [2.0, 4.0]), 5 * stderr)


class _ForeignCoin(NamedTuple):
    """Zeros and ones with nothing but two methods, integers as numpyro's are."""

    logits_: jax.Array

    def sample(self, key, shape):
        u = jax.random.uniform(key, (*shape, *self.logits_.shape))
        return (u < jax.nn.sigmoid(self.logits_)[None]).astype(jnp.int32)

    def log_prob(self, z):
        logits = jnp.broadcast_to(self.logits_[None], z.shape)
        return jnp.where(z == 1, jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits))


class _ForeignDie(NamedTuple):
    """One-hot vectors, with the support as numpyro has it: spread out over the batch."""

    logits_: jax.Array  # [D, K]

    def sample(self, key, shape):
        index = jax.random.categorical(key, self.logits_, shape=(*shape, len(self.logits_)))
        return jax.nn.one_hot(index, self.logits_.shape[1])

    def log_prob(self, z):
        return jnp.sum(jax.nn.log_softmax(self.logits_)[None] * z, axis=-1)

    def enumerate_support(self):
        k = self.logits_.shape[1]
        return jnp.broadcast_to(jnp.eye(k)[:, None], (k, *self.logits_.shape))


@pytest.mark.parametrize(
    "estimator",
    [arm, disarm, rebar, gumbel_softmax, gumbel_rao, straight_through,
     functools.partial(relax, control_variate=lambda params, z: jnp.sum(jnp.tanh(z)))],
)  # fmt: skip
def test_any_coin(estimator):
    class Ours(rp.Bernoulli):
        """The same draws."""

        def sample(self, key, shape):
            return _ForeignCoin(self.logits).sample(key, shape).astype(jnp.float32)

    logits = jnp.array([0.5, -1.0])
    gradient = lambda make: jax.grad(lambda p: estimator(_toy, make)(p, _KEY, 8).mean())(logits)  # noqa: E731
    np.testing.assert_allclose(
        gradient(_ForeignCoin), gradient(lambda p: Ours(logits=p)), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("estimator", [enumerate_exactly, straight_through, rebar])
def test_any_die(estimator):
    logits = jnp.array([[0.5, -1.0, 0.2], [0.0, 0.3, -0.3]])
    w = jnp.array([1.0, -2.0, 0.5])
    surrogate = estimator(lambda z: jnp.sum(z @ w), _ForeignDie)
    got = jax.grad(lambda p: surrogate(p, _KEY, 4000).mean())(logits)
    exact = jax.grad(lambda p: jnp.sum(jax.nn.softmax(p) @ w))(logits)
    tolerance = 0.1 if estimator is rebar else 1e-5
    np.testing.assert_allclose(got, exact, rtol=0, atol=tolerance)


def test_counts_are_not_coins():
    # They too have logits, and events without axes.
    for make in (lambda p: rp.Geometric(logits=p), lambda p: rp.Binomial(3, logits=p)):
        with pytest.raises(TypeError, match="takes distributions over zeros and ones"):
            disarm(_toy, make)(jnp.zeros(2), _KEY, 4)
        compiled = jax.jit(jax.grad(lambda p, m=make: disarm(_toy, m)(p, _KEY, 4).mean()))
        assert np.all(np.isnan(compiled(jnp.zeros(2))))


# Errors that say what to do.


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: pathwise(_toy, _coin)(jnp.zeros(2), _KEY, 2), ValueError,
         "pathwise needs a distribution with rsample, Bernoulli has none: use score_function"),
        (lambda: pathwise(lambda z: z, lambda m: rp.Normal(m, 1.0))(jnp.zeros(2), _KEY, 3),
         ValueError, r"one sample, of shape \(2,\), to a scalar; it returned shape \(2,\)"),
        (lambda: pathwise(jnp.log, lambda m: rp.Normal(m, 1.0))(-9.0, _KEY, 3),
         ValueError, "not finite at 3 of 3 samples; the first is z = -"),
        (lambda: jax.grad(lambda m: pathwise(jnp.log, lambda m: rp.Normal(m, 1.0))(m, _KEY, 3)
                          .mean())(-9.0), ValueError, "not finite at 3 of 3 samples"),
        (lambda: pathwise(lambda z: z > 0, lambda m: rp.Normal(m, 1.0))(0.0, _KEY, 3),
         TypeError, "must return a real number, it returned bool"),
        (lambda: score_function(_toy, _coin, baseline="leave_one_out")(0.0, _KEY, 1),
         ValueError, "num_samples must be at least 2, got 1: leave_one_out"),
        (lambda: score_function(_toy, _coin, baseline="mean"), ValueError, "got 'mean'"),
        (lambda: score_function(_toy, _coin, baseline=lambda p: jnp.ones(2))(0.0, _KEY, 2),
         ValueError, r"baseline must return a scalar, it returned shape \(2,\)"),
        (lambda: delta_method(jnp.sum, lambda m: rp.Normal(m, 1.0))(jnp.zeros(2), _KEY, 2),
         ValueError, "num_samples must be at least 3"),
        (lambda: delta_method(jnp.sum, lambda m: rp.LogisticNormal(m, jnp.ones(2)))(
            jnp.zeros(2), _KEY, 4), NotImplementedError, "no closed-form mean"),
        (lambda: measure_valued(_toy, lambda m: rp.Laplace(m, 1.0))(0.0, _KEY, 2),
         NotImplementedError, "not Laplace: use score_function, or pathwise"),
        (lambda: jax.grad(lambda k: measure_valued(_toy, lambda k: rp.Weibull(1.0, k))(k, _KEY, 2)
                          .mean())(2.0), NotImplementedError, "no estimate for one of the param"),
        (lambda: enumerate_exactly(_toy, rp.Poisson)(1.0, _KEY, 2), ValueError,
         "needs a finite support, Poisson has none"),
        (lambda: enumerate_exactly(_toy, _coin)(jnp.zeros(30), _KEY, 2), ValueError,
         r"2\^30 joint values"),
        (lambda: gumbel_softmax(_toy, lambda p: rp.Categorical(logits=p))(jnp.zeros(3), _KEY, 2),
         TypeError, "got Categorical; for an index use OneHotCategorical"),
        (lambda: rebar(_toy, lambda m: rp.Normal(m, 1.0))(0.0, _KEY, 2), TypeError, "got Normal"),
        (lambda: disarm(_toy, _dice)(jnp.zeros(3), _KEY, 2), TypeError, "use rebar"),
        (lambda: gumbel_rao(_toy, _coin, num_inner=0), ValueError, "num_inner"),
        (lambda: gumbel_softmax(_toy, _coin, temperature=0.0)(jnp.zeros(2), _KEY, 2), ValueError,
         "temperature must be positive, got 0.0"),
        (lambda: pathwise(jnp.sum, _Foreign, source=rp.noise.sobol)(jnp.zeros(2), _KEY, 2),
         TypeError, "_Foreign draws its own noise: leave source out"),
        (lambda: delta_method(jnp.sum, _Foreign)(jnp.zeros(2), _KEY, 4), NotImplementedError,
         "_Foreign has not both"),
        (lambda: delta_method(lambda z: z, lambda m: rp.Normal(m, 1.0))(jnp.zeros(2), _KEY, 4),
         ValueError, "it returned shape"),
        (lambda: pathwise(_toy, _coin)(0.0, 0, 2), TypeError, "pass jax.random.key"),
        (lambda: score_function(_toy, _coin)(0.0, _KEY, 0), ValueError, "at least 1, got 0"),
        (lambda: score_function(_toy, _coin)(0.0, _KEY, 2.0), TypeError, "must be an integer"),
        (lambda: variance(pathwise(_toy, _coin), 0.0, _KEY, 2, 1), ValueError, "repeats must be"),
        (lambda: variance(pathwise(jnp.log, lambda m: rp.Normal(m, 1.0)), 0.0, _KEY, 2, 10),
         ValueError, "the function or its gradient is not finite"),
    ],
)  # fmt: skip
def test_errors(make, error, message):
    with pytest.raises(error, match=message):
        make()
