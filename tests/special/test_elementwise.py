"""Rules of differentiation that the elementwise functions share, polynomials, and arguments."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from repara.special import beta_from_normal, elementwise, gamma, polynomial


def test_horner_rows_differentiates_itself():
    rows = ((1.0, 2.0, 3.0), (0.5,), (0.0, -1.0))
    x, y = jnp.array([0.3, -2.0]), jnp.array([1.5, 0.2])
    by_hand = 1 + 2 * y + 3 * y * y + 0.5 * x - x * x * y
    np.testing.assert_allclose(polynomial.horner_rows(rows, x, y), by_hand, rtol=1e-6)
    value = lambda x, y: jnp.sum(polynomial.horner_rows(rows, x, y))  # noqa: E731
    np.testing.assert_allclose(jax.grad(value)(x, y), 0.5 - 2 * x * y, rtol=1e-6)
    np.testing.assert_allclose(jax.grad(value, 1)(x, y), 2 + 6 * y - x * x, rtol=1e-6)


def test_derivatives_of_every_order_and_mode():
    f = elementwise.with_forward_derivatives(lambda x, y: jnp.sin(x) * y**3)
    x, y = jnp.array([[0.3, -2.0, 1.0]]), jnp.array([[1.5], [0.2]])
    total = lambda x, y: jnp.sum(f(x, y))  # noqa: E731
    np.testing.assert_allclose(jax.grad(total, 1)(x, y), 3 * y**2 * jnp.sum(jnp.sin(x)), rtol=1e-5)
    by_x = jax.grad(total)
    mixed = jax.jvp(lambda y: by_x(x, y), (y,), (jnp.ones_like(y),))[1]
    np.testing.assert_allclose(mixed, jnp.sum(3 * y**2) * jnp.cos(x), rtol=1e-5)
    third = jax.grad(lambda x: jnp.sum(jax.grad(lambda x: jnp.sum(by_x(x, y)))(x)))(x)
    np.testing.assert_allclose(third, -jnp.sum(y**3) * jnp.cos(x), rtol=1e-5)
    np.testing.assert_allclose(jax.vmap(f)(x, x), f(x, x), rtol=1e-6)
    both = jax.jit(jax.hessian(total, (0, 1)))(x, y)
    np.testing.assert_allclose(both[0][1][0, 1, 0, 0], 3 * 1.5**2 * np.cos(-2.0), rtol=1e-5)


def test_a_second_call_compiles_nothing():
    x = jnp.linspace(0.1, 1, 50)
    gamma.gamma_from_normal(x, x)
    with jax.no_tracing():
        gamma.gamma_from_normal(x, x)


@pytest.mark.parametrize("kind", ["Auto", "Explicit"])
@pytest.mark.parametrize(
    "variate", [gamma.gamma_from_normal, lambda e, a: beta_from_normal(e, a, 2.0)]
)
def test_sharded_noise_gives_the_same_values_and_gradients(variate, kind):
    axis = getattr(jax.sharding.AxisType, kind)
    mesh = jax.make_mesh((8,), ("data",), axis_types=(axis,))
    eps, a = jax.random.normal(jax.random.key(0), (64, 5)), jnp.linspace(0.1, 20, 5)
    spread = jax.device_put(eps, jax.NamedSharding(mesh, jax.P("data")))
    f = jax.jit(jax.value_and_grad(lambda a, e: jnp.sum(variate(e, a) ** 2)))
    for found, true in zip(f(a, spread), f(a, eps), strict=True):
        np.testing.assert_allclose(found, true, rtol=1e-5)


def test_as_floats_refuses_and_reshapes():
    with pytest.raises(TypeError, match="bfloat16"):
        elementwise.as_floats("f", jnp.ones(2, jnp.bfloat16))
    with pytest.raises(ValueError, match="broadcast"):
        elementwise.as_floats("f", jnp.ones(2), jnp.ones(3))
    x, y, n = elementwise.as_floats("f", jnp.ones((2, 3)), 1.0, jnp.arange(3))
    assert (x.shape, y.shape, n.shape) == ((2, 3), (1, 1), (1, 3))
    assert n.dtype == jnp.float32
