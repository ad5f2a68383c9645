"""Tests of families of vectors and matrices that the registry does not cover."""

import math

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

import repara as rp
from tests.distributions.programs import compiled, density_and_summaries

TRIL = np.asarray([[1.5, 0.0, 0.0], [0.4, 0.7, 0.0], [-0.3, 0.2, 2.0]])
SIGMA = TRIL @ TRIL.T
SPD = np.asarray([[2.0, 0.5, 0.1], [0.5, 1.5, -0.3], [0.1, -0.3, 0.9]])


def _tolerance(dtype):
    return 2e-5 if dtype == "float32" else 1e-11


@pytest.mark.parametrize("name", ["scale_tril", "covariance_matrix"])
def test_wishart_against_scipy(name, dtype):
    value = TRIL if name == "scale_tril" else SIGMA
    q = rp.Wishart(np.asarray(5.5, dtype), **{name: np.asarray(value, dtype)})
    exact = scipy.stats.wishart(5.5, SIGMA)
    x = np.stack([SPD, 10 * SPD, 0.1 * np.eye(3)]).astype(dtype)
    got = density_and_summaries(q, x)
    expected = [exact.logpdf(v.astype("float64")) for v in x]
    np.testing.assert_allclose(got["log_prob"], expected, rtol=_tolerance(dtype))
    np.testing.assert_allclose(got["entropy"], exact.entropy(), rtol=_tolerance(dtype))
    np.testing.assert_allclose(got["mean"], exact.mean(), rtol=_tolerance(dtype), atol=1e-6)
    np.testing.assert_allclose(got["variance"], exact.var(), rtol=_tolerance(dtype))
    np.testing.assert_allclose(got["mode"], exact.mode(), rtol=_tolerance(dtype), atol=1e-6)


@pytest.mark.parametrize("name", ["scale_tril", "scale_matrix"])
def test_inverse_wishart_against_scipy(name, dtype):
    value = TRIL if name == "scale_tril" else SIGMA
    q = rp.InverseWishart(np.asarray(8.5, dtype), **{name: np.asarray(value, dtype)})
    exact = scipy.stats.invwishart(8.5, SIGMA)
    x = np.stack([SPD, 10 * SPD, 0.1 * np.eye(3)]).astype(dtype)
    got = density_and_summaries(q, x)
    expected = [exact.logpdf(v.astype("float64")) for v in x]
    np.testing.assert_allclose(got["log_prob"], expected, rtol=_tolerance(dtype))
    # By a change of variables from the inverse, scipy's own taking log 2 once and not p times.
    inverse = scipy.stats.wishart(8.5, np.linalg.inv(SIGMA))
    mean_log_det = scipy.special.digamma(0.5 * (8.5 - np.arange(3))).sum() + 3 * np.log(2)
    mean_log_det = mean_log_det - np.linalg.slogdet(SIGMA)[1]
    entropy = inverse.entropy() - 4 * mean_log_det
    np.testing.assert_allclose(got["entropy"], entropy, rtol=_tolerance(dtype))
    np.testing.assert_allclose(got["mean"], exact.mean(), rtol=_tolerance(dtype), atol=1e-6)
    np.testing.assert_allclose(got["variance"], exact.var(), rtol=_tolerance(dtype))
    np.testing.assert_allclose(got["mode"], exact.mode(), rtol=_tolerance(dtype), atol=1e-6)
    assert np.all(np.isnan(rp.InverseWishart(4.0, np.eye(3)).mean))
    assert np.all(np.isnan(rp.InverseWishart(6.0, np.eye(3)).variance))


def test_wishart_errors():
    with pytest.raises(ValueError, match="df must be greater than 2 for 3 x 3 matrices, got 2"):
        rp.Wishart(2.0, np.eye(3))
    with pytest.raises(TypeError, match="exactly one of scale_tril and covariance_matrix, got bo"):
        rp.Wishart(5.0, np.eye(2), covariance_matrix=np.eye(2))
    with pytest.raises(TypeError, match="exactly one of scale_tril and scale_matrix, got neither"):
        rp.InverseWishart(5.0)
    with pytest.raises(ValueError, match="covariance_matrix must be symmetric and positive"):
        rp.Wishart(5.0, covariance_matrix=np.asarray([[1.0, 0.5], [0.0, 1.0]]))
    with pytest.raises(ValueError, match="covariance_matrix must be square"):
        rp.Wishart(5.0, covariance_matrix=np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"scale_tril of shape \(3, 2\) needs p = 3"):
        rp.Wishart(5.0, np.eye(3)[:, :2])
    traced = compiled(lambda df: rp.Wishart(df, jnp.eye(3)).log_prob(jnp.eye(3)))
    assert np.isnan(traced(jnp.float32(1.5)))


