"""What every estimator is made of: surrogates, and the checks that they share."""

from collections.abc import Callable
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from repara.distributions import Bernoulli, Independent, OneHotCategorical
from repara.noise import check_key

__all__ = ["DistributionFunction", "Function", "Surrogate"]

Params = Any

Function = Callable[[jax.Array], jax.Array]
"""Maps one sample, `batch_shape + event_shape`, to a scalar."""

DistributionFunction = Callable[[Params], Any]
"""Maps parameters to a distribution: one of this library, or any object with `log_prob(z)` and
`sample(key, shape)` or `rsample(key, shape)`."""


class Surrogate(Protocol):
    """The type of a surrogate: its value is f at the samples, its gradient is the estimate."""

    def __call__(self, params: Params, key: jax.Array, num_samples: int) -> jax.Array:
        """Returns f(z_s) for each sample, [num_samples]; the key is consumed."""
        ...


def check_call(key: jax.Array, num_samples: int, at_least: int = 1, why: str = "") -> None:
    """Raises unless there is a typed key and a number of samples that will do."""
    check_key(key)
    if isinstance(num_samples, bool) or not isinstance(num_samples, int):
        raise TypeError(f"num_samples must be an integer, got {num_samples!r}")
    if num_samples < at_least:
        because = f": {why}" if why else ""
        raise ValueError(f"num_samples must be at least {at_least}, got {num_samples}{because}")


def evaluate(function: Function, z: jax.Array) -> jax.Array:
    """f(z_s) for samples along the first axis, checked.

    Where the values are concrete, as they are outside `jit`, one that is not finite raises; under
    `jit` it stays what it is, and makes the estimate NaN or infinite.
    """
    values = jax.vmap(function)(z)
    if jnp.shape(values) != z.shape[:1]:
        raise ValueError(
            f"function must map one sample, of shape {z.shape[1:]}, to a scalar; it returned shape "
            f"{jnp.shape(values)[1:]}: sum or average what it returns, if that is meant"
        )
    if not jnp.issubdtype(values.dtype, jnp.floating):
        raise TypeError(f"function must return a real number, it returned {values.dtype}")
    fixed = jax.lax.stop_gradient(values)
    finite = jnp.isfinite(fixed)
    if holds(finite) is False:
        first = int(jnp.argmin(finite))
        raise ValueError(
            f"function is not finite at {int(jnp.sum(~finite))} of {z.shape[0]} samples; the first "
            f"is z = {jax.lax.stop_gradient(z)[first].tolist()}, where it is "
            f"{float(fixed[first])}: define it on the whole support of the distribution"
        )
    return values


def holds(condition: jax.Array) -> bool | None:
    """Whether it is true everywhere; None where there is no value to look at, as under `jit`."""
    try:
        return bool(jnp.all(condition))
    except jax.errors.ConcretizationTypeError:
        return None


def draw(distribution: Any, key: jax.Array, num_samples: int) -> jax.Array:
    """Samples without gradient, as floats; the same at the same key for every estimator."""
    method = getattr(distribution, "sample", None) or distribution.rsample
    z = jax.lax.stop_gradient(method(key, (num_samples,)))
    return z if jnp.issubdtype(z.dtype, jnp.floating) else z.astype(jnp.result_type(float))


def joint_log_prob(distribution: Any, z: jax.Array) -> jax.Array:
    """log p(z_s) of whole samples, [num_samples]: the batch counts as independent coordinates."""
    log_prob = distribution.log_prob(z)
    return jnp.sum(log_prob.reshape(z.shape[0], -1), axis=1)


def detach(tree: Any) -> Any:
    """The same pytree, without gradient."""
    return jax.tree.map(jax.lax.stop_gradient, tree)


def innermost(distribution: Any) -> Any:
    """The distribution of single coordinates: samples keep their shape."""
    while isinstance(distribution, Independent):
        distribution = distribution.base
    return distribution


