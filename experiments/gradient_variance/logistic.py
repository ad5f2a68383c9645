"""Bayesian logistic regression on scikit-learn's breast-cancer data, one estimator beside another.

    maximise E_q[sum_n log p(y_n | x_n, w)] - KL(q(w) || N(0, 1)),   q(w) = N(loc, exp(log_scale)^2)

after Mohamed et al. (2020), "Monte Carlo gradient estimation in machine learning", section 8.3: 569
cases of 30 standardized features and an intercept, 50 samples of the posterior a step.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import repara as rp
from experiments.gradient_variance.seeds import learning_curve
from repara.estimators import Surrogate, delta_method, measure_valued, pathwise, score_function
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


def _train(
    estimator: str, data: _Data, key: jax.Array, steps: int, every: int, repeats: int
) -> dict[str, jax.Array]:
    """One run: negative ELBO and gradient variance every few steps."""
    make, options = ESTIMATORS[estimator]

    def negative_log_likelihood(w: jax.Array) -> jax.Array:
        return jnp.sum(softplus(-data.signs * (data.features @ w)))

    surrogate = make(negative_log_likelihood, _posterior, **options)
    optimizer = optax.adam(_LEARNING_RATE)
    prior = rp.Normal(0.0, 1.0)

    def expected(params: Any, key: jax.Array) -> jax.Array:
        return jnp.mean(surrogate(params, key, _SAMPLES))

    def divergence(params: Any) -> jax.Array:
        return jnp.sum(rp.kl_divergence(_posterior(params), prior))

    def step(carry: Any, key_and_learn: Any) -> Any:
        key, learn = key_and_learn
        gradient = jax.grad(expected)(carry[0], key)

        def update(carry: Any) -> Any:
            params, state = carry
            whole = jax.tree.map(jnp.add, gradient, jax.grad(divergence)(params))
            updates, state = optimizer.update(whole, state, params)
            return optax.apply_updates(params, updates), state

        return jax.lax.cond(learn, update, lambda carry: carry, carry), gradient

    def round_(carry: Any, key: jax.Array) -> Any:
        params = carry[0]
        bound_key, key = jax.random.split(key)
        w = _posterior(params).sample(bound_key, (500,))
        losses = jnp.sum(softplus(-data.signs[None] * (w @ data.features.T)), axis=1)
        # The first gradients are for the variance; then it learns.
        count = repeats + every
        keys = jax.random.split(key, count)
        carry, gradients = jax.lax.scan(step, carry, (keys, jnp.arange(count) >= repeats))
        spread = jax.tree.map(
            lambda g: jnp.sum(jnp.var(g[:repeats], axis=0, ddof=1)), gradients
        )  # fmt: skip
        return carry, {
            "negative_elbo": jnp.mean(losses) + divergence(params),
            "accuracy": jnp.mean((data.features @ params["loc"]) * data.signs > 0),
            "variance_loc": spread["loc"],
            "variance_log_scale": spread["log_scale"],
        }

    d = data.features.shape[1]
    params = {"loc": jnp.zeros(d), "log_scale": jnp.full(d, -1.0)}
    keys = jax.random.split(key, steps // every + 1)
    return jax.lax.scan(round_, (params, optimizer.init(params)), keys)[1]


def study(
    key: jax.Array,
    steps: int,
    every: int,
    num_seeds: int,
    repeats: int,
    tick: Callable[[str], None],
) -> tuple[list[dict], list[dict]]:
    """Trains with each estimator, several seeds at once.

    Args:
      key: a typed key; consumed.
      steps: training steps.
      every: steps between measurements.
      num_seeds: how many runs, by `vmap`.
      repeats: gradients for a variance.
      tick: called with a label after each of the estimators.

    Returns:
      The learning curves, one row an estimator and step: mean over the seeds and spread of each
      measurement; and a table: the variance in all parameters at the end of training, and the time
      of a gradient in it.
    """
    data = load()
    rows: list[dict] = []
    table: list[dict] = []
    for estimator in ESTIMATORS:
        curve, seconds = learning_curve(
            functools.partial(_train, estimator, data, steps=steps, every=every, repeats=repeats),
            jax.random.split(key, num_seeds), estimator, every,
        )  # fmt: skip
        rows += curve
        seconds /= num_seeds * len(curve) * (repeats + every)  # of one gradient
        total = rows[-1]["variance_loc"] + rows[-1]["variance_log_scale"]
        table.append({
            "estimator": estimator, "variance": total, "microseconds": 1e6 * seconds,
            "variance_time": total * seconds,
        })  # fmt: skip
        tick(estimator)
    return rows, table
