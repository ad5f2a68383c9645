"""Samples follow their density.

If each coordinate of the sample is made from one coordinate of noise, this is tested pointwise, by
a change of variables; otherwise by the exact law of a coordinate or a projection of the sample.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats as st

import repara as rp
from tests.distributions import programs
from tests.distributions.registry import CASES, CONTINUOUS

_MATRICES = (rp.Wishart, rp.InverseWishart, rp.LKJCholesky)
# Families on simplices and spheres: the last coordinate follows from the others.
_SURFACES = (
    rp.LogisticNormal,
    rp.Dirichlet,
    rp.RelaxedOneHotCategorical,
    rp.ExpRelaxedOneHotCategorical,
    rp.VonMisesFisher,
    rp.PowerSpherical,
    rp.ProjectedNormal,
)


def _free(case: Any, q: rp.Distribution, z: jax.Array) -> jax.Array:
    """The event coordinates to which the density refers, on one last axis."""
    if case.family in _MATRICES:
        rows, columns = np.tril_indices(z.shape[-1], -1 if case.family is rp.LKJCholesky else 0)
        return z[..., rows, columns]
    if case.family in _SURFACES or case.name == "on_simplex":
        return z[..., :-1]
    return z.reshape(*z.shape[: z.ndim - len(q.event_shape)], -1)


def _is_square(case: Any) -> bool:
    q = case.build()
    free = jax.eval_shape(lambda: _free(case, q, jnp.zeros(q.event_shape)))
    one_to_one = case.family is not rp.FoldedNormal
    return case.density and one_to_one and free.size == math.prod(q.noise_shape)


SQUARE = [case for case in CONTINUOUS if _is_square(case)]


@pytest.mark.parametrize("case", SQUARE, ids=lambda c: c.name)
def test_change_of_variables(case, x64):
    """log q(T(eps)) + log |det dT/deps| = log p(eps), and its derivative in the parameters is 0.

    The first says that samples have the density q and that q integrates to 1. The derivative of the
    left side in a parameter is 0 where dT/dtheta moves samples as the density changes: the
    continuity equation, of which dz/dtheta = -(dF/dtheta) / f is the scalar case.
    """
    q = case.build("float64")
    count = 33
    if q.noise_shape:
        eps = programs.noise_for(q, rp.noise.iid, count)
    else:
        eps = np.linspace(-5, 5, count)
        eps = st.norm.cdf(eps) if q.noise_marginal == "uniform" else eps
        eps = np.broadcast_to(eps.reshape(-1, *(1,) * len(q.batch_shape)), (count, *q.batch_shape))
    along, _ = programs.directions_of(case, eps, q.noise_marginal)
    along = {name: value[:-1] for name, value in along.items()}

    size = math.prod(q.noise_shape)

    def total(parameters: dict[str, jax.Array]) -> jax.Array:
        q = case.make(**parameters, **case.static)

        def column(direction: jax.Array) -> jax.Array:
            tangent = jnp.broadcast_to(direction.reshape(q.noise_shape), eps.shape)
            return _free(case, q, jax.jvp(q.transform, (jnp.asarray(eps),), (tangent,))[1])

        jacobian = jax.vmap(column, out_axes=-1)(jnp.eye(size))
        # The density that comes with the sample: that of the rounded sample would be less accurate.
        _, log_q = programs.sample_and_density(
            case, q, jax.random.key(0), (count,), source=programs.fixed(eps)
        )
        return log_q + jnp.linalg.slogdet(jacobian)[1]

    @programs.compiled
    def program(parameters, along):
        moved = jax.vmap(lambda d: jax.jvp(total, (parameters,), (d,)))(along)
        return moved[0][0], moved[1]

    value, slopes = program(programs.parameters_of(case, "float64"), along)
    expected = np.zeros(eps.shape) if q.noise_marginal == "uniform" else st.norm.logpdf(eps)
    expected = expected.reshape(*np.shape(value), -1).sum(-1)
    bound = 1e-11 * case.condition + 1e3 * case.accuracy
    np.testing.assert_allclose(value, expected, rtol=0, atol=bound)
    np.testing.assert_allclose(slopes, 0, atol=10 * bound)


# For the other families, and for all vectors: a statistic with a known law. Each function takes
# samples [n, *event] of the first member of the batch and its parameters. It returns values and
# their distribution function.


def _along(z: Any, weights: Any) -> Any:
    return np.tensordot(z, weights, axes=(tuple(range(1, z.ndim)), tuple(range(weights.ndim))))


def _first(case: Any, name: str, event_ndims: int) -> Any:
    """The parameter of the first member of the batch."""
    value = np.asarray(case.parameters[name], "float64")
    return value.reshape(-1, *value.shape[value.ndim - event_ndims :])[0]


def _projection(case: Any, z: Any) -> tuple[Any, Any]:
    """Of a normal vector: normal."""
    q = case.build("float64")
    weights = np.asarray([1.0, -2.0, 0.5])[: z.shape[1]]
    mean, covariance = (np.asarray(x) for x in (q.mean, q.covariance_matrix))
    mean = mean.reshape(-1, z.shape[1])[0]
    covariance = covariance.reshape(-1, z.shape[1], z.shape[1])[0]
    scale = np.sqrt(weights @ covariance @ weights)
    return z @ weights, st.norm(mean @ weights, scale).cdf


def _coordinate(case: Any, z: Any) -> tuple[Any, Any]:
    """Of independent normals: normal."""
    return z[:, 0], st.norm(_first(case, "loc", 1)[0], _first(case, "scale", 1)[0]).cdf


def _student_t(case: Any, z: Any) -> tuple[Any, Any]:
    """Along a direction: Student's t."""
    weights = np.asarray([1.0, -2.0, 0.5])
    tril = _first(case, "scale_tril", 2)
    scale = np.linalg.norm(weights @ tril)
    law = st.t(_first(case, "df", 0), _first(case, "loc", 1) @ weights, scale)
    return z @ weights, law.cdf


