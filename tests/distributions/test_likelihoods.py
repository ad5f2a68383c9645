"""Bernoulli, continuous Bernoulli and discretized logistic at their edges, against mpmath."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

import repara as rp
from tests.distributions.programs import compiled

mp = mpmath.mp


def _cb_quantile(logit, u):
    if logit == 0:
        return mpmath.mpf(u)
    return mpmath.log1p(mpmath.mpf(u) * mpmath.expm1(logit)) / logit


def _cb_log_prob(logit, x):
    normalizer = mpmath.log(mpmath.expm1(logit) / logit) if logit else mpmath.mpf(0)
    return logit * mpmath.mpf(x) - normalizer


LOGITS = [0.0, 1e-20, -1e-9, 1e-4, -0.3, 0.49, 0.51, -0.51, 2.0, -10.0, 60.0, -200.0, 200.0]


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("what", ["transform", "log_prob"])
def test_continuous_bernoulli_against_mpmath(what, order, dtype):
    """Value and derivatives in the logit, through the removable singularity at 0."""
    u = 0.3

    def function(logit):
        q = rp.ContinuousBernoulli(logits=logit)
        point = jnp.asarray(u, dtype)
        return q.transform(point) if what == "transform" else q.log_prob(point)

    for _ in range(order):
        function = jax.grad(function)
    logits = np.asarray(LOGITS, dtype)
    given = np.asarray(compiled(jax.vmap(function))(logits), "float64")
    reference = _cb_quantile if what == "transform" else _cb_log_prob
    point = float(np.asarray(u, dtype))
    with mpmath.workdps(120):
        # A Taylor fit through points around each logit, which may be the singular point.
        h = mpmath.mpf(10) ** -20
        stencil = {0: {0: 1}, 1: {-1: -0.5, 1: 0.5}, 2: {-1: 1, 0: -2, 1: 1}}[order]
        true = np.asarray(
            [
                float(
                    sum(c * reference(mpmath.mpf(float(v)) + k * h, point) for k, c in
                        stencil.items()) / h**order
                )
                for v in logits
            ]
        )  # fmt: skip
    eps = np.finfo(dtype).eps
    bound = 64 * 4**order * eps * (np.abs(true) + (1 + np.abs(logits)) ** (1 - order))
    assert np.all(np.abs(given - true) <= bound), (given, true)


def test_continuous_bernoulli_probs_at_one_half(x64):
    """The gradient, which other libraries report as zero: du/dp = 4 dz/dl = 2 u (1 - u)."""
    slope = jax.grad(lambda p: rp.ContinuousBernoulli(probs=p).transform(0.25))(0.5)
    np.testing.assert_allclose(slope, 4 * 0.5 * 0.25 * 0.75, rtol=1e-14)


def test_continuous_bernoulli_at_large_logits(dtype):
    for logit in (-200.0, 200.0):
        q = rp.ContinuousBernoulli(logits=np.asarray(logit, dtype))
        z = np.asarray(q.sample(jax.random.key(0), (1000,)), "float64")
        assert np.all((z >= 0) & (z <= 1))
        np.testing.assert_allclose(q.mean, 1 / (1 - np.exp(-logit)) - 1 / logit, rtol=1e-6)
        np.testing.assert_allclose(q.variance, 1 / logit**2, rtol=1e-5)
        g = jax.grad(lambda q: jnp.sum(q.rsample(jax.random.key(1), (100,))))(q)
        assert np.isfinite(g.logits)
        assert g.logits > 0


def _dl_log_prob(k, loc, scale, n):
    def sigmoid(x):
        return 1 / (1 + mpmath.exp(-x))

    upper = mpmath.mpf(1) if k == n - 1 else sigmoid((k + mpmath.mpf(0.5) - loc) / scale)
    lower = mpmath.mpf(0) if k == 0 else sigmoid((k - mpmath.mpf(0.5) - loc) / scale)
    return mpmath.log(upper - lower)


@pytest.mark.parametrize(
    ("loc", "scale"), [(127.5, 10.0), (0.0, 0.05), (255.0, 0.05), (-300.0, 1.0), (3.25, 200.0)]
)
def test_discretized_logistic_against_mpmath(loc, scale, dtype):
    q = rp.DiscretizedLogistic(np.asarray(loc, dtype), np.asarray(scale, dtype))
    values = np.arange(256.0).astype(dtype)
    given = np.asarray(compiled(q.log_prob)(values), "float64")
    with mpmath.workdps(6000 if scale < 0.1 else 400):
        some = [0, 1, 2, 3, 64, 127, 128, 200, 253, 254, 255]
        true = np.asarray(
            [float(_dl_log_prob(k, mpmath.mpf(loc), mpmath.mpf(float(q.scale)), 256)) for k in some]
        )
    rounding = 8 * np.finfo(dtype).eps * (1 + 1 / scale)
    np.testing.assert_allclose(given[some], true, rtol=rounding, atol=np.finfo(dtype).tiny)
    np.testing.assert_allclose(np.exp(given).sum(), 1, rtol=64 * np.finfo(dtype).eps)
    gradient = jax.grad(lambda q: jnp.sum(q.log_prob(values)))(q)
    assert all(np.isfinite(g) for g in jax.tree.leaves(gradient))


def test_discretized_logistic_errors():
    with pytest.raises(ValueError, match="at least 2, got 1"):
        rp.DiscretizedLogistic(0.0, 1.0, num_values=1)
    q = rp.DiscretizedLogistic(0.0, 1.0, num_values=4)
    outside = q.log_prob(np.asarray([-1.0, 0.5, 4.0, np.inf], "f"))
    np.testing.assert_array_equal(outside, np.full(4, -np.inf))


def test_bernoulli_at_huge_logits(dtype):
    q = rp.Bernoulli(logits=np.asarray([1e4, -1e4], dtype))
    np.testing.assert_array_equal(q.log_prob(np.asarray([1.0, 0.0], dtype)), [0.0, 0.0])
    np.testing.assert_array_equal(q.log_prob(np.asarray([0.0, 1.0], dtype)), [-1e4, -1e4])
    np.testing.assert_array_equal(q.entropy(), [0.0, 0.0])
    np.testing.assert_array_equal(q.sample(jax.random.key(0)), [1.0, 0.0])
    for value, expected in ((0.0, [-1.0, 0.0]), (1.0, [0.0, 1.0])):
        g = jax.grad(lambda q, v=value: jnp.sum(q.log_prob(jnp.full(2, v, dtype))))(q)
        np.testing.assert_array_equal(g.logits, expected)


def test_bernoulli_gives_other_values_density_zero(dtype):
    for q in (
        rp.Bernoulli(logits=np.asarray(0.3, dtype)),
        rp.Bernoulli(probs=np.asarray(0.3, dtype)),
    ):
        values = np.asarray([0.5, -1.0, 2.0, 1 + np.finfo(dtype).eps], dtype)
        np.testing.assert_array_equal(q.log_prob(values), np.full(4, -np.inf))
        assert np.isnan(q.log_prob(np.asarray(np.nan, dtype)))


def test_bernoulli_takes_one_of_probs_and_logits():
    with pytest.raises(TypeError, match="got both"):
        rp.Bernoulli(0.5, 0.0)
    with pytest.raises(TypeError, match="got neither"):
        rp.ContinuousBernoulli()
