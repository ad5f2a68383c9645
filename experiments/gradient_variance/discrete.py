"""The toy of Tucker et al. (2017), "REBAR": minimise E[(b - 0.499)^2] over the logit of a coin.

Zero is barely better than one, so the signal is two thousandths of the function's size: what an
estimator does about the rest decides.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

import repara as rp
from repara import estimators as est

__all__ = ["ESTIMATORS", "study"]

_TARGET = 0.499
_LEARNING_RATE = 0.01


def _toy(b: jax.Array) -> jax.Array:
    return (b - _TARGET) ** 2


def _coin(params: Any) -> rp.Bernoulli:
    return rp.Bernoulli(logits=params["logit"])


class _ControlVariate(nn.Module):
    """A small network of the noisy logit; it begins as zero."""

    @nn.compact
    def __call__(self, z: jax.Array) -> jax.Array:
        hidden = jnp.tanh(nn.Dense(10)(z[None]))
        return nn.Dense(1, kernel_init=nn.initializers.zeros)(hidden)[0]


_NET = _ControlVariate()


def _network(params: Any, z: jax.Array) -> jax.Array:
    return jnp.asarray(_NET.apply(params["learnt"]["net"], z))


ESTIMATORS: dict[str, Callable[[], est.Surrogate]] = {
    "exact": lambda: est.enumerate_exactly(_toy, _coin),
    "score function": lambda: est.score_function(_toy, _coin),
    "score function, moving average": lambda: est.score_function(
        _toy, _coin, baseline="moving_average"
    ),
    "score function, leave-one-out": lambda: est.score_function(
        _toy, _coin, baseline="leave_one_out"
    ),
    "ARM": lambda: est.arm(_toy, _coin),
    "DisARM": lambda: est.disarm(_toy, _coin),
    "REBAR": lambda: est.rebar(
        _toy, _coin, temperature=lambda p: jnp.exp(p["learnt"]["log_temperature"]),
        eta=lambda p: p["learnt"]["eta"],
    ),
    "RELAX": lambda: est.relax(_toy, _coin, control_variate=_network),
    "straight-through": lambda: est.straight_through(_toy, _coin),
    "Gumbel-softmax": lambda: est.gumbel_softmax(_toy, _coin, temperature=0.5),
    "straight-through Gumbel-softmax": lambda: est.gumbel_softmax(
        _toy, _coin, temperature=0.5, straight_through=True
    ),
    "Gumbel-Rao": lambda: est.gumbel_rao(_toy, _coin, temperature=0.5, num_inner=10),
}  # fmt: skip
_TRAINED = ("REBAR", "RELAX")


def _initial(key: jax.Array) -> dict[str, Any]:
    net = _NET.init(key, jnp.zeros(()))
    return {
        "logit": jnp.zeros(()),
        "learnt": {"log_temperature": jnp.zeros(()), "eta": jnp.zeros(()), "net": net},
    }


def _train(name: str, key: jax.Array, steps: int, every: int, repeats: int) -> Any:
    surrogate = ESTIMATORS[name]()
    optimizer, tuner = optax.adam(_LEARNING_RATE), optax.adam(1e-4)
    init_key, key = jax.random.split(key)
    params = _initial(init_key)

    def with_logit(logit: jax.Array, learnt: Any) -> Any:
        return {"logit": logit, "learnt": learnt}

    def gradient(params: Any, key: jax.Array) -> jax.Array:
        return jax.grad(
            lambda logit: jnp.mean(surrogate(with_logit(logit, params["learnt"]), key, 2))
        )(params["logit"])

    def step(carry: Any, key: jax.Array) -> Any:
        params, state, tuner_state = carry
        gradient_key, tuner_key = jax.random.split(key)
        updates, state = optimizer.update(gradient(params, gradient_key), state)
        learnt = params["learnt"]
        if name in _TRAINED:
            # In units of the toy's own differences, so that the optimizer sees numbers near one.
            tuning = jax.grad(
                lambda x: 1e6 * est.control_variate_loss(
                    surrogate, with_logit(params["logit"], x), tuner_key, 2, 20
                )
            )(learnt)  # fmt: skip
            change, tuner_state = tuner.update(tuning, tuner_state)
            learnt = optax.apply_updates(learnt, change)
        logit = optax.apply_updates(params["logit"], updates)
        return (with_logit(logit, learnt), state, tuner_state), None

    def round_(carry: Any, key: jax.Array) -> Any:
        train_key, measure_key = jax.random.split(key)
        params = carry[0]
        g = jax.vmap(lambda k: gradient(params, k))(jax.random.split(measure_key, repeats))
        p = jax.nn.sigmoid(params["logit"])
        truth = p * (1 - p) * (_toy(jnp.ones(())) - _toy(jnp.zeros(())))
        measured = {
            "loss": p * _toy(jnp.ones(())) + (1 - p) * _toy(jnp.zeros(())),
            "probability": p,
            "variance": jnp.var(g, ddof=1),
            "bias": jnp.mean(g) - truth,
            "bias_stderr": jnp.std(g, ddof=1) / repeats**0.5,
        }
        return jax.lax.scan(step, carry, jax.random.split(train_key, every))[0], measured

    carry = (params, optimizer.init(params["logit"]), tuner.init(params["learnt"]))
    last, measured = jax.lax.scan(round_, carry, jax.random.split(key, steps // every + 1))
    return last[0], measured


def study(
    key: jax.Array,
    steps: int,
    every: int,
    num_seeds: int,
    repeats: int,
    tick: Callable[[str], None],
) -> tuple[list[dict], list[dict]]:
    """Trains with each estimator, and measures each of them where training begins.

    Args:
      key: a typed key; consumed.
      steps: training steps.
      every: steps between measurements.
      num_seeds: how many runs, by `vmap`.
      repeats: gradients for a variance.
      tick: called with a label after each of the estimators.

    Returns:
      The learning curves, one row an estimator and step; and a table at logit 0, with what was
      learnt of the control variates by the end of training: bias, variance, time.
    """
    curves, table = [], []
    train_key, table_key = jax.random.split(key)
    for name in ESTIMATORS:
        run = jax.jit(jax.vmap(lambda k, n=name: _train(n, k, steps, every, repeats)))
        params, measured = jax.device_get(run(jax.random.split(train_key, num_seeds)))
        for i in range(steps // every + 1):
            row: dict[str, Any] = {"estimator": name, "step": i * every}
            for what, values in measured.items():
                row[what] = float(np.mean(values[:, i], dtype=np.float64))
                row[f"{what}_spread"] = float(np.std(values[:, i], dtype=np.float64))
            curves.append(row)
        learnt = jax.tree.map(lambda x: jnp.asarray(x[0]), params["learnt"])
        surrogate = ESTIMATORS[name]()
        report = est.variance(
            lambda logit, k, n, s=surrogate, x=learnt: s({"logit": logit, "learnt": x}, k, n),
            jnp.zeros(()), table_key, 2, 50 * repeats,
            truth=0.25 * (_toy(1.0) - _toy(0.0)),  # type: ignore[arg-type]
        )  # fmt: skip
        table.append({
            "estimator": name, "bias": float(report.bias), "bias_stderr": float(report.stderr),
            "variance": report.total_variance, "snr": report.snr,
            "microseconds": 1e6 * report.seconds, "variance_time": report.variance_time,
        })  # fmt: skip
        tick(name)
    return curves, table
