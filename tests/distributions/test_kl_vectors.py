"""Closed forms of KL between families of vectors and matrices, compared with Monte Carlo."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import repara as rp
from tests.distributions.programs import compiled

_LOC = np.asarray([0.5, -1.0, 2.0])
_TRIL = np.asarray([[1.5, 0.0, 0.0], [0.4, 0.7, 0.0], [-0.3, 0.2, 2.0]])
_OTHER = np.asarray([[1.0, 0.0, 0.0], [-0.4, 2.0, 0.0], [0.5, 0.1, 0.8]])
_FACTOR = np.asarray([[1.0, 0.2], [-0.5, 1.0], [0.3, 0.3]])
_WIDE = np.asarray([[0.3], [1.0], [-2.0]])
_AXIS = np.asarray([0.0, 0.6, 0.8])


def _low_rank(loc, factor, diagonal):
    return rp.LowRankMultivariateNormal(loc, factor, np.asarray(diagonal))


PAIRS = [
    (rp.Dirichlet, ([0.7, 2.0, 5.0],), rp.Dirichlet, ([1.5, 0.8, 3.0],)),
    (_low_rank, (_LOC, _FACTOR, [0.5, 1.0, 2.0]), _low_rank, (0 * _LOC, _WIDE, [1.0, 2.0, 0.3])),
    (_low_rank, (_LOC, _FACTOR, [0.5, 1.0, 2.0]), rp.MultivariateNormal, (0 * _LOC, _TRIL)),
    (rp.MultivariateNormal, (_LOC, _TRIL), _low_rank, (0 * _LOC, _WIDE, [1.0, 2.0, 0.3])),
    (
        lambda loc, scale: rp.Independent(rp.Normal(loc, scale), 1),
        (_LOC, [0.5, 1.0, 0.7]),
        rp.MultivariateNormal,
        (0 * _LOC, _TRIL),
    ),
    (
        rp.MatrixNormal,
        (np.ones((3, 2)), _TRIL, _TRIL[:2, :2]),
        rp.MatrixNormal,
        (np.zeros((3, 2)), _OTHER, _OTHER[:2, :2]),
    ),
    (rp.Wishart, (6.0, _TRIL), rp.Wishart, (4.5, _OTHER)),
    (rp.InverseWishart, (6.0, _TRIL), rp.InverseWishart, (4.5, _OTHER)),
    (
        lambda scale: rp.GaussianRandomWalk(scale, 4),
        (0.7,),
        lambda scale: rp.GaussianRandomWalk(scale, 4),
        (1.1,),
    ),
    (rp.PowerSpherical, (_AXIS, 4.0), rp.VonMisesFisher, (_AXIS[::-1], 1.5)),
    (rp.LogisticNormal, (_LOC, [0.5, 1.0, 0.7]), rp.LogisticNormal, (0 * _LOC, [1.0, 2.0, 0.3])),
]


def _name(pair):
    q, p = _build(pair, "float32")
    return f"{type(q).__name__}-{type(p).__name__}"


def _build(pair, dtype):
    make_q, of_q, make_p, of_p = pair
    q, p = ([np.asarray(v, dtype) for v in values] for values in (of_q, of_p))
    return make_q(*q), make_p(*p)


@pytest.mark.parametrize("pair", PAIRS, ids=_name)
def test_against_monte_carlo(pair):
    q, p = _build(pair, "float32")
    n = 50_000

    @compiled
    def program(q, p):
        return rp.kl_divergence(q, p), *rp.monte_carlo_kl(jax.random.key(0), q, p, n)

    exact, estimate, error = program(q, p)
    assert 0 < error < 0.03 * exact
    assert abs(estimate - exact) < 5 * error


@pytest.mark.parametrize("pair", PAIRS, ids=_name)
def test_of_a_distribution_to_itself_is_zero(pair):
    q, p = _build(pair, "float32")
    if type(q) is type(p):
        assert abs(float(rp.kl_divergence(q, q))) < 2e-5


def test_normals_agree_with_the_full_matrix(x64):
    """All four kinds of pairs, with batches that broadcast."""
    low = _low_rank(np.stack([_LOC, 0 * _LOC])[:, None], _FACTOR, [0.5, 1.0, 2.0])
    other = _low_rank(_LOC[::-1], _WIDE, [1.0, 2.0, 0.3])
    full, other_full = (
        rp.MultivariateNormal(d.loc, covariance_matrix=d.covariance_matrix) for d in (low, other)
    )
    exact = rp.kl_divergence(full, other_full)
    assert exact.shape == (2, 1)
    for q in (low, full):
        for p in (other, other_full):
            np.testing.assert_allclose(rp.kl_divergence(q, p), exact, rtol=1e-12)
    diagonal = rp.MultivariateNormal(_LOC, scale_diag=np.asarray([0.5, 1.0, 0.7]))
    square = rp.MultivariateNormal(_LOC, np.diag([0.5, 1.0, 0.7]))
    for f in (lambda d: rp.kl_divergence(d, other), lambda d: rp.kl_divergence(low, d)):
        np.testing.assert_allclose(f(diagonal), f(square), rtol=1e-12)
    independent = rp.Independent(rp.Normal(_LOC, np.asarray([0.5, 1.0, 0.7])), 1)
    np.testing.assert_allclose(
        rp.kl_divergence(independent, full), rp.kl_divergence(square, full), rtol=1e-12
    )
    logistic = rp.Independent(rp.Logistic(_LOC, 1.0), 1)
    with pytest.raises(NotImplementedError, match=r"Independent\(Logistic\).*monte_carlo_kl"):
        rp.kl_divergence(logistic, full)


def test_power_spherical_to_uniform(x64):
    """Concentration 0 is the uniform distribution: log area - entropy."""
    q = rp.PowerSpherical(_AXIS, 4.0)
    p = rp.VonMisesFisher(_AXIS, 0.0)
    np.testing.assert_allclose(rp.kl_divergence(q, p), np.log(4 * np.pi) - q.entropy(), rtol=1e-7)
    # The density of t = mu . x is 5/2 ((1 + t) / 2)^4; E log of it from the moments of log u.
    exact = np.log(5.0) - 4 / 5
    np.testing.assert_allclose(rp.kl_divergence(q, p), exact, rtol=1e-7)


def test_large_dirichlet_concentrations():
    """Nearly equal concentrations in float32: the divergence is that of nearly normal variables."""
    a = np.asarray([3e4, 5e4], "f")
    b = np.asarray([3.03e4, 4.97e4], "f")
    q, p = rp.Dirichlet(a), rp.Dirichlet(b)
    exact = _beta_kl(a.astype("float64"), b.astype("float64"))
    np.testing.assert_allclose(rp.kl_divergence(q, p), exact, rtol=0.02)


def _beta_kl(a, b):
    import mpmath

    with mpmath.workdps(40):

        def log_beta(x):
            return mpmath.fsum(map(mpmath.loggamma, x)) - mpmath.loggamma(mpmath.fsum(x))

        a, b = ([mpmath.mpf(v) for v in x.tolist()] for x in (a, b))
        total = mpmath.digamma(mpmath.fsum(a))
        terms = ((x - y) * (mpmath.digamma(x) - total) for x, y in zip(a, b, strict=True))
        return float(log_beta(b) - log_beta(a) + mpmath.fsum(terms))


def test_bad_parameters_are_nan_under_jit():
    kl = jax.jit(lambda a: rp.kl_divergence(rp.Dirichlet(a), rp.Dirichlet(jnp.ones(3))))
    assert np.isnan(kl(jnp.asarray([1.0, -1.0, 2.0])))
