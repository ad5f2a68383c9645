"""The toy of Tucker et al. (2017), "REBAR": minimise E[(b - 0.499)^2] over the logit of a coin.

Zero is barely better than one: the signal is a hundredth of the function's size, and what an
estimator does about the rest decides.
"""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

import repara as rp
from experiments.gradient_variance.seeds import learning_curve
from repara import estimators as est

__all__ = ["ESTIMATORS", "TABLE_LOGIT", "study", "temperatures"]

_TARGET = 0.499
_LEARNING_RATE = 0.01
_SAMPLES = 2
# Where estimators are compared: a coin that shows one in 88 of 100 throws, when it should not. At
# logit 0 the leave-one-out baseline is the best there is, and DisARM has no variance.
TABLE_LOGIT = 2.0
_TUNING_STEPS = 2000


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


_RELAXED: dict[str, Callable[..., est.Surrogate]] = {
    "Gumbel-softmax": lambda t=0.5: est.gumbel_softmax(_toy, _coin, temperature=t),
    "straight-through Gumbel-softmax": lambda t=0.5: est.gumbel_softmax(
        _toy, _coin, temperature=t, straight_through=True
    ),
    "Gumbel-Rao": lambda t=0.5: est.gumbel_rao(_toy, _coin, temperature=t, num_inner=10),
}
ESTIMATORS: dict[str, Callable[..., est.Surrogate]] = {
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
    **_RELAXED,
}  # fmt: skip
_TRAINED = ("REBAR", "RELAX")


def _truth(logit: jax.Array) -> jax.Array:
    """The exact gradient."""
    p = jax.nn.sigmoid(logit)
    return p * (1 - p) * (_toy(jnp.ones(())) - _toy(jnp.zeros(())))


def _initial(key: jax.Array) -> Any:
    """What control variates begin with: none at all."""
    net = _NET.init(key, jnp.zeros(()))
    return {"log_temperature": jnp.zeros(()), "eta": jnp.zeros(()), "net": net}


_TUNER = optax.adam(1e-4)


def _tune(
    surrogate: est.Surrogate, logit: jax.Array, learnt: Any, state: Any, key: jax.Array
) -> tuple[Any, Any]:
    """A step of the control variate towards less variance."""

    def loss(learnt: Any) -> jax.Array:
        params = {"logit": logit, "learnt": learnt}
        # In units of the toy's own differences, so that the optimizer sees numbers near one.
        return 1e6 * est.control_variate_loss(surrogate, params, key, _SAMPLES, 20)

    updates, state = _TUNER.update(jax.grad(loss)(learnt), state)
    return optax.apply_updates(learnt, updates), state


def _tuned(name: str, key: jax.Array) -> Any:
    """The control variate for the logit of the table."""
    surrogate, logit = ESTIMATORS[name](), jnp.asarray(TABLE_LOGIT)
    init_key, key = jax.random.split(key)
    learnt = _initial(init_key)

    def body(carry: Any, key: jax.Array) -> Any:
        learnt, state = carry
        return _tune(surrogate, logit, learnt, state, key), None

    carry = (learnt, _TUNER.init(learnt))
    return jax.lax.scan(body, carry, jax.random.split(key, _TUNING_STEPS))[0][0]


