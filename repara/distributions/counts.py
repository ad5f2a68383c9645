"""Distributions of counts: binomial, Poisson, geometric, negative binomial."""

from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import xlog1py
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
from repara.noise import open_uniform
from repara.special import log_betainc, log_gammaincc
from repara.special.elementary import sigmoid, softplus
from repara.special.saddle_point import deviance, entropy_of_counts
from repara.special.stirling import log_factorial_excess_of_count

__all__ = ["Binomial", "Geometric", "NegativeBinomial", "Poisson"]


def _log_probabilities(probs: Any, logits: Any) -> tuple[jax.Array, jax.Array]:
    """log p and log(1 - p)."""
    if probs is None:
        return -softplus(-logits), -softplus(logits)
    sure = probs == 1
    # log1p: 1 - p keeps few digits of a small p, and a large count multiplies the error.
    return safe_log(probs), jnp.where(sure, -jnp.inf, jnp.log1p(-jnp.where(sure, 0, probs)))


def _probabilities(probs: Any, logits: Any) -> tuple[jax.Array, jax.Array]:
    """p and 1 - p."""
    if probs is None:
        return sigmoid(logits), sigmoid(-logits)
    return probs, 1 - probs


def _cdf_of_counts(
    x: jax.Array, top: ArrayLike, cdf: Callable[[jax.Array], jax.Array]
) -> jax.Array:
    """The distribution function of counts: cdf(floor(x)), and 1 from `top` on."""
    k = jnp.floor(x)
    inside = (k >= 0) & (k < top)
    value = cdf(jnp.where(inside, k, 0))
    lost = jnp.isnan(x) | jnp.isnan(value)  # also for NaN parameters, outside the support
    value = jnp.where(inside, value, (k >= top).astype(x.dtype))
    return jnp.where(lost, jnp.nan, value)


class Binomial(Discrete):
    """The number of successes in independent trials.

        q(k) = n! / (k! (n - k)!) p^k (1 - p)^(n - k),   k = 0, ..., n

    It is discrete: `has_rsample` is False.

    Args:
      total_count: n, a nonnegative integer, any shape that broadcasts with the probability.
      probs: p, in [0, 1]. Exactly one of `probs` and `logits` is given.
      logits: log(p / (1 - p)), any real number.

    Raises:
      TypeError: both or neither of `probs` and `logits` are given.
      ValueError: a concrete value out of range, or shapes that do not broadcast.

    Example:
      >>> round(float(jnp.exp(Binomial(2, probs=0.5).log_prob(1))), 4)
      0.5
    """

    total_count: jax.Array
    probs: Any  # an array or None
    logits: Any  # an array or None
    arg_constraints: ClassVar = {
        "total_count": constraints.nonnegative_integer,
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }

    def __init__(
        self,
        total_count: ArrayLike,
        probs: ArrayLike | None = None,
        logits: ArrayLike | None = None,
    ) -> None:
        check_exactly_one(type(self).__name__, probs=probs, logits=logits)
        super().__init__(total_count=total_count, probs=probs, logits=logits)

    @property
    def support(self) -> Constraint:
        n = self.total_count
        return Constraint(
            "an integer from 0 to total_count",
            lambda x: (x >= 0) & (x <= constraints.like(n, x)) & (x == jnp.round(x)),
        )

    def _probs(self) -> jax.Array:
        return _probabilities(self.probs, self.logits)[0]

    def _sample(self, key: jax.Array, shape: Shape) -> jax.Array:
        n, p = jnp.broadcast_arrays(self.total_count, self._probs())
        bad = jnp.isnan(n + p)
        n, p = jnp.where(bad, 1, n), jnp.where(bad, 0.5, p)
        draw = jax.random.binomial(key, n, p, shape, n.dtype)
        return jnp.where(bad, jnp.nan, draw)

    def _log_prob(self, z: jax.Array) -> jax.Array:
        def inside(k: jax.Array) -> jax.Array:
            n, rest = self.total_count, self.total_count - k
            p, q = _probabilities(self.probs, self.logits)
            log_p, log_q = _log_probabilities(self.probs, self.logits)
            log_n = jnp.log(jnp.maximum(n, 1))
            excess = (
                log_factorial_excess_of_count(n)
                - log_factorial_excess_of_count(k)
                - log_factorial_excess_of_count(rest)
            )
            return excess - deviance(k, n * p, log_n + log_p) - deviance(rest, n * q, log_n + log_q)

        return self._supported(z, 0.0, inside)

    def _cdf(self, x: jax.Array) -> jax.Array:
        n, q = self.total_count, _probabilities(self.probs, self.logits)[1]

        def cdf(k: jax.Array) -> jax.Array:
            return jnp.exp(log_betainc(jnp.maximum(n - k, 1), k + 1, q))

        return _cdf_of_counts(x, n, cdf)

    def _mode(self) -> jax.Array:
        n, p = self.total_count, self._probs()
        return jnp.minimum(jnp.floor((n + 1) * p), n)

    def _mean(self) -> jax.Array:
        return self.total_count * self._probs()

    def _variance(self) -> jax.Array:
        return self.total_count * self._probs() * (1 - self._probs())

    def _largest(self) -> int:
        if isinstance(self.total_count, jax.core.Tracer):
            raise NotImplementedError(
                "Binomial: the size of the support is known only if total_count is concrete"
            )
        return int(np.asarray(self.total_count).max(initial=0))

    def _entropy(self) -> jax.Array:
        n = self._largest()
        k = jnp.arange(n + 1, dtype=self.total_count.dtype)
        k = k.reshape((-1,) + (1,) * self.total_count.ndim)
        log_prob = jax.tree.map(lambda x: x[None], self)._log_prob(k)
        possible = log_prob > -jnp.inf
        finite = jnp.where(possible | jnp.isnan(log_prob), log_prob, 0)
        return -jnp.sum(jnp.exp(log_prob) * finite, axis=0)

    def enumerate_support(self) -> jax.Array:
        """Returns all values, [n + 1] + [1] * len(batch_shape), to broadcast.

        If `total_count` varies over the batch, n is the largest; values above a member's own
        count have log-density -inf.
        """
        values = jnp.arange(self._largest() + 1, dtype=self.dtype)
        return values.reshape((-1,) + (1,) * len(self.batch_shape))


