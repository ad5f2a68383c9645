"""Bijectors: round trips, log-determinants against the Jacobian, extremes, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from repara import Normal, Transformed
from repara import bijectors as b
from tests.distributions.programs import compiled

TRIL = np.asarray([[1.5, 0.0, 0.0], [0.4, 0.7, 0.0], [-0.3, 0.2, 2.0]])
CASES = {
    "exp": b.Exp(),
    "softplus": b.Softplus(),
    "sigmoid": b.Sigmoid(),
    "tanh": b.Tanh(),
    "affine": b.Affine(1.0, 2.0),
    "scale_tril": b.ScaleTril(TRIL),
    "softmax_centered": b.SoftmaxCentered(),
    "stick_breaking": b.StickBreaking(),
    "invert": b.Invert(b.Softplus()),
    "chain": b.Chain((b.Affine(0.3, 0.5), b.ScaleTril(TRIL), b.StickBreaking())),
}


@pytest.mark.parametrize("name", CASES)
def test_round_trip_and_log_determinant(name, x64):
    bijector = CASES[name]
    x = np.asarray([[0.3, 0.5, 0.2], [0.7, 0.1, 1.2]])  # positive, for the inverted softplus

    @compiled
    def program(x):
        def free(x):  # the first coordinates of a point of the simplex determine it
            return bijector.forward(x)[: x.shape[-1]]

        determinants = jnp.linalg.slogdet(jax.vmap(jax.jacfwd(free))(x))[1]
        log_det = bijector.log_det(x)
        total = jnp.sum(log_det, axis=tuple(range(bijector.event_ndims - 1, 0)))
        y = bijector.forward(x)
        return y, bijector.inverse(y), determinants, total

    y, back, determinants, total = program(x)
    assert y.shape[-1:] == bijector.forward_shape((3,))
    np.testing.assert_allclose(back, x, rtol=1e-12)
    np.testing.assert_allclose(total, determinants, rtol=1e-12)


def test_far_out_is_finite(dtype):
    x = jnp.asarray([-80.0, 80.0], dtype)
    for name in ("softplus", "sigmoid", "tanh"):
        log_det, slope = jax.jvp(CASES[name].log_det, (x,), (jnp.ones_like(x),))
        assert bool(jnp.all(jnp.isfinite(log_det) & jnp.isfinite(slope))), name
    for name in ("softmax_centered", "stick_breaking"):
        y = CASES[name].forward(x)
        np.testing.assert_allclose(jnp.sum(y), 1, rtol=1e-5)
        assert np.isfinite(CASES[name].log_det(x))


def test_the_density_of_a_tanh_normal_is_finite_where_tanh_rounds_to_one(dtype):
    q = Transformed(Normal(jnp.asarray(0.5, dtype), jnp.asarray(2.0, dtype)), b.Tanh())
    one = jnp.asarray(1.0, dtype)
    inside = jnp.nextafter(one, jnp.zeros_like(one))

    @compiled
    def program(q, y):
        value, gradient = jax.value_and_grad(lambda q: q.log_prob(y))(q)
        return value, gradient.base.loc, gradient.base.scale

    for sign in (1, -1):
        edge = program(q, sign * one)
        assert np.all(np.isfinite(edge))
        np.testing.assert_array_equal(edge, program(q, sign * inside))
    assert program(q, jnp.asarray(1.5, dtype))[0] == -np.inf


def test_errors():
    with pytest.raises(ValueError, match="Affine: scale must be positive, got -1"):
        b.Affine(0.0, -1.0)
    with pytest.raises(ValueError, match="ScaleTril: scale_tril must be lower triangular"):
        b.ScaleTril(np.ones((2, 2)))
    moved = jax.jit(lambda s: b.Affine(0.0, s).forward(jnp.ones(())))(-1.0)
    assert np.isnan(moved)
    assert b.Affine(0.0, 1.0).event_ndims == 0
    jax.tree.map(lambda _: None, CASES["affine"])  # unflattening never validates