def _train(name: str, key: jax.Array, steps: int, every: int, repeats: int) -> Any:
    """One run: what is measured every few steps."""
    surrogate = ESTIMATORS[name]()
    optimizer = optax.adam(_LEARNING_RATE)
    init_key, key = jax.random.split(key)
    logit, learnt = jnp.zeros(()), _initial(init_key)

    def gradient(logit: jax.Array, learnt: Any, key: jax.Array) -> jax.Array:
        return jax.grad(
            lambda x: jnp.mean(surrogate({"logit": x, "learnt": learnt}, key, _SAMPLES))
        )(logit)

    def step(carry: Any, key_and_learn: Any) -> Any:
        key, learn = key_and_learn
        gradient_key, tuner_key = jax.random.split(key)
        g = gradient(carry[0], carry[2], gradient_key)

        def update(carry: Any) -> Any:
            logit, state, learnt, tuner_state = carry
            updates, state = optimizer.update(g, state)
            if name in _TRAINED:
                learnt, tuner_state = _tune(surrogate, logit, learnt, tuner_state, tuner_key)
            return optax.apply_updates(logit, updates), state, learnt, tuner_state

        return jax.lax.cond(learn, update, lambda carry: carry, carry), g

    def round_(carry: Any, key: jax.Array) -> Any:
        logit = carry[0]
        p = jax.nn.sigmoid(logit)
        # The first gradients are for the variance; then it learns.
        count = repeats + every
        keys = jax.random.split(key, count)
        carry, g = jax.lax.scan(step, carry, (keys, jnp.arange(count) >= repeats))
        g = g[:repeats]
        return carry, {
            "loss": p * _toy(jnp.ones(())) + (1 - p) * _toy(jnp.zeros(())),
            "probability": p,
            "variance": jnp.var(g, ddof=1),
            "bias": jnp.mean(g) - _truth(logit),
            "bias_stderr": jnp.std(g, ddof=1) / repeats**0.5,
        }

    carry = (logit, optimizer.init(logit), learnt, _TUNER.init(learnt))
    return jax.lax.scan(round_, carry, jax.random.split(key, steps // every + 1))[1]


def study(
    key: jax.Array,
    steps: int,
    every: int,
    num_seeds: int,
    repeats: int,
    tick: Callable[[str], None],
) -> tuple[list[dict], list[dict]]:
    """Trains with each estimator, and measures each of them at `TABLE_LOGIT`.

    Args:
      key: a typed key; consumed.
      steps: training steps.
      every: steps between measurements.
      num_seeds: how many runs, by `vmap`.
      repeats: gradients for a variance.
      tick: called with a label after each of the estimators.

    Returns:
      The learning curves, one row an estimator and step; and a table, with control variates tuned
      for its logit: bias, variance, time.
    """
    curves: list[dict] = []
    table: list[dict] = []
    train_key, tune_key, table_key = jax.random.split(key, 3)
    logit = jnp.asarray(TABLE_LOGIT)
    for name in ESTIMATORS:
        curve, _ = learning_curve(
            functools.partial(_train, name, steps=steps, every=every, repeats=repeats),
            jax.random.split(train_key, num_seeds), name, every,
        )  # fmt: skip
        curves += curve
        surrogate = ESTIMATORS[name]()
        if name in _TRAINED:
            learnt = jax.jit(lambda k, n=name: _tuned(n, k))(tune_key)
        else:
            learnt = _initial(tune_key)
        report = est.variance(
            lambda logit, k, n, s=surrogate, x=learnt: s({"logit": logit, "learnt": x}, k, n),
            logit, table_key, _SAMPLES, 50 * repeats, truth=_truth(logit),
        )  # fmt: skip
        table.append({
            "estimator": name, "bias": float(report.bias), "bias_stderr": float(report.stderr),
            "variance": report.total_variance, "snr": report.snr,
            "microseconds": 1e6 * report.seconds, "variance_time": report.variance_time,
        })  # fmt: skip
        tick(name)
    return curves, table


def temperatures(
    key: jax.Array, num_points: int, repeats: int, tick: Callable[[str], None]
) -> list[dict]:
    """The bias of relaxed estimators at `TABLE_LOGIT`, and their variance, over temperatures.

    Args:
      key: a typed key; consumed.
      num_points: temperatures, from 0.05 to 1.
      repeats: gradients of 1,000 samples each for a bias.
      tick: called with a label when it is done.

    Returns:
      One row an estimator and temperature: the bias over the exact gradient, its standard error,
      and the variance of a single sample's estimate.
    """
    rows, samples = [], 1000
    logit = jnp.asarray(TABLE_LOGIT)
    truth = _truth(logit)
    for name, make in _RELAXED.items():

        @jax.jit
        def gradients(temperature: jax.Array, keys: jax.Array, make: Any = make) -> jax.Array:
            surrogate = make(temperature)

            def gradient(key: jax.Array) -> jax.Array:
                return jax.grad(lambda x: jnp.mean(surrogate({"logit": x}, key, samples)))(logit)

            return jax.lax.map(gradient, keys, batch_size=16)

        for temperature in np.geomspace(0.05, 1.0, num_points):
            g = gradients(jnp.float32(temperature), jax.random.split(key, repeats))
            each = np.asarray(g, np.float64) / float(truth)
            rows.append({
                "estimator": name, "temperature": float(temperature),
                "bias": float(np.mean(each) - 1),
                "bias_stderr": float(np.std(each, ddof=1) / repeats**0.5),
                "variance": float(samples * np.var(each, ddof=1) * float(truth) ** 2),
            })  # fmt: skip
    tick("temperatures")
    return rows