class Poisson(Discrete):
    """The Poisson distribution.

        q(k) = rate^k exp(-rate) / k!,   k = 0, 1, ...

    It is discrete: `has_rsample` is False.

    Args:
      rate: the mean, nonnegative.

    Raises:
      ValueError: a concrete `rate` that is negative.

    Example:
      >>> round(float(Poisson(2.0).log_prob(0)), 4)
      -2.0
    """

    rate: jax.Array
    arg_constraints: ClassVar = {"rate": constraints.nonnegative}
    support = constraints.nonnegative_integer

    def __init__(self, rate: ArrayLike) -> None:
        super().__init__(rate=rate)

    def _sample(self, key: jax.Array, shape: Shape) -> jax.Array:
        bad = jnp.isnan(self.rate)
        rate = jnp.broadcast_to(jnp.where(bad, 1, self.rate), shape)
        draw = jax.random.poisson(key, rate, shape).astype(rate.dtype)
        return jnp.where(bad, jnp.nan, draw)

    def _log_prob(self, z: jax.Array) -> jax.Array:
        return self._supported(z, 0.0, self._log_prob_inside)

    def _log_prob_inside(self, k: jax.Array) -> jax.Array:
        return -log_factorial_excess_of_count(k) - deviance(k, self.rate, safe_log(self.rate))

    def _cdf(self, x: jax.Array) -> jax.Array:
        return _cdf_of_counts(x, jnp.inf, lambda k: jnp.exp(log_gammaincc(k + 1, self.rate)))

    def _entropy(self) -> jax.Array:
        q = jax.tree.map(lambda x: x[None], self)
        return entropy_of_counts(q._log_prob_inside, self.rate, jnp.ones_like(self.rate))

    def _mean(self) -> jax.Array:
        return self.rate

    def _variance(self) -> jax.Array:
        return self.rate

    def _mode(self) -> jax.Array:
        return jnp.floor(self.rate)


class Geometric(Discrete):
    """The number of failures before the first success.

        q(k) = p (1 - p)^k,   k = 0, 1, ...

    It is discrete: `has_rsample` is False.

    Args:
      probs: p, in (0, 1]. Exactly one of `probs` and `logits` is given.
      logits: log(p / (1 - p)), any real number.

    Raises:
      TypeError: both or neither are given.
      ValueError: a concrete value out of range.

    Example:
      >>> float(jnp.exp(Geometric(probs=0.5).log_prob(1)))
      0.25
    """

    probs: Any  # an array or None
    logits: Any  # an array or None
    arg_constraints: ClassVar = {
        "probs": constraints.success_probability,
        "logits": constraints.real,
    }
    support = constraints.nonnegative_integer

    def __init__(self, probs: ArrayLike | None = None, logits: ArrayLike | None = None) -> None:
        check_exactly_one(type(self).__name__, probs=probs, logits=logits)
        super().__init__(probs=probs, logits=logits)

    def _probs(self) -> jax.Array:
        return _probabilities(self.probs, self.logits)[0]

    def _log_failure(self) -> jax.Array:
        return _log_probabilities(self.probs, self.logits)[1]

    def _sample(self, key: jax.Array, shape: Shape) -> jax.Array:
        rate = self._log_failure()
        # log(0) = -inf at p = 1 gives 0.
        return jnp.floor(jnp.log(open_uniform(key, shape, rate.dtype)) / rate)

    def _log_prob(self, z: jax.Array) -> jax.Array:
        def inside(z: jax.Array) -> jax.Array:
            if self.probs is None:
                return -softplus(-self.logits) - z * softplus(self.logits)
            return jnp.log(self.probs) + xlog1py(z, -self.probs)

        return self._supported(z, 0.0, inside)

    def _cdf(self, x: jax.Array) -> jax.Array:
        return _cdf_of_counts(x, jnp.inf, lambda k: -jnp.expm1((k + 1) * self._log_failure()))

    def _entropy(self) -> jax.Array:
        p = self._probs()
        return (entropy_term(p) + entropy_term(1 - p)) / p

    def _mean(self) -> jax.Array:
        return jnp.exp(-self.logits) if self.probs is None else (1 - self.probs) / self.probs

    def _variance(self) -> jax.Array:
        return self._mean() / self._probs()

    def _mode(self) -> jax.Array:
        return 0 * self._probs()


