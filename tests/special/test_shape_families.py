"""Generalized normal, skew-normal and inverse Gaussian variates, and log K1, against mpmath."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from scipy import stats

from repara.special import (
    generalized_normal_from_normal,
    log_inverse_gaussian_from_normal,
    log_k1e,
    normal_from_generalized_normal,
    normal_from_inverse_gaussian,
    normal_from_skew_normal,
    skew_normal_from_normal,
)
from repara.special.fits import gamma as gamma_fit
from tests.distributions.programs import compiled
from tests.special import reference


def program(variate, inverse):
    """The value, its derivatives in noise and shape, the second ones in shape, and the inverse."""

    def along(f, x):
        return jax.jvp(f, (x,), (jnp.ones_like(x),))

    def all_of(eps, shape):
        z, by_eps = along(lambda e: variate(e, shape), eps)
        _, (by_shape, second) = along(lambda s: along(lambda t: variate(eps, t), s), shape)
        return z, by_eps, by_shape, second, inverse(z, shape)

    return compiled(all_of)


def newton(log_tails, log_density, eps, start):
    """The z with F(z) = Phi(eps), from logarithms of F, 1 - F and the density."""
    z = mp.mpf(start)
    target, side = mp.log(mp.ncdf(-abs(eps))), (0 if eps < 0 else 1)
    for _ in range(60):
        log_tail = log_tails(z)[side]
        step = (log_tail - target) * mp.exp(log_tail - log_density(z))
        z += step if side else -step
        if abs(step) < mp.mpf(10) ** -34 * (1 + abs(z)):
            return z
    raise ArithmeticError((eps, start, step))


def inverse_gaussian(c, eps, start):
    def log_tails(y):
        alpha, beta = 2 * mp.sqrt(c) * mp.sinh(y / 2), 2 * mp.sqrt(c) * mp.cosh(y / 2)
        more = mp.npdf(alpha) * mp.ncdf(-beta) / mp.npdf(beta)
        return mp.log(mp.ncdf(alpha) + more), mp.log(mp.ncdf(-alpha) - more)

    def log_density(y):
        return mp.log(c / (2 * mp.pi)) / 2 - y / 2 - c * (mp.cosh(y) - 1)

    return newton(log_tails, log_density, eps, start), log_density


def generalized_normal(p, eps, start):
    def log_density(z):
        return -(abs(z) ** p) - mp.log(2 * mp.gamma(1 + 1 / p))

    if eps == 0:
        return mp.mpf(0), log_density
    share = mp.erf(abs(eps) / mp.sqrt(2)), mp.erfc(abs(eps) / mp.sqrt(2))
    size = mp.exp(gamma_fit.log_quantile(1 / p, *map(mp.log, share)) / p)
    return mp.sign(eps) * size, log_density


def skew_normal(a, eps, start):
    """F from its integral, over the angle atan(t) of the module's formula where that is short."""
    if a < 0:
        z, log_density = skew_normal(-a, -eps, -start)
        return -z, lambda x: log_density(-x)

    def owen(h):
        edges = [a * mp.mpf(2) ** -k for k in range(14, -1, -1) if a * h * mp.mpf(2) ** -k < 30]
        kernel = mp.quad(lambda t: mp.exp(-h * h * (1 + t * t) / 2) / (1 + t * t), [0, *edges])
        return kernel / (2 * mp.pi)

    def log_tails(x):
        if x >= 0:
            t = owen(x)
            return mp.log(mp.ncdf(x) - 2 * t), mp.log(mp.ncdf(-x) + 2 * t)
        # t = a + r: the exponent is x^2 (1 + a^2) / 2 + x^2 r (a + r / 2)
        width = 1 / (x * x * a + abs(x))
        edges = [width * mp.mpf(2) ** k for k in range(-4, 7)]
        rest = mp.quad(
            lambda r: mp.exp(-x * x * r * (a + r / 2)) / (1 + (a + r) ** 2), [0, *edges, mp.inf]
        )
        log_lower = -x * x * (1 + a * a) / 2 + mp.log(rest / mp.pi)
        return log_lower, mp.log1p(-mp.exp(log_lower))

    def log_density(x):
        return mp.log(2 * mp.npdf(x) * mp.ncdf(a * x))

    return newton(log_tails, log_density, eps, start), log_density


NOISE = {"float32": [-5.4, -2.3, -0.6, -1e-4, 0.3, 1.1, 5.4],
         "float64": [-8.2, -2.3, -0.6, -1e-6, 0.3, 1.1, 8.2]}  # fmt: skip
