"""Closed forms of KL within the gamma family.

One and the same one-to-one map of both variables does not change the divergence: logarithms and
inverses of gamma variables have that of the variables themselves.
"""

import jax
import jax.numpy as jnp
from jax.scipy.special import digamma, gammaln

from repara.distributions.base import Distribution
from repara.distributions.divergences.registry import register_kl
from repara.distributions.exponential import Exponential
from repara.distributions.gamma import Chi, Chi2, ExpGamma, Gamma, InverseGamma
from repara.special.elementary import expm1_minus

__all__: list[str] = []


def shape_and_rate(q: Distribution) -> tuple[jax.Array, jax.Array]:
    """Returns the concentration and the rate of the gamma variable behind a distribution."""
    if isinstance(q, Exponential):
        return jnp.ones_like(q.rate), q.rate
    if isinstance(q, Chi):
        return 0.5 * q.df, jnp.full_like(q.df, 0.5)
    if isinstance(q, (Gamma, Chi2)):
        return q._shape_and_rate()
    assert isinstance(q, (ExpGamma, InverseGamma))
    return q.concentration, q.rate


@register_kl((Gamma, Chi2), (Gamma, Chi2, Exponential))
@register_kl(Exponential, (Gamma, Chi2))
@register_kl(ExpGamma, ExpGamma)
@register_kl(InverseGamma, InverseGamma)
@register_kl(Chi, Chi)
def _gamma_gamma(q: Distribution, p: Distribution) -> jax.Array:
    # E z = a / rate and E log z = digamma(a) - log rate; with r the logarithm of the ratio of the
    # rates, a (exp(r) - 1) - a' r is a (exp(r) - 1 - r) + (a - a') r, which does not cancel.
    (a, rate), (b, other) = shape_and_rate(q), shape_and_rate(p)
    r = jnp.log(other / rate)
    of_shapes = gammaln(b) - gammaln(a) - (b - a) * digamma(a)
    return a * expm1_minus(r) + (a - b) * r + of_shapes