class NegativeBinomial(Discrete):
    """The number of successes before n failures.

        q(k) = Gamma(n + k) / (k! Gamma(n)) p^k (1 - p)^n,   k = 0, 1, ...

    It is discrete: `has_rsample` is False.

    Args:
      total_count: n, positive, not necessarily an integer.
      probs: p of a success, strictly between 0 and 1. Exactly one of `probs` and `logits` is given.
      logits: log(p / (1 - p)), any real number.

    Raises:
      TypeError: both or neither of `probs` and `logits` are given.
      ValueError: a concrete value out of range, or shapes that do not broadcast.

    Example:
      >>> round(float(jnp.exp(NegativeBinomial(1.0, probs=0.5).log_prob(0))), 4)
      0.5
    """

    total_count: jax.Array
    probs: Any  # an array or None
    logits: Any  # an array or None
    arg_constraints: ClassVar = {
        "total_count": constraints.positive,
        "probs": constraints.open_unit_interval,
        "logits": constraints.real,
    }
    support = constraints.nonnegative_integer

    def __init__(
        self,
        total_count: ArrayLike,
        probs: ArrayLike | None = None,
        logits: ArrayLike | None = None,
    ) -> None:
        check_exactly_one(type(self).__name__, probs=probs, logits=logits)
        super().__init__(total_count=total_count, probs=probs, logits=logits)

    def _odds(self) -> jax.Array:
        return jnp.exp(self.logits) if self.probs is None else self.probs / (1 - self.probs)

    def _sample(self, key: jax.Array, shape: Shape) -> jax.Array:
        # A Poisson variable whose rate is a gamma variable.
        gamma_key, poisson_key = jax.random.split(key)
        odds = self._odds()
        bad = jnp.isnan(self.total_count + odds)
        count = jnp.broadcast_to(jnp.where(bad, 1, self.total_count), shape)
        rate = jax.random.gamma(gamma_key, count) * jnp.where(bad, 1, odds)
        draw = jax.random.poisson(poisson_key, rate, shape).astype(rate.dtype)
        return jnp.where(bad, jnp.nan, draw)

    def _log_prob(self, z: jax.Array) -> jax.Array:
        return self._supported(z, 0.0, self._log_prob_inside)

    def _log_prob_inside(self, k: jax.Array) -> jax.Array:
        # Gamma(n + k) / (k! Gamma(n)) is n / (n + k) times the binomial coefficient of n + k
        # trials.
        n, total = self.total_count, self.total_count + k
        p, q = _probabilities(self.probs, self.logits)
        log_p, log_q = _log_probabilities(self.probs, self.logits)
        log_total = jnp.log(total)
        excess = (
            log_factorial_excess_of_count(total)
            - log_factorial_excess_of_count(k)
            - log_factorial_excess_of_count(n)
        )
        fall = deviance(k, total * p, log_total + log_p)
        return excess - jnp.log1p(k / n) - fall - deviance(n, total * q, log_total + log_q)

    def _cdf(self, x: jax.Array) -> jax.Array:
        q = _probabilities(self.probs, self.logits)[1]
        return _cdf_of_counts(
            x, jnp.inf, lambda k: jnp.exp(log_betainc(self.total_count, k + 1, q))
        )

    def _entropy(self) -> jax.Array:
        q = jax.tree.map(lambda x: x[None], self)
        return entropy_of_counts(q._log_prob_inside, self._mean(), 1 + self._odds())

    def _mode(self) -> jax.Array:
        n = self.total_count
        return jnp.floor(self._odds() * jnp.maximum(n - 1, 0))

    def _mean(self) -> jax.Array:
        return self.total_count * self._odds()

    def _variance(self) -> jax.Array:
        return self._mean() * (1 + self._odds())
