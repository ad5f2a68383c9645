"""Von Mises-Fisher angles and normalizers: against mpmath, closed forms and Bessel functions."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from scipy import special

from repara.special import von_mises_fisher_angle, von_mises_fisher_log_normalizer


def test_gradient_of_the_mean_resultant_length(dtype):
    """d = 5, k = 2: dE[cos y]/dk = 0.147389, by the midpoint rule in Phi(eps)."""
    u = (np.arange(4000) + 0.5) / 4000
    eps = jnp.asarray(special.ndtri(u), dtype)

    def mean(k):
        return jnp.mean(jnp.cos(von_mises_fisher_angle(eps, k, 5)))

    slope = jax.jit(jax.grad(mean))(jnp.asarray(2.0, dtype))
    assert abs(float(slope) - 0.147389) < 2e-6


class _Exact:
    """F(y) = int_0^y w / int_0^pi w, w(t) = e^(k cos t) sin(t)^(d - 2), and its derivatives."""

    def __init__(self, d, k):
        self.d, self.k = d, k
        # The mode solves k sin(t)^2 = (d - 2) cos(t); the scale is that of the curvature there.
        n = mp.mpf(d - 2)
        ratio = n / (2 * k) if k > 0 else mp.inf
        cosine = 0 if k == 0 else 1 / (ratio + mp.sqrt(ratio**2 + 1))
        self.mode = mp.acos(cosine) if d > 2 else mp.mpf(0)
        sine = mp.sin(self.mode)
        curvature = k * mp.cos(self.mode) + (n / sine**2 if d > 2 else 0)
        self.width = 1 / mp.sqrt(curvature) if curvature > 0 else mp.pi
        self.top = self._log_weight(self.mode if d > 2 else mp.mpf(0))
        whole = self._moments(mp.mpf(0), mp.pi)
        self.mass = whole[0]
        self.mean = whole[1] / self.mass
        self.variance = whole[2] / self.mass - self.mean**2

    def _log_weight(self, t):
        return self.k * mp.cos(t) + ((self.d - 2) * mp.log(mp.sin(t)) if self.d > 2 else 0)

    def _moments(self, low, high):
        """Integrals of w, w cos and w cos^2."""
        cuts = [self.mode + s * self.width for s in (-16, -8, -4, -2, -1, 0, 1, 2, 4, 8, 16, 32)]
        edges = [low, *(c for c in cuts if low < c < high), high]

        def weight(t):
            if not 0 < t < mp.pi:
                return mp.mpf(0) if self.d > 2 else mp.exp(self.k * mp.cos(t) - self.top)
            return mp.exp(self._log_weight(t) - self.top)

        return [mp.quad(lambda t, j=j: weight(t) * mp.cos(t) ** j, edges) for j in range(3)]

    def at(self, y, eps):
        """The noise of y, dy/deps, dy/dk and d2y/dk2 at fixed noise."""
        upper = eps > 0
        part = self._moments(y, mp.pi) if upper else self._moments(mp.mpf(0), y)
        a, b, c = (x / self.mass for x in part)
        sign = -1 if upper else 1
        noise = -sign * mp.sqrt(2) * mp.erfinv(1 - 2 * a)
        noise = mp.findroot(lambda e: mp.log(mp.ncdf(sign * e)) - mp.log(a), noise)
        m, v = self.mean, self.variance
        f = mp.exp(self._log_weight(y) - self.top) / self.mass
        f_k, f_y = (
            (mp.cos(y) - m) * f,
            f * (-self.k * mp.sin(y) + ((self.d - 2) * mp.cot(y) if self.d > 2 else 0)),
        )
        by_k = sign * (b - m * a)
        by_kk = sign * ((c - 2 * m * b + m**2 * a) - v * a)
        slope = -by_k / f
        curve = -(by_kk + 2 * f_k * slope + f_y * slope**2) / f
        return noise, mp.npdf(noise) / f, slope, curve


@pytest.mark.slow
@pytest.mark.parametrize("d", [2, 3, 4, 7, 30, 200, 1000])
def test_angle_and_derivatives_against_mpmath(dtype, d):
    rng = np.random.default_rng(20261125 + d)
    reach = 5.0 if dtype == "float32" else 8.0
    k = np.concatenate([10 ** rng.uniform(-2, 5, 8), [0.0, 1e5, 1e5, 1.0]])
    eps = np.concatenate([rng.uniform(-reach, reach, 8), [0.7, -reach, reach, -0.3]])
    k, eps = k.astype(dtype), eps.astype(dtype)

    def program(eps, k):
        def slope(k):
            return jax.grad(lambda k: jnp.sum(von_mises_fisher_angle(eps, k, d)))(k)

        return von_mises_fisher_angle(eps, k, d), *jax.jvp(slope, (k,), (jnp.ones_like(k),))

    y, by_k, second = (np.asarray(x, "float64") for x in jax.jit(program)(eps, k))
    unit = float(np.finfo(dtype).eps)
    value_bar, first_bar, second_bar = (
        (3e-6, 2e-5, 1e-3) if dtype == "float32" else (1e-11, 1e-10, 1e-7)
    )
    with mp.workdps(30):
        for i in range(len(k)):
            where = (d, float(k[i]), float(eps[i]))
            exact, e = _Exact(d, mp.mpf(float(k[i]))), mp.mpf(float(eps[i]))
            noise, by_noise, slope, curve = exact.at(mp.mpf(y[i]), e)
            # To first order: the noise that y belongs to, back to y.
            error = abs(noise - e) * by_noise / y[i]
            condition = float((abs(e) * by_noise + k[i] * abs(slope)) / y[i])
            assert error < max(value_bar, 4 * unit * (1 + condition)), (where, float(error))
            # By k / y, so that both ends of the range count; a slope is zero by symmetry at most.
            size = max(abs(slope), 1e-3 * y[i] / (1 + k[i]))
            error = float(abs(by_k[i] - slope) / size)
            assert error < max(first_bar, 32 * unit * (1 + condition)), (where, error)
            size = max(abs(curve), abs(slope) / (1 + k[i]) / 10)
            error = float(abs(second[i] - curve) / size)
            assert error < second_bar, (where, error, float(second[i]), float(curve))


def test_three_dimensions_in_closed_form(dtype):
    """cos y = 1 + log(p + (1 - p) e^(-2 k)) / k for p = 1 - Phi(eps)."""
    eps, k = np.meshgrid(np.linspace(-3, 3, 13), [0.1, 2.0, 30.0, 1e4])
    p = special.ndtr(-eps)
    # 1 - cos y, without cancellation
    true = -np.log1p(-special.ndtr(eps) * -np.expm1(-2 * k)) / k
    del p
    y = jax.jit(lambda e, k: von_mises_fisher_angle(e, k, 3))(eps.astype(dtype), k.astype(dtype))
    found = 2 * np.sin(np.asarray(y, "float64") / 2) ** 2
    np.testing.assert_allclose(found, true, rtol=2e-5 if dtype == "float32" else 1e-10)
    normalizer = von_mises_fisher_log_normalizer(jnp.asarray(k[:, 0], dtype), 3)
    exact = np.log(2 * np.pi * -np.expm1(-2 * k[:, 0]) / k[:, 0])
    np.testing.assert_allclose(normalizer, exact, rtol=1e-6, atol=1e-6)


def test_opposite_to_the_mean_direction(dtype):
    """On a circle without concentration the angle is pi Phi(eps): pi, for the largest eps."""
    eps = jnp.asarray([5.5, 6.0, 8.0], dtype)
    y, slope = jax.jit(
        lambda k: jax.jvp(lambda k: von_mises_fisher_angle(eps, k, 2), (k,), (jnp.ones_like(k),))
    )(jnp.zeros(3, dtype))
    np.testing.assert_allclose(y, np.pi, atol=3e-6)
    np.testing.assert_allclose(slope, 0, atol=3e-6)


def test_bad_input():
    assert np.isnan(von_mises_fisher_angle(0.0, -1.0, 3))
    with pytest.raises(ValueError, match="integer of at least 2"):
        von_mises_fisher_angle(0.0, 1.0, 1)