# The extremes, and both sides of each switch between two forms.
FAMILIES = {
    "inverse_gaussian": (
        log_inverse_gaussian_from_normal, normal_from_inverse_gaussian, inverse_gaussian,
        [1e-6, 1e-2, 0.1, 0.3, 1.0, 30.0, 1e8],
    ),
    "skew_normal": (
        skew_normal_from_normal, normal_from_skew_normal, skew_normal,
        [0.0, -0.4, 0.999, 1.001, 4.0, 200.0],
    ),
    "generalized_normal": (
        generalized_normal_from_normal, normal_from_generalized_normal, generalized_normal,
        [0.125, 0.7, 1.0, 2.0, 3.3, 50.0],
    ),
}  # fmt: skip
# Bounds on the errors, in units of rounding: of the value, of its derivative in noise, and of its
# first and second ones in shape. The fits of the gamma family are accurate to 1e-11 in float64.
BARS = {
    ("inverse_gaussian", "float32"): (4, 16, 16, 64),
    ("inverse_gaussian", "float64"): (8, 32, 32, 64),
    ("skew_normal", "float32"): (8, 32, 64, 256),
    ("skew_normal", "float64"): (16, 64, 64, 256),
    ("generalized_normal", "float32"): (4, 64, 32, 64),
    ("generalized_normal", "float64"): (4e4, 4e5, 4e5, 1e6),
}


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_value_and_derivatives_against_mpmath(family, dtype):
    variate, inverse, truth, shapes = FAMILIES[family]
    shape, eps = np.stack(np.meshgrid(shapes, NOISE[dtype])).reshape(2, -1).astype(dtype)
    found = [np.asarray(v, "float64") for v in program(variate, inverse)(eps, shape)]
    unit, bars = float(np.finfo(dtype).eps), BARS[family, dtype]
    with mp.workdps(50):
        for k in range(len(eps)):
            e, s = mp.mpf(float(eps[k])), mp.mpf(float(shape[k]))
            first_guess = float(found[0][k])
            z, log_density = truth(s, e, first_guess)
            # differences of a function of the shape, each to 30 digits
            h = (abs(s) or mp.mpf(1)) * mp.mpf(10) ** -9
            ends = [truth(s + d, e, z)[0] for d in (-h, h)]
            by_shape, second = (ends[1] - ends[0]) / (2 * h), (sum(ends) - 2 * z) / h**2
            by_eps = mp.npdf(e) / mp.exp(log_density(z))
            # z moves by so much where noise or shape are rounded; by_eps alone is a scale of z
            size = float(abs(z) + abs(e * by_eps) + abs(s * by_shape) + by_eps)
            where = (family, float(s), float(e))
            assert abs(mp.mpf(found[0][k]) - z) < bars[0] * unit * size, where
            condition = 1 + float(abs(e) ** 2 + abs(z) ** 2 * (family == "skew_normal"))
            assert abs(found[1][k] - by_eps) < bars[1] * unit * condition * by_eps, where
            scale = max(abs(by_shape), size / (abs(s) or 1) / 8)
            error = abs(mp.mpf(found[2][k]) - by_shape)
            assert error < bars[2] * unit * condition * scale, (where, float(error / scale))
            scale = max(abs(second), scale / (abs(s) or 1))
            error = abs(mp.mpf(found[3][k]) - second)
            assert error < bars[3] * unit * condition * scale, (where, float(error / scale))
            # the inverse of a rounded value
            bound = 32 * unit * (1 + abs(z) / by_eps + abs(e)) + (1e-10 if bars[0] > 100 else 0)
            assert abs(found[4][k] - e) < bound, where


def test_special_cases(dtype):
    """Distributions that have names of their own."""
    bound = 5 if dtype == "float32" else 8
    eps = np.linspace(-bound, bound, 41).astype(dtype)
    wide = eps.astype("float64")
    tolerance = 4e-6 if dtype == "float32" else 1e-11

    @compiled
    def values(eps):
        rows = jnp.asarray([[1.0], [2.0]], dtype)
        return (
            generalized_normal_from_normal(eps[None], rows),
            skew_normal_from_normal(eps[None], jnp.asarray([[0.0], [1.0], [-1e7]], dtype)),
            log_inverse_gaussian_from_normal(eps, jnp.asarray(1e10, dtype)),
        )

    generalized, skewed, log_inverse = (np.asarray(v, "float64") for v in values(eps))
    tail = stats.norm.sf(np.abs(wide))
    np.testing.assert_allclose(generalized[0], -np.sign(wide) * np.log(2 * tail), rtol=tolerance,
                               atol=1e-15)  # fmt: skip
    np.testing.assert_allclose(generalized[1], wide / np.sqrt(2), rtol=tolerance)
    np.testing.assert_allclose(skewed[0], wide, rtol=tolerance, atol=tolerance)
    # With skewness 1 it is the larger of two normals: F = Phi^2. Far out the half-normal.
    rest = stats.norm.sf(wide)
    upper = stats.norm.isf(rest / (1 + np.sqrt(1 - rest)))
    largest = np.where(wide > 0, upper, stats.norm.ppf(np.sqrt(stats.norm.cdf(wide))))
    np.testing.assert_allclose(skewed[1], largest, rtol=tolerance, atol=tolerance)
    half = -stats.norm.isf(0.5 * stats.norm.cdf(wide))
    np.testing.assert_allclose(skewed[2], half, rtol=tolerance, atol=1e-6)
    # of a mean of 1 and a small variance: y = eps / sqrt(c) - (eps^2 + 2) / (6 c) + ...
    np.testing.assert_allclose(log_inverse, wide * 1e-5, rtol=tolerance, atol=2e-9)


