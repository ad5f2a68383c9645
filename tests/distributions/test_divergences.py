"""KL divergences: every closed form by quadrature or exact sums, nearly equal arguments, errors."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.integrate

import repara as rp
from tests.distributions.programs import compiled

# One program per pair of families; called directly, each operation would be compiled by itself.
divergence = compiled(rp.kl_divergence)
log_probs = compiled(lambda q, p, z: (q.log_prob(z), p.log_prob(z)))

TRIL = np.asarray([[1.5, 0.0, 0.0], [0.4, 0.7, 0.0], [-0.3, 0.2, 2.0]])
OTHER = np.asarray([[1.0, 0.0, 0.0], [-0.4, 2.0, 0.0], [0.5, 0.1, 0.8]])


def by_quadrature(q, p, dtype="float64"):
    """KL(q || p) of scalar distributions by integration over the quantiles of q, cell by cell."""

    @compiled
    def integrand(u):
        z = q.icdf(u)
        return q.log_prob(z) - p.log_prob(z)

    # Gauss-Legendre in the logit of u, whose ends reach exp(-60). Cells are
    # short because of the kinks of a Laplace density: the error there is the square of the length.
    nodes, weights = np.polynomial.legendre.leggauss(6)
    edges = np.linspace(-60.0, 36.0, 3841)
    half = 0.5 * np.diff(edges)[:, None]
    t = (0.5 * (edges[1:] + edges[:-1]))[:, None] + half * nodes
    u = 1 / (1 + np.exp(-t))
    values = np.asarray(integrand(u.ravel())).reshape(u.shape)
    return float(np.sum(half * weights * values * u / (1 + np.exp(t))))


NORMAL, LAPLACE, GUMBEL = rp.Normal(0.5, 0.6), rp.Laplace(-0.3, 0.8), rp.Gumbel(0.2, 1.5)
EXPONENTIAL, PARETO, UNIFORM = rp.Exponential(1.7), rp.Pareto(0.4, 6.0), rp.Uniform(0.5, 0.9)
CONTINUOUS, FLAT = rp.ContinuousBernoulli(logits=1.3), rp.ContinuousBernoulli(logits=0.0)

SCALAR_PAIRS = [
    (rp.Normal(0.5, 2.0), rp.Normal(-1.0, 0.7)),
    (rp.Normal(0.5, 0.1), rp.Normal(0.4, 3.0)),
    (rp.LogNormal(0.5, 0.3), rp.LogNormal(0.0, 0.7)),
    (rp.LogitNormal(0.5, 0.3), rp.LogitNormal(0.0, 0.7)),
    (rp.HalfNormal(0.5), rp.HalfNormal(1.5)),
    (NORMAL, GUMBEL),
    (NORMAL, LAPLACE),
    (LAPLACE, rp.Laplace(0.4, 1.9)),
    (LAPLACE, NORMAL),
    (GUMBEL, rp.Gumbel(-1.0, 2.5)),
    (GUMBEL, NORMAL),
    (rp.Cauchy(0.5, 2.0), rp.Cauchy(-1.0, 0.7)),
    (EXPONENTIAL, rp.Exponential(0.4)),
    (EXPONENTIAL, GUMBEL),
    (EXPONENTIAL, NORMAL),
    (rp.Weibull(2.0, 1.5), rp.Weibull(1.5, 2.5)),
    (PARETO, rp.Pareto(0.3, 2.0)),
    (PARETO, EXPONENTIAL),
    (PARETO, NORMAL),
    (UNIFORM, rp.Uniform(-1.0, 2.0)),
    (rp.LogUniform(0.5, 0.9), rp.LogUniform(0.1, 2.0)),
    (UNIFORM, EXPONENTIAL),
    (UNIFORM, GUMBEL),
    (UNIFORM, NORMAL),
    (UNIFORM, LAPLACE),
    (rp.Uniform(-1.0, 0.5), LAPLACE),
    (UNIFORM, PARETO),
    (UNIFORM, CONTINUOUS),
    (CONTINUOUS, rp.ContinuousBernoulli(logits=-0.4)),
    (CONTINUOUS, FLAT),
    (FLAT, CONTINUOUS),
    (CONTINUOUS, EXPONENTIAL),
    (CONTINUOUS, NORMAL),
    (CONTINUOUS, rp.Uniform(-0.5, 1.5)),
]
INFINITE = [
    (NORMAL, EXPONENTIAL),
    (LAPLACE, UNIFORM),
    (GUMBEL, PARETO),
    (EXPONENTIAL, CONTINUOUS),
    (EXPONENTIAL, PARETO),
    (PARETO, UNIFORM),
    (CONTINUOUS, PARETO),
    (rp.Cauchy(0.0, 1.0), rp.HalfNormal(1.0)),
    (rp.Uniform(0.0, 2.0), UNIFORM),
    (rp.Uniform(-1.0, 2.0), EXPONENTIAL),
    (rp.Uniform(0.1, 2.0), PARETO),
    (rp.Uniform(0.1, 2.0), CONTINUOUS),
    (rp.Pareto(0.2, 3.0), PARETO),
    (rp.Pareto(0.2, 0.9), EXPONENTIAL),
    (rp.Pareto(0.2, 1.9), NORMAL),
    (CONTINUOUS, UNIFORM),
]


GAMMA_PAIRS = [
    (rp.Gamma(2.5, 1.5), rp.Gamma(4.0, 0.7)),
    (rp.Gamma(2.5, 1.5), rp.Exponential(0.7)),
    (rp.Exponential(0.7), rp.Gamma(1.5, 2.0)),
    (rp.Chi2(3.0), rp.Gamma(2.0, 1.0)),
    (rp.Chi2(3.0), rp.Chi2(5.0)),
    (rp.Chi(3.0), rp.Chi(5.0)),
    (rp.InverseGamma(3.0, 2.0), rp.InverseGamma(4.0, 1.0)),
    (rp.ExpGamma(2.5, 1.5), rp.ExpGamma(4.0, 0.7)),
]


def _name(pair):
    return f"{pair[0]!r}-{pair[1]!r}"


@pytest.mark.parametrize("pair", INFINITE, ids=_name)
def test_infinite(pair):
    q, p = pair
    assert float(divergence(q, p)) == np.inf
    of_nan = jax.tree.map(lambda x: np.full_like(x, np.nan), q)
    assert np.isnan(divergence(of_nan, p))


@pytest.mark.parametrize("pair", SCALAR_PAIRS, ids=_name)
def test_scalar_pairs_by_quadrature(pair, x64):
    q, p = (jax.tree.map(lambda x: jnp.asarray(np.asarray(x), "float64"), d) for d in pair)
    np.testing.assert_allclose(divergence(q, p), by_quadrature(q, p), rtol=1e-6)


@pytest.mark.parametrize("pair", GAMMA_PAIRS, ids=_name)
def test_gamma_pairs_by_trapezoids(pair, x64):
    # As integrals over log z: the integrands are smooth and fall exponentially at both ends.
    q, p = (jax.tree.map(lambda x: jnp.asarray(np.asarray(x), "float64"), d) for d in pair)
    t = np.linspace(-40, 12, 20_001)
    z, slope = (t, 0 * t) if isinstance(q, rp.ExpGamma) else (np.exp(t), t)
    log_q, log_p = (np.asarray(x) for x in log_probs(q, p, z))
    weight = np.exp(log_q + slope)
    inside = weight > 0
    terms = (weight * (log_q - log_p))[inside]
    assert abs(weight.sum() * (t[1] - t[0]) - 1) < 1e-9
    np.testing.assert_allclose(divergence(q, p), terms.sum() * (t[1] - t[0]), rtol=1e-8)


def test_the_quadrature_rule(x64):
    # E_q[log q - log p] for p = q shifted by one standard deviation is 1/2.
    q, p = rp.Normal(np.float64(3.0), np.float64(2.0)), rp.Normal(np.float64(5.0), np.float64(2.0))
    np.testing.assert_allclose(by_quadrature(q, p), 0.5, rtol=1e-10)
    expected = scipy.integrate.quad(lambda x: np.exp(-0.5 * x * x) * x * x, -20, 20)[0]
    np.testing.assert_allclose(expected, np.sqrt(2 * np.pi), rtol=1e-10)


@pytest.mark.parametrize("gap", [0.0, 1e-9, 1e-5, 1e-2, 1.0, -1e-3, -0.9])
def test_nearly_equal_scales(gap, dtype):
    scale = np.asarray(1.5 * (1 + gap), dtype)
    q, p = (
        rp.Normal(np.asarray(0.0, dtype), scale),
        rp.Normal(np.asarray(0.0, dtype), np.asarray(1.5, dtype)),
    )
    r = mpmath.log(mpmath.mpf(float(scale)) / mpmath.mpf(1.5))
    exact = float((mpmath.expm1(2 * r) - 2 * r) / 2) if r else 0.0
    # r is known up to one rounding of the ratio: a relative error of eps / |r| for each factor r.
    eps = np.finfo(dtype).eps
    bound = 8 * eps * (exact + 2 * abs(float(r)))
    kl = float(rp.kl_divergence(q, p))
    assert kl >= 0
    assert abs(kl - exact) <= bound


def test_gradient_at_equal_arguments_is_zero(dtype):
    q = rp.Normal(np.asarray(0.3, dtype), np.asarray(1.5, dtype))
    slope = jax.grad(lambda q, p: rp.kl_divergence(q, p))(q, jax.lax.stop_gradient(q))
    assert float(slope.loc) == 0
    assert abs(float(slope.scale)) < 4 * np.finfo(dtype).eps


def _mvn(loc, root, kind):
    covariance = root @ root.T
    arguments = {
        "scale_tril": root,
        "covariance_matrix": covariance,
        "precision_matrix": np.linalg.inv(covariance),
        "scale_diag": np.diagonal(root),
    }
    return rp.MultivariateNormal(np.asarray(loc), **{kind: arguments[kind]})


@pytest.mark.parametrize("kind_p", ["scale_tril", "covariance_matrix", "scale_diag"])
@pytest.mark.parametrize("kind_q", ["scale_tril", "precision_matrix", "scale_diag"])
def test_multivariate_normal(kind_q, kind_p, x64):
    q, p = _mvn([0.0, 1.0, -2.0], TRIL, kind_q), _mvn([0.5, 0.0, 1.0], OTHER, kind_p)
    a, b = (np.asarray(d.covariance_matrix) for d in (q, p))
    shift = np.asarray(p.loc) - np.asarray(q.loc)
    expected = 0.5 * (
        np.trace(np.linalg.solve(b, a)) - 3 + shift @ np.linalg.solve(b, shift)
        + np.linalg.slogdet(b)[1] - np.linalg.slogdet(a)[1]
    )  # fmt: skip
    np.testing.assert_allclose(divergence(q, p), expected, rtol=1e-12)
    np.testing.assert_allclose(divergence(q, q), 0, atol=1e-14)


def test_multivariate_normal_batches(x64):
    roots = np.stack([TRIL, OTHER])
    q = rp.MultivariateNormal(np.zeros(3), roots)
    p = rp.MultivariateNormal(np.ones((4, 1, 3)), TRIL)
    kl = rp.kl_divergence(q, p)
    assert kl.shape == (4, 2)
    one = rp.kl_divergence(
        rp.MultivariateNormal(np.zeros(3), OTHER), rp.MultivariateNormal(np.ones(3), TRIL)
    )
    np.testing.assert_allclose(kl, np.broadcast_to([kl[0, 0], one], (4, 2)), rtol=1e-12)


@pytest.mark.parametrize("a", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("b", [0.0, 0.6, 1.0])
def test_bernoulli(a, b, x64):
    def term(x, y):
        return 0.0 if x == 0 else (np.inf if y == 0 else x * np.log(x / y))

    kl = rp.kl_divergence(rp.Bernoulli(probs=np.float64(a)), rp.Bernoulli(probs=np.float64(b)))
    np.testing.assert_allclose(kl, term(a, b) + term(1 - a, 1 - b), rtol=1e-14)


def test_bernoulli_logits_far_out(dtype):
    q, p = (rp.Bernoulli(logits=np.asarray(v, dtype)) for v in ([-300.0, 300.0], [300.0, 200.0]))
    exact = [300.0, 0.0]
    np.testing.assert_allclose(rp.kl_divergence(q, p), exact, rtol=1e-6, atol=1e-30)
    assert np.all(np.asarray(rp.kl_divergence(q, p)) >= 0)


def test_independent_sums(dtype):
    q = rp.Normal(np.zeros((2, 3), dtype), np.asarray([0.5, 1.0, 2.0], dtype))
    p = rp.Normal(np.ones(3, dtype), np.ones(3, dtype))
    each = rp.kl_divergence(q, p)
    total = rp.kl_divergence(rp.Independent(q, 1), rp.Independent(p, 1))
    np.testing.assert_allclose(total, np.asarray(each).sum(-1), rtol=8 * np.finfo(dtype).eps)
    with pytest.raises(ValueError, match="event shapes differ"):
        rp.kl_divergence(rp.Independent(q, 1), rp.Independent(q, 2))


def test_errors():
    with pytest.raises(NotImplementedError, match=r"Normal \|\| Bernoulli.*monte_carlo_kl"):
        rp.kl_divergence(rp.Normal(0.0, 1.0), rp.Bernoulli(probs=0.5))
    with pytest.raises(NotImplementedError, match=r"Moyal \|\| Normal"):
        rp.kl_divergence(rp.Moyal(0.0, 1.0), rp.Normal(0.0, 1.0))
    with pytest.raises(ValueError, match="event shapes differ: Normal has"):
        rp.kl_divergence(rp.Normal(0.0, 1.0), rp.Independent(rp.Normal(np.zeros(2), 1.0), 1))
    with pytest.raises(ValueError, match="at least 2, got 1"):
        rp.monte_carlo_kl(jax.random.key(0), rp.Normal(0.0, 1.0), rp.Normal(0.0, 1.0), 1)
    with pytest.raises(ValueError, match="broadcast"):
        rp.kl_divergence(rp.Normal(np.zeros(2), 1.0), rp.Normal(np.zeros(3), 1.0))


def test_bad_parameters_are_nan_under_jit():
    kl = jax.jit(lambda s: rp.kl_divergence(rp.Normal(0.0, s), rp.Normal(0.0, 1.0)))
    assert np.isnan(kl(-1.0))
    assert np.isnan(kl(0.0))


def test_monte_carlo_agrees_with_the_closed_form():
    q = rp.Normal(np.asarray([0.0, 1.0], "f"), np.asarray([1.0, 0.3], "f"))
    p = rp.Normal(np.asarray([[0.5], [-1.0], [0.0]], "f"), np.asarray(1.5, "f"))
    estimate, error = rp.monte_carlo_kl(jax.random.key(0), q, p, 100_000)
    exact = rp.kl_divergence(q, p)
    assert estimate.shape == error.shape == (3, 2)
    assert bool(jnp.all(error < 0.02 * (1 + exact)))
    assert bool(jnp.all(jnp.abs(estimate - exact) < 5 * error))
    # The discrete case, which samples without a transform.
    q, p = rp.Bernoulli(probs=0.3), rp.Bernoulli(probs=0.6)
    estimate, error = rp.monte_carlo_kl(jax.random.key(1), q, p, 100_000)
    assert abs(estimate - rp.kl_divergence(q, p)) < 5 * error


def test_monte_carlo_gradient_is_unbiased():
    p = rp.Normal(0.0, 1.0)
    n = 100_000

    def estimate(q):
        return rp.monte_carlo_kl(jax.random.key(2), q, p, n)[0]

    q = rp.Normal(0.7, 0.5)
    given, exact = jax.grad(estimate)(q), jax.grad(lambda q: rp.kl_divergence(q, p))(q)
    # d/dloc of a draw is z, d/dscale is z eps - 1/scale: standard deviations 0.5 and below 1.2.
    assert abs(given.loc - exact.loc) < 5 * 0.5 / np.sqrt(n)
    assert abs(given.scale - exact.scale) < 5 * 1.2 / np.sqrt(n)


def test_von_mises_and_von_mises_fisher():
    q, p = rp.VonMises(0.5, 3.0), rp.VonMises(-1.0, 0.7)
    x = np.linspace(-np.pi, np.pi, 4001)[:-1].astype("float32")
    log_q, log_p = (np.asarray(d.log_prob(x), "float64") for d in (q, p))
    exact = np.mean(np.exp(log_q) * (log_q - log_p)) * 2 * np.pi
    np.testing.assert_allclose(rp.kl_divergence(q, p), exact, rtol=1e-5)
    # In two dimensions both families agree.
    directions = [jnp.array([jnp.cos(d.loc), jnp.sin(d.loc)]) for d in (q, p)]
    plane = [rp.VonMisesFisher(m, d.concentration) for m, d in zip(directions, (q, p), strict=True)]
    np.testing.assert_allclose(rp.kl_divergence(*plane), exact, rtol=1e-5)
    # In three, to the uniform distribution: k (coth k - 1/k) - log(sinh(k) / k).
    k = 2.0
    uniform = rp.VonMisesFisher(jnp.array([0.0, 1.0, 0.0]), 0.0)
    peaked = rp.VonMisesFisher(jnp.array([0.0, 0.6, 0.8]), k)
    exact = k * (1 / np.tanh(k) - 1 / k) - np.log(np.sinh(k) / k)
    np.testing.assert_allclose(rp.kl_divergence(peaked, uniform), exact, rtol=1e-5)
    assert abs(float(rp.kl_divergence(peaked, peaked))) < 1e-6


@pytest.mark.parametrize(
    ("q", "p"),
    [
        (
            rp.Categorical(logits=jnp.array([0.3, -1.0, 2.0])),
            rp.Categorical(probs=jnp.array([0.2, 0.5, 0.3])),
        ),
        (
            rp.Categorical(probs=jnp.array([0.5, 0.0, 0.5])),
            rp.Categorical(probs=jnp.array([0.5, 0.25, 0.25])),
        ),
        (
            rp.OneHotCategorical(logits=jnp.array([0.3, -1.0])),
            rp.OneHotCategorical(logits=jnp.array([0.0, 1.0])),
        ),
        (rp.Binomial(7.0, probs=0.3), rp.Binomial(7.0, logits=0.2)),
        (rp.Binomial(7.0, probs=0.0), rp.Binomial(7.0, logits=0.2)),
        (rp.Poisson(3.5), rp.Poisson(1.2)),
        (rp.Geometric(probs=0.3), rp.Geometric(logits=0.4)),
    ],
    ids=lambda q: type(q).__name__,
)
def test_discrete(q, p):
    x = q.enumerate_support() if hasattr(q, "enumerate_support") else jnp.arange(200.0)
    log_q, log_p = (np.asarray(x, "float64") for x in log_probs(q, p, x))
    used = np.isfinite(log_q)
    exact = np.sum(np.exp(log_q[used]) * (log_q - log_p)[used])
    np.testing.assert_allclose(rp.kl_divergence(q, p), exact, rtol=2e-5)


def test_discrete_at_the_edges():
    assert rp.kl_divergence(rp.Binomial(5.0, probs=0.5), rp.Binomial(3.0, probs=0.5)) == jnp.inf
    assert jnp.isnan(rp.kl_divergence(rp.Binomial(3.0, probs=0.5), rp.Binomial(5.0, probs=0.5)))
    assert rp.kl_divergence(rp.Poisson(1.0), rp.Poisson(0.0)) == jnp.inf
    assert rp.kl_divergence(rp.Poisson(0.0), rp.Poisson(2.0)) == 2.0
    with pytest.raises(ValueError, match="3 categories against 2"):
        rp.kl_divergence(rp.Categorical(logits=jnp.zeros(3)), rp.Categorical(logits=jnp.zeros(2)))


def test_a_list_raises_and_names_the_parameter():
    with pytest.raises(TypeError, match=r"Categorical: logits must be .* got a list: pass jnp"):
        rp.Categorical(logits=[0.0, 1.0])
