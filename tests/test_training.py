import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from repara import training


def _squares(params, batch, key, step):
    """|w - x|^2 with a little noise from the step's key, so that keys matter."""
    noise = 0.01 * jax.random.normal(key, batch.shape)
    loss = jnp.sum((params["w"][None] - batch - noise) ** 2, axis=-1)
    return loss, {"size": jnp.sum(jnp.abs(batch), axis=-1)}


_DATA = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)


def _start(optimizer, *, average=False):
    return training.init_state({"w": jnp.ones(3)}, optimizer, average=average)


def _run(epochs, *, mesh=None, state=None, optimizer=None, batch_size=8):
    optimizer = optimizer or optax.sgd(0.1, momentum=0.9)
    step = training.make_train_step(_squares, optimizer)
    epoch = training.make_epoch(step, num_examples=40, batch_size=batch_size, mesh=mesh)
    state = state or _start(optimizer)
    data, key = jnp.asarray(_DATA), jax.random.key(7)
    if mesh is not None:
        state, data, key = (training.replicate(x, mesh) for x in (state, data, key))
    history = []
    for _ in range(epochs):
        state, metrics = epoch(state, data, key)
        history.append({k: float(v) for k, v in metrics.items()})
    return state, history


def test_step_is_gradient_descent_on_the_mean():
    def loss(params, batch, key, step):
        return (params - batch) ** 2, {"twice": 2 * batch}

    step = training.make_train_step(loss, optax.sgd(0.25))
    state = training.init_state(jnp.float32(1.0), optax.sgd(0.25))
    state, metrics = step(state, jnp.array([2.0, 6.0]), jax.random.key(0))
    # d/dw mean (w - x)^2 = 2 (w - 4) = -6 at w = 1; one step of 1/4 goes to 2.5.
    assert float(state.params) == 2.5
    assert float(metrics["loss"]) == 13.0
    assert float(metrics["twice"]) == 8.0
    assert int(state.step) == 1


def test_average_follows_the_parameters_with_its_decay():
    def loss(params, batch, key, step):
        return params * batch, {}

    step = training.make_train_step(loss, optax.sgd(1.0), average_decay=0.5)
    state = training.init_state(jnp.float32(0.0), optax.sgd(1.0), average=True)
    expected, w = 0.0, 0.0
    for t in range(12):
        state, _ = step(state, jnp.ones(2), jax.random.key(t))
        w -= 1.0
        decay = min(0.5, (1 + t) / (10 + t))
        expected = decay * expected + (1 - decay) * w
    np.testing.assert_allclose(state.average, expected, rtol=1e-6)
    assert state.eval_params is state.average
    assert _start(optax.sgd(0.1)).eval_params is not None


def test_epoch_sees_every_example_once_in_a_new_order():
    seen = []

    def loss(params, batch, key, step):
        jax.debug.callback(lambda b: seen.append(np.array(b)), batch, ordered=True)
        return params * batch, {}

    epoch = training.make_epoch(
        training.make_train_step(loss, optax.sgd(0.0)), num_examples=12, batch_size=4
    )
    state = training.init_state(jnp.float32(0.0), optax.sgd(0.0))
    data, key = jnp.arange(12.0), jax.random.key(1)
    for _ in range(2):
        state, _ = epoch(state, data, key)
    jax.effects_barrier()
    first, second = np.concatenate(seen[:3]), np.concatenate(seen[3:])
    assert sorted(first) == sorted(second) == list(range(12))
    assert not np.array_equal(first, second)


def test_incomplete_batches_are_left_out():
    state, _ = _run(1, batch_size=16)
    assert int(state.step) == 2


def test_a_resumed_run_is_bit_for_bit_the_uninterrupted_one():
    whole, history = _run(4)
    half, _ = _run(2)
    resumed, rest = _run(2, state=jax.tree.map(jnp.array, half))
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(resumed), strict=True):
        np.testing.assert_array_equal(a, b)
    assert history[2:] == rest


