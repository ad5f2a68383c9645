"""The delta method: a quadratic approximation of f as control variate for any estimator."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from repara import noise
from repara.distributions.introspection import without_independent
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
)

__all__ = ["delta_method"]


def delta_method(
    function: Function,
    distribution_fn: DistributionFunction,
    *,
    estimator: Callable[..., Surrogate] = pathwise,
    **options: Any,
) -> Surrogate:
    """Returns an estimator with a quadratic approximation of f as control variate.

        g_s[f] - beta_s (g_s[h] - d/dtheta E[h]),   h(z) = f(m) + f'(m) d + d' f''(m) d / 2

    with the estimate g_s of sample s, the mean m, d = z - m, and E[h] in closed form. It is
    unbiased if the estimator is. The coefficient beta_s is the one of least variance,
    sum_t cov(g_t[f], g_t[h]) / sum_t var(g_t[h]) over all *other* samples t, so it is independent
    of sample s. This requires independent samples, and estimates that do not use the other samples:
    a source of dependent samples and baselines computed from other samples are refused. Since the
    method needs one estimate per sample, its cost grows with the square of the number of samples.

    Args:
      function: f, maps one sample to a scalar; twice differentiable at the mean.
      distribution_fn: maps parameters to a distribution with a mean, whose coordinates are
        independent (a batch of scalars, or `Independent`) or which has `covariance_matrix`.
      estimator: `pathwise`, `score_function`, `measure_valued`, or another one of that signature.
      **options: passed to the estimator.

    Returns:
      The surrogate `(params, key, num_samples) -> [num_samples]`, for at least 3 samples.

    Raises:
      NotImplementedError: the mean or the covariance of the distribution is not known.
      ValueError: fewer than 3 samples, dependent samples, a baseline computed from other samples,
        or f does not return a finite scalar.

    References:
      Mohamed et al. (2020), "Monte Carlo Gradient Estimation in Machine Learning", sections 7.4.1
      and 8.1, https://arxiv.org/abs/1906.10652

      Miller et al. (2017), "Reducing Reparameterization Gradient Variance",
      https://arxiv.org/abs/1705.07880

    Example:
      >>> import repara as rp
      >>> surrogate = delta_method(lambda z: jnp.sum(z**2), lambda loc: rp.Normal(loc, 1.0))
      >>> loss = lambda loc: surrogate(loc, jax.random.key(0), 8).mean()
      >>> round(float(jax.grad(loss)(jnp.ones(2))[0]), 3)  # exact for a quadratic
      2.0
    """
    _check_independence(**options)

    def surrogate(params: Params, key: jax.Array, num_samples: int) -> jax.Array:
        check_call(key, num_samples, 3, "the coefficient is computed from the other samples")
        fixed = detach(params)
        distribution = distribution_fn(fixed)
        if not hasattr(distribution, "mean") or not hasattr(distribution, "variance"):
            raise NotImplementedError(
                "delta_method needs a distribution with mean and variance, "
                f"{type(distribution).__name__} lacks one: use the estimator without delta_method"
            )
        mean = distribution.mean
        evaluate(function, mean[None])  # for its error messages
        value, gradient = jax.value_and_grad(function)(mean)

        def curvature(direction: jax.Array) -> jax.Array:
            product: jax.Array = jax.jvp(jax.grad(function), (mean,), (direction,))[1]
            return product

        def quadratic(z: jax.Array) -> jax.Array:
            step = z - mean
            result: jax.Array = value + jnp.sum(step * (gradient + 0.5 * curvature(step)))
            return result

        def expected(params: Params) -> jax.Array:
            distribution = distribution_fn(params)
            return quadratic(distribution.mean) + 0.5 * _trace(distribution, curvature)

        # Both get the same key: a control variate has to be evaluated at the same samples.
        plain = estimator(function, distribution_fn, **options)
        control = estimator(quadratic, distribution_fn, **options)

        def each_gradient(of: Surrogate, offset: Callable[[Params], Any]) -> jax.Array:
            flat, unravel = ravel_pytree(fixed)
            each = jax.jacrev(lambda x: of(unravel(x), key, num_samples) - offset(unravel(x)))
            gradients: jax.Array = each(flat)
            return gradients

        g = each_gradient(plain, lambda params: 0.0)  # [num_samples, parameters]
        h = each_gradient(control, expected)
        beta = jax.lax.stop_gradient(_coefficients(g, h))
        centered = control(params, key, num_samples) - expected(params)
        return plain(params, key, num_samples) - beta * (centered - jax.lax.stop_gradient(centered))

    return surrogate


def _check_independence(
    source: noise.Source = noise.iid, baseline: Any = "none", **options: Any
) -> None:
    """Raises if an estimate would depend on the samples that its coefficient is computed from."""
    del options
    if not noise.draws_independently(source):
        raise ValueError(
            "delta_method is biased if the samples depend on one another, because the coefficient "
            "of a sample is computed from the others: leave source out, or use pathwise with it"
        )
    if baseline in ("leave_one_out", "moving_average"):
        raise ValueError(
            f'delta_method is biased with baseline="{baseline}", which is computed from other '
            "samples: leave the baseline out, or give a function of the parameters"
        )


def _trace(distribution: Any, curvature: Callable[[jax.Array], jax.Array]) -> jax.Array:
    """Returns tr(f'' Cov(z)), differentiable in the covariance."""
    base, variance = without_independent(distribution), distribution.variance
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
    """Returns the least-squares coefficient for each sample, computed from the others."""
    others = g.shape[0] - 1
    sum_g, sum_h = jnp.sum(g, axis=0)[None] - g, jnp.sum(h, axis=0)[None] - h
    products = jnp.sum(g * h, axis=1)
    covariance = jnp.sum(products) - products - jnp.sum(sum_g * sum_h, axis=1) / others
    squares = jnp.sum(h * h, axis=1)
    variance = jnp.sum(squares) - squares - jnp.sum(sum_h * sum_h, axis=1) / others
    # If h does not vary, there is no variance to remove.
    return jnp.where(variance > 0, covariance / jnp.where(variance > 0, variance, 1), 0)
