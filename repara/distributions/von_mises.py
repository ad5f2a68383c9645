"""The von Mises distribution on the circle, from one normal noise."""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.scipy.special import i0e, i1e, ndtr
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.increasing_in_normal import IncreasingInNormal, for_any_noise
from repara.special import normal_from_von_mises, von_mises_from_normal
from repara.special.von_mises import far_von_mises_from_normal

__all__ = ["VonMises"]


class VonMises(IncreasingInNormal):
    """The von Mises distribution of an angle.

        q(x) = exp(concentration cos(x - loc)) / (2 pi I0(concentration))
        z = loc + F^-1(Phi(eps); concentration),   eps ~ N(0, 1),   in [loc - pi, loc + pi]

    The circle is cut opposite `loc`. Gradients through a sample are right only for functions of
    period 2 pi: the cut moves with `loc`. If f has different values on its two sides, and angles
    are mapped back to one fixed interval, the gradient of the expectation has the further term
    q(loc + pi) (f(loc + pi) - f(loc - pi)), which no derivative of a sample contains. The density
    has period 2 pi and holds at any angle; `cdf` is that of samples, 0 at loc - pi and 1 at loc +
    pi.

    Args:
      loc: the mean angle in radians, any shape that broadcasts with `concentration`.
      concentration: nonnegative; 0 gives the uniform distribution, and large values are 1 /
        variance.

    Raises:
      ValueError: a concrete `concentration` that is negative, or shapes that do not broadcast.

    References:
      Figurnov, Mohamed and Mnih (2018), "Implicit reparameterization gradients", section 4,
      https://arxiv.org/abs/1805.08498

    Example:
      >>> round(float(VonMises(0.5, 0.0).transform(1.0)), 4)  # 0.5 + 2 pi (Phi(1) - 1/2)
      2.6447
    """

    loc: jax.Array
    concentration: jax.Array
    arg_constraints: ClassVar = {
        "loc": constraints.real,
        "concentration": constraints.nonnegative,
    }
    support = constraints.real

    def __init__(self, loc: ArrayLike, concentration: ArrayLike) -> None:
        super().__init__(loc=loc, concentration=concentration)

    def _transform(self, eps: jax.Array) -> jax.Array:
        return self.loc + von_mises_from_normal(eps, self.concentration)

    def _transform_any(self, eps: jax.Array) -> jax.Array:
        def far(eps: jax.Array) -> jax.Array:
            return self.loc + far_von_mises_from_normal(eps, self.concentration)

        return for_any_noise(self._transform, far, eps, only_in_float32=True)

    def _inverse(self, z: jax.Array) -> jax.Array:
        return normal_from_von_mises(z - self.loc, self.concentration)

    def _log_prob(self, z: jax.Array) -> jax.Array:
        fall = 2 * self.concentration * jnp.sin(0.5 * (z - self.loc)) ** 2
        return -fall - jnp.log(2 * math.pi * i0e(self.concentration))

    def _cdf(self, x: jax.Array) -> jax.Array:
        return ndtr(self._noise_of_angle(x))

    def _sf(self, x: jax.Array) -> jax.Array:
        return ndtr(-self._noise_of_angle(x))

    def _noise_of_angle(self, x: jax.Array) -> jax.Array:
        # Samples lie in this interval; the distribution function is 0 before it and 1 after it.
        angle = jnp.clip(x - self.loc, -math.pi, math.pi)
        return normal_from_von_mises(angle, self.concentration)

    def _entropy(self) -> jax.Array:
        scaled = i0e(self.concentration)
        resultant = i1e(self.concentration) / scaled
        return jnp.log(2 * math.pi * scaled) + self.concentration * (1 - resultant)

    def _mean(self) -> jax.Array:
        return self.loc

    def _mode(self) -> jax.Array:
        return self.loc
