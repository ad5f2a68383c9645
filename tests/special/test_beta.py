"""Beta variates, log CDF and inverse: against mpmath, float64, closed forms, and at the edges."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from scipy import special

from repara.special import beta_from_normal, log_betainc, logit_beta_from_normal, normal_from_beta
from tests.special import reference

NOISE = {"float32": 5.0, "float64": 8.0}


def points(dtype, count):
    """Concentrations log-spaced over the range with its corners, noise over its own."""
    rng = np.random.default_rng(20261124)
    a, b = 10 ** rng.uniform(-2, 5, (2, count))
    eps = rng.uniform(-NOISE[dtype], NOISE[dtype], count)
    corners = [(x, y, e) for x in (1e-2, 1.0, 1e5) for y in (1e-2, 1e5) for e in (-3.0, 0.4, 2.5)]
    return np.concatenate([np.stack([a, b, eps]), np.array(corners).T], axis=1).astype(dtype)


@pytest.mark.slow
def test_values_and_derivatives_against_mpmath(dtype):
    a, b, eps = points(dtype, 60)

    def program(eps, a, b):
        def slope(a):
            return jax.grad(lambda a: jnp.sum(logit_beta_from_normal(eps, a, b)))(a)

        first, second = jax.jvp(slope, (a,), (jnp.ones_like(a),))
        return logit_beta_from_normal(eps, a, b), first, second

    y, by_a, second = (np.asarray(v) for v in jax.jit(program)(eps, a, b))
    unit = float(np.finfo(dtype).eps)
    value_bar, first_bar, second_bar = (
        (3e-6, 2e-5, 1e-3) if dtype == "float32" else (1e-11, 1e-10, 1e-7)
    )
    with mp.workdps(50):
        for k in range(len(a)):
            x, w, e = (mp.mpf(float(v[k])) for v in (a, b, eps))
            true, first, curve = reference.derivatives(
                lambda t, w=w, e=e, k=k: reference.beta_from_normal(t, w, e, float(y[k])), x
            )
            # of a relative change of z: (1 - z) that of the logit
            z, rest = 1 / (1 + mp.exp(-true)), 1 / (1 + mp.exp(true))
            by_b = (reference.beta_from_normal(x, w * (1 + reference.STEP), e, true) - true) / (
                w * reference.STEP
            )
            log_beta = mp.loggamma(x) + mp.loggamma(w) - mp.loggamma(x + w)
            density = mp.exp(x * mp.log(z) + w * mp.log(rest) - log_beta)
            moves = abs(x * first) + abs(w * by_b) + abs(e * mp.npdf(e) / density)
            condition = float(moves) + abs(float(true))
            error = float(abs(mp.mpf(float(y[k])) - true))
            where = (float(x), float(w), float(e))
            assert error < max(value_bar, 4 * unit * (1 + condition)), (where, error)
            error = float(abs(mp.mpf(float(by_a[k])) - first) / first)
            assert error < max(first_bar, 32 * unit * condition), (where, error)
            size = max(abs(curve), first / x / 10)
            error = float(abs(mp.mpf(float(second[k])) - curve) / size)
            assert error < second_bar, (where, error, float(curve), float(first))


def logit_and_gradient(eps, a, b):
    def total(*xs):
        return jnp.sum(logit_beta_from_normal(*xs))

    return logit_beta_from_normal(eps, a, b), *jax.grad(total, (0, 1, 2))(eps, a, b)


def assert_accurate_in_float32(eps, a, b):
    """Value and slopes of the fits against those of the integral, to the bars of float32."""
    single = [np.asarray(x, "float32") for x in (eps, a, b)]
    found = [np.asarray(v, "float64") for v in jax.jit(logit_and_gradient)(*single)]
    with jax.enable_x64(True):
        double = [x.astype("float64") for x in single]
        true = [np.asarray(v) for v in jax.jit(logit_and_gradient)(*double)]
    unit = float(np.finfo("float32").eps)
    condition = sum(abs(x * d) for x, d in zip(double, true[1:], strict=True)) + abs(true[0])
    np.testing.assert_array_less(
        abs(found[0] - true[0]) / np.maximum(3e-6, 4 * unit * (1 + condition)), 1
    )
    for slope, exact in zip(found[1:], true[1:], strict=True):
        bar = np.maximum(2e-5, 32 * unit * condition)
        np.testing.assert_array_less(abs(slope - exact) / abs(exact) / bar, 1)


@pytest.mark.parametrize(
    "line",
    [
        lambda t: (1.3 * t, 0.4, 0.7 + 0.9 * abs(t)),  # from both small to one large
        lambda t: (-0.8, 1.25 * np.exp(0.01 * t), 0.03),
        lambda t: (6 * t, 0.05, 0.02),  # from the left tail of small ones to the right one
        lambda t: (6 * t, 1.2, 0.01),
        lambda t: (0.7, 0.3 * np.exp(3 * t), 0.3 * np.exp(-3 * t)),
        lambda t: (2.0, 40 * np.exp(t), 40 * np.exp(-t)),  # where the larger one changes
        lambda t: (0.5, 8 * np.exp(0.1 * t), 9.0),  # where the gamma variate changes its regime
        lambda t: (6 * t, 0.02, 3.0),
        lambda t: (6 * t, 2.0, 2000.0),
        lambda t: (1.0, 10 ** (3.5 * t + 1.5), 10 ** (1.5 - 3.5 * t)),
    ],
)
def test_float32_on_lines_across_the_seams(line):
    t = np.linspace(-1, 1, 1001)
    assert_accurate_in_float32(*np.broadcast_arrays(*line(t)))


def test_float32_at_random_points():
    rng = np.random.default_rng(7)
    a, b = 10 ** rng.uniform(-2, 5, (2, 4000))
    a[::2], b[::2] = 10 ** rng.uniform(-2, 1.5, (2, 2000))
    assert_accurate_in_float32(rng.uniform(-5.5, 5.5, 4000), a, b)


@pytest.mark.slow
def test_float32_beyond_the_range_of_the_integral_against_mpmath():
    rng = np.random.default_rng(3)
    ends = [1e-6, 1e-4, 3e-3, 0.04, 1.25, 30.0, 3e6]
    a, b, eps = (
        np.array([*grid.ravel(), *random], "float32")
        for grid, random in zip(
            np.meshgrid(ends, ends, [-2.5, 0.3, 4.0]),
            (10 ** rng.uniform(-5, 6, 20), 10 ** rng.uniform(-5, 6, 20), rng.normal(size=20)),
            strict=True,
        )
    )
    y, _, by_a, by_b = (np.asarray(v) for v in jax.jit(logit_and_gradient)(eps, a, b))
    unit = float(np.finfo("float32").eps)
    with mp.workdps(50):
        for k in range(len(a)):
            x, w, e = (mp.mpf(float(v[k])) for v in (a, b, eps))
            start, step = float(y[k]), reference.STEP
            true = reference.beta_from_normal(x, w, e, start)
            slopes = [
                (reference.beta_from_normal(x * (1 + s), w * (1 + r), e, true) - true) / step
                for s, r in ((step, 0), (0, step))
            ]
            log_beta = mp.loggamma(x) + mp.loggamma(w) - mp.loggamma(x + w)
            log_density = -x * mp.log1p(mp.exp(-true)) - w * mp.log1p(mp.exp(true)) - log_beta
            moves = abs(slopes[0]) + abs(slopes[1]) + abs(e * mp.npdf(e) * mp.exp(-log_density))
            condition = float(moves + abs(true))
            where = (float(x), float(w), float(e))
            error = float(abs(mp.mpf(start) - true))
            assert error < max(3e-6, 4 * unit * (1 + condition)), (where, error)
            for found, slope in zip((x * by_a[k], w * by_b[k]), slopes, strict=True):
                error = float(abs((found - slope) / slope))
                assert error < max(2e-5, 32 * unit * condition), (where, error)


@pytest.mark.slow
def test_second_derivatives_of_float32():
    """All of the concentrations, against those in float64, also where the concentrations tie."""
    rng = np.random.default_rng(4)
    a, b = 10 ** rng.uniform(-2, 5, (2, 1000))
    a[:4] = b[:4] = [1e5, 100.0, 10.0, 0.3]
    single = [x.astype("float32") for x in (rng.uniform(-5, 5, 1000), a, b)]

    def second(i, j):
        def slope(*xs):
            return jnp.sum(jax.grad(lambda *ys: jnp.sum(logit_beta_from_normal(*ys)), i)(*xs))

        return jax.jit(jax.grad(slope, j))

    found = {ij: np.asarray(second(*ij)(*single), "float64") for ij in ((1, 1), (1, 2), (2, 2))}
    with jax.enable_x64(True):
        double = [x.astype("float64") for x in single]
        _, _, *slopes = logit_and_gradient(*double)
        for (i, j), value in found.items():
            true = np.asarray(second(i, j)(*double))
            size = np.maximum(abs(true), abs(np.asarray(slopes[i - 1])) / double[j] / 10)
            np.testing.assert_array_less(abs(value - true) / size, 1e-3)


def test_uniform_and_power_functions(dtype):
    """I_x(a, 1) = x^a, I_x(1, b) = 1 - (1 - x)^b."""
    x = jnp.asarray([1e-3, 0.2, 0.5, 0.9, 0.999], dtype)
    for a in (0.05, 1.0, 30.0):
        np.testing.assert_allclose(
            log_betainc(a, 1.0, x), a * np.log(np.asarray(x, "float64")), rtol=4e-6
        )
        np.testing.assert_allclose(
            log_betainc(1.0, a, x),
            np.log(-np.expm1(a * np.log1p(-np.asarray(x, "float64")))),
            rtol=4e-6,
            atol=1e-6,
        )


@pytest.mark.slow
def test_inverse_returns_the_noise(x64):
    rng = np.random.default_rng(0)
    a, b = jnp.asarray(10 ** rng.uniform(-2, 5, (2, 200)))
    eps = jnp.asarray(rng.uniform(-8, 8, 200))
    y = logit_beta_from_normal(eps, a, b)
    np.testing.assert_allclose(normal_from_beta(y, a, b), eps, atol=1e-11)


def test_derivatives_in_the_first_concentration_have_a_closed_form():
    """I_z(a, 1) = z^a: log z = log Phi(eps) / a, and a second derivative of 2 log z / a^2."""
    eps, a = jnp.asarray([-1.5, 0.3, 2.0]), jnp.asarray([0.1, 2.0, 40.0])

    def log_z(a):
        return -jax.nn.softplus(-logit_beta_from_normal(eps, a, 1.0))

    def slope(a):
        return jax.jvp(log_z, (a,), (jnp.ones_like(a),))[1]

    first, second = jax.jit(lambda a: jax.jvp(slope, (a,), (jnp.ones_like(a),)))(a)
    true = np.log(special.ndtr(np.asarray(eps))) / np.asarray(a)
    np.testing.assert_allclose(first, -true / a, rtol=2e-5)
    np.testing.assert_allclose(second, 2 * true / a**2, rtol=1e-3)


def test_edges(dtype):
    eps = jnp.asarray([-np.inf, np.inf, 0, 0, np.nan], dtype)
    a = jnp.asarray([2, 2, -1, np.nan, 2], dtype)
    np.testing.assert_array_equal(beta_from_normal(eps, a, 2.0), [0, 1, np.nan, np.nan, np.nan])
    far = beta_from_normal(jnp.asarray([-6, 6, 6.1], dtype), 2.0, 2.0)
    assert np.isnan(np.asarray(far)).tolist() == [False, False, dtype == "float32"]
    far = beta_from_normal(jnp.asarray([-6, 6, -6.1], dtype), 0.5, 0.2)
    assert np.isnan(np.asarray(far)).tolist() == [False, False, dtype == "float32"]
    x = jnp.asarray([0, 1, -0.1, 1.1, np.nan], dtype)
    np.testing.assert_array_equal(log_betainc(2.0, 3.0, x), [-np.inf, 0, np.nan, np.nan, np.nan])
    with pytest.raises(TypeError, match="float32 or float64"):
        beta_from_normal(jnp.ones(2, jnp.bfloat16), jnp.ones(2, jnp.bfloat16), 1)