def test_multivariate_student_t_against_scipy(dtype):
    loc = np.asarray([0.5, -1.0, 2.0])
    x = np.asarray([[0, 0, 0], [5, -3, 1], [1e4, 0, -4e3]], dtype)
    for df in (0.7, 3.0, 1e5):
        arguments = (np.asarray(v, dtype) for v in (df, loc, TRIL))
        q = rp.MultivariateStudentT(*arguments)
        expected = scipy.stats.multivariate_t(loc, SIGMA, df).logpdf(x.astype("float64"))
        # scipy's own difference of log Gamma loses digits at large df
        tolerance = 4e-6 if dtype == "float32" else (1e-9 if df > 1e3 else 1e-12)
        got = density_and_summaries(q, x)
        np.testing.assert_allclose(got["log_prob"], expected, rtol=tolerance)
        entropy = scipy.stats.multivariate_t(loc, SIGMA, df).entropy()
        np.testing.assert_allclose(got["entropy"], entropy, rtol=max(tolerance, 1e-5 * (df > 1e3)))
    assert np.all(np.isnan(rp.MultivariateStudentT(1.0, loc, TRIL).mean))
    assert np.all(np.isinf(rp.MultivariateStudentT(2.0, loc, TRIL).variance))


def test_multivariate_student_t_samples():
    """Each coordinate is Student's t."""
    q = rp.MultivariateStudentT(*(np.asarray(v, "f") for v in (2.5, [0.5, -1.0, 2.0], TRIL)))
    z = np.asarray(compiled(lambda q: q.sample(jax.random.key(1), (100_000,)))(q))
    for i in range(3):
        exact = scipy.stats.t(2.5, [0.5, -1.0, 2.0][i], np.sqrt(SIGMA[i, i]))
        assert scipy.stats.kstest(z[:, i], exact.cdf).pvalue > 1e-3


def test_matrix_normal_is_a_vector_normal(dtype):
    loc, column = np.arange(6.0).reshape(3, 2), np.asarray([[1.2, 0.0], [-0.4, 0.7]])
    q = rp.MatrixNormal(*(np.asarray(v, dtype) for v in (loc, TRIL, column)))
    covariance = np.kron(SIGMA, column @ column.T)
    exact = scipy.stats.multivariate_normal(loc.ravel(), covariance)
    z = np.asarray(np.stack([0 * loc, loc[::-1], 7 * loc]), dtype)
    got = density_and_summaries(q, z)
    expected = exact.logpdf(z.reshape(3, 6).astype("float64"))
    np.testing.assert_allclose(got["log_prob"], expected, rtol=_tolerance(dtype))
    np.testing.assert_allclose(got["entropy"], exact.entropy(), rtol=_tolerance(dtype))
    np.testing.assert_allclose(
        got["variance"].ravel(), np.diagonal(covariance), rtol=_tolerance(dtype)
    )
    z = np.asarray(compiled(lambda q: q.sample(jax.random.key(1), (50_000,)))(q), "float64")
    deviation = np.sqrt(2 * np.outer(np.diag(covariance), np.diag(covariance)) / 50_000)
    assert np.all(np.abs(np.cov(z.reshape(-1, 6).T) - covariance) < 5 * deviation)
    # Under jit and vmap, under which another library does not sample.
    roots = jnp.asarray(np.stack([column, 2 * column]), dtype)
    a, b = (jnp.asarray(v, dtype) for v in (loc, TRIL))
    mapped = jax.vmap(lambda r: rp.MatrixNormal(a, b, r).sample(jax.random.key(0)))(roots)
    assert mapped.shape == (2, 3, 2)
    with pytest.raises(
        ValueError, match=r"MatrixNormal: scale_tril_column of shape \(3, 3\) needs"
    ):
        rp.MatrixNormal(loc, TRIL, np.eye(3))


