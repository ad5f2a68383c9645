"""Tests of discrete families that the registry does not cover."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.stats

import repara as rp
from tests.distributions.programs import compiled

# One program per family and shape; called directly, each operation would be compiled by itself.
log_prob_of = compiled(lambda q, k: q.log_prob(k))
cdf_of = compiled(lambda q, x: q.cdf(x))


def test_entropies_are_sums_over_the_support(dtype):
    families = [
        rp.Categorical(logits=np.asarray([[0.0, 1.0, -2.0], [3.0, 3.0, 3.0]], dtype)),
        rp.Categorical(probs=np.asarray([[0.0, 0.25, 0.75], [1.0, 0.0, 0.0]], dtype)),
        rp.OneHotCategorical(logits=np.asarray([0.0, 1.0, -2.0], dtype)),
        rp.Binomial(np.asarray([3.0, 9.0], dtype), probs=np.asarray(0.3, dtype)),
    ]
    for q in families:
        log_prob = np.asarray(log_prob_of(q, q.enumerate_support()), "float64")
        terms = np.exp(log_prob) * np.where(log_prob > -np.inf, log_prob, 0.0)
        # Outside jit: the size of the support must be concrete.
        np.testing.assert_allclose(q.entropy(), -terms.sum(0), rtol=1e-6, atol=1e-6)
    p = 0.3
    q = rp.Geometric(probs=np.asarray(p, dtype))
    np.testing.assert_allclose(q.entropy(), scipy.stats.geom(p).entropy(), rtol=1e-6)


def test_an_impossible_category_has_zero_gradient():
    """A logit of -inf has probability 0 and gradient 0, not NaN."""

    def entropy(logits):
        return rp.Categorical(logits=logits).entropy()

    logits = jnp.asarray([0.0, 1.0, -jnp.inf])
    np.testing.assert_allclose(entropy(logits), entropy(logits[:2]), rtol=1e-6)
    q = rp.Categorical(logits=logits)
    assert float(q.log_prob(2)) == -np.inf
    draws = q.sample(jax.random.key(0), (1000,))
    assert not np.any(draws == 2)


def test_log_prob_gradient_is_the_score():
    logits = jnp.asarray([0.3, -0.2, 1.0])
    score = jax.grad(lambda v: rp.Categorical(logits=v).log_prob(1))(logits)
    np.testing.assert_allclose(score, jnp.asarray([0.0, 1, 0]) - jax.nn.softmax(logits), rtol=1e-6)


def test_probabilities_outside_the_simplex_raise():
    for family in (rp.Categorical, rp.OneHotCategorical):
        for bad in ([0.5, 0.6], [-0.1, 1.1], [np.nan, 1.0]):
            with pytest.raises(ValueError, match=rf"{family.__name__}: probs must be nonneg"):
                family(probs=np.asarray(bad, "f"))


def test_edges_of_probabilities():
    # The logarithms of the factorials are rounded.
    given = [rp.Binomial(3.0, probs=p).log_prob(np.asarray([0.0, 1.0, 2.0, 3.0])) for p in (0, 1)]
    np.testing.assert_allclose(given[0], [0, -np.inf, -np.inf, -np.inf], atol=1e-6)
    np.testing.assert_allclose(given[1], [-np.inf, -np.inf, -np.inf, 0], atol=1e-6)
    ends = np.asarray([0.0, 1.0])
    np.testing.assert_allclose(rp.Poisson(0.0).log_prob(ends), [0, -np.inf], atol=1e-6)
    np.testing.assert_array_equal(rp.Geometric(probs=1.0).log_prob(ends), [0, -np.inf])
    assert float(rp.Geometric(probs=1.0).sample(jax.random.key(0))) == 0


def test_no_enumeration_under_jit_if_the_size_is_a_parameter():
    with pytest.raises(NotImplementedError, match="total_count is concrete"):
        jax.jit(lambda n: rp.Binomial(n, probs=0.5).entropy())(3.0)


LARGE = {
    "poisson": (lambda t: rp.Poisson(t(1e4)), scipy.stats.poisson(1e4)),
    "binomial": (lambda t: rp.Binomial(t(1e5), probs=t(0.25)), scipy.stats.binom(1e5, 0.25)),
    "negative_binomial": (
        lambda t: rp.NegativeBinomial(t(1e4), probs=t(0.75)),
        scipy.stats.nbinom(1e4, 0.25),
    ),
}


def _factorial(x):
    return mpmath.loggamma(x + 1)


def _exact_log_prob(name, k):
    """Reference at 40 digits: scipy is wrong in the eleventh digit."""
    p, k = mpmath.mpf(1) / 4, mpmath.mpf(float(k))
    if name == "poisson":
        return k * mpmath.log(10000) - 10000 - _factorial(k)
    n = mpmath.mpf(100000 if name == "binomial" else 10000)
    if name == "binomial":
        choose = _factorial(n) - _factorial(k) - _factorial(n - k)
        return choose + k * mpmath.log(p) + (n - k) * mpmath.log(1 - p)
    choose = _factorial(n + k - 1) - _factorial(k) - _factorial(n - 1)
    return choose + k * mpmath.log(1 - p) + n * mpmath.log(p)


@pytest.mark.parametrize("name", LARGE)
def test_large_counts_are_accurate(name, dtype):
    """Log-factorials are 1e5 to 1e6: their difference in float32 would keep two digits."""
    make, reference = LARGE[name]
    q = make(np.dtype(dtype).type)
    k = np.unique(reference.ppf([1e-12, 1e-6, 1e-3, 0.01, 0.3, 0.5, 0.9, 0.99, 1 - 1e-6]))
    with mpmath.workdps(40):
        exact = np.asarray([float(_exact_log_prob(name, v)) for v in k])
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(log_prob_of(q, k.astype(dtype)), exact, rtol=8 * eps, atol=16 * eps)
    # The parameter 1 - p is rounded, and the distribution function is as steep as 1 / sqrt(n).
    slack = 16 * eps * reference.mean() / reference.std()
    cdf = cdf_of(q, k.astype(dtype))
    np.testing.assert_allclose(cdf, reference.cdf(k), rtol=1e-6, atol=slack)
    mode = float(q.mode)
    # Both 1e4 and 9,999 are modes of the Poisson distribution of rate 1e4.
    assert reference.pmf(mode) * (1 + 1e-9) >= reference.pmf([mode - 1, mode + 1]).max()


@pytest.mark.parametrize(
    ("q", "reference"),
    [
        (rp.Bernoulli(probs=0.3), scipy.stats.bernoulli(0.3)),
        (rp.Bernoulli(logits=-0.4), scipy.stats.bernoulli(1 / (1 + np.exp(0.4)))),
        (rp.Categorical(probs=np.asarray([0.2, 0.5, 0.3], "f")), None),
        (rp.Binomial(7.0, probs=0.3), scipy.stats.binom(7, 0.3)),
        (rp.Binomial(7.0, logits=0.5), scipy.stats.binom(7, 1 / (1 + np.exp(-0.5)))),
        (rp.Binomial(0.0, probs=0.3), scipy.stats.binom(0, 0.3)),
        (rp.Poisson(3.5), scipy.stats.poisson(3.5)),
        (rp.Poisson(0.0), scipy.stats.poisson(0.0)),
        (rp.Geometric(probs=0.3), scipy.stats.geom(0.3, loc=-1)),
        (rp.NegativeBinomial(3.5, probs=0.4), scipy.stats.nbinom(3.5, 0.6)),
        (rp.NegativeBinomial(2.0, logits=0.4), scipy.stats.nbinom(2, 1 / (1 + np.exp(0.4)))),
    ],
    ids=lambda q: type(q).__name__,
)
def test_distribution_functions(q, reference):
    x = np.asarray([-1.0, -0.5, 0.0, 0.3, 1.0, 2.0, 2.9, 5.0, 7.0, 30.0, np.inf, np.nan], "f")
    if reference is None:
        expected = np.asarray([0, 0, 0.2, 0.2, 0.7, 1, 1, 1, 1, 1, 1, np.nan])
    else:
        expected = reference.cdf(x)
    np.testing.assert_allclose(cdf_of(q, x), expected, rtol=2e-6, atol=1e-6)
    lost = jax.tree.map(lambda x: x + jnp.nan, q)
    assert np.all(np.isnan(cdf_of(lost, x[:-1])))  # outside jit it is an error


def _sum_of_terms(q, n):
    """Returns the entropy as a sum over the first n values; few sizes, for few programs."""
    size = next(size for size in (2**12, 2**16, 2**20) if n <= size)
    log_q = np.asarray(log_prob_of(q, np.arange(float(size))))[: int(n)]
    return -np.sum(np.exp(log_q) * np.where(log_q > -np.inf, log_q, 0))


@compiled
def _entropy_of_poisson(rate):
    return jax.value_and_grad(lambda rate: rp.Poisson(rate).entropy())(rate)


@compiled
def _entropy_of_negative_binomial(count, p):
    def entropy(p):
        return rp.NegativeBinomial(count, probs=p).entropy()

    return jax.value_and_grad(entropy)(p)


@pytest.mark.parametrize("rate", [0.0, 1e-3, 0.5, 3.0, 40.0, 63.5, 200.0, 1e4])
def test_entropy_of_poisson(rate, x64):
    entropy, slope = _entropy_of_poisson(rate)
    n = np.floor(rate + 40 * np.sqrt(rate) + 60)
    np.testing.assert_allclose(entropy, _sum_of_terms(rp.Poisson(rate), n), rtol=1e-11)
    if rate > 0:
        h = 1e-4 * rate
        ends = [_sum_of_terms(rp.Poisson(rate + d), n) for d in (-h, h)]
        np.testing.assert_allclose(slope, (ends[1] - ends[0]) / (2 * h), rtol=1e-6)


@pytest.mark.parametrize(
    ("count", "p"),
    [(0.01, 0.5), (0.01, 0.999), (0.3, 0.9999), (3.5, 0.4), (30.0, 0.99), (1e4, 0.5), (0.05, 1e-3)],
)
def test_entropy_of_negative_binomial(count, p, x64):
    def sum_of_terms(p):
        return _sum_of_terms(rp.NegativeBinomial(count, probs=p), n)

    entropy, slope = _entropy_of_negative_binomial(count, p)
    reference = scipy.stats.nbinom(count, 1 - p)
    n = np.floor(reference.mean() + 45 * reference.std() + 60 / (1 - p))
    np.testing.assert_allclose(entropy, sum_of_terms(p), rtol=1e-11)
    h = 1e-4 * min(p, 1 - p)
    ends = [sum_of_terms(p + d) for d in (-h, h)]
    np.testing.assert_allclose(slope, (ends[1] - ends[0]) / (2 * h), rtol=1e-5)


def test_gradient_of_a_count_of_zero_at_rate_zero():
    assert float(jax.grad(lambda r: rp.Poisson(r).log_prob(0.0))(0.0)) == -1.0
