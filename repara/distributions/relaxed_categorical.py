"""The relaxed categorical distribution, on the simplex and as logarithms."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.base import Distribution, Shape
from repara.distributions.constraints import Constraint
from repara.distributions.probabilities import check_exactly_one

__all__ = ["ExpRelaxedOneHotCategorical", "RelaxedOneHotCategorical"]


class _Relaxed(Distribution, abstract=True):
    """The base of both: Gumbel noise, logits, a temperature."""

    temperature: jax.Array
    probs: Any  # an array or None
    logits: Any  # an array or None
    arg_constraints: ClassVar = {
        "temperature": constraints.positive,
        "probs": constraints.simplex,
        "logits": constraints.real_vector,
    }
    noise_marginal = "uniform"

    def __init__(
        self,
        temperature: ArrayLike,
        probs: ArrayLike | None = None,
        logits: ArrayLike | None = None,
    ) -> None:
        check_exactly_one(type(self).__name__, probs=probs, logits=logits)
        super().__init__(temperature=temperature, probs=probs, logits=logits)

    @property
    def event_shape(self) -> Shape:
        parameter: jax.Array = self.logits if self.probs is None else self.probs
        return parameter.shape[-1:]

    def _log_values(self, eps: jax.Array) -> jax.Array:
        logits = jnp.log(self.probs) if self.logits is None else self.logits
        gumbel = -jnp.log(-jnp.log(eps))
        return jax.nn.log_softmax((logits + gumbel) / self.temperature[..., None], axis=-1)

    def _log_prob_of_logs(self, y: jax.Array) -> jax.Array:
        """Maddison et al., equation 24: the density of the logarithms y, which sum to one."""
        k = y.shape[-1]
        logits = jnp.log(self.probs) if self.logits is None else self.logits
        log_shares = jax.nn.log_softmax(logits - self.temperature[..., None] * y, axis=-1)
        factorial = gammaln(jnp.asarray(k, y.dtype))
        return factorial + (k - 1) * jnp.log(self.temperature) + jnp.sum(log_shares, axis=-1)


class RelaxedOneHotCategorical(_Relaxed):
    """The relaxed one-hot categorical (concrete, Gumbel-softmax) distribution on the simplex.

        z = softmax((l + g) / temperature),   g_k = -log(-log u_k),   u_k ~ U(0, 1)

    At low temperatures coordinates underflow to 0, at which the density is not defined;
    `rsample_and_log_prob` works from the noise, and `ExpRelaxedOneHotCategorical` is the
    distribution of the logarithms. The transform is not one-to-one, so there is no `inverse`.

    Args:
      temperature: positive; at 0 the distribution would be the one-hot categorical.
      probs: p, `[..., K]`, nonnegative with sum 1. Exactly one of `probs` and `logits` is given.
      logits: l = log p up to a constant, `[..., K]`.

    Raises:
      TypeError: both or neither of `probs` and `logits` are given.
      ValueError: a concrete value out of range, or shapes that do not broadcast.

    References:
      Maddison, Mnih and Teh (2017), "The concrete distribution", section 3.1,
      https://arxiv.org/abs/1611.00712
      Jang, Gu and Poole (2017), "Categorical reparameterization with Gumbel-softmax",
      https://arxiv.org/abs/1611.01144

    Example:
      >>> q = RelaxedOneHotCategorical(0.5, logits=jnp.zeros(2))
      >>> [float(v) for v in q.transform(jnp.array([0.5, 0.5]))]
      [0.5, 0.5]
    """

    support = constraints.simplex

    def _transform(self, eps: jax.Array) -> jax.Array:
        return jnp.exp(self._log_values(eps))

    def _log_prob(self, z: jax.Array) -> jax.Array:
        valid = constraints.simplex.check(z) & jnp.all(z > 0, axis=-1)
        nan = jnp.any(jnp.isnan(z), axis=-1)
        y = jnp.log(jnp.where((valid | nan)[..., None], z, 1 / z.shape[-1]))
        value = self._log_prob_of_logs(y) - jnp.sum(y, axis=-1)
        return jnp.where(valid | jnp.isnan(value), value, -jnp.inf)

    def _transform_and_log_prob(self, eps: jax.Array) -> tuple[jax.Array, jax.Array]:
        y = self._log_values(eps)
        return jnp.exp(y), self._log_prob_of_logs(y) - jnp.sum(y, axis=-1)


class ExpRelaxedOneHotCategorical(_Relaxed):
    """The logarithms of a relaxed one-hot categorical variable, which do not underflow.

        z = log softmax((l + g) / temperature),   g_k = -log(-log u_k),   u_k ~ U(0, 1)

    Args:
      temperature: positive.
      probs: p, `[..., K]`, nonnegative with sum 1. Exactly one of `probs` and `logits` is given.
      logits: l = log p up to a constant, `[..., K]`.

    Raises:
      TypeError: both or neither of `probs` and `logits` are given.
      ValueError: a concrete value out of range, or shapes that do not broadcast.

    References:
      Maddison, Mnih and Teh (2017), "The concrete distribution", appendix C.3,
      https://arxiv.org/abs/1611.00712

    Example:
      >>> q = ExpRelaxedOneHotCategorical(0.5, logits=jnp.zeros(2))
      >>> [round(float(v), 4) for v in q.transform(jnp.array([0.5, 0.5]))]
      [-0.6931, -0.6931]
    """

    @property
    def support(self) -> Constraint:
        def check(x: jax.Array) -> jax.Array:
            # The rounding error of each logarithm is proportional to its size.
            size = 1 + jnp.max(jnp.abs(x), axis=-1)
            tolerance = 8 * x.shape[-1] * jnp.finfo(x.dtype).eps
            return jnp.abs(jax.nn.logsumexp(x, axis=-1)) <= tolerance * size

        return Constraint("logarithms of numbers with sum 1", check, 1)

    def _transform(self, eps: jax.Array) -> jax.Array:
        return self._log_values(eps)

    def _log_prob(self, z: jax.Array) -> jax.Array:
        value = self._log_prob_of_logs(z)
        return jnp.where(self.support.check(z) | jnp.isnan(value), value, -jnp.inf)
