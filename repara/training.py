"""Training with Optax: a pure step, an epoch as one compiled scan, batches sharded over a mesh."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

__all__ = [
    "FIRST_BAD_STEP",
    "Epoch",
    "LossFunction",
    "Metrics",
    "Params",
    "TrainState",
    "TrainStep",
    "data_mesh",
    "init_state",
    "make_epoch",
    "make_train_step",
    "replicate",
]

Params = Any
"""A pytree of arrays."""

Metrics = dict[str, jax.Array]
"""Metrics by name."""

FIRST_BAD_STEP = "first_bad_step"
"""The name of an epoch's metric: the first step whose loss was not finite, -1 if there is none."""


class TrainState(NamedTuple):
    """The state of training; a pytree.

    Attributes:
      step: the number of steps done, int32.
      params: the parameters.
      opt_state: the state of the Optax optimizer.
      average: the exponential moving average of the parameters; None if there is none.
    """

    step: jax.Array
    params: Params
    opt_state: optax.OptState
    average: Params | None

    @property
    def eval_params(self) -> Params:
        """The parameters for evaluation: the average if there is one."""
        return self.params if self.average is None else self.average


class LossFunction(Protocol):
    """The type of a loss function: one loss per example, and metrics with one value per example."""

    def __call__(
        self, params: Params, batch: jax.Array, key: jax.Array, step: jax.Array
    ) -> tuple[jax.Array, Metrics]:
        """Returns the loss [B] to minimize, and metrics of shape [B]; the key is consumed."""
        ...


TrainStep = Callable[[TrainState, jax.Array, jax.Array], tuple[TrainState, Metrics]]
"""`(state, batch, key) -> (state, metrics)`; metrics are scalars."""

Epoch = Callable[[TrainState, jax.Array, jax.Array], tuple[TrainState, Metrics]]
"""`(state, data, run_key) -> (state, metrics)`; metrics are means over the epoch's steps."""


def init_state(
    params: Params, optimizer: optax.GradientTransformation, *, average: bool = False
) -> TrainState:
    """Returns the state before the first step.

    Args:
      params: the initial parameters.
      optimizer: an Optax optimizer.
      average: whether to average the parameters.

    Returns:
      The state; the average starts as a copy of the parameters.

    Example:
      >>> int(init_state({"w": jnp.zeros(3)}, optax.sgd(0.1)).step)
      0
    """
    # A copy, since the buffers of the state are donated to the first epoch.
    copy = jax.tree.map(jnp.copy, params) if average else None
    return TrainState(jnp.zeros((), jnp.int32), params, optimizer.init(params), copy)


def make_train_step(
    loss_function: LossFunction,
    optimizer: optax.GradientTransformation,
    *,
    average_decay: float | None = None,
) -> TrainStep:
    """Returns a pure training step on the mean of the loss.

        theta <- theta + optimizer(grad mean_b loss_b),   average <- d average + (1 - d) theta

    The decay d is `average_decay`, or (1 + t) / (10 + t) early in training if that is smaller, so
    that the average soon forgets the initial parameters.

    Args:
      loss_function: returns the loss of each example, [B], and metrics.
      optimizer: an Optax optimizer.
      average_decay: the decay of the average of the parameters, in [0, 1); None for no average.

    Returns:
      The step `(state, batch, key) -> (state, metrics)`. The metrics are "loss", and the means over
      the batch of the metrics of the loss function.

    Example:
      >>> loss = lambda params, batch, key, step: ((batch - params) ** 2, {})
      >>> step = make_train_step(loss, optax.sgd(0.5))
      >>> state = init_state(jnp.float32(0.0), optax.sgd(0.5))
      >>> state, metrics = step(state, jnp.ones(4), jax.random.key(0))
      >>> float(state.params), float(metrics["loss"])
      (1.0, 1.0)
    """

    def mean_loss(
        params: Params, batch: jax.Array, key: jax.Array, step: jax.Array
    ) -> tuple[jax.Array, Metrics]:
        loss, metrics = loss_function(params, batch, key, step)
        return jnp.mean(loss), jax.tree.map(jnp.mean, metrics)

    def train_step(
        state: TrainState, batch: jax.Array, key: jax.Array
    ) -> tuple[TrainState, Metrics]:
        (loss, metrics), gradient = jax.value_and_grad(mean_loss, has_aux=True)(
            state.params, batch, key, state.step
        )
        updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        average = state.average
        if average_decay is not None:
            t = state.step.astype(jnp.float32)
            decay = jnp.minimum(average_decay, (1 + t) / (10 + t))
            average = optax.incremental_update(params, average, 1 - decay)
        state = TrainState(state.step + 1, params, opt_state, average)
        return state, {"loss": loss, **metrics}

    return train_step


