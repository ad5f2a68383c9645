"""The parts that all estimators share: the types, checks, samples, and attached gradients."""

from collections.abc import Callable
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from repara.distributions import Bernoulli, OneHotCategorical
from repara.distributions.introspection import concrete_all, without_independent
from repara.noise import check_key

__all__ = ["DistributionFunction", "Function", "Params", "Surrogate"]

Params = Any
"""A pytree of float arrays."""

Function = Callable[[jax.Array], jax.Array]
"""Maps one sample, `batch_shape + event_shape`, to a scalar."""

DistributionFunction = Callable[[Params], Any]
"""Maps parameters to a distribution of this library, or to any object with `log_prob(z)` and
`sample(key, shape)` or `rsample(key, shape)`."""


class Surrogate(Protocol):
    """The type of a surrogate: its value is f at the samples, its gradient is the estimate."""

    def __call__(self, params: Params, key: jax.Array, num_samples: int) -> jax.Array:
        """Returns f(z_s) for each sample, [num_samples]; the key is consumed."""
        ...


def check_call(key: jax.Array, num_samples: int, at_least: int = 1, why: str = "") -> None:
    """Raises unless the key is typed and the number of samples is large enough."""
    check_key(key)
    if isinstance(num_samples, bool) or not isinstance(num_samples, int):
        raise TypeError(f"num_samples must be an integer, got {num_samples!r}")
    if num_samples < at_least:
        because = f": {why}" if why else ""
        raise ValueError(f"num_samples must be at least {at_least}, got {num_samples}{because}")


