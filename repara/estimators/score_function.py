"""The score-function estimator and its baselines."""

from collections.abc import Callable
from typing import Any, Literal, Protocol, overload

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from repara.estimators.surrogate import (
    DistributionFunction,
    Function,
    Params,
    Surrogate,
    check_call,
    draw,
    evaluate,
    joint_log_prob,
    magic_box,
    split_call_key,
)

__all__ = ["MovingAverageSurrogate", "moving_average", "score_function"]

_BASELINES = ("none", "leave_one_out", "moving_average")
_DECAY = 0.9


class MovingAverageSurrogate(Protocol):
    """The type of a surrogate with a moving average as baseline; it is a `Surrogate`, too."""

    def __call__(
        self, params: Params, key: jax.Array, num_samples: int, average: ArrayLike = 0.0
    ) -> jax.Array:
        """Returns f(z_s) for each sample; `average` is the baseline of the first sample."""
        ...


@overload
def score_function(
    function: Function,
    distribution_fn: DistributionFunction,
    *,
    baseline: Literal["moving_average"],
) -> MovingAverageSurrogate: ...


@overload
def score_function(
    function: Function,
    distribution_fn: DistributionFunction,
    *,
    baseline: str | Callable[[Params], jax.Array] = "none",
) -> Surrogate: ...


def score_function(
    function: Function,
    distribution_fn: DistributionFunction,
    *,
    baseline: str | Callable[[Params], jax.Array] = "none",
) -> Surrogate:
    """Returns the score-function estimator (likelihood ratio, REINFORCE); unbiased for any f.

        d/dtheta E[f(z)] = E[ (f(z) - b) d log p(z; theta) / dtheta ]

    with a baseline b that is independent of the sample z. f need not be continuous, and the
    distribution may be discrete. Derivatives of all orders are right.

    Args:
      function: f, maps one sample to a scalar.
      distribution_fn: maps parameters to a distribution with `sample` and `log_prob`.
      baseline: one of

        - "none": b = 0;
        - "leave_one_out": the mean of f over the other samples, of which there must be at least
          one;
        - "moving_average": an exponential average of f over the previous samples, with decay 0.9;
        - a function of the parameters, which may include those of a learned baseline. Its gradient
          in the surrogate is zero; `control_variate_loss` trains it.

    Returns:
      The surrogate `(params, key, num_samples) -> [num_samples]`. With "moving_average" it accepts
      a fourth argument, the average at the start, which is 0 by default; `moving_average` computes
      the one for the next call.

    Raises:
      ValueError: the baseline is unknown, there are too few samples, or f does not return a finite
        scalar.

    References:
      Williams (1992), "Simple Statistical Gradient-Following Algorithms for Connectionist
      Reinforcement Learning", https://doi.org/10.1007/BF00992696

      Foerster et al. (2018), "DiCE: The Infinitely Differentiable Monte Carlo Estimator", for
      higher derivatives, https://arxiv.org/abs/1802.05098

      Mnih and Rezende (2016), "Variational Inference for Monte Carlo Objectives", for
      "leave_one_out", https://arxiv.org/abs/1602.06725

    Example:
      >>> import repara as rp
      >>> coin = lambda logits: rp.Bernoulli(logits=logits)
      >>> surrogate = score_function(lambda z: 3.0 * z, coin, baseline="leave_one_out")
      >>> loss = lambda logits: surrogate(logits, jax.random.key(0), 10_000).mean()
      >>> abs(float(jax.grad(loss)(0.0)) - 0.75) < 0.05  # 3 p (1 - p)
      True
    """
    if not callable(baseline) and baseline not in _BASELINES:
        raise ValueError(
            f"baseline must be one of {', '.join(_BASELINES)} or a function of the parameters, got "
            f"{baseline!r}"
        )

    def estimate(params: Params, key: jax.Array, num_samples: int, average: ArrayLike) -> jax.Array:
        if baseline == "leave_one_out":
            check_call(key, num_samples, 2, "leave_one_out averages over the other samples")
        else:
            check_call(key, num_samples)
        sample_key, _ = split_call_key(key)
        distribution = distribution_fn(params)
        z = draw(distribution, sample_key, num_samples)
        values = evaluate(function, z)
        box = magic_box(joint_log_prob(distribution, z)).astype(values.dtype)
        b = _baseline(baseline, params, values, average)
        # Not (f - b) box + b: this way the value is f to the last bit.
        return values * box + b * (1 - box)

    def surrogate(params: Params, key: jax.Array, num_samples: int) -> jax.Array:
        return estimate(params, key, num_samples, 0.0)

    def with_average(
        params: Params, key: jax.Array, num_samples: int, average: ArrayLike = 0.0
    ) -> jax.Array:
        return estimate(params, key, num_samples, average)

    return with_average if baseline == "moving_average" else surrogate


def _baseline(
    baseline: str | Callable[[Params], jax.Array],
    params: Params,
    values: jax.Array,
    average: ArrayLike,
) -> jax.Array:
    """Returns the baseline of each sample, [num_samples] or a scalar."""
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


def _averages(values: jax.Array, average: ArrayLike) -> jax.Array:
    """Returns b_1, ..., b_{S+1} of b_{s+1} = d b_s + (1 - d) f_s."""
    decay = jnp.full_like(values, _DECAY)

    def compose(first: Any, second: Any) -> Any:
        return first[0] * second[0], first[1] * second[0] + second[1]

    factor, offset = jax.lax.associative_scan(compose, (decay, (1 - decay) * values))
    start = jnp.asarray(average, values.dtype)
    return jnp.concatenate([start[None], factor * start + offset])


def moving_average(values: jax.Array, average: ArrayLike = 0.0) -> jax.Array:
    """Returns the baseline "moving_average" after some values, for the start of the next call.

        b <- 0.9 b + 0.1 f_s,   s = 1, ..., S

    Args:
      values: the result of the surrogate, [S].
      average: the average that the surrogate started with.

    Returns:
      The average after the last value, a scalar without gradient.

    Example:
      >>> round(float(moving_average(jnp.ones(2))), 4)
      0.19
    """
    return _averages(jax.lax.stop_gradient(values), average)[-1]
