"""Estimators for discrete variables: the exact sum, and relaxations of the sample."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

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
    innermost,
    joint_log_prob,
    logits_of,
)

__all__ = ["enumerate_exactly", "gumbel_rao", "gumbel_softmax", "straight_through"]

# Above a million terms a sum is no longer what anyone wants to wait for.
_MOST_STATES = 2**20


def enumerate_exactly(function: Function, distribution_fn: DistributionFunction) -> Surrogate:
    """The exact gradient, by a sum over all values of a finite distribution; no variance.

        d/dtheta E[f(z)] = sum_z f(z) dp(z; theta)/dtheta

    A batch of D variables with S values each has S^D joint values, at most 2^20 here. Every sample
    has the same gradient. Derivatives of all orders are right.

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
        base = innermost(distribution)
        if not hasattr(base, "enumerate_support"):
            raise ValueError(
                f"enumerate_exactly needs a finite support, {type(base).__name__} has none: use "
                "score_function"
            )
        samples = draw(distribution, key, num_samples)
        values = evaluate(function, samples)
        z = _joint_support(base.enumerate_support(), samples, event_rank(base, samples))
        probabilities = jnp.exp(joint_log_prob(distribution, z)).astype(values.dtype)
        exact = jnp.sum(probabilities * evaluate(function, z))
        return jax.lax.stop_gradient(values) + (exact - jax.lax.stop_gradient(exact))

    return surrogate


def _joint_support(single: jax.Array, samples: jax.Array, event_rank: int) -> jax.Array:
    """All joint values of a batch of independent variables, `[S^D] + batch + event`."""
    split = samples.ndim - event_rank
    batch, event = samples.shape[1:split], samples.shape[split:]
    size, dimensions = single.shape[0], math.prod(batch)
    if dimensions * math.log2(size) > math.log2(_MOST_STATES):
        raise ValueError(
            f"enumerate_exactly: {dimensions} variables with {size} values each have "
            f"{size}^{dimensions} joint values, more than {_MOST_STATES}: use disarm, rebar or "
            "score_function"
        )
    index = np.indices((size,) * dimensions).reshape(dimensions, -1).T  # [S^D, D]
    # Every variable of the batch has the same values, whether they are spread out over it or not.
    single = jnp.asarray(single, samples.dtype).reshape(size, -1, *event)[:, 0]
    return single[jnp.asarray(index)].reshape(-1, *batch, *event)


def straight_through(function: Function, distribution_fn: DistributionFunction) -> Surrogate:
    """The straight-through estimator. Biased, unless f is linear.

        value f(z),   gradient f'(z) dp/dtheta

    The sample is hard in the forward direction; backwards it is taken for its mean. There are first
    derivatives only; a second one raises.

    Args:
      function: f, maps one sample to a scalar; differentiable between the hard values.
      distribution_fn: maps parameters to a distribution over zeros and ones or one-hot vectors.

    Returns:
      The surrogate `(params, key, num_samples) -> [num_samples]`.

    Raises:
      NotImplementedError: a second derivative.
      TypeError: another distribution.
      ValueError: f does not return a finite scalar.

    Source:
      Bengio, Leonard & Courville (2013), "Estimating or propagating gradients through stochastic
      neurons for conditional computation", section 4.

    Example:
      >>> import repara as rp
      >>> surrogate = straight_through(lambda z: 3.0 * z, lambda p: rp.Bernoulli(probs=p))
      >>> float(jax.grad(lambda p: surrogate(p, jax.random.key(0), 4).mean())(0.5))
      3.0
    """

    def surrogate(params: Params, key: jax.Array, num_samples: int) -> jax.Array:
        check_call(key, num_samples)
        distribution = distribution_fn(params)
        z = draw(distribution, key, num_samples)
        logits, binary = logits_of(distribution, z, "straight_through")
        base = innermost(distribution)
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
    """The Gumbel-softmax (binary: concrete) estimator. Biased; the bias falls with the temperature.

        z = softmax((log p + g) / t),   value f(z), gradient f'(z) dz/dtheta

    With `straight_through` the value is f at the hard sample, and so is f'; its second derivatives
    raise. The variance grows as the temperature falls. A schedule is a temperature computed from
    the step, for example `optax.exponential_decay(1.0, 1000, 0.9, end_value=0.5)(step)`; it may be
    a traced array.

    Args:
      function: f, maps one sample to a scalar; defined and differentiable between the hard values.
      distribution_fn: maps parameters to a distribution over zeros and ones or one-hot vectors.
      temperature: t, positive.
      straight_through: whether the value is that of the hard sample.

    Returns:
      The surrogate `(params, key, num_samples) -> [num_samples]`. The hard sample is the one that
      the other estimators draw at the same key.

    Raises:
      NotImplementedError: a second derivative, with `straight_through`.
      TypeError: another distribution.
      ValueError: the temperature is not positive, or f does not return a finite scalar.

    Source:
      Jang, Gu & Poole (2017), "Categorical reparameterization with Gumbel-softmax"; Maddison, Mnih
      & Teh (2017), "The concrete distribution".

    Example:
      >>> import repara as rp
      >>> surrogate = gumbel_softmax(lambda z: (z - 0.45) ** 2, lambda l: rp.Bernoulli(logits=l))
      >>> surrogate(0.0, jax.random.key(0), 3).shape
      (3,)
    """

    def surrogate(params: Params, key: jax.Array, num_samples: int) -> jax.Array:
        check_call(key, num_samples)
        distribution = distribution_fn(params)
        hard = draw(distribution, key, num_samples)
        logits, binary = logits_of(distribution, hard, "gumbel_softmax")
        latent, _ = conditional_logits(jax.random.fold_in(key, 1), logits, hard, binary)
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
    """Straight-through Gumbel-softmax, averaged over the Gumbels that give the same hard sample.

        value f(z),   gradient f'(z) mean_k d/dtheta softmax((log p + g_k) / t),   g_k | z

    Biased as straight-through Gumbel-softmax is, by the same amount; the variance is lower
    (Rao-Blackwell), with the evaluations of f the same in number. There are first derivatives only;
    a second one raises.

    Args:
      function: f, maps one sample to a scalar; differentiable between the hard values.
      distribution_fn: maps parameters to a distribution over zeros and ones or one-hot vectors.
      temperature: t, positive.
      num_inner: the number of Gumbels for each hard sample, at least 1.

    Returns:
      The surrogate `(params, key, num_samples) -> [num_samples]`.

    Raises:
      NotImplementedError: a second derivative.
      TypeError: another distribution.
      ValueError: `num_inner` is below 1, the temperature is not positive, or f does not return a
        finite scalar.

    Source:
      Paulus, Maddison & Krause (2021), "Rao-Blackwellizing the straight-through Gumbel-softmax
      gradient estimator", equation 10.

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
        distribution = distribution_fn(params)
        hard = draw(distribution, key, num_samples)
        logits, binary = logits_of(distribution, hard, "gumbel_rao")
        repeated = jnp.broadcast_to(hard, (num_inner, *hard.shape))
        latent, _ = conditional_logits(jax.random.fold_in(key, 1), logits, repeated, binary)
        soft = jnp.mean(relax_logits(latent, temperature, binary), axis=0)
        return evaluate(function, attach_path(hard, soft, "gumbel_rao"))

    return surrogate
