"""Bayesian logistic regression on scikit-learn's breast-cancer data with several estimators.

    maximize E_q[sum_n log p(y_n | x_n, w)] - KL(q(w) || N(0, 1)),   q(w) = N(loc, exp(log_scale)^2)

569 cases with 30 standardized features and an intercept; 50 samples of the posterior per step.

References:
  Mohamed et al. (2020), "Monte Carlo gradient estimation in machine learning", section 8.3,
  https://arxiv.org/abs/1906.10652
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import repara as rp
from experiments.gradient_variance.learning_curve import learning_curve
from repara.estimators import Surrogate, delta_method, measure_valued, pathwise, score_function
from repara.special.elementary import softplus

__all__ = ["ESTIMATORS", "Data", "load", "study"]

_SAMPLES = 50
_BOUND_SAMPLES = 500
_LEARNING_RATE = 0.02

ESTIMATORS: dict[str, Callable[[Any, Any], Surrogate]] = {
    "score function": score_function,
    "score function, leave-one-out": functools.partial(score_function, baseline="leave_one_out"),
    "score function, delta": functools.partial(delta_method, estimator=score_function),
    "pathwise": pathwise,
    "pathwise, antithetic": functools.partial(pathwise, source=rp.noise.antithetic),
    "pathwise, Sobol": functools.partial(pathwise, source=rp.noise.sobol),
    "pathwise, delta": functools.partial(delta_method, estimator=pathwise),
    "measure-valued": measure_valued,
    "measure-valued, delta": functools.partial(delta_method, estimator=measure_valued),
}


class Data(NamedTuple):
    """Cases of a binary classification.

    Attributes:
      features: standardized, the last one 1, float32 [569, 31].
      signs: 1 or -1, float32 [569].
    """

    features: np.ndarray
    signs: np.ndarray


class _State(NamedTuple):
    params: dict[str, jax.Array]
    opt_state: optax.OptState


def load() -> Data:
    """Returns the 569 cases, with standardized features and an intercept."""
    from sklearn.datasets import load_breast_cancer

    features, labels = load_breast_cancer(return_X_y=True)
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    features = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    return Data(features.astype(np.float32), (2.0 * labels - 1.0).astype(np.float32))


def _posterior(params: dict[str, jax.Array]) -> rp.Normal:
    return rp.Normal(params["loc"], jnp.exp(params["log_scale"]))


def _divergence(params: dict[str, jax.Array]) -> jax.Array:
    """KL(q(w) || N(0, 1)), in closed form."""
    return jnp.sum(rp.kl_divergence(_posterior(params), rp.Normal(0.0, 1.0)))


def _make_step(surrogate: Surrogate, optimizer: optax.GradientTransformation) -> Any:
    """Returns `(state, (key, learn)) -> (state, gradient)`; the state changes only if `learn`."""

    def expected(params: dict[str, jax.Array], key: jax.Array) -> jax.Array:
        return jnp.mean(surrogate(params, key, _SAMPLES))

    def step(state: _State, key_and_learn: tuple[jax.Array, jax.Array]) -> Any:
        key, learn = key_and_learn
        gradient = jax.grad(expected)(state.params, key)

        def update(state: _State) -> _State:
            whole = jax.tree.map(jnp.add, gradient, jax.grad(_divergence)(state.params))
            updates, opt_state = optimizer.update(whole, state.opt_state, state.params)
            return _State(optax.apply_updates(state.params, updates), opt_state)

        return jax.lax.cond(learn, update, lambda state: state, state), gradient

    return step


def _measure(data: Data, params: Any, gradients: Any, key: jax.Array) -> dict[str, jax.Array]:
    """Returns the bound, the accuracy and the variance of gradients at one state."""
    w = _posterior(params).sample(key, (_BOUND_SAMPLES,))
    losses = jnp.sum(softplus(-data.signs[None] * (w @ data.features.T)), axis=1)
    variances = jax.tree.map(lambda g: jnp.sum(jnp.var(g, axis=0, ddof=1)), gradients)
    return {
        "negative_elbo": jnp.mean(losses) + _divergence(params),
        "accuracy": jnp.mean((data.features @ params["loc"]) * data.signs > 0),
        "variance_loc": variances["loc"],
        "variance_log_scale": variances["log_scale"],
    }


def _train(
    estimator: Callable[[Any, Any], Surrogate], data: Data, key: jax.Array,
    *, steps: int, every: int, repeats: int,
) -> dict[str, jax.Array]:  # fmt: skip
    """Trains once and measures before the first and after every `every` steps."""

    def negative_log_likelihood(w: jax.Array) -> jax.Array:
        return jnp.sum(softplus(-data.signs * (data.features @ w)))

    optimizer = optax.adam(_LEARNING_RATE)
    step = _make_step(estimator(negative_log_likelihood, _posterior), optimizer)

    def measure_and_learn(state: _State, key: jax.Array) -> Any:
        bound_key, step_key = jax.random.split(key)
        # The first gradients only measure the variance; the later ones train.
        count = repeats + every
        learn = jnp.arange(count) >= repeats
        keys = jax.random.split(step_key, count)
        after, gradients = jax.lax.scan(step, state, (keys, learn))
        first = jax.tree.map(lambda g: g[:repeats], gradients)
        return after, _measure(data, state.params, first, bound_key)

    d = data.features.shape[1]
    params = {"loc": jnp.zeros(d), "log_scale": jnp.full(d, -1.0)}
    keys = jax.random.split(key, steps // every + 1)
    return jax.lax.scan(measure_and_learn, _State(params, optimizer.init(params)), keys)[1]


def study(
    key: jax.Array,
    *,
    steps: int,
    every: int,
    num_seeds: int,
    repeats: int,
    on_part_done: Callable[[str], None],
) -> tuple[list[dict], list[dict]]:
    """Trains with each estimator, several runs at once.

    Args:
      key: a typed key; consumed. All estimators use the same keys.
      steps: training steps.
      every: steps between measurements.
      num_seeds: runs per estimator, by `vmap`.
      repeats: gradients per variance.
      on_part_done: called with the name of each estimator when it is done.

    Returns:
      The learning curves, one row per estimator and measurement, with mean and spread over the
      runs; and a table: the variance of the gradient in all parameters at the end of training, and
      the time per gradient.
    """
    data = load()
    keys = jax.random.split(key, num_seeds)
    curves: list[dict] = []
    table: list[dict] = []
    for name, estimator in ESTIMATORS.items():
        train = functools.partial(
            _train, estimator, data, steps=steps, every=every, repeats=repeats
        )
        curve, seconds = learning_curve(train, keys, name, every)
        curves += curve
        seconds /= num_seeds * len(curve) * (repeats + every)  # per gradient
        variance = curve[-1]["variance_loc"] + curve[-1]["variance_log_scale"]
        table.append({
            "estimator": name, "variance": variance, "microseconds": 1e6 * seconds,
            "variance_time": variance * seconds,
        })  # fmt: skip
        on_part_done(name)
    return curves, table