def make_epoch(
    train_step: TrainStep, *, num_examples: int, batch_size: int, mesh: Mesh | None = None
) -> Epoch:
    """Returns a compiled pass over device-resident data, one `lax.scan`.

    Each epoch shuffles the examples and leaves out the incomplete last batch, so every epoch leaves
    out other examples. The key of a step is `fold_in(step_key, step)`, the key of a shuffle is
    `fold_in(shuffle_key, epoch)`, and both come from one split of the run's key. An epoch depends
    only on the state, the data and that key, so a run resumed from a state is bit-for-bit the
    uninterrupted run.

    Args:
      train_step: the result of `make_train_step`.
      num_examples: N, the length of the data.
      batch_size: B, from 1 to N; with a mesh, a multiple of its number of devices.
      mesh: a mesh with an axis "data" over which batches are sharded; None for one device.

    Returns:
      The compiled epoch `(state, data, run_key) -> (state, metrics)`. Its argument `state` is
      donated. The metrics are the means of the step's metrics; "parameter_norm", the norm of the
      parameters after the epoch; "change_norm", the norm of their change in the epoch; and
      "first_bad_step", the first step whose loss was not finite, -1 if there is none.

    Raises:
      ValueError: the batch size is out of range or not a multiple of the number of devices.

    Example:
      >>> loss = lambda params, batch, key, step: ((batch - params) ** 2, {})
      >>> epoch = make_epoch(make_train_step(loss, optax.sgd(0.1)), num_examples=8, batch_size=4)
      >>> state = init_state(jnp.float32(0.0), optax.sgd(0.1))
      >>> state, metrics = epoch(state, jnp.ones(8), jax.random.key(0))
      >>> int(state.step), round(float(state.params), 2)
      (2, 0.36)
    """
    if not 1 <= batch_size <= num_examples:
        raise ValueError(
            f"batch_size must be from 1 to the number of examples, {num_examples}, got {batch_size}"
        )
    if mesh is not None and batch_size % mesh.shape["data"]:
        raise ValueError(
            f"batch_size must be a multiple of the {mesh.shape['data']} devices, got {batch_size}"
        )
    steps = num_examples // batch_size
    by_example = None if mesh is None else NamedSharding(mesh, PartitionSpec("data"))

    def shard(x: jax.Array) -> jax.Array:
        if by_example is None:
            return x
        sharded: jax.Array = jax.lax.with_sharding_constraint(x, by_example)
        return sharded

    def epoch(state: TrainState, data: jax.Array, run_key: jax.Array) -> tuple[TrainState, Metrics]:
        shuffle_key, step_key = jax.random.split(run_key)
        order = jax.random.permutation(
            jax.random.fold_in(shuffle_key, state.step // steps), num_examples
        )
        batches = order[: steps * batch_size].reshape(steps, batch_size)

        def body(
            carry: tuple[TrainState, jax.Array], indices: jax.Array
        ) -> tuple[tuple[TrainState, jax.Array], Metrics]:
            state, first_bad = carry
            batch = shard(data.at[shard(indices)].get(mode="promise_in_bounds"))
            new, metrics = train_step(state, batch, jax.random.fold_in(step_key, state.step))
            bad = ~jnp.isfinite(metrics["loss"]) & (first_bad < 0)
            return (new, jnp.where(bad, state.step, first_bad)), metrics

        start = state.params
        (state, first_bad), metrics = jax.lax.scan(body, (state, jnp.int32(-1)), batches)
        means = jax.tree.map(jnp.mean, metrics)
        # Once per epoch: in every step the norms would take a seventh of a small network's time.
        norms = {
            "parameter_norm": optax.tree.norm(state.params),
            "change_norm": optax.tree.norm(jax.tree.map(jnp.subtract, state.params, start)),
        }
        return state, {**means, **norms, FIRST_BAD_STEP: first_bad}

    return jax.jit(epoch, donate_argnums=0)


def data_mesh(num_devices: int | None = None) -> Mesh:
    """Returns a mesh with the single axis "data" over the devices of all hosts.

    Args:
      num_devices: the number of devices to use; None for all.

    Returns:
      The mesh.

    Raises:
      ValueError: there are fewer devices.

    Example:
      >>> data_mesh(1).shape["data"]
      1
    """
    devices = jax.devices()
    count = len(devices) if num_devices is None else num_devices
    if not 1 <= count <= len(devices):
        raise ValueError(f"num_devices must be from 1 to {len(devices)}, got {count}")
    return jax.make_mesh(
        (count,), ("data",), axis_types=(jax.sharding.AxisType.Auto,), devices=devices[:count]
    )


def replicate(tree: Any, mesh: Mesh) -> Any:
    """Puts a pytree of arrays on every device of the mesh.

    Args:
      tree: host or device arrays, the same on every host; typed keys are allowed.
      mesh: the mesh.

    Returns:
      The same pytree, with each leaf replicated over the mesh.

    Example:
      >>> replicate(jnp.ones(3), data_mesh(1)).shape
      (3,)
    """
    sharding = NamedSharding(mesh, PartitionSpec())
    if sharding.is_fully_addressable:
        return jax.device_put(tree, sharding)

    def put(x: Any) -> jax.Array:
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            data = put(jax.random.key_data(x))
            keys: jax.Array = jax.random.wrap_key_data(data, impl=jax.random.key_impl(x))
            return keys
        # Each host copies to its own devices.
        host = np.asarray(x)
        return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])

    return jax.tree.map(put, tree)
