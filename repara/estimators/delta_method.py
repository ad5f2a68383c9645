"""The delta method: a quadratic approximation of f as control variate of any estimator."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from repara.estimators.pathwise import pathwise
from repara.estimators.surrogate import (
    DistributionFunction,
    Function,
    Params,
    Surrogate,
    check_call,
    detach,
    evaluate,
    event_rank,
    innermost,
)

__all__ = ["delta_method"]


def delta_method(
    function: Function,
    distribution_fn: DistributionFunction,
    *,
    estimator: Callable[..., Surrogate] = pathwise,
    **options: Any,
) -> Surrogate:
    """Any estimator with f's quadratic approximation as control variate; unbiased where it is.

        g_s[f] - beta_s (g_s[h] - d/dtheta E[h]),   h(z) = f(m) + f'(m) d + d' f''(m) d / 2

    with the estimate g_s of sample s, the mean m, d = z - m, and E[h] known. The coefficient is
    the one of least variance, sum_t cov(g_t[f], g_t[h]) / sum_t var(g_t[h]) over the *other*
    samples, so that it is independent of the sample it stands beside. Estimates are formed one by
    one for it: the cost grows with the square of the number of samples.

    Args:
      function: f, maps one sample to a scalar; twice differentiable at the mean.
      distribution_fn: maps parameters to a distribution with a mean, whose coordinates are
        independent (a batch of scalars, or `Independent`) or which has `covariance_matrix`.
      estimator: `pathwise`, `score_function`, `measure_valued`, or one like them.
      **options: passed to the estimator.

    Returns:
      The surrogate `(params, key, num_samples) -> [num_samples]`, for at least 3 samples.

    Raises:
      NotImplementedError: the mean or the covariance of the distribution is not known.
      ValueError: fewer than 3 samples, or what the estimator raises.

    Source:
      Mohamed et al. (2020), "Monte Carlo gradient estimation in machine learning", sections 7.4.1
      and 8.1; Miller et al. (2017), "Reducing reparameterization gradient variance".

    Example:
      >>> import repara as rp
      >>> surrogate = delta_method(lambda z: jnp.sum(z**2), lambda loc: rp.Normal(loc, 1.0))
      >>> loss = lambda loc: surrogate(loc, jax.random.key(0), 8).mean()
      >>> round(float(jax.grad(loss)(jnp.ones(2))[0]), 3)  # exact for a quadratic
      2.0
    """

    def surrogate(params: Params, key: jax.Array, num_samples: int) -> jax.Array:
        check_call(key, num_samples, 3, "the coefficient comes from the other samples")
        fixed = detach(params)
        distribution = distribution_fn(fixed)
        if not hasattr(distribution, "mean") or not hasattr(distribution, "variance"):
            raise NotImplementedError(
                f"delta_method needs a distribution with mean and variance, "
                f"{type(distribution).__name__} has not both: use the estimator by itself"
            )
        mean = distribution.mean
        evaluate(function, mean[None])  # says what is wrong with it, if something is
        value, slope = jax.value_and_grad(function)(mean)

        def curvature(direction: jax.Array) -> jax.Array:
            return jax.jvp(jax.grad(function), (mean,), (direction,))[1]

        def quadratic(z: jax.Array) -> jax.Array:
            step = z - mean
            return value + jnp.sum(step * (slope + 0.5 * curvature(step)))

        def expected(params: Params) -> jax.Array:
            distribution = distribution_fn(params)
            return quadratic(distribution.mean) + 0.5 * _trace(distribution, curvature)

        plain = estimator(function, distribution_fn, **options)
        control = estimator(quadratic, distribution_fn, **options)

        def one_by_one(which: Surrogate, offset: Callable[[Params], Any]) -> jax.Array:
            flat, unravel = ravel_pytree(fixed)
            return jax.jacrev(
                lambda x: which(unravel(x), key, num_samples) - offset(unravel(x))
            )(flat)  # fmt: skip

        g = one_by_one(plain, lambda params: 0.0)  # [num_samples, parameters]
        h = one_by_one(control, expected)
        beta = jax.lax.stop_gradient(_coefficients(g, h))
        centred = control(params, key, num_samples) - expected(params)
        return plain(params, key, num_samples) - beta * (centred - jax.lax.stop_gradient(centred))

    return surrogate


def _trace(distribution: Any, curvature: Callable[[jax.Array], jax.Array]) -> jax.Array:
    """tr(f'' Cov(z)), the covariance with its gradient."""
    base, variance = innermost(distribution), distribution.variance
    rank = event_rank(base, variance[None])
    batch = variance.shape[: variance.ndim - rank]
    covariance = getattr(base, "covariance_matrix", None) if rank else None
    if rank and (covariance is None or batch):
        raise NotImplementedError(
            f"delta_method needs independent coordinates or a covariance_matrix, "
            f"{type(base).__name__} with batch shape {batch} has neither"
        )
    basis = jnp.eye(variance.size, dtype=variance.dtype).reshape(-1, *variance.shape)
    if covariance is not None:
        return jnp.sum(jax.vmap(curvature)(basis) * covariance)
    diagonal = jax.vmap(lambda e: jnp.sum(e * curvature(e)))(basis)
    return jnp.sum(diagonal * variance.reshape(-1))


def _coefficients(g: jax.Array, h: jax.Array) -> jax.Array:
    """The least-squares coefficient of each sample, from the others."""
    others = g.shape[0] - 1
    sum_g, sum_h = jnp.sum(g, axis=0)[None] - g, jnp.sum(h, axis=0)[None] - h
    products = jnp.sum(g * h, axis=1)
    covariance = jnp.sum(products) - products - jnp.sum(sum_g * sum_h, axis=1) / others
    squares = jnp.sum(h * h, axis=1)
    variance = jnp.sum(squares) - squares - jnp.sum(sum_h * sum_h, axis=1) / others
    # Where h does not vary there is nothing to take away.
    return jnp.where(variance > 0, covariance / jnp.where(variance > 0, variance, 1), 0)
