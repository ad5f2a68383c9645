"""The categorical distribution, over indices and over one-hot vectors."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.base import Shape
from repara.distributions.constraints import Constraint
from repara.distributions.discrete import Discrete
from repara.distributions.probabilities import (
    check_exactly_one,
    entropy_term,
    safe_log,
)
from repara.noise import iid

__all__ = ["Categorical", "OneHotCategorical"]


class _OverCategories(Discrete, abstract=True):
    probs: Any  # an array or None
    logits: Any  # an array or None
    arg_constraints: ClassVar = {
        "probs": constraints.simplex,
        "logits": constraints.real_vector,
    }

    def __init__(self, probs: ArrayLike | None = None, logits: ArrayLike | None = None) -> None:
        check_exactly_one(type(self).__name__, probs=probs, logits=logits)
        super().__init__(probs=probs, logits=logits)

    @property
    def num_categories(self) -> int:
        """The number of categories."""
        parameter: jax.Array = self.logits if self.probs is None else self.probs
        return parameter.shape[-1]

    def _log_probs(self) -> jax.Array:
        """Normalized log-probabilities, [..., K]."""
        if self.probs is None:
            return jax.nn.log_softmax(self.logits, axis=-1)
        return safe_log(self.probs)

    def _probs(self) -> jax.Array:
        return jax.nn.softmax(self.logits, axis=-1) if self.probs is None else self.probs

    def _index(self, key: jax.Array, shape: Shape) -> jax.Array:
        log_probs = self._log_probs()
        full = (*shape, log_probs.shape[-1])
        u = iid(key, full, (), "uniform", log_probs.dtype)
        return jnp.argmax(log_probs - jnp.log(-jnp.log(u)), axis=-1)

    def _entropy(self) -> jax.Array:
        if self.probs is not None:
            return jnp.sum(entropy_term(self.probs), axis=-1)
        log_probs = self._log_probs()
        impossible = log_probs == -jnp.inf
        return -jnp.sum(self._probs() * jnp.where(impossible, 0, log_probs), axis=-1)


class Categorical(_OverCategories):
    """The distribution of an index.

        q(k) = p_k = exp(l_k) / sum_j exp(l_j),   k = 0, ..., K - 1

    It is discrete: `has_rsample` is False. Values are numbers of the distribution's dtype.

    Args:
      probs: p, `[..., K]`, nonnegative with sum 1. Exactly one of `probs` and `logits` is given.
      logits: l, `[..., K]`, any real numbers; they need not be normalized.

    Raises:
      TypeError: both or neither are given.
      ValueError: a concrete value out of range.

    Example:
      >>> round(float(Categorical(logits=jnp.zeros(4)).log_prob(2)), 4)
      -1.3863
    """

    @property
    def support(self) -> Constraint:
        return constraints.integer_interval(0, self.num_categories - 1)

    def _sample(self, key: jax.Array, shape: Shape) -> jax.Array:
        zero_or_nan = 0 * jnp.sum(self._probs(), axis=-1)
        return self._index(key, shape).astype(zero_or_nan.dtype) + zero_or_nan

    def _log_prob(self, z: jax.Array) -> jax.Array:
        log_probs = self._log_probs()
        chosen = z[..., None] == _indices(log_probs)
        inside = jnp.sum(jnp.where(chosen, log_probs, 0), axis=-1)
        zero_or_nan = 0 * jnp.sum(self._probs(), axis=-1) + 0 * z
        inside = jnp.where(jnp.isnan(zero_or_nan), jnp.nan, inside)
        return jnp.where(self.support.check(z) | jnp.isnan(inside), inside, -jnp.inf)

    def _cdf(self, x: jax.Array) -> jax.Array:
        probs = self._probs()
        below = jnp.sum(jnp.where(_indices(probs) <= x[..., None], probs, 0), axis=-1)
        return jnp.where(jnp.isnan(x + jnp.sum(probs, axis=-1)), jnp.nan, below)

    def _mean(self) -> jax.Array:
        probs = self._probs()
        return jnp.sum(probs * _indices(probs), axis=-1)

    def _variance(self) -> jax.Array:
        probs = self._probs()
        centered = _indices(probs) - self._mean()[..., None]
        return jnp.sum(probs * centered**2, axis=-1)

    def _mode(self) -> jax.Array:
        probs = self._probs()
        best = jnp.argmax(probs, axis=-1).astype(probs.dtype)
        return best + 0 * jnp.sum(probs, axis=-1)

    def enumerate_support(self) -> jax.Array:
        """Returns all values, [K] + [1] * len(batch_shape), to broadcast."""
        values = jnp.arange(self.num_categories, dtype=self.dtype)
        return values.reshape((-1,) + (1,) * len(self.batch_shape))


def _indices(x: jax.Array) -> jax.Array:
    return jnp.arange(x.shape[-1], dtype=x.dtype).reshape((1,) * (x.ndim - 1) + (-1,))


class OneHotCategorical(_OverCategories):
    """The distribution of an index, as a one-hot vector.

        q(x) = prod_k p_k^x_k,   p_k = exp(l_k) / sum_j exp(l_j)

    It is discrete: `has_rsample` is False.

    Args:
      probs: p, `[..., K]`, nonnegative with sum 1. Exactly one of `probs` and `logits` is given.
      logits: l, `[..., K]`, any real numbers; they need not be normalized.

    Raises:
      TypeError: both or neither are given.
      ValueError: a concrete value out of range.

    Example:
      >>> q = OneHotCategorical(probs=jnp.array([0.25, 0.75]))
      >>> round(float(jnp.exp(q.log_prob(jnp.array([0.0, 1.0])))), 4)
      0.75
    """

    support = constraints.one_hot

    @property
    def event_shape(self) -> Shape:
        return (self.num_categories,)

    def _sample(self, key: jax.Array, shape: Shape) -> jax.Array:
        probs = self._probs()
        one_hot = jax.nn.one_hot(self._index(key, shape), probs.shape[-1], dtype=probs.dtype)
        return one_hot + 0 * jnp.sum(probs, axis=-1, keepdims=True)

    def _log_prob(self, z: jax.Array) -> jax.Array:
        log_probs = self._log_probs()
        inside = jnp.sum(jnp.where(z == 1, log_probs, 0), axis=-1)
        zero_or_nan = 0 * jnp.sum(self._probs(), axis=-1) + 0 * jnp.sum(z, axis=-1)
        inside = jnp.where(jnp.isnan(zero_or_nan), jnp.nan, inside)
        return jnp.where(self.support.check(z) | jnp.isnan(inside), inside, -jnp.inf)

    def _mean(self) -> jax.Array:
        return self._probs()

    def _variance(self) -> jax.Array:
        return self._probs() * (1 - self._probs())

    def _mode(self) -> jax.Array:
        probs = self._probs()
        best = jax.nn.one_hot(jnp.argmax(probs, axis=-1), probs.shape[-1], dtype=probs.dtype)
        return best + 0 * jnp.sum(probs, axis=-1, keepdims=True)

    def enumerate_support(self) -> jax.Array:
        """Returns all values, [K] + [1] * len(batch_shape) + [K], to broadcast."""
        k = self.num_categories
        eye = jnp.eye(k, dtype=self.dtype)
        return eye.reshape((k,) + (1,) * len(self.batch_shape) + (k,))
