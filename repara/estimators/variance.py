"""Bias, variance and time of an estimator, and the loss that trains a control variate."""

import itertools
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from repara.estimators.surrogate import Params, Surrogate, check_call

__all__ = ["VarianceReport", "control_variate_loss", "variance"]

# The gradients are timed in this many groups, of which the median counts.
_TIMED_GROUPS = 7


class VarianceReport(NamedTuple):
    """Statistics of the gradient of the mean over `num_samples` samples.

    Printed, it shows numbers and the shapes of arrays.

    Attributes:
      mean: the mean over the repeats; a pytree like the parameters.
      stderr: the standard error of `mean`; a pytree like the parameters.
      bias: `mean` minus the truth, a pytree like the parameters; None if no truth was given.
      variance: the variance of each coordinate; a pytree like the parameters.
      total_variance: the sum of the variances over all coordinates, a float.
      snr: the signal-to-noise ratio, sqrt(sum mean^2 / sum variance), a float.
      seconds: the time of one gradient in a compiled loop, a float.
      variance_time: `total_variance * seconds`, a float. Compare estimators by this number: a fast,
        noisy estimator can draw more samples in the same time.
    """

    mean: Any
    stderr: Any
    bias: Any
    variance: Any
    total_variance: float
    snr: float
    seconds: float
    variance_time: float

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={_short(value)}" for name, value in self._asdict().items())
        return f"VarianceReport({fields})"


class _Unquoted(str):
    """Text whose repr is the text itself, for use inside a pytree that is printed."""

    def __repr__(self) -> str:
        return str(self)


def _short(tree: Any) -> str:
    """Returns a pytree as text, with dtype and shape for each array that is not a scalar."""

    def leaf(x: Any) -> _Unquoted:
        if np.size(x) == 1:
            return _Unquoted(f"{float(np.reshape(x, ())):.4g}")
        return _Unquoted(f"{x.dtype}[{', '.join(map(str, x.shape))}]")

    return repr(jax.tree.map(leaf, tree))


def variance(
    surrogate: Surrogate,
    params: Params,
    key: jax.Array,
    num_samples: int,
    repeats: int,
    *,
    truth: Any = None,
) -> VarianceReport:
    """Measures bias, variance and time of the gradient of a surrogate.

        g_r = d/dparams mean_s surrogate(params, key_r, num_samples)_s,   r = 1, ..., repeats

    Args:
      surrogate: the result of an estimator.
      params: the parameters at which to differentiate, a pytree of float arrays.
      key: a typed key; consumed.
      num_samples: the number of samples per gradient.
      repeats: R, the number of gradients, at least 2. The relative standard error of a variance is
        about sqrt((kurtosis - 1) / R).
      truth: the true gradient, a pytree like the parameters, for the bias.

    Returns:
      The report.

    Raises:
      ValueError: fewer than 2 repeats, or a gradient that is not finite.

    References:
      Mohamed et al. (2020), "Monte Carlo Gradient Estimation in Machine Learning", section 3,
      https://arxiv.org/abs/1906.10652

      Rainforth et al. (2018), "Tighter Variational Bounds are Not Necessarily Better", equation 5,
      for the signal-to-noise ratio, https://arxiv.org/abs/1802.04537

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

    # One compiled loop computes the gradients and is timed.
    @jax.jit
    def compute(params: Params, keys: jax.Array, first: int, last: int, results: Any) -> Any:
        def body(i: jax.Array, results: Any) -> Any:
            both = jax.value_and_grad(lambda p: jnp.mean(surrogate(p, keys[i], num_samples)))
            return jax.tree.map(lambda all_, one: all_.at[i].set(one), results, both(params))

        return jax.lax.fori_loop(first, last, body, results)

    keys = jax.random.split(key, repeats)
    one = jax.eval_shape(
        lambda p: (jnp.mean(surrogate(p, keys[0], num_samples)), p), params
    )  # fmt: skip
    results = jax.tree.map(lambda x: jnp.zeros((repeats, *x.shape), x.dtype), one)
    results = jax.block_until_ready(compute(params, keys, 0, 0, results))  # compiles
    ends = [repeats * i // _TIMED_GROUPS for i in range(_TIMED_GROUPS + 1)]
    times = []
    for first, last in itertools.pairwise(ends):
        if last > first:
            begin = time.perf_counter()
            results = jax.block_until_ready(compute(params, keys, first, last, results))
            times.append((time.perf_counter() - begin) / (last - first))
    values, gradients = results
    seconds = float(np.median(times))
    if not all(bool(jnp.all(jnp.isfinite(x))) for x in jax.tree.leaves((values, gradients))):
        raise ValueError(
            "the function or its gradient is not finite: look for samples at which f is NaN or "
            "infinite"
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
    """Computes the mean squared norm of a gradient estimate, to train a control variate.

        L(phi) = 1/R sum_r |g_r|^2,   g_r = d/dparams mean_s surrogate(params, key_r, num_samples)_s

    The expectation of an unbiased g does not depend on the parameters phi of its baseline or
    control variate, so minimizing E|g|^2 in phi minimizes the variance. Differentiate it in phi
    only, with all other parameters constant.

    Args:
      surrogate: the result of `score_function` with a function as baseline, `rebar` or `relax`.
      params: all parameters.
      key: a typed key; consumed.
      num_samples: the number of samples per gradient.
      repeats: R, the number of gradients to average, at least 1.

    Returns:
      The mean squared norm, a scalar.

    References:
      Tucker et al. (2017), "REBAR", section 3.3, https://arxiv.org/abs/1703.07370

      Grathwohl et al. (2018), "Backpropagation through the Void", section 3.1,
      https://arxiv.org/abs/1711.00123

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
