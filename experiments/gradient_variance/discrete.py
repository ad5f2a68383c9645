"""Gradients for a Bernoulli variable: minimize E[(b - 0.499)^2] over the logit of b.

The values at 0 and at 1 differ by 0.002, a hundredth of the function itself. An estimator is
good if it removes the part of the function that does not matter.

References:
  Tucker et al. (2017), "REBAR: low-variance, unbiased gradient estimates for discrete latent
  variable models", https://arxiv.org/abs/1703.07370
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

import repara as rp
from experiments.gradient_variance.learning_curve import learning_curve
from repara import estimators as est

__all__ = ["ESTIMATORS", "NUM_PARTS", "RELAXED", "TABLE_LOGIT", "Estimator", "Outcome", "study",
           "temperatures"]  # fmt: skip

_TARGET = 0.499
_LEARNING_RATE = 0.01
_SAMPLES = 2
# The logit at which estimators are compared: b is 1 with probability 0.88, and 0 is better. At
# logit 0 the leave-one-out baseline would be optimal and DisARM would have no variance.
TABLE_LOGIT = 2.0
# For the control variates: training steps, samples per step, and Adam.
_TUNING_STEPS = 2000
_TUNING_REPEATS = 20
_TUNER = optax.adam(1e-4)
# Samples per gradient in the measurement of the bias over temperatures.
_BIAS_SAMPLES = 1000


def _toy(b: jax.Array) -> jax.Array:
    return (b - _TARGET) ** 2


def _expected_toy(p: jax.Array) -> jax.Array:
    return p * _toy(jnp.ones(())) + (1 - p) * _toy(jnp.zeros(()))


def _exact_gradient(logit: jax.Array) -> jax.Array:
    p = jax.nn.sigmoid(logit)
    return p * (1 - p) * (_toy(jnp.ones(())) - _toy(jnp.zeros(())))


def _bernoulli(params: Any) -> rp.Bernoulli:
    return rp.Bernoulli(logits=params["logit"])


class _ControlVariate(nn.Module):
    """A small network of the noisy logit; its initial value is 0."""

    @nn.compact
    def __call__(self, z: jax.Array) -> jax.Array:
        hidden = jnp.tanh(nn.Dense(10)(z[None]))
        return nn.Dense(1, kernel_init=nn.initializers.zeros)(hidden)[0]


_NETWORK = _ControlVariate()


def _apply_network(params: Any, z: jax.Array) -> jax.Array:
    return jnp.asarray(_NETWORK.apply(params["control"]["network"], z))


def _initial_control(key: jax.Array) -> Any:
    """Returns the parameters of control variates that do nothing yet."""
    network = _NETWORK.init(key, jnp.zeros(()))
    return {"log_temperature": jnp.zeros(()), "eta": jnp.zeros(()), "network": network}


class Estimator(NamedTuple):
    """A gradient estimator for the logit.

    Attributes:
      surrogate: a surrogate of {"logit": ..., "control": ...}.
      has_control_variate: whether it reads "control", the parameters of a control variate, which
        are trained for less variance.
    """

    surrogate: est.Surrogate
    has_control_variate: bool = False


RELAXED: dict[str, Callable[[Any], est.Surrogate]] = {
    "Gumbel-softmax": lambda t: est.gumbel_softmax(_toy, _bernoulli, temperature=t),
    "straight-through Gumbel-softmax": lambda t: est.gumbel_softmax(
        _toy, _bernoulli, temperature=t, straight_through=True
    ),
    "Gumbel-Rao": lambda t: est.gumbel_rao(_toy, _bernoulli, temperature=t, num_inner=10),
}
"""Name -> a function from the temperature to the surrogate of a relaxed estimator."""

ESTIMATORS: dict[str, Estimator] = {
    "exact": Estimator(est.enumerate_exactly(_toy, _bernoulli)),
    "score function": Estimator(est.score_function(_toy, _bernoulli)),
    "score function, moving average": Estimator(
        est.score_function(_toy, _bernoulli, baseline="moving_average")
    ),
    "score function, leave-one-out": Estimator(
        est.score_function(_toy, _bernoulli, baseline="leave_one_out")
    ),
    "ARM": Estimator(est.arm(_toy, _bernoulli)),
    "DisARM": Estimator(est.disarm(_toy, _bernoulli)),
    "REBAR": Estimator(
        est.rebar(
            _toy, _bernoulli, temperature=lambda p: jnp.exp(p["control"]["log_temperature"]),
            eta=lambda p: p["control"]["eta"],
        ),
        has_control_variate=True,
    ),
    "RELAX": Estimator(
        est.relax(_toy, _bernoulli, control_variate=_apply_network), has_control_variate=True
    ),
    "straight-through": Estimator(est.straight_through(_toy, _bernoulli)),
    **{name: Estimator(relaxed(0.5)) for name, relaxed in RELAXED.items()},
}  # fmt: skip
# The estimators one by one, then the temperatures.
NUM_PARTS = len(ESTIMATORS) + 1


class Outcome(NamedTuple):
    """The measurements of the study, as rows.

    Attributes:
      curves: learning curves, one row per estimator and measurement.
      table: bias, variance and time at `TABLE_LOGIT`, one row per estimator.
      temperatures: bias and variance of relaxed estimators, one row per estimator and temperature.
    """

    curves: list[dict]
    table: list[dict]
    temperatures: list[dict]


class _State(NamedTuple):
    """A training run: the logit and the control variate, each with the state of its optimizer."""

    logit: jax.Array
    opt_state: optax.OptState
    control: Any
    tuner_state: optax.OptState


def _tune(
    surrogate: est.Surrogate, logit: jax.Array, control: Any, tuner_state: Any, key: jax.Array
) -> tuple[Any, Any]:
    """Takes one step of the control variate toward less variance."""

    def loss(control: Any) -> jax.Array:
        params = {"logit": logit, "control": control}
        # The squared difference of the two values is 4e-6: scaled, Adam sees numbers near 1.
        return 1e6 * est.control_variate_loss(surrogate, params, key, _SAMPLES, _TUNING_REPEATS)

    updates, tuner_state = _TUNER.update(jax.grad(loss)(control), tuner_state)
    return optax.apply_updates(control, updates), tuner_state


def _tuned_control(surrogate: est.Surrogate, key: jax.Array) -> Any:
    """Returns a control variate trained at `TABLE_LOGIT`."""
    init_key, tuning_key = jax.random.split(key)
    control = _initial_control(init_key)

    def body(carry: Any, key: jax.Array) -> Any:
        control, tuner_state = carry
        return _tune(surrogate, jnp.asarray(TABLE_LOGIT), control, tuner_state, key), None

    keys = jax.random.split(tuning_key, _TUNING_STEPS)
    return jax.lax.scan(body, (control, _TUNER.init(control)), keys)[0][0]


def _make_step(estimator: Estimator, optimizer: optax.GradientTransformation) -> Any:
    """Returns `(state, (key, learn)) -> (state, gradient)`; the state changes only if `learn`."""
    surrogate = estimator.surrogate

    def gradient(state: _State, key: jax.Array) -> jax.Array:
        def expected(logit: jax.Array) -> jax.Array:
            return jnp.mean(surrogate({"logit": logit, "control": state.control}, key, _SAMPLES))

        return jax.grad(expected)(state.logit)

    def step(state: _State, key_and_learn: tuple[jax.Array, jax.Array]) -> Any:
        key, learn = key_and_learn
        gradient_key, tuner_key = jax.random.split(key)
        g = gradient(state, gradient_key)

        def update(state: _State) -> _State:
            updates, opt_state = optimizer.update(g, state.opt_state)
            logit = optax.apply_updates(state.logit, updates)
            control, tuner_state = state.control, state.tuner_state
            if estimator.has_control_variate:
                control, tuner_state = _tune(
                    surrogate, state.logit, control, tuner_state, tuner_key
                )
            return _State(logit, opt_state, control, tuner_state)

        return jax.lax.cond(learn, update, lambda state: state, state), g

    return step


def _measure(logit: jax.Array, gradients: jax.Array) -> dict[str, jax.Array]:
    """Returns what a learning curve shows of one state, from gradients [repeats] at it."""
    p = jax.nn.sigmoid(logit)
    return {
        "loss": _expected_toy(p),
        "probability": p,
        "variance": jnp.var(gradients, ddof=1),
        "bias": jnp.mean(gradients) - _exact_gradient(logit),
        "bias_stderr": jnp.std(gradients, ddof=1) / len(gradients) ** 0.5,
    }


def _train(
    estimator: Estimator, key: jax.Array, *, steps: int, every: int, repeats: int
) -> dict[str, jax.Array]:
    """Trains once and measures before the first and after every `every` steps."""
    optimizer = optax.adam(_LEARNING_RATE)
    step = _make_step(estimator, optimizer)

    def measure_and_learn(state: _State, key: jax.Array) -> Any:
        # The first gradients only measure the variance; the later ones train.
        count = repeats + every
        learn = jnp.arange(count) >= repeats
        after, gradients = jax.lax.scan(step, state, (jax.random.split(key, count), learn))
        return after, _measure(state.logit, gradients[:repeats])

    init_key, train_key = jax.random.split(key)
    logit, control = jnp.zeros(()), _initial_control(init_key)
    state = _State(logit, optimizer.init(logit), control, _TUNER.init(control))
    keys = jax.random.split(train_key, steps // every + 1)
    return jax.lax.scan(measure_and_learn, state, keys)[1]


def _table_row(
    name: str, estimator: Estimator, tune_key: jax.Array, key: jax.Array, repeats: int
) -> dict[str, Any]:
    """Returns bias, variance and time of an estimator at `TABLE_LOGIT`."""
    surrogate, logit = estimator.surrogate, jnp.asarray(TABLE_LOGIT)
    if estimator.has_control_variate:
        control = jax.jit(functools.partial(_tuned_control, surrogate))(tune_key)
    else:
        control = _initial_control(tune_key)
    report = est.variance(
        lambda logit, key, n: surrogate({"logit": logit, "control": control}, key, n),
        logit, key, _SAMPLES, repeats, truth=_exact_gradient(logit),
    )  # fmt: skip
    return {
        "estimator": name,
        "bias": float(report.bias),
        "bias_stderr": float(report.stderr),
        "variance": report.total_variance,
        "snr": report.snr,
        "microseconds": 1e6 * report.seconds,
        "variance_time": report.variance_time,
    }


def study(
    key: jax.Array,
    *,
    steps: int,
    every: int,
    num_seeds: int,
    repeats: int,
    num_temperatures: int,
    temperature_repeats: int,
    on_part_done: Callable[[str], None],
) -> Outcome:
    """Trains with each estimator, and measures each at `TABLE_LOGIT` and over temperatures.

    Args:
      key: a typed key; consumed. All estimators use the same keys.
      steps: training steps.
      every: steps between measurements.
      num_seeds: runs per estimator, by `vmap`.
      repeats: gradients per variance in the learning curves; the table has 50 times as many.
      num_temperatures: temperatures of the relaxed estimators.
      temperature_repeats: gradients per temperature.
      on_part_done: called with a label after each of the `NUM_PARTS` parts.

    Returns:
      The rows of all measurements. Control variates in the table are trained for its logit.
    """
    curves: list[dict] = []
    table: list[dict] = []
    train_key, tune_key, table_key, temperature_key = jax.random.split(key, 4)
    train_keys = jax.random.split(train_key, num_seeds)
    for name, estimator in ESTIMATORS.items():
        train = functools.partial(_train, estimator, steps=steps, every=every, repeats=repeats)
        curves += learning_curve(train, train_keys, name, every)[0]
        table.append(_table_row(name, estimator, tune_key, table_key, 50 * repeats))
        on_part_done(name)
    rows = temperatures(temperature_key, num_temperatures, temperature_repeats)
    on_part_done("temperatures")
    return Outcome(curves, table, rows)


def temperatures(key: jax.Array, num_points: int, repeats: int) -> list[dict]:
    """Measures bias and variance of the relaxed estimators at `TABLE_LOGIT` over temperatures.

    Args:
      key: a typed key; all estimators and temperatures use the same noise.
      num_points: temperatures, from 0.05 to 1.
      repeats: gradients per temperature, each the mean of 1,000 samples.

    Returns:
      One row per estimator and temperature: the bias divided by the exact gradient, its standard
      error, and the variance of an estimate from a single sample.
    """
    rows: list[dict] = []
    keys = jax.random.split(key, repeats)
    exact = float(_exact_gradient(jnp.asarray(TABLE_LOGIT)))
    for name, relaxed in RELAXED.items():
        gradients = jax.jit(functools.partial(_relaxed_gradients, relaxed))
        for temperature in np.geomspace(0.05, 1.0, num_points):
            g = gradients(jnp.float32(temperature), keys)
            relative = np.asarray(g, np.float64) / exact
            rows.append({
                "estimator": name, "temperature": float(temperature),
                "bias": float(np.mean(relative) - 1),
                "bias_stderr": float(np.std(relative, ddof=1) / repeats**0.5),
                "variance": float(_BIAS_SAMPLES * np.var(relative, ddof=1) * exact**2),
            })  # fmt: skip
    return rows


def _relaxed_gradients(
    relaxed: Callable[[Any], est.Surrogate], temperature: jax.Array, keys: jax.Array
) -> jax.Array:
    """Returns one gradient of `_BIAS_SAMPLES` samples at `TABLE_LOGIT` per key."""
    surrogate = relaxed(temperature)

    def expected(logit: jax.Array, key: jax.Array) -> jax.Array:
        return jnp.mean(surrogate({"logit": logit}, key, _BIAS_SAMPLES))

    def gradient(key: jax.Array) -> jax.Array:
        return jax.grad(expected)(jnp.asarray(TABLE_LOGIT), key)

    return jax.lax.map(gradient, keys, batch_size=16)
