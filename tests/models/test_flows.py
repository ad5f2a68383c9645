"""Flows: round trips, log-determinants against the Jacobian, derivatives, pytrees."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

import repara as rp
from repara.models import FLOWS, PosteriorHead
from repara.models.flow_steps import Planar
from repara.models.splines import rational_quadratic, rational_quadratic_inverse
from tests.distributions.programs import compiled

_D, _B = 3, 4


@functools.cache
def _flow(name, conditional=True):
    """A module with its initial parameters perturbed, so that none is zero."""
    flow = FLOWS[name](_D, 2, (5, 4))
    h = (
        np.asarray(jax.random.normal(jax.random.key(1), (_B, 6), "float32"))
        if conditional
        else None
    )
    variables = flow.init(jax.random.key(0), None if h is None else jnp.asarray(h))
    leaves, tree = jax.tree.flatten(variables)
    rng = np.random.default_rng(0)
    leaves = [np.asarray(x) + 0.25 * rng.standard_normal(x.shape).astype("f") for x in leaves]
    return flow, jax.tree.unflatten(tree, leaves), h


def _bijector(name, dtype, conditional=True):
    flow, variables, h = _flow(name, conditional)
    bijector = flow.apply(variables, None if h is None else jnp.asarray(h, "float32"))
    return jax.tree.map(lambda x: jnp.asarray(np.asarray(x), dtype), bijector)


def _noise(dtype, shape=(2, _B, _D)):
    return jnp.asarray(np.random.default_rng(1).standard_normal(shape), dtype)


@pytest.mark.parametrize("name", FLOWS)
def test_round_trip_and_log_determinant(name, dtype):
    bijector = _bijector(name, dtype)
    x = _noise(dtype)

    @compiled
    def program(bijector, x):
        # All examples at once: the Jacobian shows that they do not depend on each other.
        def joint(flat):
            return bijector.forward(flat.reshape(1, _B, _D)).reshape(-1)

        jacobian = jax.vmap(jax.jacfwd(joint))(x.reshape(2, -1)).reshape(2, _B, _D, _B, _D)
        own = jnp.stack([jacobian[:, i, :, i] for i in range(_B)], axis=1)
        y = bijector.forward(x)
        back = bijector.inverse(y)
        again = bijector.forward(back)
        return y, back, again, bijector.log_det(x), jnp.linalg.slogdet(own)[1], jacobian

    y, back, again, log_det, determinant, jacobian = program(bijector, x)
    assert y.dtype == back.dtype == log_det.dtype == jnp.dtype(dtype)
    assert log_det.shape == (2, _B)
    loose = 200 * float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(log_det, determinant, rtol=loose, atol=loose)
    np.testing.assert_allclose(again, y, rtol=loose, atol=loose)
    # Looser, since x is ill-conditioned if the map is nearly flat.
    np.testing.assert_allclose(back, x, rtol=50 * loose, atol=50 * loose)
    assert not np.allclose(y, x, atol=0.1)
    for i in range(_B):
        assert not np.any(np.delete(jacobian[:, i], i, axis=2))


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n == "coupling" else pytest.mark.slow) for n in FLOWS]
)
def test_derivatives_at_fixed_noise(name, x64):
    """Derivatives of samples, of their densities, and of densities at values, to second order.

    The last needs derivatives of the inverse map.
    """
    bijector = _bijector(name, "float64")
    eps = _noise("float64", (1, _B, _D))
    z0 = rp.Transformed(_base("float64"), bijector).transform(eps)

    @jax.jit
    def of(bijector, eps):
        q = rp.Transformed(_base("float64"), bijector)
        z, log_q = q.rsample_and_log_prob(jax.random.key(0), (1,), source=lambda *_: eps)
        at = q.log_prob(z0 + 0.1 * eps)
        return jnp.sum(jnp.sin(z)) + jnp.sum(log_q) + jnp.sum(at)

    check_grads(of, (bijector, eps), order=2, modes=["rev"], rtol=1e-4, atol=1e-4, eps=1e-5)


def _base(dtype):
    return rp.Independent(rp.Normal(jnp.zeros((_B, _D), dtype), jnp.asarray(1.0, dtype)), 1)


@pytest.mark.parametrize("name", FLOWS)
def test_density_of_a_sample_is_that_of_its_value(name):
    """`rsample_and_log_prob` goes forward only, `log_prob` through the inverse."""
    q = rp.Transformed(_base("float32"), _bijector(name, "float32"))

    @compiled
    def program(q):
        z, log_q = q.rsample_and_log_prob(jax.random.key(0), (2,))
        return log_q, q.log_prob(z), q.inverse(z), q.noise(jax.random.key(0), (2,))

    log_q, again, noise, exact = program(q)
    np.testing.assert_allclose(log_q, again, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(noise, exact, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["iaf", "coupling"])
def test_flows_without_features(name):
    bijector = _bijector(name, "float32", conditional=False)
    q = rp.Transformed(rp.Independent(rp.Normal(jnp.zeros(_D), jnp.ones(_D)), 1), bijector)
    z, log_q = q.rsample_and_log_prob(jax.random.key(0), (5, 2))
    assert z.shape == (5, 2, _D)
    np.testing.assert_allclose(q.log_prob(z), log_q, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("name", FLOWS)
def test_the_initial_flow_is_close_to_the_identity(name):
    """Up to the scale of the initial gates for the autoregressive flow."""
    flow = FLOWS[name](_D, 2, (5,))
    h = jax.random.normal(jax.random.key(1), (_B, 6))
    bijector = flow.apply(flow.init(jax.random.key(0), h), h)
    x = _noise("float32")
    scale = jax.nn.sigmoid(2.0) ** 2 if name == "iaf" else 1.0
    np.testing.assert_allclose(bijector.forward(x), scale * x, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(bijector.log_det(x), _D * np.log(scale), rtol=1e-4, atol=1e-5)


def test_masks_make_the_jacobian_triangular():
    bijector = _bijector("iaf", "float32").bijectors[0]
    jacobian = jax.jacfwd(lambda x: bijector.forward(x)[0, 0])(_noise("float32", (1, _B, _D)))
    own = np.asarray(jacobian[:, 0, 0])
    np.testing.assert_array_equal(own, np.tril(own))
    assert np.all(own[np.tril_indices(_D)] != 0)


def test_a_distribution_through_a_flow_is_a_pytree():
    head = PosteriorHead(_D, flow=FLOWS["coupling"](_D, 2, (5,)))
    h = jnp.ones((_B, 6))
    variables = head.init(jax.random.key(0), h)
    q = jax.jit(head.apply)(variables, h)
    assert q.batch_shape == (_B,)
    slopes = jax.grad(lambda q: jnp.sum(q.rsample(jax.random.key(0)) ** 2))(q)
    assert jax.tree.structure(slopes) == jax.tree.structure(q)
    several = jax.vmap(lambda key: head.apply(head.init(key, h), h))(
        jax.random.split(jax.random.key(0), 3)
    )
    z = jax.vmap(lambda q: q.rsample(jax.random.key(1)))(several)
    assert z.shape == (3, _B, _D)


def test_planar_map_is_one_to_one_whatever_its_parameters(dtype):
    """Uncorrected, w . u < -1 would not be one-to-one; w = 0 is the identity, with a gradient."""
    w = jnp.asarray([[2.0, -1.0], [1e-4, 0.0], [0.0, 0.0], [3.0, 3.0]], dtype)
    u = jnp.asarray([[-4.0, 3.0], [1.0, 1.0], [1.0, 2.0], [5.0, 5.0]], dtype)
    planar = Planar(u, w, jnp.asarray([0.3, 0.0, 0.0, -1.0], dtype))
    x = jnp.asarray(np.random.default_rng(0).standard_normal((50, 4, 2)), dtype)
    y = planar.forward(x)
    tolerance = 1e-3 if dtype == "float32" else 1e-9
    np.testing.assert_allclose(planar.inverse(y), x, rtol=tolerance, atol=tolerance)
    slopes = jax.grad(lambda p: jnp.sum(p.forward(x)) + jnp.sum(p.log_det(x)))(planar)
    assert all(bool(jnp.all(jnp.isfinite(g))) for g in jax.tree.leaves(slopes))
    assert bool(jnp.all(jnp.isfinite(planar.log_det(100 * x))))


def test_splines_at_knots_at_the_ends_and_with_extreme_parameters(dtype):
    """Monotone, with a continuous derivative, exact at the ends, and invertible."""
    rng = np.random.default_rng(0)
    x = np.sort(np.concatenate([np.linspace(-6, 6, 400), [-5.0, 5.0, np.nextafter(5.0, 0)]]))
    x = jnp.asarray(x, dtype)
    eps = float(jnp.finfo(dtype).eps)
    for size in (1.0, 8.0):
        raw = jnp.asarray(size * rng.standard_normal((1, 23)), dtype)
        y, log_slope = rational_quadratic(x, raw)
        assert bool(jnp.all(jnp.diff(y) >= 0))
        assert bool(jnp.all(jnp.isfinite(log_slope)))
        if dtype == "float64":  # in float32 the derivative of the value cancels
            slope = jax.grad(lambda x, raw=raw: jnp.sum(rational_quadratic(x, raw)[0]))(x)
            np.testing.assert_allclose(jnp.exp(log_slope), slope, rtol=1e-6)
        back = rational_quadratic_inverse(y, raw)
        # Compared in y, since many x round to the same y if the derivative is small.
        np.testing.assert_allclose(rational_quadratic(back, raw)[0], y, atol=20 * eps)
        if size == 1.0:
            np.testing.assert_allclose(back, x, atol=1000 * eps)
    np.testing.assert_array_equal(y[jnp.abs(x) >= 5], x[jnp.abs(x) >= 5])
    identity, flat = rational_quadratic(x, jnp.zeros((1, 23), dtype))
    np.testing.assert_allclose(identity, x, atol=2e-6)
    np.testing.assert_allclose(flat, 0, atol=1e-5)


def test_derivatives_of_the_inverse_spline(x64):
    raw = jnp.asarray(np.random.default_rng(0).standard_normal((1, 11)))
    y = jnp.asarray([-4.2, -0.3, 0.7, 3.1, 6.0])
    check_grads(
        jax.jit(rational_quadratic_inverse), (y, raw), order=2, modes=["rev"],
        rtol=1e-5, atol=1e-5, eps=1e-6,
    )  # fmt: skip


def test_couplings_need_two_coordinates():
    for name in ("coupling", "spline"):
        with pytest.raises(ValueError, match="latent_dim must be at least 2, got 1"):
            FLOWS[name](1).init(jax.random.key(0), jnp.zeros((1, 4)))