def test_smooth_through_no_skewness(x64):
    """Its derivatives at skewness 0 in closed form: z' = 2 phi(z)/... = H(0), z'' = H'(0) z."""
    eps = jnp.asarray([-3.0, -0.2, 0.0, 1.7])

    @compiled
    def slopes(a):
        f = lambda a: skew_normal_from_normal(eps, a)  # noqa: E731
        first = lambda a: jax.jvp(f, (a,), (jnp.ones_like(a),))[1]  # noqa: E731
        return jax.jvp(first, (a,), (jnp.ones_like(a),))

    first, second = slopes(jnp.zeros(4))
    np.testing.assert_allclose(first, np.sqrt(2 / np.pi), rtol=1e-14)
    # H(x) = phi / Phi: H' = -H (x + H), and dz/da = H(a z) / (1 + a^2)
    np.testing.assert_allclose(second, -2 / np.pi * np.asarray(eps), rtol=1e-13, atol=1e-15)


@pytest.mark.slow
def test_smooth_through_the_median_of_the_generalized_normal(dtype):
    """At eps = 0: z' = sqrt(2 / pi) Gamma(1 + 1/p), no second derivative, and none is NaN."""
    p = jnp.asarray([1.4, 2.0, 7.0, 50.0], dtype)

    @compiled
    def slopes(e):
        f = lambda e: generalized_normal_from_normal(e, p)  # noqa: E731
        first = lambda e: jax.jvp(f, (e,), (jnp.ones_like(e),))[1]  # noqa: E731
        by_power = jax.jvp(
            lambda p: generalized_normal_from_normal(e, p), (p,), (jnp.ones_like(p),)
        )
        return *jax.jvp(first, (e,), (jnp.ones_like(e),)), *by_power

    for at in (0.0, 1e-30):
        first, second, value, by_power = slopes(jnp.full_like(p, at))
        exact = [float(mp.sqrt(2 / mp.pi) * mp.gamma(1 + 1 / mp.mpf(float(v)))) for v in p]
        np.testing.assert_allclose(first, exact, rtol=1e-5 if dtype == "float32" else 1e-11)
        np.testing.assert_allclose(value, at * np.asarray(exact), rtol=1e-5)
        np.testing.assert_allclose(second, 0, atol=1e-3)
        np.testing.assert_allclose(by_power, 0, atol=1e-20)


def test_log_k1e(dtype):
    x = np.r_[10.0 ** np.linspace(-12, 12, 49), 0.999, 1.0, 1.001, 2.0].astype(dtype)

    @compiled
    def derivatives(x):
        first = lambda x: jax.jvp(log_k1e, (x,), (jnp.ones_like(x),))  # noqa: E731
        (value, slope), (_, second) = jax.jvp(first, (x,), (jnp.ones_like(x),))
        return value, slope, second

    found = derivatives(x)
    with mp.workdps(50):
        exact = []
        for v in reference.exact(x):
            r = mp.besselk(0, v) / mp.besselk(1, v)
            value, slope = mp.log(mp.besselk(1, v)) + v, 1 - r - 1 / v
            exact.append((value, slope, 1 - r * (r + 1 / v) + 1 / v**2))
        unit = np.finfo(dtype).eps
        for values, true, bar in zip(found, zip(*exact, strict=True), (4, 64, 512), strict=True):
            scale = [1 + abs(t) for t in true] if bar == 4 else None
            assert reference.relative_error(values, true, scale).max() < bar * unit


def test_edges():
    nan, inf = np.nan, np.inf
    eps = jnp.asarray([-inf, inf, nan, 0.3, 0.3, 0.3])
    z = generalized_normal_from_normal(eps, jnp.asarray([2.0, 2.0, 2.0, 0.1, -1.0, nan]))
    np.testing.assert_array_equal(z, [-inf, inf, nan, nan, nan, nan])
    z = skew_normal_from_normal(eps, jnp.asarray([2.0, -2.0, 2.0, nan, inf, nan]))
    np.testing.assert_array_equal(z, [-inf, inf, nan, nan, nan, nan])
    y = log_inverse_gaussian_from_normal(eps, jnp.asarray([2.0, 2.0, 2.0, 0.0, -1.0, nan]))
    np.testing.assert_array_equal(y, [-inf, inf, nan, nan, nan, nan])
    ends = jnp.asarray([-inf, inf, nan, 100.0, -100.0])
    np.testing.assert_array_equal(
        normal_from_inverse_gaussian(ends, 2.0), [-inf, inf, nan, inf, -inf]
    )
    np.testing.assert_array_equal(
        log_k1e(jnp.asarray([0.0, inf, -1.0, nan])), [inf, -inf, nan, nan]
    )
    for function in (generalized_normal_from_normal, skew_normal_from_normal, log_k1e):
        arguments = (jnp.ones(2, jnp.bfloat16), 1)[: 1 if function is log_k1e else 2]
        with pytest.raises(TypeError, match="float32 or float64"):
            function(*arguments)
