"""ARM and DisARM: gradients for binary variables from a uniform variable and its reflection."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from repara.estimators.surrogate import (
    DistributionFunction,
    Function,
    Params,
    Surrogate,
    attach,
    check_call,
    draw,
    evaluate,
    logits_of,
    split_call_key,
)
from repara.noise import iid

__all__ = ["arm", "disarm"]


def arm(function: Function, distribution_fn: DistributionFunction) -> Surrogate:
    """Returns the augment-REINFORCE-merge estimator for binary variables; unbiased for any f.

        (f(b') - f(b)) (u - 1/2),   b = 1[u < sigmoid(l)],   b' = 1[u > sigmoid(-l)]

    is the gradient in the logits l, with u uniform. f is evaluated twice per sample in any
    dimension. It has first derivatives only; a second derivative raises.

    Args:
      function: f, maps one sample to a scalar.
      distribution_fn: maps parameters to a distribution over zeros and ones.

    Returns:
      The surrogate `(params, key, num_samples) -> [num_samples]`.

    Raises:
      NotImplementedError: a second derivative.
      TypeError: the distribution is not over zeros and ones.
      ValueError: f does not return a finite scalar.

    References:
      Yin and Zhou (2019), "ARM: Augment-REINFORCE-Merge Gradient for Stochastic Binary Networks",
      theorem 1, https://arxiv.org/abs/1807.11143

    Example:
      >>> import repara as rp
      >>> surrogate = arm(lambda b: jnp.sum(b), lambda l: rp.Bernoulli(logits=l))
      >>> loss = lambda l: surrogate(l, jax.random.key(0), 10_000).mean()
      >>> abs(float(jax.grad(loss)(jnp.zeros(2))[0]) - 0.25) < 0.02  # p (1 - p)
      True
    """

    def gradient(
        u: jax.Array, b: jax.Array, logits: jax.Array, values: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        reflected = (u > jax.nn.sigmoid(-logits)).astype(b.dtype)
        change = evaluate(function, reflected) - values
        return change, u - 0.5

    return _antithetic(function, distribution_fn, gradient, "arm")


def disarm(function: Function, distribution_fn: DistributionFunction) -> Surrogate:
    """Returns the DisARM (U2G) estimator for binary variables; unbiased for any f.

        (f(b) - f(b')) (-1)^b' 1[b != b'] sigmoid(|l|) / 2,   b = 1[u < p],   b' = 1[1 - u < p]

    is the gradient in the logits l. It is the expectation of ARM given the two samples, so its
    variance is never higher, at the same cost. It has first derivatives only; a second derivative
    raises.

    Args:
      function: f, maps one sample to a scalar.
      distribution_fn: maps parameters to a distribution over zeros and ones.

    Returns:
      The surrogate `(params, key, num_samples) -> [num_samples]`.

    Raises:
      NotImplementedError: a second derivative.
      TypeError: the distribution is not over zeros and ones.
      ValueError: f does not return a finite scalar.

    References:
      Dong, Mnih and Tucker (2020), "DisARM: An Antithetic Gradient Estimator for Binary Latent
      Variables", equation 6, https://arxiv.org/abs/2006.10680

      Yin et al. (2020), "Probabilistic Best Subset Selection via Gradient-Based Optimization",
      https://arxiv.org/abs/2006.06448

    Example:
      >>> import repara as rp
      >>> surrogate = disarm(lambda b: jnp.sum(b), lambda l: rp.Bernoulli(logits=l))
      >>> loss = lambda l: surrogate(l, jax.random.key(0), 10_000).mean()
      >>> abs(float(jax.grad(loss)(jnp.zeros(2))[0]) - 0.25) < 0.02  # p (1 - p)
      True
    """

    def gradient(
        u: jax.Array, b: jax.Array, logits: jax.Array, values: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        reflected = (1 - u < jax.nn.sigmoid(logits)).astype(b.dtype)
        change = values - evaluate(function, reflected)
        return change, 0.5 * (b - reflected) * jax.nn.sigmoid(jnp.abs(logits))

    return _antithetic(function, distribution_fn, gradient, "disarm")


def _antithetic(
    function: Function,
    distribution_fn: DistributionFunction,
    gradient: Callable[..., tuple[jax.Array, jax.Array]],
    name: str,
) -> Surrogate:
    """Returns a surrogate whose estimate is the product of the two results of `gradient`."""

    def surrogate(params: Params, key: jax.Array, num_samples: int) -> jax.Array:
        check_call(key, num_samples)
        sample_key, uniform_key = split_call_key(key)
        distribution = distribution_fn(params)
        b = draw(distribution, sample_key, num_samples)
        logits, binary = logits_of(distribution, b, name)
        if not binary:
            raise TypeError(
                f"{name} needs a distribution over zeros and ones, got "
                f"{type(distribution).__name__} over one-hot vectors: use rebar or score_function"
            )
        values = evaluate(function, b)
        fixed = jax.lax.stop_gradient(logits)[None]
        probability = jax.nn.sigmoid(fixed)
        # The uniform variable given its sample: below p for a one, above p for a zero.
        v = iid(uniform_key, b.shape, (), "uniform", b.dtype)
        u = jnp.where(b == 1, v * probability, probability + v * (1 - probability))
        change, weight = gradient(u, b, fixed, values)
        column = change.reshape(change.shape + (1,) * (weight.ndim - 1))
        return attach(values, [logits], [column * weight], name)

    return surrogate