def test_learns_the_mean():
    state, history = _run(60, optimizer=optax.sgd(0.05))
    np.testing.assert_allclose(state.params["w"], _DATA.mean(axis=0), atol=0.15)
    assert history[-1]["loss"] < history[0]["loss"]


def test_devices_agree():
    runs = [_run(3, mesh=training.data_mesh(n)) for n in (1, 2, 8)]
    alone, _ = _run(3)
    for state, history in runs:
        np.testing.assert_allclose(state.params["w"], alone.params["w"], rtol=2e-6, atol=2e-7)
        np.testing.assert_allclose(history[-1]["loss"], runs[0][1][-1]["loss"], rtol=2e-6)
    assert runs[2][0].params["w"].sharding.is_fully_replicated
    assert len(runs[2][0].params["w"].devices()) == 8


def test_batches_are_really_sharded():
    mesh = training.data_mesh(8)
    step = training.make_train_step(_squares, optax.sgd(0.1, momentum=0.9))
    epoch = training.make_epoch(step, num_examples=40, batch_size=8, mesh=mesh)
    arguments = (_start(optax.sgd(0.1, momentum=0.9)), jnp.asarray(_DATA), jax.random.key(0))
    text = epoch.lower(*(training.replicate(x, mesh) for x in arguments)).compile().as_text()
    # One example per device, and the gradients are summed over devices.
    assert "f32[1,3]" in text
    assert "all-reduce" in text


def test_state_is_donated_and_the_epoch_compiles_once():
    optimizer = optax.sgd(0.1, momentum=0.9)
    step = training.make_train_step(_squares, optimizer)
    epoch = training.make_epoch(step, num_examples=40, batch_size=8)
    state = _start(optimizer)
    data, key = jnp.asarray(_DATA), jax.random.key(7)
    first, _ = epoch(state, data, key)
    assert state.params["w"].is_deleted()
    epoch(first, data, key)
    assert epoch._cache_size() == 1


def test_the_first_step_that_is_not_finite_is_named():
    def loss(params, batch, key, step):
        return jnp.where(step >= 3, jnp.nan, params * batch), {}

    epoch = training.make_epoch(
        training.make_train_step(loss, optax.sgd(0.0)), num_examples=10, batch_size=2
    )
    state = training.init_state(jnp.float32(0.0), optax.sgd(0.0))
    _, metrics = epoch(state, jnp.ones(10), jax.random.key(0))
    assert int(metrics[training.FIRST_BAD_STEP]) == 3
    _, history = _run(1)
    assert history[0][training.FIRST_BAD_STEP] == -1


@pytest.mark.parametrize(("batch_size", "devices"), [(0, None), (41, None), (9, 2)])
def test_bad_batch_sizes(batch_size, devices):
    step = training.make_train_step(_squares, optax.sgd(0.1, momentum=0.9))
    mesh = None if devices is None else training.data_mesh(devices)
    with pytest.raises(ValueError, match=f"batch_size must be .* got {batch_size}"):
        training.make_epoch(step, num_examples=40, batch_size=batch_size, mesh=mesh)


def test_too_many_devices():
    with pytest.raises(ValueError, match="num_devices must be from 1 to 8, got 9"):
        training.data_mesh(9)


def test_nothing_crosses_between_host_and_device_inside_an_epoch():
    mesh = training.data_mesh(1)
    optimizer = optax.sgd(0.1, momentum=0.9)
    epoch = training.make_epoch(
        training.make_train_step(_squares, optimizer), num_examples=40, batch_size=8, mesh=mesh
    )
    put = functools.partial(training.replicate, mesh=mesh)
    state, data, key = put(_start(optimizer)), put(_DATA), put(jax.random.key(0))
    compiled = epoch.lower(state, data, key).compile()
    with jax.transfer_guard("disallow"):
        state, metrics = compiled(state, data, key)
        jax.block_until_ready(metrics)
    assert int(state.step) == 5
