"""REBAR and RELAX: the score function with a control variate through the relaxed sample."""

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
)

__all__ = ["rebar", "relax"]

ControlVariate = Callable[[Params, jax.Array], jax.Array]
"""Maps parameters and the noisy logits of one sample to a scalar."""


def relax(
    function: Function, distribution_fn: DistributionFunction, *, control_variate: ControlVariate
) -> Surrogate:
    """The RELAX estimator; unbiased for any f and any control variate c.

        (f(b) - c(z')) d log p(b)/dtheta + d/dtheta (c(z) - c(z')),   b = H(z),   z' ~ p(z | b)

    z are the noisy logits of which b is the hard sample; z' has the value of z here, and depends on
    theta through the conditional distribution. The better c predicts f, the lower the
    variance: `control_variate_loss` trains its parameters, which live in `params` and get a zero
    gradient from the surrogate itself. Of several samples each has the mean of f - c over the
    others as baseline. Derivatives of all orders are right.

    Args:
      function: f, maps one sample to a scalar; it is evaluated at hard samples only.
      distribution_fn: maps parameters to a distribution over zeros and ones or one-hot vectors.
      control_variate: c, maps the parameters and the noisy logits of one sample, of its shape, to a
        scalar; for example `lambda params, z: net.apply(params["net"], z)` with a Flax module.

    Returns:
      The surrogate `(params, key, num_samples) -> [num_samples]`.

    Raises:
      TypeError: another distribution.
      ValueError: f or c does not return a finite scalar.

    Source:
      Grathwohl et al. (2018), "Backpropagation through the void", equation 9 and appendix B.

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
    """The REBAR estimator; unbiased for any f.

        RELAX with c(z) = eta f(softmax(z / t)), for binary variables the sigmoid

    Args:
      function: f, maps one sample to a scalar; defined and differentiable between the hard values.
      distribution_fn: maps parameters to a distribution over zeros and ones or one-hot vectors.
      temperature: t, positive; a number, or a function of the parameters that
        `control_variate_loss` can then train.
      eta: the weight of the control variate, the same way; 0 leaves the score function.

    Returns:
      The surrogate `(params, key, num_samples) -> [num_samples]`.

    Raises:
      TypeError: another distribution.
      ValueError: the temperature is not positive, or f does not return a finite scalar.

    Source:
      Tucker et al. (2017), "REBAR: low-variance, unbiased gradient estimates for discrete latent
      variable models", section 3.

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
    def surrogate(params: Params, key: jax.Array, num_samples: int) -> jax.Array:
        check_call(key, num_samples)
        distribution = distribution_fn(params)
        hard = draw(distribution, key, num_samples)
        logits, binary = logits_of(distribution, hard, name)
        values = evaluate(function, hard)
        box = magic_box(joint_log_prob(distribution, hard)).astype(values.dtype)
        z, conditional = conditional_logits(jax.random.fold_in(key, 1), logits, hard, binary)

        def c(latent: jax.Array) -> jax.Array:
            return evaluate(lambda one: control_variate(params, one, binary), latent)

        # E[f - c(z')] by the score function and through z', E[c(z)] through z: derivatives of all
        # orders. As z' and z have one value, the gradient in c's own parameters is zero.
        left = values - c(conditional)
        estimate = left * box + c(z)
        if num_samples > 1:
            # Not held fixed: `control_variate_loss` sees c in it too. As 1 - box is zero, and stays
            # so on average, a derivative of the baseline adds nothing to those of the expectation.
            baseline = (jnp.sum(left) - left) / (num_samples - 1)
            estimate = estimate + baseline * (1 - box)
        # The value is f to the last bit.
        fixed = jax.lax.stop_gradient(estimate)
        return jax.lax.stop_gradient(values) + (estimate - fixed)

    return surrogate
