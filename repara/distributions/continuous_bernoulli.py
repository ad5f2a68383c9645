"""The continuous Bernoulli distribution."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.base import Distribution
from repara.distributions.derivatives import derivative
from repara.distributions.probabilities import check_exactly_one, logit
from repara.distributions.unit_interval import on_unit_interval
from repara.special.elementary import expm1_over, log1p_over, log_sinh_over

__all__ = ["ContinuousBernoulli"]


class ContinuousBernoulli(Distribution):
    """The continuous Bernoulli distribution on [0, 1], proportional to p^x (1 - p)^(1 - x).

        q(x) = l exp(l x) / (exp(l) - 1),   l = log(p / (1 - p))
        z = log(1 + u (exp(l) - 1)) / l,    u ~ U(0, 1)

    The formulas have a removable singularity at p = 1/2 (l = 0); the value and every derivative are
    exact there too.

    Args:
      probs: p, strictly between 0 and 1. Exactly one of `probs` and `logits` is given.
      logits: l, any real number.

    Raises:
      TypeError: both or neither are given.
      ValueError: a concrete value out of range.

    References:
      Loaiza-Ganem and Cunningham (2019), "The continuous Bernoulli: fixing a pervasive error in
      variational autoencoders", equations 6 to 9, https://arxiv.org/abs/1907.06845

    Example:
      >>> q = ContinuousBernoulli(logits=0.0)
      >>> float(q.transform(0.25)), float(jax.grad(lambda q: q.transform(0.25))(q).logits)
      (0.25, 0.09375)
    """

    probs: Any  # an array or None
    logits: Any  # an array or None
    arg_constraints: ClassVar = {
        "probs": constraints.open_unit_interval,
        "logits": constraints.real,
    }
    support = constraints.unit_interval
    noise_marginal = "uniform"

    def __init__(self, probs: ArrayLike | None = None, logits: ArrayLike | None = None) -> None:
        check_exactly_one(type(self).__name__, probs=probs, logits=logits)
        super().__init__(probs=probs, logits=logits)

    def _logit(self) -> jax.Array:
        logits: jax.Array = logit(self.probs) if self.logits is None else self.logits
        return logits

    def _folded(self, x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """-|l|, and x or 1 - x with it: the distribution is symmetric under l -> -l, x -> 1 - x.

        Selected by sign, so that the derivative of |l| at 0 is not lost.
        """
        logit = self._logit()
        up = logit > 0
        return jnp.where(up, -logit, logit), jnp.where(up, 1 - x, x), up

    def _transform(self, eps: jax.Array) -> jax.Array:
        signed, u, up = self._folded(eps)
        # With expm1(l) = l E(l) and log1p(w) = w G(w), the division by l cancels.
        quotient = expm1_over(signed)
        z = u * quotient * log1p_over(u * signed * quotient)
        return jnp.where(up, 1 - z, z)

    def _inverse(self, z: jax.Array) -> jax.Array:
        logit, x, up = self._folded(z)
        u = x * expm1_over(logit * x) / expm1_over(logit)
        return jnp.where(up, 1 - u, u)

    def _log_prob(self, z: jax.Array) -> jax.Array:
        logit, x, _ = self._folded(z)
        inside = logit * x - jnp.log(expm1_over(logit))
        valid = constraints.unit_interval.check(z) | jnp.isnan(inside)
        return jnp.where(valid, inside, -jnp.inf)

    def _cdf(self, x: jax.Array) -> jax.Array:
        return self._inverse(jnp.clip(x, 0, 1))

    def _icdf(self, u: jax.Array) -> jax.Array:
        return on_unit_interval(self._transform, u)

    def _mean(self) -> jax.Array:
        return 0.5 + _mean_excess(0.5 * self._logit())

    def _variance(self) -> jax.Array:
        # The variance is the second derivative of the log-normalizer in l.
        return 0.5 * derivative(_mean_excess, 0.5 * self._logit())

    def _entropy(self) -> jax.Array:
        logit = self._logit()
        return log_sinh_over(0.5 * logit) - logit * _mean_excess(0.5 * logit)

    def _mode(self) -> jax.Array:
        logit = self._logit()
        return jnp.where(jnp.isnan(logit), logit, (logit > 0).astype(logit.dtype))


def _mean_excess(half_logit: jax.Array) -> jax.Array:
    """E[z] - 1/2, half the derivative of log(sinh(h) / h) at h = l / 2."""
    return 0.5 * derivative(log_sinh_over, half_logit)
