"""The stable distributions, from two uniform noises."""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from repara.distributions import constraints
from repara.distributions.base import Distribution, Shape
from repara.special.elementary import expm1_over
from repara.special.polynomial import horner

__all__ = ["Stable"]

# sin(t) / t in powers of t^2; up to |t| = 3 pi / 4 the first omitted term is below 1e-18.
_SINC = [(-1) ** n / math.factorial(2 * n + 1) for n in range(14)]


def _sinc(t: jax.Array) -> jax.Array:
    return horner(_SINC, t * t)


@jax.jit
def _standard(u: jax.Array, rest: jax.Array, a: jax.Array, skew: jax.Array) -> jax.Array:
    """A variate of scale 1 and location 0 from two uniforms; compiled because it has many steps."""
    # With e = 1 - a, x = pi e / 2, k = e / a, V and W the angle and the exponential variable,
    #
    #   X + skew cot(x) = N exp(k L),   L = log(A / (W cos V)),   tan(pi a / 2) = cot(x),
    #   A = cos(e V) + skew cot(x) sin(e V),   N = (sin(a V) + skew cot(x) cos(a V)) / cos V.
    #
    # cot(x) is infinite at a = 1; it goes into N and the power:
    #
    #   X = N' exp(k L) + skew (k cot x) L expm1(k L) / (k L).
    #
    # With f the angle from the end of the side of the skew, A and N' are sums in weights |skew|
    # and 1 - |skew| of terms that stay accurate near both ends, as light tails require.
    e, w = 1 - a, -jnp.log(rest)
    negative = skew < 0
    side = jnp.where(negative, -1.0, 1.0).astype(u.dtype)
    weight = jnp.where(negative, -skew, skew)
    left = u < 0.5
    r = math.pi * jnp.where(left, u, 1 - u)  # pi / 2 - |V|
    x, sine_v = 0.5 * math.pi * e, jnp.where(left, -jnp.cos(r), jnp.cos(r))
    cos_v, cos_x = jnp.sin(r), jnp.sin(0.5 * math.pi * jnp.where(a < 1, a, 2 - a))
    sin_x, sinc_x = jnp.sin(x), _sinc(x)
    cos_ev = cos_x * jnp.cos(e * r) + sin_x * jnp.sin(e * r)
    v = math.pi * (u - 0.5)
    edge = cos_x * jnp.cos(a * r) - sin_x * jnp.sin(a * r)
    sin_av = jnp.where(r < 1, jnp.where(left, -edge, edge), jnp.sin(a * v))
    # S = sin(e f) / sin x, with f = r or pi - r, and T = (cos(e f) - cos x) / sin x - cot(f) S.
    near = left ^ negative
    f = jnp.where(near, r, math.pi - r)
    from_near = (2 / math.pi) * r * _sinc(e * r) / sinc_x
    from_far = 2 * cos_x * jnp.cos(e * r) - (cos_x - sin_x) * (cos_x + sin_x) * from_near
    s = jnp.where(near, from_near, from_far)
    halves = _sinc(0.5 * (x + e * f)) * _sinc(0.5 * (x - e * f))
    chord = e / math.pi * (0.5 * math.pi + f) * (0.5 * math.pi - f) * halves / sinc_x
    t = chord + side * sine_v / cos_v * s  # cot f is -side tan V
    log_ratio = jnp.log(((1 - weight) * cos_ev + weight * s) / (w * cos_v))
    power = e / a * log_ratio
    factor = (1 - weight) * sin_av / cos_v + weight * side * t
    shift = skew * (2 / math.pi) * cos_x / (sinc_x * a)
    return factor * jnp.exp(power) + shift * log_ratio * expm1_over(power)


class Stable(Distribution):
    """The stable distribution, the limit of sums, in Zolotarev's parameterization S0.

        E exp(i t (z - loc) / scale)
            = exp(-|t|^a (1 + i skew tan(pi a / 2) sign(t) (|t|^(1 - a) - 1))),   a = stability
        z = loc + scale X(pi (u_1 - 1/2), -log u_2; a, skew),   u ~ U(0, 1)^2

    with X the formula of Chambers, Mallows and Stuck, written without its singularity at a = 1:
    samples and their derivatives of every order are smooth there. Stability 2 gives the normal
    distribution with standard deviation sqrt(2) scale; stability 1 without skew gives the Cauchy
    distribution. The density has no closed form, so `log_prob` raises. The mean is NaN for a <= 1,
    the variance infinite for 1 < a < 2.

    Args:
      stability: a, in (0, 2]; the density falls like |x|^(-1 - a).
      skew: in [-1, 1], any shape that broadcasts with the others.
      scale: positive.
      loc: the location.

    Raises:
      ValueError: a concrete parameter out of range, or shapes that do not broadcast.

    References:
      Chambers, Mallows and Stuck (1976), "A method for simulating stable random variables",
      https://doi.org/10.1080/01621459.1976.10480344
      Nolan (2020), "Univariate stable distributions", for S0,
      https://doi.org/10.1007/978-3-030-52915-4

    Example:
      >>> q = Stable(1.0, 0.0, 2.0, 1.0)
      >>> round(float(q.transform(jnp.array([0.75, 0.5]))), 4)  # 1 + 2 tan(pi / 4)
      3.0
    """

    stability: jax.Array
    skew: jax.Array
    scale: jax.Array
    loc: jax.Array
    arg_constraints: ClassVar = {
        "stability": constraints.stability,
        "skew": constraints.signed_fraction,
        "scale": constraints.positive,
        "loc": constraints.real,
    }
    support = constraints.real
    noise_marginal = "uniform"

    def __init__(
        self, stability: ArrayLike, skew: ArrayLike, scale: ArrayLike, loc: ArrayLike
    ) -> None:
        super().__init__(stability=stability, skew=skew, scale=scale, loc=loc)

    @property
    def noise_shape(self) -> Shape:
        return (2,)

    def _transform(self, eps: jax.Array) -> jax.Array:
        u, v = eps[..., 0], eps[..., 1]
        x: jax.Array = _standard(u, v, self.stability, self.skew)
        return self.loc + self.scale * x

    def _log_prob(self, z: jax.Array) -> jax.Array:
        raise NotImplementedError("Stable has no closed form of its log-density")

    def _tangent(self) -> jax.Array:
        """tan(pi stability / 2) if the stability is above 1, otherwise 0."""
        above = self.stability > 1
        return jnp.tan(0.5 * math.pi * jnp.where(above, self.stability, 2.0))

    def _mean(self) -> jax.Array:
        mean = self.loc - self.skew * self.scale * self._tangent()
        return jnp.where(self.stability > 1, mean, jnp.nan)

    def _variance(self) -> jax.Array:
        value = jnp.where(self.stability == 2, 2 * self.scale**2, jnp.inf)
        zero_or_nan = 0 * (self.skew + self.loc + self.scale)
        return jnp.where(self.stability > 1, value, jnp.nan) + zero_or_nan