def _bilinear(case: Any, z: Any) -> tuple[Any, Any]:
    """Of a matrix of normals, u^T z v: normal."""
    u, v = np.asarray([1.0, -1.0, 0.5]), np.asarray([0.3, 2.0])
    rows, columns = _first(case, "scale_tril_row", 2), _first(case, "scale_tril_column", 2)
    scale = np.linalg.norm(u @ rows) * np.linalg.norm(v @ columns)
    law = st.norm(u @ _first(case, "loc", 2) @ v, scale)
    return _along(z, np.outer(u, v)), law.cdf


def _first_piece(case: Any, z: Any) -> tuple[Any, Any]:
    """Of a stick broken by normals: the logit of its first piece is normal."""
    pieces = z.shape[1]
    logit = np.log(z[:, 0]) - np.log1p(-z[:, 0]) + np.log(pieces - 1)
    return logit, st.norm(_first(case, "loc", 1)[0], _first(case, "scale", 1)[0]).cdf


def _log_ratio(case: Any, z: Any) -> tuple[Any, Any]:
    """Of two relaxed categories: the difference of two Gumbel variables, which is logistic."""
    logs = z if case.family is rp.ExpRelaxedOneHotCategorical else np.log(z)
    probabilities = "probs" in case.parameters
    logits = _first(case, "probs" if probabilities else "logits", 1)
    logits = np.log(logits) if probabilities else logits
    temperature = _first(case, "temperature", 0)
    law = st.logistic((logits[0] - logits[1]) / temperature, 1 / temperature)
    return logs[:, 0] - logs[:, 1], law.cdf


def _share(case: Any, z: Any) -> tuple[Any, Any]:
    """Of a Dirichlet vector: beta."""
    a = _first(case, "concentration", 1)
    return z[:, 0], st.beta(a[0], a.sum() - a[0]).cdf


