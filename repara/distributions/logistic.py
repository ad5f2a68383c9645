"""The logistic distribution, its exponential, and its sigmoid."""

import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.base import Distribution
from repara.distributions.location_scale import LocationScale
from repara.distributions.probabilities import check_exactly_one, logit
from repara.distributions.unit_interval import on_unit_interval
from repara.special.elementary import sigmoid, softplus

__all__ = ["LogLogistic", "Logistic", "RelaxedBernoulli"]


class Logistic(LocationScale):
    """The logistic distribution.

        q(x) = s (1 - s) / scale,   s = sigmoid((x - loc) / scale)
        z = loc + scale log(u / (1 - u)),   u ~ U(0, 1)

    Args:
      loc: the mean and median, any shape that broadcasts with `scale`.
      scale: positive; the standard deviation is pi / sqrt(3) times it.

    Raises:
      ValueError: a concrete `scale` that is not positive, or shapes that do not broadcast.

    Example:
      >>> float(Logistic(1.0, 2.0).transform(0.5))
      1.0
    """

    _standard_mean = 0.0
    _standard_variance = math.pi**2 / 3
    _symmetric = True
    _standard_entropy = 2.0

    @staticmethod
    def _standard_icdf(u: jax.Array) -> jax.Array:
        return logit(u)

    @staticmethod
    def _standard_cdf(t: jax.Array) -> jax.Array:
        return sigmoid(t)

    @staticmethod
    def _standard_log_prob(t: jax.Array) -> jax.Array:
        return -softplus(t) - softplus(-t)


class LogLogistic(Distribution):
    """The distribution whose logarithm is logistic.

        z = exp(loc + scale log(u / (1 - u))),   u ~ U(0, 1)

    Args:
      loc: the logarithm of the median, any shape that broadcasts with `scale`.
      scale: the scale of the logarithm, positive. The mean is finite for scales below 1, the
        variance below 1/2.

    Raises:
      ValueError: a concrete `scale` that is not positive, or shapes that do not broadcast.

    Example:
      >>> float(LogLogistic(0.0, 0.5).transform(0.5))
      1.0
    """

    loc: jax.Array
    scale: jax.Array
    arg_constraints: ClassVar = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.positive
    noise_marginal = "uniform"

    def __init__(self, loc: ArrayLike, scale: ArrayLike) -> None:
        super().__init__(loc=loc, scale=scale)

    def _transform(self, eps: jax.Array) -> jax.Array:
        return jnp.exp(self.loc + self.scale * logit(eps))

    def _inverse(self, z: jax.Array) -> jax.Array:
        return sigmoid((jnp.log(z) - self.loc) / self.scale)

    def _log_prob(self, z: jax.Array) -> jax.Array:
        def inside(z: jax.Array) -> jax.Array:
            t = (jnp.log(z) - self.loc) / self.scale
            return -softplus(t) - softplus(-t) - jnp.log(self.scale) - jnp.log(z)

        return self._supported(z, 1.0, inside)

    def _cdf(self, x: jax.Array) -> jax.Array:
        positive = x > 0
        return jnp.where(positive, self._inverse(jnp.where(positive, x, 1)), 0 * x)

    def _icdf(self, u: jax.Array) -> jax.Array:
        return on_unit_interval(self._transform, u)

    def _entropy(self) -> jax.Array:
        return 2 + jnp.log(self.scale) + self.loc

    def _mean(self) -> jax.Array:
        finite = self.scale < 1
        s = math.pi * jnp.where(finite | jnp.isnan(self.scale), self.scale, 0.5)
        mean = jnp.exp(self.loc) * s / jnp.sin(s)
        return jnp.where(finite | jnp.isnan(mean), mean, jnp.inf)

    def _variance(self) -> jax.Array:
        finite = self.scale < 0.5
        s = math.pi * jnp.where(finite | jnp.isnan(self.scale), self.scale, 0.25)
        variance = jnp.exp(2 * self.loc) * (2 * s / jnp.sin(2 * s) - (s / jnp.sin(s)) ** 2)
        return jnp.where(finite | jnp.isnan(variance), variance, jnp.inf)

    def _mode(self) -> jax.Array:
        inside = self.scale < 1
        s = jnp.where(inside | jnp.isnan(self.scale), self.scale, 0.5)
        mode = jnp.exp(self.loc + s * (jnp.log1p(-s) - jnp.log1p(s)))
        return jnp.where(inside | jnp.isnan(mode), mode, 0)


class RelaxedBernoulli(Distribution):
    """The relaxed Bernoulli: the sigmoid of a scaled logistic variable.

        z = sigmoid((l + log(u / (1 - u))) / temperature),   u ~ U(0, 1),   l = log(p / (1 - p))

    At low temperatures samples round to exactly 0 or 1, at which the density is not defined;
    `rsample_and_log_prob` works from the noise and stays finite.

    Args:
      temperature: positive; at 0 the distribution would be the Bernoulli.
      probs: p, strictly between 0 and 1. Exactly one of `probs` and `logits` is given.
      logits: l, any real number.

    Raises:
      TypeError: both or neither of `probs` and `logits` are given.
      ValueError: a concrete value out of range, or shapes that do not broadcast.

    References:
      Maddison, Mnih and Teh (2017), "The concrete distribution", section 3.2 and appendix B,
      https://arxiv.org/abs/1611.00712
      Jang, Gu and Poole (2017), "Categorical reparameterization with Gumbel-softmax",
      https://arxiv.org/abs/1611.01144

    Example:
      >>> float(RelaxedBernoulli(0.5, logits=0.0).transform(0.5))
      0.5
    """

    temperature: jax.Array
    probs: Any  # an array or None
    logits: Any  # an array or None
    arg_constraints: ClassVar = {
        "temperature": constraints.positive,
        "probs": constraints.open_unit_interval,
        "logits": constraints.real,
    }
    support = constraints.open_unit_interval
    noise_marginal = "uniform"

    def __init__(
        self,
        temperature: ArrayLike,
        probs: ArrayLike | None = None,
        logits: ArrayLike | None = None,
    ) -> None:
        check_exactly_one(type(self).__name__, probs=probs, logits=logits)
        super().__init__(temperature=temperature, probs=probs, logits=logits)

    def _logits(self) -> jax.Array:
        return logit(self.probs) if self.logits is None else self.logits

    def _scaled(self, eps: jax.Array) -> jax.Array:
        return (self._logits() + logit(eps)) / self.temperature

    def _transform(self, eps: jax.Array) -> jax.Array:
        return sigmoid(self._scaled(eps))

    def _inverse(self, z: jax.Array) -> jax.Array:
        return sigmoid(self.temperature * logit(z) - self._logits())

    def _log_prob_of_logit(self, y: jax.Array) -> jax.Array:
        t = self.temperature * y - self._logits()
        # dz/dy = z (1 - z), whose logarithm is -softplus(y) - softplus(-y).
        inside = -softplus(t) - softplus(-t) + softplus(y) + softplus(-y)
        return inside + jnp.log(self.temperature)

    def _log_prob(self, z: jax.Array) -> jax.Array:
        return self._supported(z, 0.5, lambda z: self._log_prob_of_logit(logit(z)))

    def _transform_and_log_prob(self, eps: jax.Array) -> tuple[jax.Array, jax.Array]:
        y = self._scaled(eps)
        return sigmoid(y), self._log_prob_of_logit(y)

    def _cdf(self, x: jax.Array) -> jax.Array:
        return self._inverse(jnp.clip(x, 0, 1))

    def _icdf(self, u: jax.Array) -> jax.Array:
        return on_unit_interval(self._transform, u)
