"""The Bernoulli distribution."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.base import Shape
from repara.distributions.discrete import Discrete
from repara.distributions.probabilities import (
    check_exactly_one,
    entropy_term,
    safe_log,
)
from repara.noise import iid
from repara.special.elementary import sigmoid, softplus

__all__ = ["Bernoulli"]


class Bernoulli(Discrete):
    """The Bernoulli distribution: 1 with probability p, otherwise 0.

        log q(1) = -log(1 + exp(-l)),   log q(0) = -log(1 + exp(l)),   l = log(p / (1 - p))

    It is discrete: `has_rsample` is False. A value that is neither 0 nor 1 has log-density -inf.

    Args:
      probs: p, in [0, 1]. Exactly one of `probs` and `logits` is given.
      logits: l, any real number.

    Raises:
      TypeError: both or neither are given.
      ValueError: a concrete value out of range.

    Example:
      >>> round(float(Bernoulli(logits=0.0).log_prob(1)), 4)
      -0.6931
    """

    probs: Any  # an array or None
    logits: Any  # an array or None
    arg_constraints: ClassVar = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.boolean

    def __init__(self, probs: ArrayLike | None = None, logits: ArrayLike | None = None) -> None:
        check_exactly_one(type(self).__name__, probs=probs, logits=logits)
        super().__init__(probs=probs, logits=logits)

    def _sample(self, key: jax.Array, shape: Shape) -> jax.Array:
        probs = self._probs()
        u = iid(key, shape, (), "uniform", probs.dtype)
        return jnp.where(jnp.isnan(probs), jnp.nan, (u < probs).astype(probs.dtype))

    def _probs(self) -> jax.Array:
        probs: jax.Array = sigmoid(self.logits) if self.probs is None else self.probs
        return probs

    def _log_prob(self, z: jax.Array) -> jax.Array:
        if self.logits is None:
            inside = safe_log(jnp.where(z == 1, self.probs, 1 - self.probs))
        else:
            # log sigmoid(l) for z = 1 and log sigmoid(-l) for z = 0: z l - log(1 + exp(l)) cancels.
            inside = -softplus((1 - 2 * z) * self.logits)
        # The selection comes last: otherwise XLA's CPU backend (jax 0.10) puts the exponentials and
        # the sum over pixels into one kernel that is several times slower.
        outside = jnp.where(jnp.isnan(z), jnp.nan, -jnp.inf)
        return jnp.where(constraints.boolean.check(z), inside, outside)

    def _cdf(self, x: jax.Array) -> jax.Array:
        failure = 1 - self.probs if self.logits is None else sigmoid(-self.logits)
        value = jnp.where(x < 0, 0, jnp.where(x < 1, failure, 1))
        return jnp.where(jnp.isnan(x + failure), jnp.nan, value)

    def _entropy(self) -> jax.Array:
        if self.logits is None:
            return entropy_term(self.probs) + entropy_term(1 - self.probs)
        # softplus(l) - l sigmoid(l), with the logit replaced by its size, so that nothing
        # overflows.
        size = jnp.abs(self.logits)
        return softplus(-size) + size * sigmoid(-size)

    def _mean(self) -> jax.Array:
        return self._probs()

    def _variance(self) -> jax.Array:
        if self.probs is None:
            return sigmoid(self.logits) * sigmoid(-self.logits)
        probs: jax.Array = self.probs
        return probs * (1 - probs)

    def _mode(self) -> jax.Array:
        p = self._probs()
        return jnp.where(jnp.isnan(p), p, (p > 0.5).astype(p.dtype))

    def enumerate_support(self) -> jax.Array:
        """Returns all values, [2] + [1] * len(batch_shape), to broadcast."""
        return jnp.arange(2, dtype=self.dtype).reshape((2,) + (1,) * len(self.batch_shape))