def test_low_rank_agrees_with_the_full_matrix(dtype):
    rng = np.random.default_rng(0)
    loc, factor, diagonal = rng.normal(size=5), rng.normal(size=(5, 2)), rng.uniform(0.1, 2, 5)
    q = rp.LowRankMultivariateNormal(*(np.asarray(v, dtype) for v in (loc, factor, diagonal)))
    covariance = factor @ factor.T + np.diag(diagonal)
    exact = scipy.stats.multivariate_normal(loc, covariance)
    z = (loc + 3 * rng.normal(size=(4, 5))).astype(dtype)
    got = density_and_summaries(q, z)
    tolerance = _tolerance(dtype)
    np.testing.assert_allclose(got["log_prob"], exact.logpdf(z.astype("float64")), rtol=tolerance)
    np.testing.assert_allclose(got["entropy"], exact.entropy(), rtol=tolerance)
    np.testing.assert_allclose(got["covariance_matrix"], covariance, rtol=tolerance, atol=1e-6)
    np.testing.assert_allclose(got["variance"], np.diagonal(covariance), rtol=tolerance)
    draws = np.asarray(compiled(lambda q: q.sample(jax.random.key(1), (50_000,)))(q), "float64")
    deviation = np.sqrt(2 * np.outer(np.diag(covariance), np.diag(covariance)) / 50_000)
    assert np.all(np.abs(np.cov(draws.T) - covariance) < 5 * deviation)
    with pytest.raises(ValueError, match=r"cov_factor of shape \(4, 2\) needs d = 5"):
        rp.LowRankMultivariateNormal(loc, factor[:4], diagonal)


def test_low_rank_density_does_not_cancel():
    """A tiny diagonal, for which the difference in Woodbury's identity would cancel."""
    factor, diagonal = np.asarray([[1.0], [1.0], [1.0]]), np.full(3, 1e-6)
    z = np.asarray([100.0, 100.0, 100.001], "f")
    wide = z.astype("float64")
    q = rp.LowRankMultivariateNormal(*(np.asarray(v, "f") for v in (np.zeros(3), factor, diagonal)))
    with mpmath.workdps(50):
        covariance = mpmath.matrix(factor @ factor.T) + mpmath.diag(
            [mpmath.mpf(float(np.float32(1e-6)))] * 3
        )
        x = mpmath.matrix(wide)
        square = (x.T * mpmath.lu_solve(covariance, x))[0]
        exact = (
            -0.5 * square
            - 0.5 * mpmath.log(mpmath.det(covariance))
            - 1.5 * mpmath.log(2 * mpmath.pi)
        )
    np.testing.assert_allclose(float(q.log_prob(z)), float(exact), rtol=1e-2)


def _projected_density(c, z):
    """The density at 30 digits, by integration over the radius."""
    with mpmath.workdps(30):
        d, t = len(c), mpmath.fsum(mpmath.mpf(a) * mpmath.mpf(b) for a, b in zip(c, z, strict=True))
        peak = (t + mpmath.sqrt(t * t + 4 * (d - 1))) / 2
        top = (d - 1) * mpmath.log(peak) - (peak - t) ** 2 / 2
        width = 1 / mpmath.sqrt(1 + (d - 1) / peak**2)
        ends = [
            mpmath.mpf(0),
            peak / 2,
            peak,
            peak + 2 * width,
            peak + 8 * width,
            peak + 60 * width,
        ]
        total = mpmath.quad(
            lambda r: mpmath.exp((d - 1) * mpmath.log(r) - (r - t) ** 2 / 2 - top) if r else 0, ends
        )
        square = mpmath.fsum(
            (mpmath.mpf(a) - t * mpmath.mpf(b)) ** 2 for a, b in zip(c, z, strict=True)
        )
        return float(top + mpmath.log(total) - square / 2 - d * mpmath.log(2 * mpmath.pi) / 2)


@pytest.mark.parametrize("d", [2, 3, 4, 20])
def test_projected_normal_against_mpmath(d, dtype):
    """In any dimension, toward the mean and away from it."""
    direction = np.full(d, 1 / math.sqrt(d))
    across = np.zeros(d)
    across[:2] = math.sqrt(0.5), -math.sqrt(0.5)
    lengths = np.asarray([0.0, 4.0, 60.0])
    c = (lengths[:, None] * direction).astype(dtype)
    z = np.stack([direction, -direction, across]).astype(dtype)
    log_prob = np.asarray(compiled(lambda q, z: q.log_prob(z))(rp.ProjectedNormal(c), z[:, None]))
    exact = np.asarray([[_projected_density(a, b) for a in c.tolist()] for b in z.tolist()])
    # z is rounded, and |c| magnifies the error
    slack = 8 * np.finfo(dtype).eps * (1 + lengths**2)
    tolerance = 2e-6 if dtype == "float32" else 1e-12
    assert np.all(np.abs(log_prob - exact) < tolerance * (1 + np.abs(exact)) + slack)


