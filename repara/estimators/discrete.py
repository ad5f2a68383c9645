"""Estimators for discrete variables: the exact sum, straight-through, and relaxed samples."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from repara.distributions.introspection import without_independent
from repara.estimators.relaxation import conditional_logits, relax_logits
from repara.estimators.surrogate import (
    DistributionFunction,
    Function,
    Params,
    Surrogate,
    attach_path,
    check_call,
    draw,
    evaluate,
    event_rank,
    joint_log_prob,
    logits_of,
    split_call_key,
)

__all__ = ["enumerate_exactly", "gumbel_rao", "gumbel_softmax", "straight_through"]

# A sum over more values takes seconds per gradient; a sampling estimator is then the better choice.
_MAX_JOINT_VALUES = 2**20


def enumerate_exactly(function: Function, distribution_fn: DistributionFunction) -> Surrogate:
    """Returns the exact gradient, a sum over all values of a finite distribution.

        d/dtheta E[f(z)] = sum_z f(z) dp(z; theta)/dtheta

    It has no variance: every sample has the same gradient. A batch of D variables with S values
    each has S^D joint values, of which 2^20 are allowed. Derivatives of all orders are right.

    Args:
      function: f, maps one sample to a scalar.
      distribution_fn: maps parameters to a distribution with `enumerate_support`.

    Returns:
      The surrogate `(params, key, num_samples) -> [num_samples]`.

    Raises:
      ValueError: the support is not finite, or has too many joint values, or f does not return a
        finite scalar.

    Example:
      >>> import repara as rp
      >>> surrogate = enumerate_exactly(lambda z: 3.0 * z, lambda p: rp.Bernoulli(probs=p))
      >>> float(jax.grad(lambda p: surrogate(p, jax.random.key(0), 1).mean())(0.5))
      3.0
    """

    def surrogate(params: Params, key: jax.Array, num_samples: int) -> jax.Array:
        check_call(key, num_samples)
        distribution = distribution_fn(params)
        base = without_independent(distribution)
        if not hasattr(base, "enumerate_support"):
            raise ValueError(
                f"enumerate_exactly needs a finite support, {type(base).__name__} has an infinite "
                "one: use score_function"
            )
        sample_key, _ = split_call_key(key)
        samples = draw(distribution, sample_key, num_samples)
        values = evaluate(function, samples)
        z = _joint_support(base.enumerate_support(), samples, event_rank(base, samples))
        probabilities = jnp.exp(joint_log_prob(distribution, z)).astype(values.dtype)
        exact = jnp.sum(probabilities * evaluate(function, z))
        return jax.lax.stop_gradient(values) + (exact - jax.lax.stop_gradient(exact))

    return surrogate


def _joint_support(single: jax.Array, samples: jax.Array, event_rank: int) -> jax.Array:
    """Returns all joint values of a batch of independent variables, `[S^D] + batch + event`."""
    split = samples.ndim - event_rank
    batch, event = samples.shape[1:split], samples.shape[split:]
    size, dimensions = single.shape[0], math.prod(batch)
    if dimensions * math.log2(size) > math.log2(_MAX_JOINT_VALUES):
        raise ValueError(
            f"enumerate_exactly: {dimensions} variables with {size} values each have "
            f"{size}^{dimensions} joint values, the maximum is {_MAX_JOINT_VALUES}: use "
            "disarm, rebar or score_function"
        )
    index = np.indices((size,) * dimensions).reshape(dimensions, -1).T  # [S^D, D]
    # All variables of the batch have the same values; `single` may or may not have batch axes.
    single = jnp.asarray(single, samples.dtype).reshape(size, -1, *event)[:, 0]
    return single[jnp.asarray(index)].reshape(-1, *batch, *event)


def straight_through(function: Function, distribution_fn: DistributionFunction) -> Surrogate:
    """Returns the straight-through estimator; biased unless f is linear.

        value f(z),   gradient f'(z) dp/dtheta

    f is evaluated at the hard sample; for its derivative the sample is replaced by its mean p. It
    has first derivatives only; a second derivative raises.

    Args:
      function: f, maps one sample to a scalar; differentiable between the hard values.
      distribution_fn: maps parameters to a distribution over zeros and ones or one-hot vectors.

    Returns:
      The surrogate `(params, key, num_samples) -> [num_samples]`.

    Raises:
      NotImplementedError: a second derivative.
      TypeError: the distribution is not over zeros and ones or one-hot vectors.
      ValueError: f does not return a finite scalar.

    References:
      Bengio, Leonard and Courville (2013), "Estimating or Propagating Gradients Through Stochastic
      Neurons for Conditional Computation", section 4, https://arxiv.org/abs/1308.3432

    Example:
      >>> import repara as rp
      >>> surrogate = straight_through(lambda z: 3.0 * z, lambda p: rp.Bernoulli(probs=p))
      >>> float(jax.grad(lambda p: surrogate(p, jax.random.key(0), 4).mean())(0.5))
      3.0
    """

    def surrogate(params: Params, key: jax.Array, num_samples: int) -> jax.Array:
        check_call(key, num_samples)
        sample_key, _ = split_call_key(key)
        distribution = distribution_fn(params)
        z = draw(distribution, sample_key, num_samples)
        logits, binary = logits_of(distribution, z, "straight_through")
        base = without_independent(distribution)
        if hasattr(base, "mean"):
            mean = base.mean
        else:
            mean = jax.nn.sigmoid(logits) if binary else jax.nn.softmax(logits, axis=-1)
        path = attach_path(z, jnp.broadcast_to(mean, z.shape), "straight_through")
        return evaluate(function, path)

    return surrogate


def gumbel_softmax(
    function: Function,
    distribution_fn: DistributionFunction,
    *,
    temperature: ArrayLike = 0.5,
    straight_through: bool = False,
) -> Surrogate:
    """Returns the Gumbel-softmax (or concrete) estimator; biased, less so at low temperatures.

        z = softmax((log p + g) / t),   value f(z), gradient f'(z) dz/dtheta

    With `straight_through` both f and f' are evaluated at the hard sample, and a second derivative
    raises. The variance grows as the temperature falls. The temperature may be a traced array, for
    example a schedule: `optax.exponential_decay(1.0, 1000, 0.9, end_value=0.5)(step)`.

    Args:
      function: f, maps one sample to a scalar; defined and differentiable between the hard values.
      distribution_fn: maps parameters to a distribution over zeros and ones or one-hot vectors.
      temperature: t, positive.
      straight_through: whether f is evaluated at the hard sample.

    Returns:
      The surrogate `(params, key, num_samples) -> [num_samples]`. The hard sample is the one that
      the other estimators draw at the same key.

    Raises:
      NotImplementedError: a second derivative, with `straight_through`.
      TypeError: the distribution is not over zeros and ones or one-hot vectors.
      ValueError: the temperature is not positive, or f does not return a finite scalar.

    References:
      Jang, Gu and Poole (2017), "Categorical Reparameterization with Gumbel-Softmax",
      https://arxiv.org/abs/1611.01144

      Maddison, Mnih and Teh (2017), "The Concrete Distribution: A Continuous Relaxation of Discrete
      Random Variables", https://arxiv.org/abs/1611.00712

    Example:
      >>> import repara as rp
      >>> surrogate = gumbel_softmax(lambda z: (z - 0.45) ** 2, lambda l: rp.Bernoulli(logits=l))
      >>> surrogate(0.0, jax.random.key(0), 3).shape
      (3,)
    """

    def surrogate(params: Params, key: jax.Array, num_samples: int) -> jax.Array:
        check_call(key, num_samples)
        sample_key, noise_key = split_call_key(key)
        distribution = distribution_fn(params)
        hard = draw(distribution, sample_key, num_samples)
        logits, binary = logits_of(distribution, hard, "gumbel_softmax")
        latent, _ = conditional_logits(noise_key, logits, hard, binary)
        soft = relax_logits(latent, temperature, binary)
        if straight_through:
            soft = attach_path(hard, soft, "gumbel_softmax straight through")
        return evaluate(function, soft)

    return surrogate


def gumbel_rao(
    function: Function,
    distribution_fn: DistributionFunction,
    *,
    temperature: ArrayLike = 0.5,
    num_inner: int = 10,
) -> Surrogate:
    """Returns the Gumbel-Rao estimator; biased as straight-through Gumbel-softmax, less variance.

        value f(z),   gradient f'(z) mean_k d/dtheta softmax((log p + g_k) / t),   g_k | z

    It is straight-through Gumbel-softmax, averaged over Gumbel variables that give the same hard
    sample (Rao-Blackwell). The bias and the number of evaluations of f are the same. It has first
    derivatives only; a second derivative raises.

    Args:
      function: f, maps one sample to a scalar; differentiable between the hard values.
      distribution_fn: maps parameters to a distribution over zeros and ones or one-hot vectors.
      temperature: t, positive.
      num_inner: K, the number of draws of the Gumbel variables per hard sample, at least 1.

    Returns:
      The surrogate `(params, key, num_samples) -> [num_samples]`.

    Raises:
      NotImplementedError: a second derivative.
      TypeError: the distribution is not over zeros and ones or one-hot vectors.
      ValueError: `num_inner` is below 1, the temperature is not positive, or f does not return a
        finite scalar.

    References:
      Paulus, Maddison and Krause (2021), "Rao-Blackwellizing the Straight-Through Gumbel-Softmax
      Gradient Estimator", equation 10, https://arxiv.org/abs/2010.04838

    Example:
      >>> import repara as rp
      >>> surrogate = gumbel_rao(lambda z: z[0], lambda l: rp.OneHotCategorical(logits=l))
      >>> surrogate(jnp.zeros(3), jax.random.key(0), 4).shape
      (4,)
    """
    if isinstance(num_inner, bool) or not isinstance(num_inner, int) or num_inner < 1:
        raise ValueError(f"num_inner must be an integer of at least 1, got {num_inner!r}")

    def surrogate(params: Params, key: jax.Array, num_samples: int) -> jax.Array:
        check_call(key, num_samples)
        sample_key, noise_key = split_call_key(key)
        distribution = distribution_fn(params)
        hard = draw(distribution, sample_key, num_samples)
        logits, binary = logits_of(distribution, hard, "gumbel_rao")
        repeated = jnp.broadcast_to(hard, (num_inner, *hard.shape))
        latent, _ = conditional_logits(noise_key, logits, repeated, binary)
        soft = jnp.mean(relax_logits(latent, temperature, binary), axis=0)
        return evaluate(function, attach_path(hard, soft, "gumbel_rao"))

    return surrogate
