"""Separately compiled stages: same values, records in and out, and what the compiler sees."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from repara import _cpu


class Polar(NamedTuple):
    radius: jax.Array
    angle: jax.Array
    turns: jax.Array


@_cpu.stage
def polar(x, y):
    return Polar(jnp.hypot(x, y), jnp.arctan2(y, x), jnp.zeros_like(x))


@_cpu.stage
def first_coordinate(point: Polar):
    return point.radius * jnp.cos(point.angle)


POINTS = jnp.array([1.0, -2.0, 0.5]), jnp.array([0.3, 4.0, jnp.inf])


def test_a_stage_returns_its_record():
    point = _cpu.unpack(polar(*POINTS))
    assert isinstance(point, Polar)
    np.testing.assert_array_equal(point.radius, jnp.hypot(*POINTS))
    np.testing.assert_array_equal(point.angle, jnp.arctan2(POINTS[1], POINTS[0]))
    np.testing.assert_array_equal(point.turns, 0)


def test_a_stage_sees_the_record_of_another_one():
    x, y = POINTS[0], jnp.ones(3)
    found = jax.jit(lambda x, y: _cpu.unpack(first_coordinate(polar(x, y))))(x, y)
    np.testing.assert_allclose(found, x, rtol=1e-6)


def test_outputs_travel_in_pairs():
    packed = polar(*POINTS)
    assert [a.dtype for a in packed.arrays] == [jnp.complex64, jnp.float32]


def test_stages_can_be_differentiated():
    def f(x, y):
        return _cpu.unpack(first_coordinate(polar(x, y)))

    by_x, by_y = jax.grad(f, (0, 1))(jnp.float32(0.6), jnp.float32(0.8))
    np.testing.assert_allclose((by_x, by_y), (1, 0), atol=1e-6)


def test_the_compiler_keeps_the_conditional():
    f = jax.jit(lambda x: jnp.sum(_cpu.compile_separately(jnp.sin, x)))
    assert " conditional(" in f.lower(jnp.ones(100)).compile().as_text()


def sums(x, y):
    return x + y, x * y, x - y


@pytest.mark.parametrize("block", [None, 8])  # bytes: two numbers
@pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 3)])
def test_an_elementwise_stage_returns_the_values_of_its_function(shape, block):
    staged = jax.jit(lambda x, y: _cpu.elementwise_stage(sums, x, y, block=block))
    x = jnp.asarray(np.arange(1, 1 + np.prod(shape)), "float32").reshape(shape)
    for y in (jnp.full(shape, jnp.nan), 2 * x, jnp.ones((1,) * len(shape))):
        for value, expected in zip(staged(x, y), sums(x, y), strict=True):
            np.testing.assert_array_equal(value, expected)