def test_densities_on_the_circle_and_sphere_integrate_to_one(x64):
    angles = 2 * np.pi * np.arange(400) / 400
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    families = [
        rp.ProjectedNormal(np.asarray([1.5, -0.7])),
        rp.PowerSpherical(np.asarray([1.0, 2.0]), 3.5),
    ]
    for q in families:
        np.testing.assert_allclose(
            np.mean(np.exp(density_and_summaries(q, circle)["log_prob"])) * 2 * np.pi, 1, rtol=1e-6
        )
    # In d dimensions t = mu . x has the density of x over the spheres of d - 1.
    t, weights = np.polynomial.legendre.leggauss(200)
    for d in (3, 6):
        x = np.zeros((200, d))
        x[:, 0], x[:, 1] = t, np.sqrt(1 - t * t)
        area = 2 * np.pi ** ((d - 1) / 2) / math.gamma((d - 1) / 2)
        weight = weights * area * (1 - t * t) ** ((d - 3) / 2)
        axis = np.eye(d)[0]
        for q in (
            rp.ProjectedNormal(1.3 * axis),
            rp.PowerSpherical(axis, 7.0),
            rp.PowerSpherical(axis, 0.0),
        ):
            np.testing.assert_allclose(
                np.sum(weight * np.exp(density_and_summaries(q, x)["log_prob"])), 1, rtol=1e-6
            )


def test_power_spherical_against_mpmath(dtype):
    for d, k in ((2, 0.0), (3, 2.5), (10, 1e4), (40, 0.1)):
        mu = np.eye(d)[-1].astype(dtype)
        q = rp.PowerSpherical(mu, np.asarray(k, dtype))
        with mpmath.workdps(40):
            b, k_exact = mpmath.mpf(d - 1) / 2, mpmath.mpf(float(np.asarray(k, dtype)))
            normalizer = (
                b * mpmath.log(4 * mpmath.pi)
                + mpmath.loggamma(k_exact + b)
                - mpmath.loggamma(k_exact + 2 * b)
            )
            entropy = normalizer - k_exact * (
                mpmath.digamma(k_exact + b) - mpmath.digamma(k_exact + 2 * b)
            )
        tolerance = 4e-6 if dtype == "float32" else 1e-12
        np.testing.assert_allclose(q.log_prob(mu), -float(normalizer), rtol=tolerance)
        np.testing.assert_allclose(q.entropy(), float(entropy), rtol=20 * tolerance)
        assert q.log_prob(-mu) == -np.inf if k else np.isfinite(q.log_prob(-mu))


