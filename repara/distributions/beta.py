"""The beta distribution and Fisher-Snedecor's F, from one normal noise."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.scipy.special import digamma, ndtr
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.increasing_in_normal import IncreasingInNormal, for_any_noise
from repara.special import (
    beta_from_normal,
    log_betainc,
    logit_beta_from_normal,
    normal_from_beta,
)
from repara.special.beta import far_logit_beta_from_normal
from repara.special.elementary import sigmoid, softplus
from repara.special.stirling import log_factorial_excess

__all__ = ["Beta", "FisherSnedecor"]


def log_beta(a: jax.Array, b: jax.Array) -> jax.Array:
    """Returns log B(a, b) by Stirling's formula: differences of log Gamma lose digits."""
    n = a + b
    excess = log_factorial_excess(a) + log_factorial_excess(b) - log_factorial_excess(n)
    return excess + (a - 1) * jnp.log(a / n) + (b - 1) * jnp.log(b / n) - jnp.log(n)


class Beta(IncreasingInNormal):
    """The beta distribution.

        q(x) = x^(a - 1) (1 - x)^(b - 1) / B(a, b),   0 <= x <= 1
        z = I^-1(Phi(eps); a, b),   eps ~ N(0, 1)

    with a = concentration1, b = concentration0 and I the regularized incomplete beta function.
    Samples of small concentrations are often so near an end that they round to it;
    `repara.special.logit_beta_from_normal` computes their logits.

    Args:
      concentration1: the power of x, from 1e-2 to 1e5, any shape that broadcasts. Samples in
        float32 are right from 1e-6 to 3e6.
      concentration0: the power of 1 - x, likewise.

    Raises:
      ValueError: a concrete concentration that is not positive, or shapes that do not broadcast.

    References:
      Figurnov, Mohamed and Mnih (2018), "Implicit reparameterization gradients",
      https://arxiv.org/abs/1805.08498

    Example:
      >>> round(float(Beta(1.0, 1.0).transform(0.5)), 4)  # Phi(1/2)
      0.6915
    """

    concentration1: jax.Array
    concentration0: jax.Array
    arg_constraints: ClassVar = {
        "concentration1": constraints.positive,
        "concentration0": constraints.positive,
    }
    support = constraints.unit_interval

    def __init__(self, concentration1: ArrayLike, concentration0: ArrayLike) -> None:
        super().__init__(concentration1=concentration1, concentration0=concentration0)

    def _transform(self, eps: jax.Array) -> jax.Array:
        return beta_from_normal(eps, self.concentration1, self.concentration0)

    def _transform_any(self, eps: jax.Array) -> jax.Array:
        def far(eps: jax.Array) -> jax.Array:
            y = far_logit_beta_from_normal(eps, self.concentration1, self.concentration0)
            return sigmoid(y)

        return for_any_noise(self._transform, far, eps, only_in_float32=True)

    def _inverse(self, z: jax.Array) -> jax.Array:
        y = jnp.log(z) - jnp.log1p(-z)
        return normal_from_beta(y, self.concentration1, self.concentration0)

    def _log_prob(self, z: jax.Array) -> jax.Array:
        a, b = self.concentration1, self.concentration0

        def inside(z: jax.Array) -> jax.Array:
            # 0 log 0 = 0 if a concentration is 1.
            left = jnp.where((a == 1) & (z == 0), 0.0, (a - 1) * jnp.log(z))
            right = jnp.where((b == 1) & (z == 1), 0.0, (b - 1) * jnp.log1p(-z))
            return left + right - self._log_beta()

        return self._supported(z, 0.5, inside)

    def _transform_and_log_prob(self, eps: jax.Array) -> tuple[jax.Array, jax.Array]:
        # From the logit: a value that rounds to 0 or 1 has the density of the unrounded value.
        a, b = self.concentration1, self.concentration0
        y = logit_beta_from_normal(eps, a, b)
        density = -(a - 1) * softplus(-y) - (b - 1) * softplus(y)
        return sigmoid(y), density - self._log_beta()

    def _log_beta(self) -> jax.Array:
        return log_beta(self.concentration1, self.concentration0)

    def _cdf(self, x: jax.Array) -> jax.Array:
        x = jnp.clip(x, 0, 1)
        return jnp.exp(log_betainc(self.concentration1, self.concentration0, x))

    def _entropy(self) -> jax.Array:
        a, b = self.concentration1, self.concentration0
        spread = (a - 1) * digamma(a) + (b - 1) * digamma(b) - (a + b - 2) * digamma(a + b)
        return self._log_beta() - spread

    def _mean(self) -> jax.Array:
        return self.concentration1 / (self.concentration1 + self.concentration0)

    def _variance(self) -> jax.Array:
        total = self.concentration1 + self.concentration0
        return self.concentration1 / total * (self.concentration0 / total) / (total + 1)

    def _mode(self) -> jax.Array:
        # Inside for a > 1 and b > 1; otherwise an end at which the density is highest.
        a, b = self.concentration1, self.concentration0
        inner = (a > 1) & (b > 1)
        x, y = jnp.where(inner, a, 2) - 1, jnp.where(inner, b, 2) - 1
        flat = jnp.where((a == 1) & (b == 1), 0.5, 0)
        outside = jnp.where(a > b, 1, flat).astype(a.dtype) * (a / a) * (b / b)
        return jnp.where(inner, x / (x + y), outside)  # NaN if a parameter is NaN


