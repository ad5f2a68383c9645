"""The score-function estimator and its baselines."""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from repara.estimators.surrogate import (
    DistributionFunction,
    Function,
    Params,
    check_call,
    draw,
    evaluate,
    joint_log_prob,
    magic_box,
)

__all__ = ["moving_average", "score_function"]

Baseline = Literal["none", "moving_average", "leave_one_out"] | Callable[[Params], jax.Array]

_DECAY = 0.9


def score_function(
    function: Function,
    distribution_fn: DistributionFunction,
    *,
    baseline: Baseline = "none",
) -> Callable[..., jax.Array]:
    """The score-function estimator (likelihood ratio, REINFORCE); unbiased for any f.

        d/dtheta E[f(z)] = E[ (f(z) - b) d log p(z; theta) / dtheta ]

    with a baseline b that does not depend on the sample it stands beside. It asks nothing of f, not
    even continuity, and serves discrete distributions too. Derivatives of all orders are right.

    Args:
      function: f, maps one sample to a scalar.
      distribution_fn: maps parameters to a distribution with `sample` and `log_prob`.
      baseline: "none": 0; "leave_one_out": the mean of f over the other samples, of which there
        must be at least one; "moving_average": an exponential average of f over the samples before,
        decay 0.9; or a function of the parameters, which are then free to hold those of a learnt
        baseline: its own gradient through the surrogate is zero, `control_variate_loss` trains it.

    Returns:
      The surrogate `(params, key, num_samples) -> [num_samples]`. With "moving_average" it takes a
      fourth argument, the average with which it begins (0 by default); `moving_average` gives the
      one to begin the next call with.

    Raises:
      ValueError: the baseline has another name, there are too few samples, or f does not return a
        finite scalar.

    Source:
      Williams (1992), "Simple statistical gradient-following algorithms for connectionist
      reinforcement learning"; Foerster et al. (2018), "DiCE", for the higher derivatives; Mnih &
      Rezende (2016), "Variational inference for Monte Carlo objectives", for "leave_one_out".

    Example:
      >>> import repara as rp
      >>> coin = lambda logits: rp.Bernoulli(logits=logits)
      >>> surrogate = score_function(lambda z: 3.0 * z, coin, baseline="leave_one_out")
      >>> loss = lambda logits: surrogate(logits, jax.random.key(0), 10_000).mean()
      >>> abs(float(jax.grad(loss)(0.0)) - 0.75) < 0.05  # 3 p (1 - p)
      True
    """
    if not callable(baseline) and baseline not in ("none", "moving_average", "leave_one_out"):
        raise ValueError(
            "baseline must be 'none', 'moving_average', 'leave_one_out' or a function of the "
            f"parameters, got {baseline!r}"
        )

    def surrogate(
        params: Params, key: jax.Array, num_samples: int, average: ArrayLike = 0.0
    ) -> jax.Array:
        if baseline == "leave_one_out":
            check_call(key, num_samples, 2, "leave_one_out averages over the other samples")
        else:
            check_call(key, num_samples)
        distribution = distribution_fn(params)
        z = draw(distribution, key, num_samples)
        values = evaluate(function, z)
        box = magic_box(joint_log_prob(distribution, z)).astype(values.dtype)
        b = _baseline(params, values, average)
        # Not (f - b) box + b: the value is then f to the last bit.
        return values * box + b * (1 - box)

    def _baseline(params: Params, values: jax.Array, average: ArrayLike) -> Any:
        if callable(baseline):
            b = jnp.asarray(baseline(params), values.dtype)
            if b.shape != ():
                raise ValueError(f"baseline must return a scalar, it returned shape {b.shape}")
            return b
        fixed = jax.lax.stop_gradient(values)
        if baseline == "leave_one_out":
            return (jnp.sum(fixed) - fixed) / (fixed.shape[0] - 1)
        if baseline == "moving_average":
            return _averages(fixed, average)[:-1]
        return jnp.zeros_like(values)

    return surrogate


def _averages(values: jax.Array, average: ArrayLike) -> jax.Array:
    """b_1, ..., b_{S+1} of b_{s+1} = d b_s + (1 - d) f_s."""
    decay = jnp.full_like(values, _DECAY)

    def compose(first: Any, second: Any) -> Any:
        return first[0] * second[0], first[1] * second[0] + second[1]

    factor, offset = jax.lax.associative_scan(compose, (decay, (1 - decay) * values))
    start = jnp.asarray(average, values.dtype)
    return jnp.concatenate([start[None], factor * start + offset])


def moving_average(values: jax.Array, average: ArrayLike = 0.0) -> jax.Array:
    """The baseline "moving_average" after some values, with which the next call begins.

        b <- 0.9 b + 0.1 f_s,   s = 1, ..., S

    Args:
      values: what the surrogate returned, [S].
      average: the one with which it began.

    Returns:
      The average after the last value, a scalar without gradient.

    Example:
      >>> round(float(moving_average(jnp.ones(2))), 4)
      0.19
    """
    return _averages(jax.lax.stop_gradient(values), average)[-1]