@pytest.mark.parametrize("make", [rp.PowerSpherical, rp.VonMisesFisher], ids=lambda f: f.__name__)
def test_directions(make):
    """Nothing is singular along or opposite the first axis; the length of mu does not matter."""

    @compiled
    def program(mu):
        def f(mu, k):
            q = make(mu, k)
            z = q.rsample(jax.random.key(0), (50,))
            return jnp.sum(z * jnp.arange(1.0, 5.0)[None]) + jnp.sum(q.log_prob(z) ** 2), z

        (_, z), slopes = jax.value_and_grad(f, (0, 1), has_aux=True)(mu, 5.0)
        return z, *slopes

    first = np.asarray([1.0, 0.0, 0.0, 0.0], "f")
    for mu in (
        first,
        -first,
        np.asarray([-1e-4, 0.3, 0.0, -0.2], "f"),
        np.asarray([0.0, 0.0, 0.0, 1.0], "f"),
    ):
        z, slope, by_concentration = (np.asarray(v) for v in program(mu))
        assert np.all(np.isfinite(slope))
        assert np.any(slope != 0)
        assert np.isfinite(by_concentration)
        longer, slope_of_longer, _ = program(8 * mu)
        np.testing.assert_allclose(longer, z, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(
            slope_of_longer, slope / 8, rtol=1e-3, atol=1e-4 * np.abs(slope).max()
        )
        assert abs(slope @ mu) < 1e-4 * np.linalg.norm(slope) * np.linalg.norm(mu)
        unit = mu / np.linalg.norm(mu)
        assert np.mean(z @ unit) > 0.4


@pytest.mark.parametrize("concentration", [0.1, 1.0, 2.5, 1e5])
@pytest.mark.parametrize("dim", [2, 5])
def test_lkj_cholesky_density(dim, concentration, dtype):
    """det^(concentration - 1), with the constant of Lewandowski et al., equation 16."""
    q = rp.LKJCholesky(dim, np.asarray(concentration, dtype))
    at_identity = q.log_prob(np.eye(dim, dtype=dtype))
    rng = np.random.default_rng(0)
    apart = 1 / np.sqrt(1 + concentration)  # as far from the identity as is likely
    correlation = apart * np.corrcoef(rng.normal(size=(dim, 3 * dim))) + (1 - apart) * np.eye(dim)
    root = np.linalg.cholesky(correlation).astype(dtype)
    log_constant = 0.0
    for k in range(1, dim):
        b = concentration + 0.5 * (dim - k - 1)
        log_beta = 2 * scipy.special.gammaln(b) - scipy.special.gammaln(2 * b)
        power = 2 * concentration - 2 + dim - k
        log_constant += power * (dim - k) * np.log(2) + (dim - k) * log_beta
    # The matrix has the density det^(concentration - 1) / constant, and the map from L to it the
    # Jacobian prod_i L_ii^(d - i), i from 1.
    log_diagonal = np.log(np.diagonal(root).astype("float64"))
    jacobian = np.sum((dim - 1 - np.arange(dim)) * log_diagonal)
    expected = 2 * (concentration - 1) * log_diagonal.sum() + jacobian - log_constant
    np.testing.assert_allclose(at_identity, -log_constant, rtol=1e-5, atol=1e-5)
    # the root is rounded, and the power magnifies the error
    slack = 8 * dim * np.finfo(dtype).eps * concentration
    np.testing.assert_allclose(q.log_prob(root), expected, rtol=1e-5, atol=1e-5 + slack)


def test_lkj_cholesky_of_small_concentration():
    """Concentration 0.1 in three dimensions: finite gradients in float32."""

    @compiled
    def program(q):
        def f(q):
            z, log_q = q.rsample_and_log_prob(jax.random.key(0), (4000,))
            return jnp.sum(z**2 * jnp.arange(9.0).reshape(1, 3, 3)) + jnp.sum(log_q), z

        slope, z = jax.grad(f, has_aux=True)(q)
        return slope, z

    slope, z = program(rp.LKJCholesky(3, np.asarray(0.1, "f")))
    assert np.isfinite(slope.concentration)
    assert slope.concentration != 0
    assert np.all(np.isfinite(z))
    # Every correlation of d variables is 2 Beta(b, b) - 1 with b = concentration + d/2 - 1.
    correlation = np.einsum("nij,nkj->nik", *(np.asarray(z, "float64"),) * 2)
    exact = scipy.stats.beta(0.6, 0.6, -1, 2)
    for i, j in ((1, 0), (2, 0), (2, 1)):
        assert scipy.stats.kstest(correlation[:, i, j], exact.cdf).pvalue > 1e-3


def test_upper_triangles_are_not_parameters():
    """Their gradient is zero, and values there raise."""
    names = {
        "MultivariateStudentT": lambda root: rp.MultivariateStudentT(5.0, jnp.zeros(3), root),
        "MatrixNormal": lambda root: rp.MatrixNormal(jnp.zeros((3, 3)), root, jnp.eye(3)),
        "Wishart": lambda root: rp.Wishart(5.0, root),
        "InverseWishart": lambda root: rp.InverseWishart(5.0, root),
    }
    for name, make in names.items():

        @compiled
        @jax.grad
        def gradient(root, make=make):
            z, log_q = make(root).rsample_and_log_prob(jax.random.key(0), (7,))
            at = jax.lax.stop_gradient(z)
            return jnp.sum(z**3) + jnp.sum(log_q) + jnp.sum(make(root).log_prob(at))

        g = np.asarray(gradient(jnp.asarray(TRIL, "float32")))
        np.testing.assert_array_equal(g, np.tril(g))
        assert np.all(g[np.tril_indices(3)] != 0), name
        with pytest.raises(ValueError, match="must be lower triangular"):
            make(jnp.asarray(TRIL + np.triu(np.full((3, 3), 1e-3), 1), "float32"))
        assert np.all(np.isnan(gradient(jnp.full((3, 3), 0.5))))


def test_gaussian_random_walk(dtype):
    q = rp.GaussianRandomWalk(np.asarray(0.7, dtype), 4)
    steps = np.minimum.outer(np.arange(1, 5), np.arange(1, 5))
    exact = scipy.stats.multivariate_normal(np.zeros(4), 0.49 * steps)
    z = np.asarray([[0.1, -0.3, 1.0, 2.0], [5.0, 5.0, 5.0, -9.0]], dtype)
    got = density_and_summaries(q, z)
    np.testing.assert_allclose(got["log_prob"], exact.logpdf(z.astype("float64")), rtol=1e-5)
    np.testing.assert_allclose(got["entropy"], exact.entropy(), rtol=1e-5)
    np.testing.assert_allclose(got["variance"], 0.49 * np.arange(1, 5), rtol=1e-6)
    with pytest.raises(ValueError, match="num_steps must be at least 1, got 0"):
        rp.GaussianRandomWalk(1.0, 0)


def test_mixture_of_different_families(x64):
    """The gradient of E f in the weights is that of sum_k w_k E_k f."""
    components = (
        rp.Normal(np.float64(-1.0), 0.7),
        rp.Exponential(np.float64(1.5)),
        rp.Laplace(np.float64(3.0), 0.5),
    )
    logits = jnp.asarray([0.3, -0.5, 0.0])
    n = 50_000
    u = (np.arange(n) + 0.5) / n  # stratified: the error of the mean is far below 1/sqrt(n)

    def sampled(logits):
        q = rp.Mixture(rp.Categorical(logits=logits), components)
        return jnp.mean(jnp.sin(q.transform(u)))

    def exact(logits):
        # E sin z: the imaginary parts of the characteristic functions at 1.
        e = [math.exp(-0.245) * math.sin(-1.0), 1.5 / (1.5**2 + 1), math.sin(3.0) / (1 + 0.25)]
        return jax.nn.softmax(logits) @ jnp.asarray(e)

    value, slope = compiled(jax.value_and_grad(sampled))(logits)
    np.testing.assert_allclose(value, exact(logits), atol=1e-4)
    np.testing.assert_allclose(slope, jax.grad(exact)(logits), atol=2e-3)
    assert np.all(np.abs(slope) > 0.02)


def test_mixture_agrees_with_the_same_family():
    weights = rp.Categorical(logits=np.asarray([0.3, -0.5], "f"))
    loc, scale = np.asarray([-1.0, 2.0], "f"), np.asarray([0.7, 1.1], "f")
    same = rp.MixtureSameFamily(weights, rp.Normal(loc, scale))
    unlike = rp.Mixture(weights, [rp.Normal(loc[k], scale[k]) for k in range(2)])
    u = np.linspace(0.01, 0.99, 21).astype("f")

    @compiled
    def program(q):
        values = [getattr(q, name)(u) for name in ("transform", "icdf")]
        return values + [getattr(q, name)(3 * u) for name in ("log_prob", "cdf", "inverse")]

    for a, b in zip(program(same), program(unlike), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(same.variance, unlike.variance, rtol=1e-5)
    with pytest.raises(ValueError, match="3 components for the 2 categories"):
        rp.Mixture(weights, (rp.Normal(0.0, 1.0),) * 3)
    with pytest.raises(ValueError, match="continuous scalar distributions, got Poisson"):
        rp.Mixture(weights, (rp.Normal(0.0, 1.0), rp.Poisson(1.0)))


@pytest.mark.slow
def test_von_mises_fisher_resultant():
    """d E[mu . x] / d concentration at d = 5 and concentration 2, a million samples."""
    n = 1_000_000

    @jax.jit
    def slopes(key):
        def along(k):
            q = rp.VonMisesFisher(jnp.asarray([1.0, 0.0, 0.0, 0.0, 0.0]), k)
            return q.rsample(key, (n,))[:, 0]

        return jax.jvp(along, (jnp.float32(2.0),), (jnp.float32(1.0),))[1]

    g = np.asarray(slopes(jax.random.key(4)), "float64")
    error = g.std() / np.sqrt(n)
    assert error < 0.02 * 0.147389 / 5
    assert abs(g.mean() - 0.147389) < 5 * error
