"""Cases in which other libraries give NaN, zero or biased gradients, in float32."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.special
import scipy.stats

import repara as rp
from tests.distributions.programs import compiled

# The usual range of i.i.d. noise; each end has probability 3e-7.
EPS = np.linspace(-5, 5, 101).astype("float32")
U = np.linspace(0.005, 0.995, 100).astype("float32")


def value_and_slope(make, parameter, noise):
    """Samples of make(parameter) at each noise and their derivatives in the parameter."""

    def program(parameter, noise):
        return jax.vmap(
            jax.value_and_grad(lambda p, e: make(p).transform(e)), (None, 0)
        )(parameter, noise)  # fmt: skip

    out = compiled(program)(jnp.float32(parameter), noise)
    return [np.asarray(v, "float64") for v in out]


@pytest.mark.parametrize("a", [1e-3, 1e-2])
def test_gamma_of_small_concentration(a):
    """log z = log(Gamma(a + 1) Phi(eps)) / a: no NaN, and zero only if z underflows."""
    z, slope = value_and_slope(lambda a: rp.Gamma(a, 1.0), a, EPS)
    log_z = (scipy.special.gammaln(1 + a) + scipy.stats.norm.logcdf(EPS)) / a
    near = log_z < np.log(1e-3)
    exact = np.exp(log_z)
    by_log = -log_z / a + scipy.special.digamma(1 + a) / a
    seen = near & (log_z > -80)
    assert np.all(np.isfinite(z) & np.isfinite(slope))
    np.testing.assert_allclose(z[near & ~seen], 0, atol=1e-34)
    assert np.all(slope[~near] > 0)
    # relative: rounding of log Phi / a, and the omitted term z / (a + 1)
    bound = 4e-7 / a * (1 + np.abs(scipy.stats.norm.logcdf(EPS))) + 2 * exact
    assert np.all(np.abs(z - exact)[seen] <= (bound * exact)[seen])
    assert np.all(np.abs(slope - exact * by_log)[seen] <= (4 * bound * exact * by_log)[seen])
    # The logarithm has the gradient everywhere.
    y, slope = value_and_slope(lambda a: rp.ExpGamma(a, 1.0), a, EPS)
    np.testing.assert_allclose(y[near], log_z[near], rtol=1e-5, atol=2e-3)
    np.testing.assert_allclose(slope[near], by_log[near], rtol=2e-3)


FAR = {"float32": [1e-37, 1e-20, 1e-9, 1e-3], "float64": [1e-300, 1e-60, 1e-18, 1e-3]}


def _log_tail_and_slope(a, z, upper):
    """The logarithm of a tail of a standard gamma variable; dz/da at constant probability."""

    def log_tail(a, z):
        ends = (z, mpmath.inf) if upper else (0, z)
        return mpmath.log(mpmath.gammainc(a, *ends, regularized=True))

    with mpmath.workdps(40):
        value = log_tail(a, mpmath.mpf(z))
        by_a = mpmath.diff(lambda a: log_tail(a, mpmath.mpf(z)), a)
        log_density = (a - 1) * mpmath.log(z) - z - mpmath.loggamma(a)
        by_z = mpmath.exp(log_density - value) * (-1 if upper else 1)
        return float(value), float(-by_a / by_z)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("side", ["_icdf", "_isf"])
@pytest.mark.parametrize("a", [1.5, 300.0])
def test_gamma_quantiles_beyond_generated_noise(a, side, dtype):
    """Quantiles of the smallest probabilities, and of noise in the usual range."""

    def quantile(a, u):
        return getattr(rp.Gamma(a, 1.0), side)(u)

    with jax.enable_x64(dtype == "float64"):
        u = np.array(FAR[dtype], dtype)
        program = jax.jit(jax.vmap(jax.value_and_grad(quantile), (None, 0)))
        z, slope = (np.asarray(v, "float64") for v in program(np.array(a, dtype), u))
    exact = np.array([_log_tail_and_slope(a, x, side == "_isf") for x in z])
    # The last is in the range of the fits, whose relative error is 1e-11.
    rounding = 32 * np.finfo(dtype).eps
    tolerance = np.where(u < 1e-4, rounding, max(rounding, 2e-11))
    # An error of a few roundings of z changes the logarithm of its tail by its derivative times
    # the error, and the derivatives refer to that logarithm.
    condition = np.maximum(np.abs(np.log(u)), a)
    assert np.all(np.abs(exact[:, 0] - np.log(u)) < tolerance * condition)
    assert np.all(np.abs(slope / exact[:, 1] - 1) < tolerance * condition)


def test_quantiles_beyond_generated_noise_of_gamma_like_families():
    u, a = 1e-35, 0.02
    log_z = (np.log(u) + scipy.special.gammaln(1 + a)) / a
    by_a = -log_z / a + scipy.special.digamma(1 + a) / a
    z, slope = jax.value_and_grad(lambda a: rp.ExpGamma(a, 1.0).icdf(u))(a)
    np.testing.assert_allclose([z, slope], [log_z, by_a], rtol=2e-5)
    z = rp.InverseGamma(3.0, 2.0)._isf(u)
    np.testing.assert_allclose(z, scipy.stats.invgamma.isf(u, 3.0, scale=2.0), rtol=2e-6)
    np.testing.assert_allclose(rp.Chi(3.0)._isf(u), scipy.stats.chi.isf(u, 3.0), rtol=2e-6)
    np.testing.assert_allclose(rp.Chi2(3.0).icdf(u), scipy.stats.chi2.ppf(u, 3.0), rtol=2e-5)
    for power in (0.5, 1.5, 8.0):
        q = rp.GeneralizedNormal(1.0, 2.0, power)
        exact = scipy.stats.gennorm.ppf(u, power, 1.0, 2.0)
        np.testing.assert_allclose(q.icdf(u), exact, rtol=5e-6)
        np.testing.assert_allclose(q._isf(u), 2.0 - exact, rtol=5e-6)


@pytest.mark.parametrize(
    ("q", "peer"),
    [
        (rp.Beta(2.0, 3.0), scipy.stats.beta(2.0, 3.0)),
        (rp.Beta(3.0, 300.0), scipy.stats.beta(3.0, 300.0)),
        (rp.FisherSnedecor(3.0, 4.0), scipy.stats.f(3.0, 4.0)),
    ],
)
def test_quantiles_beyond_generated_noise_of_beta_like_families(q, peer):
    u = np.array([1e-35, 1e-12, 1e-9, 0.3], "float32")
    exact = peer.ppf(u.astype("float64"))
    z, slope = jax.jit(jax.vmap(jax.value_and_grad(lambda u: q.icdf(u))))(u)
    np.testing.assert_allclose(z, exact, rtol=1e-5)
    np.testing.assert_allclose(slope * peer.pdf(exact), 1, rtol=1e-4)
    np.testing.assert_allclose(q._isf(u[-1]), peer.isf(0.3), rtol=1e-5)


def test_quantiles_beyond_generated_noise_of_von_mises():
    q, u = rp.VonMises(0.5, 200.0), np.array([1e-35, 1e-12, 1e-9, 0.3], "float32")
    with jax.enable_x64(True):
        exact = rp.VonMises(0.5, 200.0).icdf(u.astype("float64"))
    np.testing.assert_allclose(q.icdf(u), exact, rtol=1e-5)
    np.testing.assert_allclose(q._isf(u), 1 - np.asarray(exact), rtol=1e-5)


def test_inverse_gamma_of_small_concentration():
    """No NaN; infinite only if the value is beyond the largest number."""
    z, slope = value_and_slope(lambda a: rp.InverseGamma(a, 1.0), 0.01, EPS)
    log_z = -(scipy.special.gammaln(1.01) + scipy.stats.norm.logcdf(-EPS)) / 0.01
    assert not np.any(np.isnan(z) | np.isnan(slope))
    np.testing.assert_array_equal(np.isinf(z), log_z > np.log(np.finfo("float32").max))
    assert np.all(np.isfinite(slope[log_z < 70]) & (slope[log_z < 70] < 0))


@pytest.mark.slow
def test_student_t_of_few_degrees_of_freedom():
    """Accurate if float32 can represent the value, also below the documented range."""
    eps = EPS[np.abs(EPS) > 0.05]
    for df in (0.05, 0.3):
        z, slope = value_and_slope(lambda d: rp.StudentT(d, 0.0, 1.0), df, eps)
        with np.errstate(all="ignore"):
            exact = np.sign(eps) * scipy.stats.t.isf(scipy.stats.norm.sf(np.abs(eps)), df)
        seen = np.abs(exact) < 1e30
        np.testing.assert_allclose(z[seen], exact[seen], rtol=2e-4)
        assert np.all(np.isfinite(slope[seen]))
        assert np.all(slope[seen] * eps[seen] < 0)


@pytest.mark.slow
def test_beta_of_small_concentrations():
    z, slope = value_and_slope(lambda a: rp.Beta(a, 0.01), 0.01, EPS)
    assert np.all(np.isfinite(z) & np.isfinite(slope) & (slope >= 0))
    y, slope = value_and_slope(lambda a: _Logit(a), 0.01, EPS)
    assert np.all(np.isfinite(y) & np.isfinite(slope) & (slope > 0))


class _Logit:
    """Samples of a beta distribution before they are rounded."""

    def __init__(self, a):
        self.a = a

    def transform(self, eps):
        return rp.special.logit_beta_from_normal(eps, self.a, 0.01)


def test_von_mises_uniform_and_narrow():
    """F = (pi + z + k sin z) / (2 pi) to first order in k; eps / sqrt(k) for large k."""
    z, slope = value_and_slope(lambda k: rp.VonMises(0.0, k), 0.0, EPS)
    np.testing.assert_allclose(slope, -np.sin(z), rtol=1e-4, atol=1e-6)
    z, slope = value_and_slope(lambda k: rp.VonMises(0.0, k), 1e8, EPS)
    np.testing.assert_allclose(z, 1e-4 * EPS, rtol=1e-5)
    np.testing.assert_allclose(slope, -0.5e-12 * EPS, rtol=1e-4)


def test_relaxed_bernoulli_of_low_temperature():
    """z = sigmoid(x / T): dz/dx = z (1 - z) / T, finite if z rounds to 0 or 1."""

    def make(x):
        return rp.RelaxedBernoulli(0.01, logits=x)

    z, slope = value_and_slope(make, 0.3, U)
    x = (0.3 + np.log(U.astype("float64")) - np.log1p(-U.astype("float64"))) / 0.01
    np.testing.assert_allclose(z, scipy.special.expit(x), atol=2e-4)
    exact = scipy.special.expit(x) * scipy.special.expit(-x) / 0.01
    np.testing.assert_allclose(slope, exact, atol=2e-2, rtol=1e-3)


@pytest.mark.parametrize(
    ("make", "first", "second"),
    [
        # With z the sample at 0: expm1(c z) / c = z + c z^2 / 2 + c^2 z^3 / 6.
        (lambda c: rp.GeneralizedPareto(0.0, 1.0, c), lambda z: z**2 / 2, lambda z: z**3 / 3),
        (lambda c: rp.GeneralizedExtremeValue(0.0, 1.0, c), lambda z: z**2 / 2,
         lambda z: z**3 / 3),
        # log1p(u expm1(l)) / l = u + l u (1 - u) / 2 + l^2 u (1 - u) (1 - 2 u) / 6
        (lambda x: rp.ContinuousBernoulli(logits=x), lambda u: u * (1 - u) / 2,
         lambda u: u * (1 - u) * (1 - 2 * u) / 3),
        # and l = 4 (p - 1/2) + O((p - 1/2)^3)
        (lambda d: rp.ContinuousBernoulli(probs=0.5 + d), lambda u: 2 * u * (1 - u),
         lambda u: 16 * u * (1 - u) * (1 - 2 * u) / 3),
    ],
    ids=["generalized_pareto", "generalized_extreme_value", "logits", "probs"],
)  # fmt: skip
def test_removable_singularities(make, first, second):
    """The derivatives at 0, which other libraries report as zero."""

    @compiled
    def program(x):
        def along(f):
            return lambda x: jax.jvp(f, (x,), (jnp.ones_like(x),))

        (z, by_first), (_, by_second) = along(along(lambda x: make(x).transform(U)))(x)
        return z, by_first, by_second

    z, by_first, by_second = (np.asarray(v, "float64") for v in program(jnp.float32(0)))
    np.testing.assert_allclose(by_first, first(z), rtol=4e-6, atol=1e-6)
    np.testing.assert_allclose(by_second, second(z), rtol=2e-5, atol=2e-6)


def test_truncated_normal_twenty_scales_out():
    """d mean / d loc is the variance over scale^2, here 0.00247; others have 1 or NaN."""
    eps = rp.noise.stratified(jax.random.key(0), (4096,), (), "normal", jnp.float32)
    z, slope = value_and_slope(lambda m: rp.TruncatedNormal(m, 1.0, 20.0, 21.0), 0.0, eps)
    assert np.all((z >= 20) & (z <= 21))
    assert len(np.unique(z)) > 3000
    # Mean and variance by quadrature of the density.
    t = (np.arange(20_000) + 0.5) / 20_000
    p = np.exp(-20 * t - t * t / 2)
    mean = np.sum(p * t) / np.sum(p)
    variance = np.sum(p * (t - mean) ** 2) / np.sum(p)
    assert abs(z.mean() - 20 - mean) < 2e-5
    np.testing.assert_allclose(slope.mean(), variance, rtol=5e-3)


def test_inverse_gaussian_is_unbiased():
    """E z is the mean: derivative 1 and no curvature; other libraries have 1.06 to 1.3."""
    n = 1 << 14
    eps = rp.noise.stratified(jax.random.key(1), (n,), (1,), "normal", jnp.float32)

    @compiled
    def program(m, eps):
        def along(f):
            return lambda m: jax.jvp(f, (m,), (jnp.ones_like(m),))

        f = along(along(lambda m: rp.InverseGaussian(m, 1.0).transform(eps)))
        (_, first), (_, second) = f(m)
        return first, second

    first, second = (np.asarray(v, "float64") for v in program(jnp.array([0.3, 0.9, 3.0]), eps))
    for values, exact in ((first, 1.0), (second, 0.0)):
        # one standard error of independent draws; stratified draws are much more accurate
        error = values.std(0) / np.sqrt(n)
        assert np.all(error < 0.06)
        assert np.all(np.abs(values.mean(0) - exact) < error)


def test_student_t_of_many_degrees_of_freedom():
    """Peak and entropy are exact to rounding; differences of log Gamma and digamma would not be."""
    df = np.asarray([0.3, 5.0, 1e3, 1e6], "float32")
    q = rp.StudentT(df, 0.0, 2.0)
    exact = scipy.stats.t(df.astype("float64"), 0.0, 2.0)
    np.testing.assert_allclose(q.log_prob(0.3), exact.logpdf(np.float32(0.3)), rtol=2e-6)
    # scipy's entropy is inaccurate here, so the reference is the limit, a normal distribution.
    np.testing.assert_allclose(q.entropy()[:3], exact.entropy()[:3], rtol=2e-6)
    normal = 0.5 * np.log(2 * np.pi * np.e) + np.log(2)
    np.testing.assert_allclose(q.entropy()[3], normal, rtol=2e-6)


def test_generalized_normal_nearly_uniform():
    """dz/dp of z = P (1 + ...): finite and odd at power 50; other libraries have NaN."""
    z, slope = value_and_slope(lambda p: rp.GeneralizedNormal(0.0, 1.0, p), 50.0, EPS)
    assert np.all(np.isfinite(z) & np.isfinite(slope))
    np.testing.assert_allclose(z + z[::-1], 0, atol=1e-6)
    np.testing.assert_allclose(slope + slope[::-1], 0, atol=1e-6)
    # Inside, z = Gamma(1 + 1/p) erf(eps / sqrt 2) to the power z^50 / 51.
    share = scipy.special.erf(EPS.astype("float64") / np.sqrt(2))
    inner = np.abs(share) < 0.6
    by_power = -scipy.special.gamma(1.02) * scipy.special.digamma(1.02) / 2500 * share
    np.testing.assert_allclose(z[inner], scipy.special.gamma(1.02) * share[inner], rtol=1e-6)
    np.testing.assert_allclose(slope[inner], by_power[inner], rtol=1e-4, atol=1e-9)


def test_beta_that_rounds_to_one_has_a_finite_density_with_its_sample():
    """The density contains the logarithm of 1 - z, although z rounds to 1."""
    eps = np.float32([0.5, 2.0, 4.0])
    q = rp.Beta(1.0, np.float32([0.02, 0.02, 0.02]))
    source = lambda *_: jnp.asarray(eps)  # noqa: E731

    @compiled
    def program(q):
        return q.rsample_and_log_prob(jax.random.key(0), source=source)

    z, log_q = program(q)
    assert np.all(z == 1)
    # z ~ Beta(1, b): 1 - z = v^(1 / b) with v = 1 - Phi(eps), density b (1 - z)^(b - 1).
    log_rest = scipy.stats.norm.logsf(eps.astype("float64")) / 0.02
    np.testing.assert_allclose(log_q, np.log(0.02) + (0.02 - 1) * log_rest, rtol=1e-4)


def test_von_mises_distribution_function(dtype):
    """The cdf of samples, cut opposite the mean angle: 0 and 1 at the cut, which icdf inverts."""
    loc, k = 1.0, np.array([0.0, 0.5, 3.0, 100.0], dtype)
    q = rp.VonMises(jnp.asarray(loc, dtype), jnp.asarray(k))
    x = np.linspace(loc - 3.1, loc + 3.1, 21).astype(dtype)[:, None]

    @compiled
    def program(x, u):
        ends = jnp.asarray([loc - 4, loc - np.pi, loc + np.pi, loc + 4], dtype)[:, None]
        slope = jax.vmap(jax.grad(lambda v: jnp.sum(q.cdf(v))))(x)
        return q.cdf(x), q.cdf(q.icdf(u)), q.cdf(ends), slope, jnp.exp(q.log_prob(x))

    u = jnp.asarray([0.0, 1e-6, 0.3, 0.5, 0.999, 1.0], dtype)[:, None]
    cdf, back, ends, slope, density = (np.asarray(v, "float64") for v in program(x, u))
    eps = np.finfo(dtype).eps
    # scipy's is an approximation for large concentrations: by quadrature.
    nodes, weights = np.polynomial.legendre.leggauss(200)
    width = 0.5 * (x.astype("float64") - loc + np.pi)[..., None]
    angle = -np.pi + width * (1 + nodes)
    wide = k.astype("float64")[:, None]
    part = np.exp(-2 * wide * np.sin(0.5 * angle) ** 2) / (2 * np.pi * scipy.special.i0e(wide))
    exact = np.sum(width * weights * part, axis=-1)
    np.testing.assert_allclose(cdf, exact, atol=32 * eps)
    np.testing.assert_allclose(back, np.broadcast_to(u, back.shape), atol=64 * eps)
    np.testing.assert_allclose(ends, np.array([0, 0, 1, 1])[:, None] * np.ones(4), atol=4 * eps)
    np.testing.assert_allclose(slope[:, 0], np.sum(density, axis=1), rtol=1e3 * eps)


@pytest.mark.parametrize(
    "q",
    [
        rp.Beta(2.0, 2.0), rp.VonMises(0.0, 2.0), rp.StudentT(3.0, 0.0, 1.0),
        rp.SkewNormal(0.0, 1.0, 0.0), rp.GeneralizedNormal(0.0, 1.0, 3.0),
        rp.FisherSnedecor(3.0, 3.0), rp.Gamma(2.0, 1.0),
    ],
    ids=lambda q: type(q).__name__,
)  # fmt: skip
def test_derivative_of_the_distribution_function_at_the_median(q):
    """If both tails are equal to the last bit, the derivative is not half of the true one."""
    at = q.icdf(0.5) if not isinstance(q, rp.Beta) else jnp.float32(0.5)
    slope = jax.jit(jax.grad(q.cdf))(at)
    np.testing.assert_allclose(slope, jnp.exp(q.log_prob(at)), rtol=1e-5)


@pytest.mark.parametrize(
    ("low", "high"),
    [(-1.0, 3.0), (-np.inf, np.inf), (0.5, np.inf), (-np.inf, -2.0), (0.0, 1e-3), (40.0, 41.0),
     (-1e3, -999.0), (-1e-4, 2e-4), (8.0, np.inf), (-30.0, 0.1)],
)  # fmt: skip
def test_moments_of_truncated_normal(low, high, dtype):
    """Mean, variance, entropy and their derivatives in loc, against mpmath."""
    loc, scale = 0.25, 2.0
    ends = [np.asarray(loc + scale * end, dtype) for end in (low, high)]

    def summaries(loc):
        q = rp.TruncatedNormal(loc, np.asarray(scale, dtype), *ends)
        return jnp.stack([q.mean, q.variance, q.entropy()])

    at = jnp.asarray(loc, dtype)
    given, slopes = jax.jvp(summaries, (at,), (jnp.ones_like(at),))

    def exact(loc):
        a, b = ((mpmath.mpf(float(end)) - loc) / scale for end in ends)
        peak = min(max(mpmath.mpf(0), a), b)
        start, end = (min(max(peak + d, a), b) for d in (-30, 30))
        start, end = (mpmath.mpf(x) for x in (start, end))
        near = [x for x in (peak - 1, peak, peak + mpmath.mpf(1) / 32, peak + 1) if start < x < end]
        pieces = [start, *near, end]

        def integral(f):
            weight = lambda t: mpmath.exp((peak * peak - t * t) / 2)  # noqa: E731
            return mpmath.quad(lambda t: f(t - peak) * weight(t), pieces)

        mass = integral(lambda s: 1)
        first, second = (integral(lambda s, n=n: s**n) / mass for n in (1, 2))
        fall = second / 2 + peak * first
        variance = scale**2 * (second - first**2)
        return [
            loc + scale * (peak + first),
            variance,
            mpmath.log(scale) + mpmath.log(mass) + fall,
        ]

    with mpmath.workdps(40):
        h = mpmath.mpf(10) ** -12
        true = np.asarray([float(v) for v in exact(mpmath.mpf(loc))])
        moved = zip(exact(loc + h), exact(loc - h), strict=True)
        true_slopes = np.asarray([float((a - b) / (2 * h)) for a, b in moved])
    # In a tail the ends are rounded, and so is the interval between them.
    size = 1 + max(low, -high, 0.0)
    eps = float(np.finfo(dtype).eps)
    np.testing.assert_allclose(given, true, rtol=64 * eps * size**0.5)
    # The derivatives of the two parts of a narrow interval around its mode are 1 / width each.
    slack = 64 * eps * np.maximum(np.abs(true_slopes), np.abs(true)).max() * size
    slack = slack + 4 * eps / min(high - low, 1.0)
    np.testing.assert_allclose(slopes, true_slopes, rtol=64 * eps * size, atol=slack)


@pytest.mark.parametrize(
    ("a", "b", "mode"),
    [(3.0, 2.0, 2 / 3), (0.5, 2.0, 0.0), (2.0, 0.5, 1.0), (0.3, 0.7, 0.0), (0.7, 0.3, 1.0),
     (1.0, 1.0, 0.5), (1.0, 3.0, 0.0), (3.0, 1.0, 1.0)],
)  # fmt: skip
def test_mode_of_beta(a, b, mode):
    np.testing.assert_allclose(rp.Beta(a, b).mode, mode, rtol=1e-6)
    assert np.isnan(jax.jit(lambda a: rp.Beta(a, b).mode)(-1.0))


def test_infinite_moments():
    for q in (rp.HalfCauchy(2.0), rp.Levy(1.0, 2.0)):
        assert float(q.mean) == float(q.variance) == np.inf


def test_moments_of_a_batch_of_truncated_normals():
    low, scale = np.asarray([[-1.0], [20.0]], "f"), np.asarray([1.0, 2.0, 3.0], "f")
    q = rp.TruncatedNormal(0.0, scale, low, np.inf)
    for name in ("mean", "variance", "entropy"):
        batch = getattr(q, name)
        batch = batch() if name == "entropy" else batch
        assert batch.shape == (2, 3)
        one = rp.TruncatedNormal(0.0, scale[2], low[1, 0], np.inf)
        alone = getattr(one, name)
        np.testing.assert_allclose(batch[1, 2], alone() if name == "entropy" else alone, rtol=1e-6)
