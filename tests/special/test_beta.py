import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from scipy import special

from repara.special import beta_normal_score, beta_quantile, log_betainc, logit_beta_quantile
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
def test_quantile_and_derivatives_against_mpmath(dtype):
    a, b, eps = points(dtype, 60)

    def program(eps, a, b):
        def slope(a):
            return jax.grad(lambda a: jnp.sum(logit_beta_quantile(eps, a, b)))(a)

        first, second = jax.jvp(slope, (a,), (jnp.ones_like(a),))
        return logit_beta_quantile(eps, a, b), first, second

    y, by_a, second = (np.asarray(v) for v in jax.jit(program)(eps, a, b))
    unit = float(np.finfo(dtype).eps)
    value_bar, slope_bar, second_bar = (
        (3e-6, 2e-5, 1e-3) if dtype == "float32" else (1e-11, 1e-10, 1e-7)
    )
    with mp.workdps(50):
        for k in range(len(a)):
            x, w, e = (mp.mpf(float(v[k])) for v in (a, b, eps))
            true, first, curve = reference.derivatives(
                lambda t, w=w, e=e, k=k: reference.beta_quantile(t, w, e, float(y[k])), x
            )
            # of a relative change of z: (1 - z) that of the logit
            z, rest = 1 / (1 + mp.exp(-true)), 1 / (1 + mp.exp(true))
            by_b = (reference.beta_quantile(x, w * (1 + reference.STEP), e, true) - true) / (
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
            assert error < max(slope_bar, 32 * unit * condition), (where, error)
            size = max(abs(curve), first / x / 10)
            error = float(abs(mp.mpf(float(second[k])) - curve) / size)
            assert error < second_bar, (where, error, float(curve), float(first))


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
def test_score_inverts_the_quantile_and_its_slope(x64):
    rng = np.random.default_rng(0)
    a, b = jnp.asarray(10 ** rng.uniform(-2, 5, (2, 200)))
    eps = jnp.asarray(rng.uniform(-8, 8, 200))
    y = logit_beta_quantile(eps, a, b)
    np.testing.assert_allclose(beta_normal_score(y, a, b), eps, atol=1e-11)


def test_slope_in_the_first_concentration_in_closed_form():
    """I_z(a, 1) = z^a: log z = log Phi(eps) / a, and a second derivative of 2 log z / a^2."""
    eps, a = jnp.asarray([-1.5, 0.3, 2.0]), jnp.asarray([0.1, 2.0, 40.0])

    def log_z(a):
        return -jax.nn.softplus(-logit_beta_quantile(eps, a, 1.0))

    def slope(a):
        return jax.jvp(log_z, (a,), (jnp.ones_like(a),))[1]

    first, second = jax.jit(lambda a: jax.jvp(slope, (a,), (jnp.ones_like(a),)))(a)
    true = np.log(special.ndtr(np.asarray(eps))) / np.asarray(a)
    np.testing.assert_allclose(first, -true / a, rtol=2e-5)
    np.testing.assert_allclose(second, 2 * true / a**2, rtol=1e-3)


def test_edges(dtype):
    eps = jnp.asarray([-np.inf, np.inf, 0, 0, np.nan], dtype)
    a = jnp.asarray([2, 2, -1, np.nan, 2], dtype)
    np.testing.assert_array_equal(beta_quantile(eps, a, 2.0), [0, 1, np.nan, np.nan, np.nan])
    x = jnp.asarray([0, 1, -0.1, 1.1, np.nan], dtype)
    np.testing.assert_array_equal(log_betainc(2.0, 3.0, x), [-np.inf, 0, np.nan, np.nan, np.nan])
    with pytest.raises(TypeError, match="float32 or float64"):
        beta_quantile(jnp.ones(2, jnp.bfloat16), jnp.ones(2, jnp.bfloat16), 1)
