"""REBAR and RELAX: the score-function estimator with a control variate at a relaxed sample."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from repara.estimators.relaxation import conditional_logits, relax_logits
from repara.estimators.surrogate import (
    DistributionFunction,
    Function,
    Params,
    Surrogate,
    check_call,
    draw,
    evaluate,
    joint_log_prob,
    logits_of,
    magic_box,
    split_call_key,
)

__all__ = ["rebar", "relax"]

ControlVariate = Callable[[Params, jax.Array], jax.Array]
"""Maps parameters and the noisy logits of one sample to a scalar."""


def relax(
    function: Function, distribution_fn: DistributionFunction, *, control_variate: ControlVariate
) -> Surrogate:
    """Returns the RELAX estimator; unbiased for any f and any control variate c.

        (f(b) - c(z')) d log p(b)/dtheta + d/dtheta (c(z) - c(z')),   b = H(z),   z' ~ p(z | b)

    z are noisy logits, and b is their hard sample; z' has the same value as z, but depends on theta
    through the conditional distribution. The better c predicts f, the lower the variance:
    `control_variate_loss` trains the parameters of c, which are part of `params` and have a zero
    gradient in the surrogate itself. With several samples, the baseline of each one is the mean of
    f - c over the others. Derivatives of all orders are right.

    Args:
      function: f, maps one sample to a scalar; evaluated at hard samples only.
      distribution_fn: maps parameters to a distribution over zeros and ones or one-hot vectors.
      control_variate: c, maps the parameters and the noisy logits of one sample, which have its
        shape, to a scalar; for example `lambda params, z: net.apply(params["net"], z)`.

    Returns:
      The surrogate `(params, key, num_samples) -> [num_samples]`.

    Raises:
      TypeError: the distribution is not over zeros and ones or one-hot vectors.
      ValueError: f or c does not return a finite scalar.

    References:
      Grathwohl et al. (2018), "Backpropagation through the Void: Optimizing Control Variates for
      Black-Box Gradient Estimation", equation 9 and appendix B, https://arxiv.org/abs/1711.00123

    Example:
      >>> import repara as rp
      >>> surrogate = relax(
      ...     lambda b: (b - 0.45) ** 2,
      ...     lambda params: rp.Bernoulli(logits=params["logits"]),
      ...     control_variate=lambda params, z: params["slope"] * jnp.tanh(z),
      ... )
      >>> params = {"logits": jnp.float32(0.0), "slope": jnp.float32(0.1)}
      >>> gradient = jax.grad(lambda p: surrogate(p, jax.random.key(0), 8).mean())(params)
      >>> float(gradient["slope"])
      0.0
    """
    return _relax(function, distribution_fn, lambda params, z, binary: control_variate(params, z),
                  "relax")  # fmt: skip


def rebar(
    function: Function,
    distribution_fn: DistributionFunction,
    *,
    temperature: ArrayLike | Callable[[Params], jax.Array] = 0.5,
    eta: ArrayLike | Callable[[Params], jax.Array] = 1.0,
) -> Surrogate:
    """Returns the REBAR estimator; unbiased for any f.

        RELAX with c(z) = eta f(softmax(z / t)), or the sigmoid for binary variables

    Args:
      function: f, maps one sample to a scalar; defined and differentiable between the hard values.
      distribution_fn: maps parameters to a distribution over zeros and ones or one-hot vectors.
      temperature: t, positive; a number, or a function of the parameters, which
        `control_variate_loss` can train.
      eta: the weight of the control variate, a number or a function of the parameters; with 0 it
        is the score-function estimator.

    Returns:
      The surrogate `(params, key, num_samples) -> [num_samples]`.

    Raises:
      TypeError: the distribution is not over zeros and ones or one-hot vectors.
      ValueError: the temperature is not positive, or f does not return a finite scalar.

    References:
      Tucker et al. (2017), "REBAR: Low-Variance, Unbiased Gradient Estimates for Discrete Latent
      Variable Models", section 3, https://arxiv.org/abs/1703.07370

    Example:
      >>> import repara as rp
      >>> surrogate = rebar(lambda b: (b - 0.45) ** 2, lambda l: rp.Bernoulli(logits=l))
      >>> surrogate(0.0, jax.random.key(0), 3).shape
      (3,)
    """

    def control_variate(params: Params, z: jax.Array, binary: bool) -> jax.Array:
        t = temperature(params) if callable(temperature) else temperature
        weight = eta(params) if callable(eta) else eta
        value = function(relax_logits(z, t, binary))
        return jnp.asarray(weight, value.dtype) * value

    return _relax(function, distribution_fn, control_variate, "rebar")


def _relax(
    function: Function,
    distribution_fn: DistributionFunction,
    control_variate: Callable[[Params, jax.Array, bool], jax.Array],
    name: str,
) -> Surrogate:
    """Returns the surrogate of both, given a control variate that knows whether z is binary."""

    def surrogate(params: Params, key: jax.Array, num_samples: int) -> jax.Array:
        check_call(key, num_samples)
        sample_key, noise_key = split_call_key(key)
        distribution = distribution_fn(params)
        hard = draw(distribution, sample_key, num_samples)
        logits, binary = logits_of(distribution, hard, name)
        values = evaluate(function, hard)
        box = magic_box(joint_log_prob(distribution, hard)).astype(values.dtype)
        z, conditional = conditional_logits(noise_key, logits, hard, binary)

        def c(latent: jax.Array) -> jax.Array:
            return evaluate(lambda one: control_variate(params, one, binary), latent)

        # E[f - c(z')] by the score function and through z', E[c(z)] through z: derivatives of all
        # orders. Since z' and z have one value, the gradient in the parameters of c is zero.
        residual = values - c(conditional)
        estimate = residual * box + c(z)
        if num_samples > 1:
            # Without stop_gradient, as `control_variate_loss` has to see c in the baseline too.
            # That adds no bias: the baseline multiplies 1 - box, whose value and mean are zero.
            baseline = (jnp.sum(residual) - residual) / (num_samples - 1)
            estimate = estimate + baseline * (1 - box)
        # This way the value is f to the last bit.
        fixed = jax.lax.stop_gradient(estimate)
        return jax.lax.stop_gradient(values) + (estimate - fixed)

    return surrogate