def split_call_key(key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns the key of the samples, and a key for whatever else the estimator draws.

    Every estimator calls it, also those that need the first key only, so that at the same key all
    of them draw the same samples.
    """
    sample_key, other_key = jax.random.split(key)
    return sample_key, other_key


def evaluate(function: Function, z: jax.Array) -> jax.Array:
    """Returns f(z_s) for samples along the first axis, checked.

    Outside `jit` a value that is not finite raises; under `jit` it makes the estimate NaN or
    infinite.
    """
    values = jax.vmap(function)(z)
    if jnp.shape(values) != z.shape[:1]:
        raise ValueError(
            f"function must map one sample, of shape {z.shape[1:]}, to a scalar; it returned shape "
            f"{jnp.shape(values)[1:]}: return the sum or the mean"
        )
    if not jnp.issubdtype(values.dtype, jnp.floating):
        raise TypeError(f"function must return a real number, it returned {values.dtype}")
    fixed = jax.lax.stop_gradient(values)
    finite = jnp.isfinite(fixed)
    if concrete_all(finite) is False:
        first = int(jnp.argmin(finite))
        raise ValueError(
            f"function is not finite at {int(jnp.sum(~finite))} of {z.shape[0]} samples; the first "
            f"is z = {jax.lax.stop_gradient(z)[first].tolist()}, with the value "
            f"{float(fixed[first])}: define it on the whole support of the distribution"
        )
    return values


def draw(distribution: Any, key: jax.Array, num_samples: int) -> jax.Array:
    """Draws samples without gradient, as floats."""
    method = getattr(distribution, "sample", None) or distribution.rsample
    z: jax.Array = jax.lax.stop_gradient(method(key, (num_samples,)))
    return z if jnp.issubdtype(z.dtype, jnp.floating) else z.astype(jnp.result_type(float))


def joint_log_prob(distribution: Any, z: jax.Array) -> jax.Array:
    """Returns log p(z_s) of whole samples, [num_samples]: the batch is independent coordinates."""
    log_prob = distribution.log_prob(z)
    return jnp.sum(log_prob.reshape(z.shape[0], -1), axis=1)


def detach(tree: Any) -> Any:
    """Returns the same pytree, without gradient."""
    return jax.tree.map(jax.lax.stop_gradient, tree)


def event_rank(distribution: Any, z: jax.Array) -> int:
    """Returns the number of trailing axes of a sample that are one event, as log_prob treats it."""
    return z.ndim - len(jax.eval_shape(distribution.log_prob, z).shape)


def logits_of(distribution: Any, z: jax.Array, estimator: str) -> tuple[jax.Array, bool]:
    """Returns the logits of binary or one-hot variables, and whether they are binary.

    Args:
      distribution: the result of `distribution_fn`.
      z: samples of it, [num_samples, *batch, *event].
      estimator: its name, for the error message.

    Returns:
      log(p / (1 - p)), of shape `batch`, for zeros and ones; the normalized log p, of shape
      `batch + (K,)`, for one-hot vectors.

    Raises:
      TypeError: another distribution. Under `jit`, where the probabilities have no value, the
        logits are NaN instead.
    """
    base = without_independent(distribution)
    if isinstance(base, Bernoulli):
        if base.logits is not None:
            return base.logits, True
        return jnp.log(base.probs) - jnp.log1p(-base.probs), True
    if isinstance(base, OneHotCategorical):
        if base.logits is not None:
            return jax.nn.log_softmax(base.logits, axis=-1), False
        return jnp.log(base.probs), False
    rank = None if getattr(base, "has_rsample", False) else event_rank(base, z)
    if rank == 0:
        zero, one = base.log_prob(jnp.stack([jnp.zeros_like(z[0]), jnp.ones_like(z[0])]))
        logits, log_total = one - zero, jnp.logaddexp(zero, one)
    elif rank == 1:
        k, batch = z.shape[-1], z.shape[1:-1]
        corners = jnp.eye(k, dtype=z.dtype).reshape(k, *(1,) * len(batch), k)
        log_p = base.log_prob(jnp.broadcast_to(corners, (k, *batch, k)))
        logits, log_total = jnp.moveaxis(log_p, 0, -1), jax.nn.logsumexp(log_p, axis=0)[..., None]
    else:
        raise _other_distribution(base, estimator)
    sums_to_one = jnp.abs(jax.lax.stop_gradient(log_total)) < _LOG_TOTAL_TOLERANCE
    if concrete_all(sums_to_one) is False:
        raise _other_distribution(base, estimator)
    # A factor, so that the gradient is NaN too.
    return logits * jnp.where(sums_to_one, 1, jnp.nan).astype(logits.dtype), rank == 0


# Tolerance for the log of a sum of probabilities in float32, whose rounding error is about 1e-6.
_LOG_TOTAL_TOLERANCE = 1e-4


def _other_distribution(base: Any, estimator: str) -> TypeError:
    return TypeError(
        f"{estimator} needs a distribution over zeros and ones or over one-hot vectors, got "
        f"{type(base).__name__}; for an index use OneHotCategorical"
    )


def magic_box(log_prob: jax.Array) -> jax.Array:
    """Returns 1, with the derivatives that make d/dtheta E[f box] = d/dtheta E[f], to all orders.

        box = exp(log p - stop_gradient(log p))

    References:
      Foerster et al. (2018), "DiCE: the infinitely differentiable Monte Carlo estimator",
      equation 6, https://arxiv.org/abs/1802.05098
    """
    return jnp.exp(log_prob - jax.lax.stop_gradient(log_prob))


def attach(
    values: jax.Array, parameters: list[jax.Array], estimates: list[jax.Array | None], name: str
) -> jax.Array:
    """Returns the values, with estimates as their gradient in the parameters.

    Args:
      values: [num_samples].
      parameters: arrays.
      estimates: for each parameter the estimate of each sample, [num_samples, *shape]; or None if
        there is no estimate, and a derivative raises.
      name: the estimator's name, for the error messages.

    Returns:
      The values; a second derivative raises.
    """

    @jax.custom_jvp
    def with_gradient(values: jax.Array, parameters: Any, estimates: Any) -> jax.Array:
        return values

    def rule(primals: Any, tangents: Any) -> Any:
        values, parameters, estimates = primals
        tangent = tangents[0]
        total = jnp.zeros_like(values) if isinstance(tangent, SymbolicZero) else tangent
        for theta, dot, estimate in zip(parameters, tangents[1], estimates, strict=True):
            if isinstance(dot, SymbolicZero):
                continue
            if estimate is None:
                raise NotImplementedError(
                    f"{name} has no estimate for one of the parameters that are differentiated: "
                    "use pathwise or score_function"
                )
            estimate = _differentiable_once(estimate, theta, name)
            axes = tuple(range(1, estimate.ndim))
            total = total + jnp.sum(estimate * dot[None], axis=axes)
        return values, total

    with_gradient.defjvp(rule, symbolic_zeros=True)
    return with_gradient(values, parameters, estimates)


def attach_path(hard: jax.Array, soft: jax.Array, name: str) -> jax.Array:
    """Returns hard samples with the first derivative of soft ones; a second derivative raises."""

    @jax.custom_jvp
    def with_path(hard: jax.Array, soft: jax.Array) -> jax.Array:
        return hard

    def rule(primals: Any, tangents: Any) -> Any:
        hard, soft = primals
        if isinstance(tangents[1], SymbolicZero):
            return hard, jnp.zeros_like(hard)
        return hard, _differentiable_once(jnp.ones_like(hard), soft, name) * tangents[1]

    with_path.defjvp(rule, symbolic_zeros=True)
    return with_path(jax.lax.stop_gradient(hard), soft)


def _differentiable_once(estimate: jax.Array, theta: jax.Array, name: str) -> jax.Array:
    """Returns a first derivative; its own derivative in theta, a second derivative, raises."""

    @jax.custom_jvp
    def first_derivative(estimate: jax.Array, theta: jax.Array) -> jax.Array:
        return estimate

    def rule(primals: Any, tangents: Any) -> Any:
        if not isinstance(tangents[1], SymbolicZero):
            raise NotImplementedError(
                f"{name} estimates first derivatives only: for higher ones use pathwise or "
                "score_function"
            )
        if isinstance(tangents[0], SymbolicZero):
            return primals[0], jnp.zeros_like(primals[0])
        return primals[0], tangents[0]

    first_derivative.defjvp(rule, symbolic_zeros=True)
    return first_derivative(estimate, theta)
