"""Bayesian logistic regression on scikit-learn's breast-cancer data, one estimator beside another.

    maximise E_q[sum_n log p(y_n | x_n, w)] - KL(q(w) || N(0, 1)),   q(w) = N(loc, exp(log_scale)^2)

after Mohamed et al. (2020), "Monte Carlo gradient estimation in machine learning", section 8.3: 569
cases of 30 standardized features and an intercept, 50 samples of the posterior a step.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import repara as rp
from repara.estimators import (
    Surrogate,
    delta_method,
    measure_valued,
    pathwise,
    score_function,
    variance,
)
from repara.special.elementary import softplus

__all__ = ["ESTIMATORS", "load", "study"]

_SAMPLES = 50
_LEARNING_RATE = 0.02

ESTIMATORS: dict[str, tuple[Callable[..., Surrogate], dict[str, Any]]] = {
    "score function": (score_function, {}),
    "score function, leave-one-out": (score_function, {"baseline": "leave_one_out"}),
    "score function, delta": (delta_method, {"estimator": score_function}),
    "pathwise": (pathwise, {}),
    "pathwise, antithetic": (pathwise, {"source": rp.noise.antithetic}),
    "pathwise, Sobol": (pathwise, {"source": rp.noise.sobol}),
    "pathwise, delta": (delta_method, {"estimator": pathwise}),
    "measure-valued": (measure_valued, {}),
    "measure-valued, delta": (delta_method, {"estimator": measure_valued}),
}


class _Data(NamedTuple):
    features: np.ndarray  # [569, 31], standardized, the last one 1
    signs: np.ndarray  # [569], 1 or -1


def load() -> _Data:
    """The data: 569 cases, features standardized, an intercept appended."""
    from sklearn.datasets import load_breast_cancer

    features, labels = load_breast_cancer(return_X_y=True)
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    features = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    return _Data(features.astype(np.float32), (2.0 * labels - 1.0).astype(np.float32))


def _posterior(params: Any) -> rp.Normal:
    return rp.Normal(params["loc"], jnp.exp(params["log_scale"]))


def _surrogate(estimator: str, data: _Data) -> Surrogate:
    make, options = ESTIMATORS[estimator]

    def negative_log_likelihood(w: jax.Array) -> jax.Array:
        return jnp.sum(softplus(-data.signs * (data.features @ w)))

    return make(negative_log_likelihood, _posterior, **options)


def _train(
    estimator: str, data: _Data, key: jax.Array, steps: int, every: int, repeats: int
) -> tuple[Any, dict[str, jax.Array]]:
    """One run: the posterior, and negative ELBO and gradient variance every few steps."""
    surrogate = _surrogate(estimator, data)
    optimizer = optax.adam(_LEARNING_RATE)
    prior = rp.Normal(0.0, 1.0)

    def expected(params: Any, key: jax.Array) -> jax.Array:
        return jnp.mean(surrogate(params, key, _SAMPLES))

    def divergence(params: Any) -> jax.Array:
        return jnp.sum(rp.kl_divergence(_posterior(params), prior))

    def step(carry: Any, key: jax.Array) -> Any:
        params, state = carry
        gradient = jax.grad(lambda p: expected(p, key) + divergence(p))(params)
        updates, state = optimizer.update(gradient, state, params)
        return (optax.apply_updates(params, updates), state), None

    def measure(params: Any, key: jax.Array) -> dict[str, jax.Array]:
        bound_key, variance_key = jax.random.split(key)
        w = _posterior(params).sample(bound_key, (500,))
        losses = jnp.sum(softplus(-data.signs[None] * (w @ data.features.T)), axis=1)
        g = jax.lax.map(
            lambda k: jax.grad(expected)(params, k), jax.random.split(variance_key, repeats)
        )
        spread = {k: jnp.sum(jnp.var(v, axis=0, ddof=1)) for k, v in g.items()}
        correct = jnp.mean((data.features @ params["loc"]) * data.signs > 0)
        return {
            "negative_elbo": jnp.mean(losses) + divergence(params),
            "accuracy": correct,
            "variance_loc": spread["loc"],
            "variance_log_scale": spread["log_scale"],
        }

    def round_(carry: Any, key: jax.Array) -> Any:
        train_key, measure_key = jax.random.split(key)
        measured = measure(carry[0], measure_key)
        return jax.lax.scan(step, carry, jax.random.split(train_key, every))[0], measured

    d = data.features.shape[1]
    params = {"loc": jnp.zeros(d), "log_scale": jnp.full(d, -1.0)}
    keys = jax.random.split(key, steps // every + 1)
    last, measured = jax.lax.scan(round_, (params, optimizer.init(params)), keys)
    return last[0], measured


def study(
    key: jax.Array,
    steps: int,
    every: int,
    num_seeds: int,
    repeats: int,
    tick: Callable[[str], None],
) -> tuple[list[dict], list[dict]]:
    """Trains with each estimator, and measures all of them at one posterior.

    Args:
      key: a typed key; consumed.
      steps: training steps.
      every: steps between measurements.
      num_seeds: how many runs, by `vmap`.
      repeats: gradients for a variance.
      tick: called with a label after each of the estimators.

    Returns:
      The learning curves, one row an estimator and step: mean over the seeds and spread of each
      measurement; and a table at the posterior that pathwise gradients found: variance and time.
    """
    data = load()
    rows, trained = [], {}
    train_key, table_key = jax.random.split(key)
    for estimator in ESTIMATORS:
        run = jax.jit(
            jax.vmap(lambda k, e=estimator: _train(e, data, k, steps, every, repeats))
        )  # the keys are the same for every estimator
        params, measured = jax.device_get(run(jax.random.split(train_key, num_seeds)))
        trained[estimator] = jax.tree.map(lambda x: jnp.asarray(x[0]), params)
        for i in range(steps // every + 1):
            row: dict[str, Any] = {"estimator": estimator, "step": i * every}
            for name, values in measured.items():
                row[name] = float(np.mean(values[:, i], dtype=np.float64))
                row[f"{name}_spread"] = float(np.std(values[:, i], dtype=np.float64))
            rows.append(row)
        tick(estimator)
    table = []
    for estimator in ESTIMATORS:
        report = variance(
            _surrogate(estimator, data), trained["pathwise"], table_key, _SAMPLES, 10 * repeats
        )
        table.append({
            "estimator": estimator, "variance": report.total_variance, "snr": report.snr,
            "microseconds": 1e6 * report.seconds, "variance_time": report.variance_time,
        })  # fmt: skip
    tick("table")
    return rows, table