class FisherSnedecor(IncreasingInNormal):
    """The Fisher-Snedecor (F) distribution: a ratio of chi-squared variables, each over its df.

        z = df2 / df1  y / (1 - y),   y = I^-1(Phi(eps); df1 / 2, df2 / 2),   eps ~ N(0, 1)

    with I the regularized incomplete beta function. Moments that do not exist are inf; the
    variance is NaN if the mean is inf.

    Args:
      df1: degrees of freedom of the numerator, from 0.02 to 2e5; any shape that broadcasts.
      df2: degrees of freedom of the denominator, from 0.02 to 2e5.

    Raises:
      ValueError: a concrete value that is not positive, or shapes that do not broadcast.

    Example:
      >>> round(float(FisherSnedecor(2.0, 4.0).mean), 4)
      2.0
    """

    df1: jax.Array
    df2: jax.Array
    arg_constraints: ClassVar = {"df1": constraints.positive, "df2": constraints.positive}
    support = constraints.nonnegative

    def __init__(self, df1: ArrayLike, df2: ArrayLike) -> None:
        super().__init__(df1=df1, df2=df2)

    def _halves(self) -> tuple[jax.Array, jax.Array]:
        return 0.5 * self.df1, 0.5 * self.df2

    def _log_ratio(self) -> jax.Array:
        return jnp.log(self.df1) - jnp.log(self.df2)

    def _transform(self, eps: jax.Array) -> jax.Array:
        return jnp.exp(logit_beta_from_normal(eps, *self._halves()) - self._log_ratio())

    def _transform_any(self, eps: jax.Array) -> jax.Array:
        def far(eps: jax.Array) -> jax.Array:
            return jnp.exp(far_logit_beta_from_normal(eps, *self._halves()) - self._log_ratio())

        return for_any_noise(self._transform, far, eps, only_in_float32=True)

    def _inverse(self, z: jax.Array) -> jax.Array:
        return normal_from_beta(jnp.log(z) + self._log_ratio(), *self._halves())

    def _log_prob(self, z: jax.Array) -> jax.Array:
        a, b = self._halves()
        at_zero = z == 0

        def inside(z: jax.Array) -> jax.Array:
            y = jnp.log(z) + self._log_ratio()
            return -a * softplus(-y) - b * softplus(y) - log_beta(a, b) - jnp.log(z)

        value = self._supported(jnp.where(at_zero, 1.0, z), 1.0, inside)
        # The limits at 0: finite only for two degrees of freedom.
        limit = jnp.where(self.df1 < 2, jnp.inf, jnp.where(self.df1 > 2, -jnp.inf, 0.0))
        return jnp.where(at_zero, limit + 0 * (self.df1 + self.df2), value)

    def _cdf(self, x: jax.Array) -> jax.Array:
        outside = x <= 0
        inside = ndtr(self._inverse(jnp.where(outside, 1.0, x)))
        return jnp.where(outside, 0 * inside, inside)

    def _sf(self, x: jax.Array) -> jax.Array:
        outside = x <= 0
        inside = ndtr(-self._inverse(jnp.where(outside, 1.0, x)))
        return jnp.where(outside, 1 + 0 * inside, inside)

    def _entropy(self) -> jax.Array:
        # With y the logit of a beta variable: E y and E log(1 + e^y) are differences of digamma.
        a, b = self._halves()
        mean = digamma(a) - digamma(b)
        spread = (a + b) * (digamma(a + b) - digamma(b)) + (1 - a) * mean
        return log_beta(a, b) + spread - self._log_ratio()

    def _mean(self) -> jax.Array:
        finite = ~(self.df2 <= 2)
        n = jnp.where(finite, self.df2, 4.0)
        return jnp.where(finite, n / (n - 2), jnp.inf) + 0 * self.df1

    def _variance(self) -> jax.Array:
        finite = ~(self.df2 <= 4)
        n = jnp.where(finite, self.df2, 8.0)
        value = 2 * (n / (n - 2)) ** 2 * ((self.df1 + n - 2) / (self.df1 * (n - 4)))
        return jnp.where(finite, value, jnp.where(self.df2 > 2, jnp.inf, jnp.nan))

    def _mode(self) -> jax.Array:
        return jnp.maximum(self.df1 - 2, 0) / self.df1 * (self.df2 / (self.df2 + 2))
