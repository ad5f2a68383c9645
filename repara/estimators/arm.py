"""ARM and DisARM: binary variables from one uniform and its reflection."""

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
)
from repara.noise import iid

__all__ = ["arm", "disarm"]


def arm(function: Function, distribution_fn: DistributionFunction) -> Surrogate:
    """The augment-REINFORCE-merge estimator for binary variables; unbiased for any f.

        (f(b') - f(b)) (u - 1/2),   b = 1[u < sigmoid(l)],   b' = 1[u > sigmoid(-l)]

    in the logits l, u uniform. f is evaluated twice a sample, whatever the dimension. There are
    first derivatives only; a second one raises.

    Args:
      function: f, maps one sample to a scalar.
      distribution_fn: maps parameters to a distribution over zeros and ones.

    Returns:
      The surrogate `(params, key, num_samples) -> [num_samples]`.

    Raises:
      NotImplementedError: a second derivative.
      TypeError: another distribution.
      ValueError: f does not return a finite scalar.

    Source:
      Yin & Zhou (2019), "ARM: augment-REINFORCE-merge gradient for stochastic binary networks",
      theorem 1.

    Example:
      >>> import repara as rp
      >>> surrogate = arm(lambda b: jnp.sum(b), lambda l: rp.Bernoulli(logits=l))
      >>> loss = lambda l: surrogate(l, jax.random.key(0), 10_000).mean()
      >>> abs(float(jax.grad(loss)(jnp.zeros(2))[0]) - 0.25) < 0.02  # p (1 - p)
      True
    """

    def gradient(
        u: jax.Array, b: jax.Array, logits: jax.Array, evaluated: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        mirrored = (u > jax.nn.sigmoid(-logits)).astype(b.dtype)
        change = evaluate(function, mirrored) - evaluated
        return change, u - 0.5

    return _antithetic(function, distribution_fn, gradient, "arm")


def disarm(function: Function, distribution_fn: DistributionFunction) -> Surrogate:
    """The DisARM (U2G) estimator for binary variables; unbiased for any f.

        (f(b) - f(b')) (-1)^b' 1[b != b'] sigmoid(|l|) / 2,   b = 1[u < p],   b' = 1[1 - u < p]

    in the logits l. It is the expectation of ARM given the two samples, and so never of higher
    variance, at the same cost. There are first derivatives only; a second one raises.

    Args:
      function: f, maps one sample to a scalar.
      distribution_fn: maps parameters to a distribution over zeros and ones.

    Returns:
      The surrogate `(params, key, num_samples) -> [num_samples]`.

    Raises:
      NotImplementedError: a second derivative.
      TypeError: another distribution.
      ValueError: f does not return a finite scalar.

    Source:
      Dong, Mnih & Tucker (2020), "DisARM: an antithetic gradient estimator for binary latent
      variables", equation 6; Yin et al. (2020), "Probabilistic best subset selection via gradient-
      based optimization".

    Example:
      >>> import repara as rp
      >>> surrogate = disarm(lambda b: jnp.sum(b), lambda l: rp.Bernoulli(logits=l))
      >>> loss = lambda l: surrogate(l, jax.random.key(0), 10_000).mean()
      >>> abs(float(jax.grad(loss)(jnp.zeros(2))[0]) - 0.25) < 0.02  # p (1 - p)
      True
    """

    def gradient(
        u: jax.Array, b: jax.Array, logits: jax.Array, evaluated: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        mirrored = (1 - u < jax.nn.sigmoid(logits)).astype(b.dtype)
        change = evaluated - evaluate(function, mirrored)
        return change, 0.5 * (b - mirrored) * jax.nn.sigmoid(jnp.abs(logits))

    return _antithetic(function, distribution_fn, gradient, "disarm")


def _antithetic(
    function: Function,
    distribution_fn: DistributionFunction,
    gradient: Callable[..., tuple[jax.Array, jax.Array]],
    name: str,
) -> Surrogate:
    def surrogate(params: Params, key: jax.Array, num_samples: int) -> jax.Array:
        check_call(key, num_samples)
        distribution = distribution_fn(params)
        b = draw(distribution, key, num_samples)
        logits, binary = logits_of(distribution, b, name)
        if not binary:
            raise TypeError(
                f"{name} takes distributions over zeros and ones, got {type(distribution).__name__}"
                " over one-hot vectors: use rebar or score_function"
            )
        values = evaluate(function, b)
        fixed = jax.lax.stop_gradient(logits)[None]
        probability = jax.nn.sigmoid(fixed)
        # The uniform behind the sample: below p for a one, above it for a zero.
        v = iid(jax.random.fold_in(key, 1), b.shape, (), "uniform", b.dtype)
        u = jnp.where(b == 1, v * probability, probability + v * (1 - probability))
        change, weight = gradient(u, b, fixed, values)
        column = change.reshape(change.shape + (1,) * (weight.ndim - 1))
        return attach(values, [logits], [column * weight], name)

    return surrogate
