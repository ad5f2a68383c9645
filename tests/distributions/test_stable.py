"""The stable distribution: members with their own names, and its characteristic function."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
import scipy.stats

import repara as rp
from tests.distributions.programs import compiled

ROOT = float(np.sqrt(2))


@pytest.mark.parametrize(
    ("stability", "skew", "reference"),
    [
        (2.0, 0.3, scipy.stats.norm(0.5, 1.5 * ROOT)),
        (1.0, 0.0, scipy.stats.cauchy(0.5, 1.5)),
        # In S0 the support begins at loc - scale tan(pi / 4).
        (0.5, 1.0, scipy.stats.levy(-1.0, 1.5)),
    ],
)
def test_normal_cauchy_and_levy(stability, skew, reference):
    q = rp.Stable(stability, skew, 1.5, 0.5)
    z = np.asarray(q.sample(jax.random.key(3), (100_000,)), "float64")
    assert scipy.stats.kstest(z, reference.cdf).pvalue > 1e-3
    mirrored = rp.Stable(stability, -skew, 1.5, -0.5)
    z = -np.asarray(mirrored.sample(jax.random.key(4), (100_000,)), "float64")
    assert scipy.stats.kstest(z, reference.cdf).pvalue > 1e-3


def _direct(u, w, a, b):
    """The formula of Chambers, Mallows and Stuck as it is printed, shifted to S0."""
    v, w = mp.pi * (mp.mpf(float(u)) - mp.mpf(1) / 2), -mp.log(mp.mpf(float(w)))
    a, b = mp.mpf(float(a)), mp.mpf(float(b))
    if a == 1:
        line = 1 + 2 * b * v / mp.pi
        return line * mp.tan(v) - 2 * b / mp.pi * mp.log(w * mp.cos(v) / line)
    zeta = b * mp.tan(mp.pi * a / 2) if a != 2 else mp.mpf(0)
    angle = a * v + mp.atan(zeta)
    power = (mp.cos(v - angle) / w) ** ((1 - a) / a)
    root = (1 + zeta**2) ** (1 / (2 * a))
    return root * mp.sin(angle) / mp.cos(v) ** (1 / a) * power - zeta


def test_to_rounding_for_all_parameters(dtype):
    """Far in both tails, including the light tails of full skew, and around stability 1."""
    u = [2.0**-24, 1e-3, 0.2, 0.4999, 0.5, 0.7, 0.999, 1 - 2.0**-24]
    a = [0.3, 0.9, 0.9999, 1.0, 1 + 1e-6, 1.5, 1.999, 2.0]
    grid = np.meshgrid(u, [1e-4, 0.3, 0.999], a, [-1.0, -0.99, 0.0, 0.3, 1.0])
    u, w, a, b = (x.ravel().astype(dtype) for x in grid)

    @compiled
    def program(u, w, a, b):
        one = jnp.ones_like(a)
        return rp.Stable(a, b, one, 0 * one).transform(jnp.stack([u, w], -1))

    found = np.asarray(program(u, w, a, b), "float64")
    with mp.workdps(40):
        exact = [_direct(*x) for x in zip(u, w, a, b, strict=True)]
        error = [float(abs(z - t) / (1 + abs(t))) for z, t in zip(found, exact, strict=True)]
    # The exponent (1 - a) / a magnifies the rounding of the logarithm.
    bound = 16 * np.finfo(dtype).eps * (1 + np.abs(1 - 1 / a) * 4)
    worst = np.argmax(error / bound)
    assert np.all(error < bound), (u[worst], w[worst], a[worst], b[worst], error[worst])


def _exponent(t, a, b):
    """log E exp(i t X) for t > 0."""
    if a == 1:
        bend = 2 / np.pi * np.log(t)
    else:
        bend = np.tan(np.pi * a / 2) * np.expm1((1 - a) * np.log(t))
    return -(t**a) * (1 + 1j * b * bend)


def _expectations(a, b, scale, loc):
    """E exp(-z^2 / 2) and E z exp(-z^2 / 2): integrals of the characteristic function."""
    # exp(-z^2 / 2) = E exp(i T z), T normal: t = e^s, trapezoids in s.
    s = np.linspace(-30, np.log(9.0), 8001)
    t = np.exp(s)
    weight = 2 * scipy.stats.norm.pdf(t) * t * (s[1] - s[0])
    phi = np.exp(_exponent(scale * t, a, b) + 1j * loc * t)
    return np.asarray([np.sum(weight * phi.real), np.sum(weight * t * phi.imag)])


@pytest.mark.parametrize("a", [0.8, 1.0, 1.5])
def test_gradients_of_expectations(a, x64):
    """Gradients in all four parameters, against derivatives of the characteristic function."""
    n, at = 100_000, np.asarray([a, 0.6, 0.8, 0.3])
    eps = rp.noise.iid(jax.random.key(5), (n,), (2,), "uniform", jnp.float64)

    @compiled
    def program(parameters, eps):
        def values(parameters):
            z = rp.Stable(*parameters).transform(eps)
            bell = jnp.exp(-0.5 * z**2)
            return jnp.stack([bell, z * bell])

        slopes = jax.jacfwd(values)(parameters)
        return values(parameters), jnp.moveaxis(slopes, -1, 0)

    values, slopes = (np.asarray(v) for v in program(jnp.asarray(at), eps))
    exact = _expectations(*at)
    error = values.std(-1) / np.sqrt(n)
    assert np.all(np.abs(values.mean(-1) - exact) < 5 * error)
    for k, step in enumerate([1e-4] * 4):
        ends = [_expectations(*(at + s * step * np.eye(4)[k])) for s in (-1, 1)]
        exact = (ends[1] - ends[0]) / (2 * step)
        error = slopes[k].std(-1) / np.sqrt(n)
        assert np.all(error < 0.02), "too few draws to see an error of a few per cent"
        assert np.all(np.abs(slopes[k].mean(-1) - exact) < 5 * error + 1e-6), (k, exact)
