"""The inverse Gaussian distribution, and the normal distribution mixed by it."""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtr
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.base import Distribution, Shape
from repara.distributions.increasing_in_normal import IncreasingInNormal
from repara.special import (
    log_inverse_gaussian_from_normal,
    log_k1e,
    normal_from_inverse_gaussian,
)
from repara.special.constants import HALF_LOG_2PI

__all__ = ["InverseGaussian", "NormalInverseGaussian"]


class InverseGaussian(IncreasingInNormal):
    """The inverse Gaussian (Wald) distribution.

        q(x) = sqrt(l / (2 pi x^3)) exp(-l (x - m)^2 / (2 m^2 x)),   m = loc, l = concentration
        z = m F^-1(Phi(eps); l / m),   eps ~ N(0, 1)

    with F the distribution function for mean 1. A sample takes one noise and no choice between
    two roots; the gradient is exact.

    Args:
      loc: the mean, positive; any shape that broadcasts with `concentration`.
      concentration: positive, at least 1e-6 times the mean; the variance is loc^3 / concentration.

    Raises:
      ValueError: a concrete value that is not positive, or shapes that do not broadcast.

    References:
      Figurnov, Mohamed and Mnih (2018), "Implicit reparameterization gradients",
      https://arxiv.org/abs/1805.08498

    Example:
      >>> round(float(InverseGaussian(2.0, 4.0).variance), 4)
      2.0
    """

    loc: jax.Array
    concentration: jax.Array
    arg_constraints: ClassVar = {
        "loc": constraints.positive,
        "concentration": constraints.positive,
    }
    support = constraints.positive

    def __init__(self, loc: ArrayLike, concentration: ArrayLike) -> None:
        super().__init__(loc=loc, concentration=concentration)

    def _transform(self, eps: jax.Array) -> jax.Array:
        shape = self.concentration / self.loc
        return self.loc * jnp.exp(log_inverse_gaussian_from_normal(eps, shape))

    def _inverse(self, z: jax.Array) -> jax.Array:
        return normal_from_inverse_gaussian(jnp.log(z / self.loc), self.concentration / self.loc)

    def _log_prob(self, z: jax.Array) -> jax.Array:
        def inside(z: jax.Array) -> jax.Array:
            fall = 0.5 * (self.concentration / z) * (z / self.loc - 1) ** 2
            return 0.5 * jnp.log(self.concentration) - HALF_LOG_2PI - 1.5 * jnp.log(z) - fall

        return self._supported(z, self.loc, inside)

    def _outside_and_noise(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Returns whether x is outside the support, and the noise of x or of a substitute."""
        outside = x <= 0
        return outside, self._inverse(jnp.where(outside, self.loc, x))

    def _cdf(self, x: jax.Array) -> jax.Array:
        outside, eps = self._outside_and_noise(x)
        return jnp.where(outside, 0 * eps, ndtr(eps))

    def _sf(self, x: jax.Array) -> jax.Array:
        outside, eps = self._outside_and_noise(x)
        return jnp.where(outside, 1 + 0 * eps, ndtr(-eps))

    def _mean(self) -> jax.Array:
        return self.loc + 0 * self.concentration

    def _variance(self) -> jax.Array:
        return self.loc**2 * (self.loc / self.concentration)

    def _mode(self) -> jax.Array:
        # loc (sqrt(1 + k^2) - k), k = 3 loc / (2 concentration), without the difference.
        k = 1.5 * self.loc / self.concentration
        return self.loc / (jnp.hypot(1.0, k) + k)


class NormalInverseGaussian(Distribution):
    """The normal-inverse Gaussian distribution: a normal variable with random variance.

        q(x) = a s K1(a r) / (pi r) exp(s g + b (x - loc)),   r^2 = s^2 + (x - loc)^2
        z = loc + b v + sqrt(v) eps_2,   v = InverseGaussian(s / g, s^2)(eps_1)

    with a = tailweight, b = skewness, s = scale, g = sqrt(a^2 - b^2) and two normal noises. The
    transform is not one-to-one, and `inverse` raises.

    Args:
      loc: the location, any shape that broadcasts with the others.
      scale: positive.
      tailweight: positive; the larger, the lighter the tails.
      skewness: between -tailweight and tailweight; positive values lengthen the right tail.

    Raises:
      ValueError: a concrete parameter out of range, or shapes that do not broadcast.

    References:
      Barndorff-Nielsen (1997), "Normal inverse Gaussian distributions and stochastic volatility
      modelling", https://doi.org/10.1111/1467-9469.00045

    Example:
      >>> q = NormalInverseGaussian(1.0, 2.0, 5.0, 3.0)
      >>> round(float(q.mean), 4)  # 1 + 2 * 3 / 4
      2.5
    """

    loc: jax.Array
    scale: jax.Array
    tailweight: jax.Array
    skewness: jax.Array
    arg_constraints: ClassVar = {
        "loc": constraints.real,
        "scale": constraints.positive,
        "tailweight": constraints.positive,
        "skewness": constraints.real,
    }
    support = constraints.real

    def __init__(
        self, loc: ArrayLike, scale: ArrayLike, tailweight: ArrayLike, skewness: ArrayLike
    ) -> None:
        super().__init__(loc=loc, scale=scale, tailweight=tailweight, skewness=skewness)

    def _joint_constraints(self) -> dict[str, tuple[str, jax.Array]]:
        text = "between -tailweight and tailweight"
        return {"skewness": (text, jnp.abs(self.skewness) < self.tailweight)}

    @property
    def noise_shape(self) -> Shape:
        return (2,)

    def _rest(self) -> jax.Array:
        """sqrt(tailweight^2 - skewness^2)."""
        return jnp.sqrt((self.tailweight - self.skewness) * (self.tailweight + self.skewness))

    def _transform(self, eps: jax.Array) -> jax.Array:
        rest = self._rest()
        log_v = log_inverse_gaussian_from_normal(eps[..., 0], self.scale * rest)
        v = self.scale / rest * jnp.exp(log_v)
        return self.loc + self.skewness * v + jnp.sqrt(v) * eps[..., 1]

    def _log_prob(self, z: jax.Array) -> jax.Array:
        d, rest = z - self.loc, self._rest()
        r = jnp.hypot(self.scale, d)
        # s g + b d - a r is a scalar product minus the product of the lengths. If the difference is
        # small, it comes from the square of the cross product.
        inner, lengths = self.scale * rest + self.skewness * d, self.tailweight * r
        cross = rest * d - self.skewness * self.scale
        near = inner > 0
        along = -cross * (cross / (lengths + jnp.where(near, inner, lengths)))
        exponent = jnp.where(near, along, inner - lengths)
        return log_k1e(lengths) + exponent + jnp.log(self.tailweight * self.scale / (math.pi * r))

    def _mean(self) -> jax.Array:
        return self.loc + self.scale * (self.skewness / self._rest())

    def _variance(self) -> jax.Array:
        rest = self._rest()
        return self.scale / rest * (self.tailweight / rest) ** 2
