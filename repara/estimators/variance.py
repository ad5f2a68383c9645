"""How good an estimator is: bias, variance, time; and the loss that trains a control variate."""

import itertools
import statistics
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from repara.estimators.surrogate import Params, Surrogate, check_call

__all__ = ["VarianceReport", "control_variate_loss", "variance"]

# Stretches of gradients that are timed by themselves.
_STRETCHES = 7


class VarianceReport(NamedTuple):
    """What is known of the gradient of the mean over `num_samples` samples.

    Attributes:
      mean: the mean over the repeats; a pytree like the parameters.
      stderr: its standard error, the same.
      bias: `mean` minus the truth, the same; None where no truth was given.
      variance: of each coordinate, the same.
      total_variance: the sum of the variances over all coordinates, a float.
      snr: the signal-to-noise ratio, sqrt(sum mean^2 / sum variance), a float.
      seconds: the time of one gradient in a compiled loop, the median of several stretches of it, a
        float.
      variance_time: `total_variance * seconds`, which decides between estimators: samples can be
        bought with time. A float.
    """

    mean: Any
    stderr: Any
    bias: Any
    variance: Any
    total_variance: float
    snr: float
    seconds: float
    variance_time: float


def variance(
    surrogate: Surrogate,
    params: Params,
    key: jax.Array,
    num_samples: int,
    repeats: int,
    *,
    truth: Any = None,
) -> VarianceReport:
    """Measures the gradient that a surrogate gives.

        g_r = d/dparams mean_s surrogate(params, key_r, num_samples)_s,   r = 1, ..., repeats

    Args:
      surrogate: what an estimator returned.
      params: where the gradient is taken, a pytree of float arrays.
      key: a typed key; consumed.
      num_samples: samples a gradient.
      repeats: R, the number of gradients, at least 2. The relative standard error of a variance is
        about sqrt((kurtosis - 1) / R).
      truth: the true gradient, a pytree like the parameters, for the bias.

    Returns:
      The report.

    Raises:
      ValueError: fewer than 2 repeats, or a gradient that is not finite.

    Source:
      Mohamed et al. (2020), "Monte Carlo gradient estimation in machine learning", section 3;
      Rainforth et al. (2018), "Tighter variational bounds are not necessarily better", equation 5,
      for the signal-to-noise ratio.

    Example:
      >>> import repara as rp
      >>> surrogate = rp.estimators.pathwise(lambda z: z**2, lambda loc: rp.Normal(loc, 1.0))
      >>> report = variance(surrogate, 1.0, jax.random.key(0), 4, 1000, truth=2.0)
      >>> round(report.total_variance)  # 4 / num_samples
      1
    """
    check_call(key, num_samples)
    if repeats < 2:
        raise ValueError(f"repeats must be at least 2, got {repeats}")
    params = jax.tree.map(jnp.asarray, params)

    # One compiled loop fills in the gradients and is timed while it does.
    @jax.jit
    def fill(params: Params, keys: jax.Array, first: int, last: int, filled: Any) -> Any:
        def body(i: jax.Array, filled: Any) -> Any:
            both = jax.value_and_grad(lambda p: jnp.mean(surrogate(p, keys[i], num_samples)))
            return jax.tree.map(lambda all_, one: all_.at[i].set(one), filled, both(params))

        return jax.lax.fori_loop(first, last, body, filled)

    keys = jax.random.split(key, repeats)
    one = jax.eval_shape(
        lambda p: (jnp.mean(surrogate(p, keys[0], num_samples)), p), params
    )  # fmt: skip
    filled = jax.tree.map(lambda x: jnp.zeros((repeats, *x.shape), x.dtype), one)
    filled = jax.block_until_ready(fill(params, keys, 0, 0, filled))  # compiles
    ends = [repeats * i // _STRETCHES for i in range(_STRETCHES + 1)]
    times = []
    for first, last in itertools.pairwise(ends):
        if last > first:
            begin = time.perf_counter()
            filled = jax.block_until_ready(fill(params, keys, first, last, filled))
            times.append((time.perf_counter() - begin) / (last - first))
    values, gradients = filled
    seconds = statistics.median(times)
    if not all(bool(jnp.all(jnp.isfinite(x))) for x in jax.tree.leaves((values, gradients))):
        raise ValueError(
            "the function or its gradient is not finite: look for values of f that are NaN or "
            "infinite on the support of the distribution"
        )
    mean = jax.tree.map(lambda x: jnp.mean(x, axis=0), gradients)
    spread = jax.tree.map(lambda x: jnp.var(x, axis=0, ddof=1), gradients)
    stderr = jax.tree.map(lambda v: jnp.sqrt(v / repeats), spread)
    bias = None
    if truth is not None:
        bias = jax.tree.map(lambda m, t: m - jnp.asarray(t, m.dtype), mean, truth)
    total = sum(float(jnp.sum(v)) for v in jax.tree.leaves(spread))
    signal = sum(float(jnp.sum(m**2)) for m in jax.tree.leaves(mean))
    snr = (signal / total) ** 0.5 if total > 0 else float("inf")
    return VarianceReport(mean, stderr, bias, spread, total, snr, seconds, total * seconds)


def control_variate_loss(
    surrogate: Surrogate, params: Params, key: jax.Array, num_samples: int, repeats: int
) -> jax.Array:
    """The mean squared norm of a gradient estimate, whose gradient trains a control variate.

        L(phi) = 1/R sum_r |g_r|^2,   g_r = d/dparams mean_s surrogate(params, key_r, num_samples)_s

    The expectation of an unbiased g does not depend on the parameters phi of its baseline or
    control variate, so lowering E|g|^2 in phi lowers the variance. Take the gradient in phi alone,
    the rest of the parameters held fixed.

    Args:
      surrogate: `score_function` with a baseline of the parameters, `rebar` or `relax`.
      params: all parameters.
      key: a typed key; consumed.
      num_samples: samples a gradient.
      repeats: R, how many gradients are averaged, at least 1.

    Returns:
      The mean squared norm, a scalar.

    Source:
      Tucker et al. (2017), "REBAR", section 3.3; Grathwohl et al. (2018), "Backpropagation through
      the void", section 3.1.

    Example:
      >>> import repara as rp
      >>> surrogate = rp.estimators.score_function(
      ...     lambda z: 3.0 + z,
      ...     lambda params: rp.Normal(params["loc"], 1.0),
      ...     baseline=lambda params: params["baseline"],
      ... )
      >>> def loss(baseline):
      ...     params = {"loc": jnp.float32(0.0), "baseline": baseline}
      ...     return control_variate_loss(surrogate, params, jax.random.key(0), 1, 1000)
      >>> bool(jax.grad(loss)(jnp.float32(0.0)) < 0)  # a larger baseline is better
      True
    """
    check_call(key, num_samples)

    def squared_norm(key: jax.Array) -> jax.Array:
        gradient = jax.grad(lambda p: jnp.mean(surrogate(p, key, num_samples)))(params)
        return sum((jnp.sum(g**2) for g in jax.tree.leaves(gradient)), start=jnp.zeros(()))

    return jnp.mean(jax.vmap(squared_norm)(jax.random.split(key, repeats)))