def _cosine(case: Any, z: Any) -> tuple[Any, Any]:
    """Of a von Mises-Fisher direction: density (1 - t^2)^((d - 3) / 2) exp(concentration t)."""
    d, concentration = z.shape[1], _first(case, "concentration", 0)
    t = np.linspace(-1, 1, 20_001)
    density = (1 - t**2) ** ((d - 3) / 2) * np.exp(concentration * t)
    below = np.concatenate([[0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
    return z @ _first(case, "mean_direction", 1), lambda x: np.interp(x, t, below / below[-1])


def _power(case: Any, z: Any) -> tuple[Any, Any]:
    """(1 + cosine) / 2 of a power-spherical direction: beta."""
    half = (z.shape[1] - 1) / 2
    law = st.beta(half + _first(case, "concentration", 0), half)
    return (1 + z @ _first(case, "mean_direction", 1)) / 2, law.cdf


def _cotangent(case: Any, z: Any) -> tuple[Any, Any]:
    """Of the angle to the mean of a projected normal: noncentral t."""
    mean, d = _first(case, "concentration", 1), z.shape[1]
    length = np.linalg.norm(mean)
    cosine = z @ (mean / length)
    t = np.sqrt(d - 1) * cosine / np.linalg.norm(z - np.outer(cosine, mean / length), axis=1)
    return t, st.nct(d - 1, length).cdf


def _quadratic(case: Any, z: Any) -> tuple[Any, Any]:
    """w^T z w / w^T S w of a Wishart matrix, inverted for its inverse: chi-squared."""
    w, p = np.asarray([1.0, -0.5, 2.0])[: z.shape[1]], z.shape[1]
    covariance = "covariance_matrix" in case.parameters
    scale = _first(case, "covariance_matrix" if covariance else "scale_tril", 2)
    scale = scale if covariance else scale @ scale.T
    ratio = np.einsum("i,nij,j->n", w, z, w) / (w @ scale @ w)
    df = _first(case, "df", 0)
    if case.family is rp.InverseWishart:
        return 1 / ratio, st.chi2(df - p + 1).cdf
    return ratio, st.chi2(df).cdf


def _correlation(case: Any, z: Any) -> tuple[Any, Any]:
    """(1 + r) / 2 for a correlation r: beta."""
    a = _first(case, "concentration", 0) + z.shape[1] / 2 - 1
    return (1 + z[:, 1, 0]) / 2, st.beta(a, a).cdf


def _last_step(case: Any, z: Any) -> tuple[Any, Any]:
    """Of a random walk: normal."""
    return z[:, -1], st.norm(0, _first(case, "scale", 0) * np.sqrt(z.shape[1])).cdf


def _weighted(logits: Any, laws: Any) -> Any:
    weights = scipy.special.softmax(logits)
    return lambda x: sum(w * law.cdf(x) for w, law in zip(weights, laws, strict=True))


def _normals(case: Any, z: Any) -> tuple[Any, Any]:
    p = case.parameters
    laws = [st.norm(*pair) for pair in zip(p["loc"], p["scale"], strict=True)]
    return z, _weighted(p["logits"], laws)


def _vector_of_mixture(case: Any, z: Any) -> tuple[Any, Any]:
    """The second coordinate: a mixture of logistics."""
    loc, scale = (np.asarray(case.parameters[k]) for k in ("loc", "scale"))
    laws = [st.logistic(loc[i, 1], scale[i, 0]) for i in range(2)]
    return z[:, 1], _weighted(case.parameters["logits"][0], laws)


def _unlike(case: Any, z: Any) -> tuple[Any, Any]:
    p = case.parameters
    laws = [
        st.norm(p["loc"][0], p["scale"]),
        st.expon(scale=1 / p["rate"]),
        st.laplace(3.0, p["scale"]),
    ]
    return z, _weighted(p["logits"][0], laws)


KNOWN = {
    "independent_normal": _coordinate,
    "mvn_tril": _projection,
    "mvn_tril_batch": _projection,
    "mvn_covariance": _projection,
    "mvn_precision": _projection,
    "mvn_diag": _projection,
    "low_rank_mvn": _projection,
    "multivariate_student_t": _student_t,
    "matrix_normal": _bilinear,
    "on_simplex": _first_piece,
    "logistic_normal": _first_piece,
    "relaxed_one_hot": _log_ratio,
    "relaxed_one_hot_probs": _log_ratio,
    "exp_relaxed_one_hot": _log_ratio,
    "dirichlet": _share,
    "von_mises_fisher": _cosine,
    "power_spherical": _power,
    "projected_normal": _cotangent,
    "projected_normal_plane": _cotangent,
    "wishart": _quadratic,
    "wishart_covariance": _quadratic,
    "inverse_wishart": _quadratic,
    "lkj_cholesky": _correlation,
    "gaussian_random_walk": _last_step,
    "mixture": _normals,
    "mixture_of_vectors": _vector_of_mixture,
    "mixture_of_families": _unlike,
}


@pytest.mark.parametrize("case", [c for c in CASES if c.name in KNOWN], ids=lambda c: c.name)
def test_statistics_have_their_known_laws(case):
    """A Kolmogorov-Smirnov test of 100,000 samples in float32."""
    q = case.build()
    draw = programs.compiled(lambda q, key: q.sample(key, (100_000,)))
    z = np.asarray(draw(q, jax.random.key(3)), "float64")
    z = z.reshape(len(z), -1, *q.event_shape)[:, 0]
    values, cdf = KNOWN[case.name](case, z)
    assert st.kstest(values, cdf).pvalue > 1e-3


def test_the_law_of_every_family_is_tested():
    """Against scipy (test_all.py), here, or, for Stable, in test_stable.py."""
    with_reference = {case.family for case in CONTINUOUS if case.reference is not None}
    known = {case.family for case in CASES if case.name in KNOWN}
    assert {case.family for case in CONTINUOUS} == with_reference | known | {rp.Stable}


def _slope(function: Any, at: float) -> float:
    step = 1e-4 * at
    return (function(at + step) - function(at - step)) / (2 * step)


def test_gradient_of_an_expectation_of_relaxed_categories(x64):
    """E cos(log z_0 - log z_1), of a logistic variable: pi s cos(m) / sinh(pi s)."""
    logits, temperature = np.asarray([0.3, -0.4, 0.1]), 1.7

    def exact(gap: float, temperature: float) -> float:
        s = 1 / temperature
        return np.pi * s * np.cos(gap * s) / np.sinh(np.pi * s)

    def values(q: rp.Distribution, key: jax.Array) -> jax.Array:
        z = q.rsample(key, (1_000_000,))
        logs = z if isinstance(q, rp.ExpRelaxedOneHotCategorical) else jnp.log(z)
        return jnp.cos(logs[:, 0] - logs[:, 1])

    gap = logits[0] - logits[1]
    true = [_slope(lambda t: exact(gap, t), temperature), _slope(lambda g: exact(g, 1.7), gap)]
    for family in (rp.RelaxedOneHotCategorical, rp.ExpRelaxedOneHotCategorical):
        q = family(temperature, logits=logits)
        for name, slope in zip(("temperature", "logits"), true, strict=True):
            first = np.asarray([1.0, 0.0, 0.0]) if name == "logits" else np.ones(())
            _close_to(values, q, name, first, slope)


@pytest.mark.parametrize("d", [2, 4])
def test_gradient_of_an_expectation_of_a_projected_normal(d, x64):
    """d/d|c| E cos(angle to the mean c), by Presnell and Rumcheva (2008)."""
    length = 1.3

    def exact(m: float) -> float:
        ratio = np.exp(scipy.special.gammaln((d + 1) / 2) - scipy.special.gammaln(d / 2 + 1))
        return m * ratio / np.sqrt(2) * scipy.special.hyp1f1(0.5, d / 2 + 1, -m * m / 2)

    def values(q: rp.Distribution, key: jax.Array) -> jax.Array:
        return q.rsample(key, (1_000_000,))[:, 0]

    first = np.eye(d)[0]
    q = rp.ProjectedNormal(length * first)
    assert abs(float(jnp.mean(values(q, jax.random.key(0)))) - exact(length)) < 5e-3
    _close_to(values, q, "concentration", first, _slope(exact, length))


def _close_to(values: Any, q: rp.Distribution, name: str, direction: Any, true: float) -> None:
    """The pathwise derivative is within five standard errors, which are below 2% of it."""
    leaves = [
        jnp.asarray(direction) if path[-1].name == name else jnp.zeros_like(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(q)
    ]
    tangent = jax.tree.unflatten(jax.tree.structure(q), leaves)
    program = programs.compiled(
        lambda q: jax.jvp(lambda q: values(q, jax.random.key(1)), (q,), (tangent,))[1]
    )
    slopes = np.asarray(program(q))
    error = 5 * slopes.std() / np.sqrt(slopes.size)
    assert error < 0.02 * abs(true)
    assert abs(slopes.mean() - true) < error


@pytest.mark.parametrize("temperature", [0.4, 1.5])
def test_density_of_relaxed_categories(temperature, x64):
    """It integrates to 1 over x_k = log z_k - log z_K and gives their means.

    dz = prod_k z_k dx, and the density of the logarithms is one with respect to dx.
    """
    logits = np.asarray([0.3, -0.4, 0.1])
    # The tails fall like exp(-temperature |x|).
    x = np.linspace(-40, 40, 401) / temperature
    grid = np.stack(np.meshgrid(x, x, [0.0], indexing="ij"), axis=-1).reshape(-1, 3)
    logs = grid - scipy.special.logsumexp(grid, axis=-1, keepdims=True)
    area = (x[1] - x[0]) ** 2
    of_logs = rp.ExpRelaxedOneHotCategorical(temperature, logits=logits).log_prob(logs)
    inside = np.all(logs > -600, axis=-1)  # smaller ones underflow
    z = np.exp(logs[inside])
    z = z / z.sum(-1, keepdims=True)  # the logarithms are rounded
    of_values = rp.RelaxedOneHotCategorical(temperature, logits=logits).log_prob(z)
    np.testing.assert_allclose(of_values + logs[inside].sum(-1), of_logs[inside], atol=1e-9)
    weights = area * np.exp(np.asarray(of_logs))
    np.testing.assert_allclose(weights.sum(), 1, rtol=1e-6)
    means = weights @ grid
    np.testing.assert_allclose(means, (logits - logits[2]) / temperature, atol=1e-6)


def test_two_relaxed_categories_are_a_relaxed_bernoulli(x64):
    z = np.linspace(0.01, 0.99, 21)
    two = rp.RelaxedOneHotCategorical(0.7, logits=np.asarray([0.8, 0.3]))
    one = rp.RelaxedBernoulli(0.7, logits=0.5)
    both = np.stack([z, 1 - z], axis=-1)
    np.testing.assert_allclose(two.log_prob(both), one.log_prob(z), rtol=1e-11)
