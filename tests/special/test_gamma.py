"""Gamma variates, tails and inverse: against mpmath, closed forms, and at the edges."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy import special

from repara.special import (
    gamma_from_normal,
    log_gamma_from_normal,
    log_gammainc,
    log_gammaincc,
    normal_from_gamma,
)
from repara.special.fits import gamma as gamma_fit
from tests.special import reference

SEAM = {"float32": 8.0, "float64": 16.0}
NOISE = {"float32": 5.0, "float64": 8.0}


SMALL, LARGE = (9, 7), (61, 21)
every_size = pytest.mark.parametrize(
    "size", [SMALL, pytest.param(LARGE, marks=pytest.mark.slow)], ids=["small", "large"]
)


def grid(dtype, concentrations, noise):
    """A log-spaced grid with both sides of the seam, and random points; as float arrays."""
    rng = np.random.default_rng(20261122)
    a = np.concatenate(
        [np.logspace(-4, 6, concentrations), SEAM[dtype] * (1 + np.array([-1e-6, 1e-6]))]
    )
    eps = np.linspace(-NOISE[dtype], NOISE[dtype], noise)
    random = np.stack([10 ** rng.uniform(-4, 6, 40), rng.normal(size=40)])
    points = np.concatenate([np.stack(np.meshgrid(a, eps)).reshape(2, -1), random], axis=1)
    return points.astype(dtype)


class Exact(NamedTuple):
    """Points and, by mpmath, log z with its derivatives there."""

    a: np.ndarray
    eps: np.ndarray
    log_z: list
    by_a: list
    by_a_twice: list
    by_eps: list

    @property
    def z(self):
        return [mp.exp(v) for v in self.log_z]

    def condition(self):
        pairs = zip(reference.exact(self.a), self.by_a, reference.exact(self.eps), self.by_eps,
                    strict=True)  # fmt: skip
        return np.array([float(abs(x * d) + abs(e * b)) for x, d, e, b in pairs])

    def check(self, found, true, scale, bar, dtype):
        """Compares where all true numbers are normal floating-point numbers."""
        use = reference.representable(self.z, dtype) & reference.representable(true, dtype)
        excess = np.where(use, reference.relative_error(found, true, scale) / bar, 0)
        worst = int(np.argmax(excess))
        assert excess[worst] < 1, (self.a[worst], self.eps[worst], excess[worst])

    def check_logs(self, found, true, scale, bar):
        excess = reference.relative_error(found, true, scale) / bar
        worst = int(np.argmax(excess))
        assert excess[worst] < 1, (self.a[worst], self.eps[worst], excess[worst])

    def natural_second(self, first, second):
        """The second derivative changes sign: at least a tenth of its natural size."""
        a = reference.exact(self.a)
        return [max(abs(s), abs(d) / x / 10) for s, d, x in zip(second, first, a, strict=True)]


@functools.cache
def exact(dtype, size):
    with mp.workdps(60):
        a, eps = grid(dtype, *size)
        pairs = zip(reference.exact(a), reference.exact(eps), strict=True)
        return Exact(a, eps, *zip(*(reference.gamma_from_normal(*p) for p in pairs), strict=True))


def bars(dtype, condition):
    """Bounds on the relative errors of the value and the first derivatives."""
    unit = float(np.finfo(dtype).eps)
    if dtype == "float32":
        bar = np.maximum(3e-6, 4 * unit * (1 + condition))
        return bar, bar
    return np.maximum(1e-11, 8 * unit * condition), np.maximum(1e-10, 8 * unit * condition)


SECOND_BAR = {"float32": 1e-3, "float64": 1e-7}


@every_size
def test_variates(dtype, size):
    true = exact(dtype, size)
    with mp.workdps(60):
        bar, _ = bars(dtype, true.condition())
        z = jax.jit(gamma_from_normal)(true.eps, true.a)
        true.check(z, true.z, true.z, bar, dtype)


@every_size
def test_derivatives_in_the_concentration(dtype, size):
    true = exact(dtype, size)
    with mp.workdps(60):
        _, bar = bars(dtype, true.condition())
        by_a = [v * d for v, d in zip(true.z, true.by_a, strict=True)]
        found = reference.derivative(gamma_from_normal, 1, 1)(true.eps, true.a)
        true.check(found, by_a, by_a, bar, dtype)


@every_size
def test_derivatives_in_the_noise(dtype, size):
    true = exact(dtype, size)
    with mp.workdps(60):
        _, bar = bars(dtype, true.condition())
        by_eps = [v * d for v, d in zip(true.z, true.by_eps, strict=True)]
        found = reference.derivative(gamma_from_normal, 0, 1)(true.eps, true.a)
        true.check(found, by_eps, by_eps, bar, dtype)


# Second derivatives in float64 compile for longer than all else.
second_order = pytest.mark.parametrize(
    ("precision", "size"),
    [
        ("float32", SMALL),
        pytest.param("float32", LARGE, marks=pytest.mark.slow),
        pytest.param("float64", LARGE, marks=pytest.mark.slow),
    ],
)


@second_order
def test_second_derivatives_in_the_concentration(precision, size):
    with jax.enable_x64(precision == "float64"), mp.workdps(60):
        true = exact(precision, size)
        first = [v * d for v, d in zip(true.z, true.by_a, strict=True)]
        logs = zip(true.z, true.by_a, true.by_a_twice, strict=True)
        second = [v * (d * d + s) for v, d, s in logs]
        found = reference.derivative(gamma_from_normal, 1, 2)(true.eps, true.a)
        scale = true.natural_second(first, second)
        true.check(found, second, scale, SECOND_BAR[precision], precision)


@every_size
def test_logarithms(dtype, size):
    true = exact(dtype, size)
    with mp.workdps(60):
        bar, _ = bars(dtype, true.condition())
        found = jax.jit(log_gamma_from_normal)(true.eps, true.a)
        true.check_logs(found, true.log_z, [max(abs(v), mp.mpf(1)) for v in true.log_z], bar)


@every_size
def test_derivatives_of_logarithms(dtype, size):
    true = exact(dtype, size)
    with mp.workdps(60):
        _, bar = bars(dtype, true.condition())
        found = reference.derivative(log_gamma_from_normal, 1, 1)(true.eps, true.a)
        true.check_logs(found, true.by_a, true.by_a, bar)


@second_order
def test_second_derivatives_of_logarithms(precision, size):
    with jax.enable_x64(precision == "float64"), mp.workdps(60):
        true = exact(precision, size)
        found = reference.derivative(log_gamma_from_normal, 1, 2)(true.eps, true.a)
        scale = true.natural_second(true.by_a, true.by_a_twice)
        true.check_logs(found, true.by_a_twice, scale, SECOND_BAR[precision])


def test_reference_is_mpmaths_own_incomplete_gamma_function():
    with mp.workdps(50):
        for a, z in [(0.01, 1e-3), (0.5, 7), (3, 2), (40, 70), (300, 250)]:
            a, z = mp.mpf(a), mp.mpf(z)
            lower, upper = gamma_fit.log_tails(a, mp.log(z))
            assert abs(lower - mp.log(mp.gammainc(a, 0, z, regularized=True))) < mp.mpf(10) ** -40
            true = mp.log(mp.gammainc(a, z, mp.inf, regularized=True))
            assert abs(upper - true) < mp.mpf(10) ** -35 * (1 + abs(true))


def test_concentration_one_is_the_exponential_distribution(dtype):
    eps = jnp.linspace(-5, 5, 101, dtype=dtype)
    true = -special.log_ndtr(-np.asarray(eps, np.float64))
    # eps^2 is the condition number of the tail
    tolerance = 1e-11 if dtype == "float64" else 4 * 25 * 1.2e-7
    np.testing.assert_allclose(gamma_from_normal(eps, 1.0), true, rtol=tolerance)


def test_seam_is_smooth(dtype):
    """Value and derivatives of both regimes agree where they meet, up to their own accuracy."""
    eps = jnp.linspace(-NOISE[dtype], NOISE[dtype], 41, dtype=dtype)
    seam = jnp.asarray(SEAM[dtype], dtype)
    sides = jnp.full_like(eps, seam), jnp.full_like(eps, jnp.nextafter(seam, 2 * seam))
    jumps = {"float32": (2e-6, 5e-6, 1e-3), "float64": (1e-11, 1e-10)}[dtype]
    for order, bar in enumerate(jumps):
        f = reference.derivative(gamma_from_normal, 1, order)
        below, above = (f(eps, side) for side in sides)
        scale = np.maximum(np.abs(below), 1e-2) if order == 2 else np.abs(below)
        assert np.max(np.abs(below - above) / scale) < bar


def test_edges(dtype):
    inf, nan = np.inf, np.nan
    eps = jnp.array([-inf, inf, nan, 0, 0, 0, 0, 9, -9], dtype)
    a = jnp.array([2, 2, 2, 0, -1, nan, inf, 2, 20], dtype)
    expected = np.array([0, inf, nan, nan, nan, nan, inf, nan, nan])
    np.testing.assert_array_equal(gamma_from_normal(eps, a), expected)
    np.testing.assert_array_equal(log_gamma_from_normal(eps, a)[1:], expected[1:])
    assert log_gamma_from_normal(eps, a)[0] == -inf
    x = jnp.array([0, inf, 1, 1, -1, nan], dtype)
    a = jnp.array([2, 2, 0, -1, 2, 2], dtype)
    np.testing.assert_array_equal(log_gammainc(a, x), [-inf, 0, nan, nan, nan, nan])
    np.testing.assert_array_equal(log_gammaincc(a, x), [0, -inf, nan, nan, nan, nan])
    np.testing.assert_array_equal(normal_from_gamma(x, a), [-inf, inf, nan, nan, nan, nan])


def test_gradients_are_finite_in_every_regime(dtype):
    eps = np.array([-NOISE[dtype], -1, 0, 1, NOISE[dtype]])
    a = np.array([1e-4, 1e-2, 1.0, 8.0, 16.0, 1e3, 1e9])
    eps, a = np.stack(np.meshgrid(eps, a)).reshape(2, -1).astype(dtype)
    for order in (1, 2) if dtype == "float32" else (1,):
        for argnum in (0, 1):
            found = np.asarray(reference.derivative(log_gamma_from_normal, argnum, order)(eps, a))
            assert np.all(np.isfinite(found)), (a[~np.isfinite(found)], order, argnum)


@pytest.mark.slow
def test_forward_and_backward_against_finite_differences(x64):
    eps, a = jnp.array([-1.3, 0.4, 2.0]), jnp.array([0.3, 3.0, 40.0])
    check_grads(gamma_from_normal, (eps, a), order=1, modes=("fwd", "rev"), rtol=1e-5)
    check_grads(gamma_from_normal, (eps[0], a[0]), order=1, modes=("fwd", "rev"), rtol=1e-5)


@pytest.mark.slow
def test_mixed_derivative():
    """From log dz/deps = -eps^2 / 2 - (a - 1) log z + z + log Gamma(a) + const."""
    eps, a = jnp.array([-1.3, 0.4, 2.0]), jnp.array([0.3, 3.0, 40.0])

    def total(x):
        return jnp.sum(gamma_from_normal(*x))

    hessian = jax.jit(lambda x, v: jax.jvp(jax.grad(total), (x,), (v,))[1])
    zero, one = jnp.zeros(3), jnp.ones(3)
    _, mixed = hessian((eps, a), (one, zero))
    mixed_again, _ = hessian((eps, a), (zero, one))
    by_eps, by_a = jax.grad(total)((eps, a))
    z = gamma_from_normal(eps, a)
    true = by_eps * (by_a * (1 - (a - 1) / z) - jnp.log(z) + jax.scipy.special.digamma(a))
    np.testing.assert_allclose(mixed, true, rtol=1e-4)
    np.testing.assert_allclose(mixed_again, mixed, rtol=1e-5)


@pytest.mark.slow
def test_third_derivative():
    """d^3/da^3 of the exact relation P(a, z(a)) = const, by a difference of second derivatives."""
    eps, a, h = jnp.float32(0.7), jnp.float32(2.0), 0.05
    second = reference.derivative(gamma_from_normal, 1, 2)
    difference = (second(eps, a + h) - second(eps, a - h)) / (2 * h)
    np.testing.assert_allclose(
        reference.derivative(gamma_from_normal, 1, 3)(eps, a), difference, rtol=2e-2
    )


def tail_points(dtype):
    a = np.concatenate([np.logspace(-4, 6, 6), [0.3, 0.999, 1.001, 5.0]])
    factors = [1e-30, 1e-3, 0.049, 0.051, 0.3, 0.9, 1.0, 1.1, 2.5, 11.9, 12.1, 40.0]
    points = [(x, x * f) for x in a for f in factors if x < 1e3 or 0.8 < f < 1.2]
    points += [(x, z) for x in a if x < 1 for z in (0.1, 3.0, 11.9, 12.1, 60.0)]
    return np.array(points).astype(dtype).T


@pytest.mark.slow
@pytest.mark.parametrize(
    "function", [*(pytest.param(f, marks=pytest.mark.slow) for f in ("lower", "upper")), "score"]
)
def test_tails_and_their_derivatives_against_mpmath(dtype, function):
    ours = {
        "lower": log_gammainc,
        "upper": log_gammaincc,
        "score": lambda a, z: normal_from_gamma(z, a),
    }[function]
    a, z = tail_points(dtype)

    def true_value(x, y):
        if function == "score":
            return gamma_fit.score(x, mp.log(y))
        return gamma_fit.log_tails(x, mp.log(y))[function == "upper"]

    def total(a, z):
        value = ours(a, z)
        return jnp.sum(value), value

    slopes, value = jax.jit(jax.grad(total, (0, 1), has_aux=True))(a, z)
    unit = float(np.finfo(dtype).eps)
    value_bar, first_bar = (3e-6, 2e-5) if dtype == "float32" else (1e-11, 1e-10)
    with mp.workdps(60):
        pairs = list(zip(reference.exact(a), reference.exact(z), strict=True))
        true = [true_value(*p) for p in pairs]
        by_a = [derivatives_in(true_value, 0, p) for p in pairs]
        by_z = [derivatives_in(true_value, 1, p) for p in pairs]
        condition = np.array(
            [
                float((abs(p[0] * u) + abs(p[1] * v)) / (abs(t) or 1))
                for p, u, v, t in zip(pairs, by_a, by_z, true, strict=True)
            ]
        )
        checks = [
            (value, true, np.maximum(value_bar, 4 * unit * condition)),
            (slopes[0], by_a, first_bar),
            (slopes[1], by_z, first_bar),
        ]
        for number, (found, values, bar) in enumerate(checks):
            # 1 - P below 1e-35 is beyond the 60 digits of the reference's derivatives
            use = reference.representable(values, "float32") & reference.representable(
                true, "float32"
            )
            excess = np.where(use, reference.relative_error(found, values) / bar, 0)
            worst = int(np.argmax(excess))
            assert excess[worst] < 1, (number, a[worst], z[worst], excess[worst])


def derivatives_in(f, argnum, point):
    return reference.derivatives(
        lambda v: f(*point[:argnum], v, *point[argnum + 1 :]), point[argnum]
    )[1]


def test_inverse_returns_the_noise(dtype):
    eps = jnp.linspace(-NOISE[dtype], NOISE[dtype], 33, dtype=dtype)
    for a in (0.5, 1.0, 7.0, 30.0, 1e4):
        back = normal_from_gamma(gamma_from_normal(eps, a), a)
        # a relative error of z, and its rounding, is an error of sqrt(a) in eps
        unit = 4e-6 if dtype == "float32" else 2e-11
        assert np.max(np.abs(back - eps)) < unit * max(1, a**0.5)


def test_shapes_dtypes_and_broadcasting():
    eps, a = jnp.ones((3, 1)), jnp.arange(1, 5)
    z = gamma_from_normal(eps, a)
    assert z.shape == (3, 4)
    assert z.dtype == jnp.float32
    gradient = jax.grad(lambda a: jnp.sum(gamma_from_normal(eps, a)))(a.astype(jnp.float32))
    whole = jax.vmap(jax.grad(gamma_from_normal, 1))(jnp.ones(4), a.astype(jnp.float32))
    np.testing.assert_allclose(gradient, 3 * whole, rtol=1e-6)
    assert gamma_from_normal(jnp.zeros((0, 4)), 2.0).shape == (0, 4)
    batched = jax.vmap(gamma_from_normal)(jnp.ones((5, 7)), jnp.ones((5, 7)))
    np.testing.assert_allclose(batched, gamma_from_normal(1.0, 1.0), rtol=1e-6)
    with pytest.raises(TypeError, match="float32 or float64"):
        gamma_from_normal(jnp.ones(2, jnp.bfloat16), jnp.ones(2, jnp.bfloat16))