def event_rank(distribution: Any, z: jax.Array) -> int:
    """How many of the last axes of samples are one event, read off the shape of log_prob."""
    return z.ndim - len(jax.eval_shape(distribution.log_prob, z).shape)


def logits_of(distribution: Any, z: jax.Array, estimator: str) -> tuple[jax.Array, bool]:
    """Logits of binary or one-hot variables, and whether they are binary.

    Args:
      distribution: what `distribution_fn` returned.
      z: samples of it, [num_samples, *batch, *event].
      estimator: its name, for the error.

    Returns:
      `batch`, log(p / (1 - p)), for a distribution over zeros and ones; or `batch + (K,)`, log p
      normalized, for one over one-hot vectors.

    Raises:
      TypeError: another distribution. Under `jit`, where its probabilities cannot be looked at, the
        logits are NaN.
    """
    base = innermost(distribution)
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
    all_there = jnp.abs(jax.lax.stop_gradient(log_total)) < _ROUNDING
    if holds(all_there) is False:
        raise _other_distribution(base, estimator)
    # A factor, so that the gradient is NaN too.
    return logits * jnp.where(all_there, 1, jnp.nan).astype(logits.dtype), rank == 0


# What rounding leaves of log 1 in a sum of probabilities in float32, with room.
_ROUNDING = 1e-4


def _other_distribution(base: Any, estimator: str) -> TypeError:
    return TypeError(
        f"{estimator} takes distributions over zeros and ones or over one-hot vectors, got "
        f"{type(base).__name__}; for an index use OneHotCategorical"
    )


def magic_box(log_prob: jax.Array) -> jax.Array:
    """1, with the derivatives of all orders that make an expectation of what it multiplies.

        box = exp(log p - stop(log p))

    Source:
      Foerster et al. (2018), "DiCE: the infinitely differentiable Monte Carlo estimator",
      equation 6.
    """
    return jnp.exp(log_prob - jax.lax.stop_gradient(log_prob))


def attach(
    values: jax.Array, parameters: list[jax.Array], estimates: list[jax.Array | None], name: str
) -> jax.Array:
    """The values, with estimates as their gradient in the parameters.

    Args:
      values: [num_samples].
      parameters: arrays.
      estimates: for each of them the estimate of each sample, [num_samples, *shape]; None where
        there is none, and a derivative raises.
      name: the estimator's, for the errors: it has no second derivative.

    Returns:
      The values.
    """

    @jax.custom_jvp
    def with_gradient(values: Any, parameters: Any, estimates: Any) -> jax.Array:
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
            estimate = _once(estimate, theta, name)
            axes = tuple(range(1, estimate.ndim))
            total = total + jnp.sum(estimate * dot[None], axis=axes)
        return values, total

    with_gradient.defjvp(rule, symbolic_zeros=True)
    return with_gradient(values, parameters, estimates)


def attach_path(hard: jax.Array, soft: jax.Array, name: str) -> jax.Array:
    """Hard samples, with the first derivative of soft ones of their shape; a second one raises."""

    @jax.custom_jvp
    def straight(hard: Any, soft: Any) -> jax.Array:
        return hard

    def rule(primals: Any, tangents: Any) -> Any:
        hard, soft = primals
        if isinstance(tangents[1], SymbolicZero):
            return hard, jnp.zeros_like(hard)
        return hard, _once(jnp.ones_like(hard), soft, name) * tangents[1]

    straight.defjvp(rule, symbolic_zeros=True)
    return straight(jax.lax.stop_gradient(hard), soft)


def _once(estimate: jax.Array, theta: jax.Array, name: str) -> jax.Array:
    """The estimate; its derivative in theta, which would be a second one, raises."""

    @jax.custom_jvp
    def once(estimate: Any, theta: Any) -> jax.Array:
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

    once.defjvp(rule, symbolic_zeros=True)
    return once(estimate, theta)
