"""KL between families: every pair of torch exists, and each form agrees with an integral."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

import repara as rp
from repara.distributions.divergences.registry import CLOSED_FORMS
from tests.distributions.programs import compiled
from tests.distributions.test_divergences import by_quadrature, divergence, log_probs

# torch.distributions.kl of torch 2.13, without LowRankMultivariateNormal and the generic
# ExponentialFamily.
_HALF = ("Exponential", "Gamma")
TORCH = {
    **{
        name: (name,)
        for name in ("Bernoulli", "Binomial", "Categorical", "Cauchy", "Geometric", "HalfNormal")
    },
    "OneHotCategorical": ("OneHotCategorical",),
    "Transformed": ("Transformed",),
    "MultivariateNormal": ("MultivariateNormal",),
    "Independent": ("Independent", "MultivariateNormal"),
    "Beta": ("Beta", "ContinuousBernoulli", *_HALF, "Normal", "Uniform", "Pareto"),
    "ContinuousBernoulli": ("ContinuousBernoulli", "Exponential", "Normal", "Uniform", "Pareto"),
    **{
        name: (*_HALF, "Gumbel", "Normal", "Beta", "ContinuousBernoulli", "Pareto", "Uniform")
        for name in _HALF
    },
    "Gumbel": ("Gumbel", "Normal"),
    "Laplace": ("Laplace", "Normal"),
    "Normal": ("Normal", "Gumbel", "Laplace"),
    "Pareto": ("Pareto", *_HALF, "Normal", "Beta", "ContinuousBernoulli", "Uniform"),
    "Poisson": ("Poisson", "Bernoulli", "Binomial"),
    "Uniform": ("Uniform", "Beta", "ContinuousBernoulli", *_HALF, "Gumbel", "Normal", "Pareto"),
}
for _q in ("Gumbel", "Laplace", "Normal"):
    TORCH[_q] += ("Beta", "ContinuousBernoulli", *_HALF, "Pareto", "Uniform")
TORCH["Bernoulli"] += ("Poisson",)


def test_every_pair_of_torch_is_registered():
    pairs = {(q.__name__, p.__name__) for q, p in CLOSED_FORMS}
    missing = [(q, p) for q, others in TORCH.items() for p in others if (q, p) not in pairs]
    assert not missing
    assert sum(map(len, TORCH.values())) == 83


BETA, GAMMA = rp.Beta(2.5, 1.7), rp.Gamma(2.5, 1.5)
UNIFORM, PARETO = rp.Uniform(0.3, 0.8), rp.Pareto(0.4, 6.0)

# On the scale z(t) both ends of these are smooth and fall exponentially.
BY_TRAPEZOIDS = [
    (BETA, rp.Beta(1.2, 3.0)),
    (BETA, rp.ContinuousBernoulli(logits=1.3)),
    (BETA, rp.Exponential(1.7)),
    (BETA, rp.Gamma(1.7, 2.0)),
    (BETA, rp.Chi2(3.0)),
    (BETA, rp.Normal(0.3, 0.6)),
    (BETA, rp.Uniform(-0.5, 1.2)),
    (GAMMA, rp.Gumbel(0.5, 1.3)),
    (rp.Chi2(3.0), rp.Gumbel(0.5, 1.3)),
    (GAMMA, rp.Normal(0.5, 1.3)),
    (rp.Chi2(3.0), rp.Normal(0.5, 1.3)),
]
BY_QUANTILES = [
    (PARETO, GAMMA),
    (PARETO, rp.Chi2(3.0)),
    (UNIFORM, GAMMA),
    (rp.Uniform(0.0, 0.8), GAMMA),
    (UNIFORM, BETA),
    (rp.Uniform(0.0, 1.0), BETA),
    (rp.Weibull(2.0, 1.5), GAMMA),
    (rp.Weibull(2.0, 1.5), rp.Chi2(3.0)),
    (rp.Weibull(2.0, 1.5), rp.Exponential(0.7)),
    (rp.Kumaraswamy(2.0, 3.0), BETA),
    (rp.Kumaraswamy(0.4, 1.5), BETA),
]
INFINITE = [
    (rp.Normal(0.0, 1.0), GAMMA),
    (rp.Laplace(0.0, 1.0), BETA),
    (rp.Gumbel(0.0, 1.0), rp.Chi2(2.0)),
    (rp.Exponential(1.0), BETA),
    (GAMMA, rp.ContinuousBernoulli(logits=0.3)),
    (GAMMA, rp.Pareto(0.1, 1.0)),
    (GAMMA, rp.Uniform(0.0, 9.0)),
    (PARETO, BETA),
    (BETA, PARETO),
    (BETA, UNIFORM),
    (rp.Uniform(-0.1, 1.0), BETA),
    (rp.Uniform(-0.1, 1.0), GAMMA),
    (rp.Pareto(0.2, 0.9), GAMMA),
    (rp.Poisson(2.0), rp.Bernoulli(probs=0.4)),
    (rp.Poisson(2.0), rp.Binomial(5.0, probs=0.4)),
]


def _name(pair):
    return f"{pair[0]!r}-{pair[1]!r}"


def _wide(pair):
    return [jax.tree.map(lambda x: jnp.asarray(np.asarray(x), "float64"), d) for d in pair]


@pytest.mark.parametrize("pair", BY_TRAPEZOIDS, ids=_name)
def test_by_trapezoids(pair, x64):
    q, p = _wide(pair)
    t = np.linspace(-36, 30, 6001)
    unit = isinstance(q, rp.Beta)
    z = 1 / (1 + np.exp(-t)) if unit else np.exp(np.minimum(t, 12))
    slope = -np.logaddexp(0, -t) - np.logaddexp(0, t) if unit else t
    log_q, log_p = log_probs(q, p, z)
    with np.errstate(invalid="ignore"):
        weight = np.nan_to_num(np.exp(np.asarray(log_q) + slope))
        terms = np.where(weight > 0, weight * (np.asarray(log_q) - np.asarray(log_p)), 0.0)
    step = t[1] - t[0]
    assert abs(weight.sum() * step - 1) < 1e-9
    np.testing.assert_allclose(divergence(q, p), terms.sum() * step, rtol=1e-8)
    narrow = [jax.tree.map(lambda x: x.astype("float32"), d) for d in (q, p)]
    np.testing.assert_allclose(divergence(*narrow), terms.sum() * step, rtol=2e-5)


@pytest.mark.parametrize("pair", BY_QUANTILES, ids=_name)
def test_by_quantiles(pair, x64):
    q, p = _wide(pair)
    np.testing.assert_allclose(divergence(q, p), by_quadrature(q, p), rtol=1e-6)


@pytest.mark.parametrize("pair", BY_TRAPEZOIDS + BY_QUANTILES, ids=_name)
def test_gradients(pair, x64):
    """Derivatives along one direction in all parameters agree with a five-point difference."""
    pair = _wide(pair)

    @compiled
    def program(pair):
        def moved(t):
            rng = np.random.default_rng(0)
            leaves, structure = jax.tree.flatten(tuple(pair))
            # the ends of an interval stay inside the support of the other
            still = [x == jnp.round(x) for x in leaves]
            sizes = [rng.uniform(0.3, 1.0) for _ in leaves]
            leaves = [
                jnp.where(s, x, x * (1 + t * d))
                for x, s, d in zip(leaves, still, sizes, strict=True)
            ]
            return rp.kl_divergence(*structure.unflatten(leaves))

        h = 1e-3
        values = jax.vmap(moved)(h * jnp.array([-2.0, -1.0, 1.0, 2.0]))
        return jax.grad(moved)(0.0), values @ jnp.array([1.0, -8.0, 8.0, -1.0]) / (12 * h)

    slope, difference = program(pair)
    np.testing.assert_allclose(slope, difference, rtol=1e-8, atol=1e-9)
    assert abs(slope) > 1e-3


def test_kumaraswamy_to_beta_to_rounding(x64):
    """Agrees with an integral at 30 digits; for a = 1 it is a beta distribution."""
    for a, b in ((2.0, 3.0), (0.3, 0.6), (7.0, 0.2), (0.05, 20.0)):
        q, p = rp.Kumaraswamy(np.float64(a), np.float64(b)), rp.Beta(np.float64(2.5), 1.7)
        with mp.workdps(30):
            inner = mp.quad(
                lambda s, a=a, b=b: mp.log(-mp.expm1(mp.log1p(-(s ** (1 / mp.mpf(b)))) / a)),
                [0, 1e-6, 0.1, 0.5, 0.9, 1],
            )
            mean_log = -(mp.euler + mp.digamma(b + 1)) / a
            log_beta = mp.log(mp.beta(mp.mpf("2.5"), mp.mpf(1.7)))
            cross = log_beta - 1.5 * mean_log - (mp.mpf(1.7) - 1) * inner
        exact = float(cross) - float(q.entropy())
        np.testing.assert_allclose(rp.kl_divergence(q, p), exact, rtol=1e-11)
    one, other = rp.Kumaraswamy(np.float64(1.0), 3.0), rp.Beta(np.float64(1.0), 3.0)
    assert abs(float(rp.kl_divergence(one, other))) < 1e-14


@pytest.mark.parametrize("pair", INFINITE, ids=_name)
def test_infinite(pair):
    q, p = pair
    assert float(divergence(q, p)) == np.inf
    rows = jax.tree.map(lambda x: jnp.stack([x, x]), q)
    assert jax.eval_shape(rp.kl_divergence, rows, p).shape == (2,)
    q_of_nan, p_of_nan = (jax.tree.map(lambda x: np.full_like(x, np.nan), d) for d in pair)
    assert np.isnan(divergence(q_of_nan, p))
    assert np.isnan(divergence(q, p_of_nan))


def test_bernoulli_and_poisson():
    m, rate = 0.3, 1.4
    exact = m * np.log(m / (rate * np.exp(-rate))) + (1 - m) * np.log((1 - m) / np.exp(-rate))
    kl = rp.kl_divergence(rp.Bernoulli(probs=m), rp.Poisson(rate))
    np.testing.assert_allclose(kl, exact, rtol=1e-5)
    # A Poisson variable of rate 0 is 0.
    kl = rp.kl_divergence(rp.Poisson(0.0), rp.Bernoulli(probs=0.4))
    np.testing.assert_allclose(kl, -np.log(0.6), rtol=1e-6)


def test_independent_normals_and_multivariate_normal(x64):
    q = rp.Independent(rp.Normal(np.zeros((2, 3)), np.float64(0.7)), 1)
    p = rp.MultivariateNormal(np.ones(3), np.asarray([[1.5, 0, 0], [0.4, 0.7, 0], [-0.3, 0.2, 2]]))
    same = rp.MultivariateNormal(np.zeros((2, 3)), scale_diag=np.full(3, 0.7))
    for a, b, c in ((q, p, (same, p)), (p, q, (p, same))):
        np.testing.assert_allclose(rp.kl_divergence(a, b), rp.kl_divergence(*c), rtol=1e-14)
    other = rp.Independent(rp.Laplace(np.zeros(3), 1.0), 1)
    with pytest.raises(NotImplementedError, match=r"Independent\(Laplace\)"):
        rp.kl_divergence(other, p)


def test_transformed_by_one_bijector():
    bases = rp.Normal(jnp.array([0.3, 1.0]), 1.2), rp.Normal(0.0, 0.8)
    exact = rp.kl_divergence(*bases)
    affine = rp.bijectors.Affine(jnp.float32(1.0), jnp.float32(2.0))

    def of(bijector, other):
        q, p = (rp.Transformed(b, t) for b, t in zip(bases, (bijector, other), strict=True))
        return rp.kl_divergence(q, p)

    for bijector in (rp.bijectors.Exp(), rp.bijectors.Tanh(), affine):
        np.testing.assert_array_equal(of(bijector, bijector), exact)
    np.testing.assert_array_equal(jax.jit(lambda t: of(t, t))(affine), exact)
    with pytest.raises(NotImplementedError, match="unless the bijector is one and the same"):
        of(rp.bijectors.Exp(), rp.bijectors.Tanh())
    with pytest.raises(NotImplementedError, match="the bijector"):
        of(affine, rp.bijectors.Affine(jnp.float32(0.0), jnp.float32(2.0)))
    # The derivative in the parameters of one of two equal bijectors is not zero: an error.
    with pytest.raises(NotImplementedError, match="the bijector"):
        jax.grad(lambda t: jnp.sum(of(t, affine)))(affine)


def test_truncated_to_its_base(dtype):
    base = rp.Exponential(np.asarray(2.0, dtype))
    cut = rp.Truncated(base, 0.5, 1.5)
    exact = -np.log(np.exp(-1.0) - np.exp(-3.0))
    np.testing.assert_allclose(rp.kl_divergence(cut, base), exact, rtol=4e-6)
    with pytest.raises(NotImplementedError, match="unless the base is one and the same"):
        rp.kl_divergence(cut, rp.Exponential(np.asarray(3.0, dtype)))
    normal = rp.Normal(np.asarray(0.5, dtype), np.asarray(2.0, dtype))
    for low, high in ((-1.0, 3.0), (40.5, 41.0)):
        cut = rp.TruncatedNormal(normal.loc, normal.scale, low, high)
        a, b = (low - 0.5) / 2, (high - 0.5) / 2
        exact = float(-mp.log(mp.ncdf(-a) - mp.ncdf(-b)))
        np.testing.assert_allclose(rp.kl_divergence(cut, normal), exact, rtol=4e-6)

    def of_one(m):
        normal = rp.Normal(m, 2.0)
        return rp.kl_divergence(rp.TruncatedNormal(normal.loc, 2.0, -1.0, 3.0), normal)

    slope = jax.grad(of_one)(normal.loc)
    mass = mp.ncdf(1.25) - mp.ncdf(-0.75)
    exact = float((mp.npdf(1.25) - mp.npdf(-0.75)) / 2 / mass)
    np.testing.assert_allclose(slope, exact, rtol=1e-4)
