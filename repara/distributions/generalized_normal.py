"""The generalized normal distribution: with Laplace, normal and uniform as special cases."""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.gamma import far_log_gamma_from_normal
from repara.distributions.increasing_in_normal import IncreasingInNormal, for_any_noise
from repara.special import generalized_normal_from_normal, normal_from_generalized_normal

__all__ = ["GeneralizedNormal"]


class GeneralizedNormal(IncreasingInNormal):
    """The generalized normal distribution, also called exponential power distribution.

        q(x) = exp(-|x - loc|^power / scale^power) / (2 scale Gamma(1 + 1 / power))
        z = loc + scale F^-1(Phi(eps); power),   eps ~ N(0, 1)

    It is Laplace for power 1, normal with standard deviation scale / sqrt(2) for power 2, and tends
    to the uniform distribution on [loc - scale, loc + scale].

    Args:
      loc: the median, any shape that broadcasts with the others.
      scale: positive.
      power: at least 1/8; samples are NaN below that.

    Raises:
      ValueError: a concrete `scale` or `power` that is not positive, or shapes that do not
        broadcast.

    Example:
      >>> q = GeneralizedNormal(1.0, 2.0, 2.0)
      >>> round(float(q.transform(1.0)), 4)  # 1 + sqrt(2)
      2.4142
    """

    loc: jax.Array
    scale: jax.Array
    power: jax.Array
    arg_constraints: ClassVar = {
        "loc": constraints.real,
        "scale": constraints.positive,
        "power": constraints.positive,
    }
    support = constraints.real

    def __init__(self, loc: ArrayLike, scale: ArrayLike, power: ArrayLike) -> None:
        super().__init__(loc=loc, scale=scale, power=power)

    def _transform(self, eps: jax.Array) -> jax.Array:
        return self.loc + self.scale * generalized_normal_from_normal(eps, self.power)

    def _inverse(self, z: jax.Array) -> jax.Array:
        return normal_from_generalized_normal((z - self.loc) / self.scale, self.power)

    def _log_prob(self, z: jax.Array) -> jax.Array:
        t = (z - self.loc) / self.scale
        size = jnp.where(t < 0, -t, t)
        at_zero = size == 0
        fall = jnp.exp(self.power * jnp.log(jnp.where(at_zero, 1.0, size)))
        return self._log_peak() - jnp.where(at_zero, 0.0, fall)

    def _log_peak(self) -> jax.Array:
        return -math.log(2) - jnp.log(self.scale) - gammaln(1 + 1 / self.power)

    def _transform_any(self, eps: jax.Array) -> jax.Array:
        def far(eps: jax.Array) -> jax.Array:
            # |t|^power is a gamma variable; each side has half of its upper tail.
            log_gamma = far_log_gamma_from_normal(jnp.abs(eps), 1 / self.power, tail_factor=2)
            size = jnp.exp(log_gamma / self.power)
            return self.loc + self.scale * jnp.where(eps < 0, -size, size)

        return for_any_noise(self._transform, far, eps)

    def _entropy(self) -> jax.Array:
        return 1 / self.power - self._log_peak()

    def _mean(self) -> jax.Array:
        return self.loc + 0 * self.power

    def _variance(self) -> jax.Array:
        a = 1 / self.power
        return self.scale**2 * jnp.exp(gammaln(1 + 3 * a) - gammaln(1 + a)) / 3

    def _mode(self) -> jax.Array:
        return self.loc
