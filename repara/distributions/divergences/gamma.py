"""Closed forms of KL within the gamma family.

One increasing map of both variables changes nothing, so that logarithms and inverses of gamma
variables have the divergence of the variables themselves.
"""

import jax
import jax.numpy as jnp
from jax.scipy.special import digamma, gammaln

from repara.distributions.base import Distribution
from repara.distributions.divergences.registry import _closed_form
from repara.distributions.exponential import Exponential
from repara.distributions.gamma import Chi, Chi2, ExpGamma, Gamma, InverseGamma
from repara.special.elementary import expm1_minus

__all__: list[str] = []


def _shape_and_rate(q: Distribution) -> tuple[jax.Array, jax.Array]:
    if isinstance(q, Exponential):
        return jnp.ones_like(q.rate), q.rate
    if isinstance(q, (Chi, Chi2)):
        return 0.5 * q.df, jnp.full_like(q.df, 0.5)
    assert isinstance(q, (Gamma, ExpGamma, InverseGamma))
    return q.concentration, q.rate


def _gamma_gamma(q: Distribution, p: Distribution) -> jax.Array:
    # E z = a / rate and E log z = digamma(a) - log rate; with r the logarithm of the ratio of the
    # rates, a (exp(r) - 1) - a' r is a (exp(r) - 1 - r) + (a - a') r, which does not cancel.
    (a, rate), (b, other) = _shape_and_rate(q), _shape_and_rate(p)
    r = jnp.log(other / rate)
    of_shapes = gammaln(b) - gammaln(a) - (b - a) * digamma(a)
    return a * expm1_minus(r) + (a - b) * r + of_shapes


_ON_ONE_SCALE = (Gamma, Chi2, Exponential)
for _q in _ON_ONE_SCALE:
    for _p in _ON_ONE_SCALE:
        if (_q, _p) != (Exponential, Exponential):
            _closed_form(_q, _p)(_gamma_gamma)
for _each in (ExpGamma, InverseGamma, Chi):
    _closed_form(_each, _each)(_gamma_gamma)
