"""Closed forms of KL between distributions on the circle and the sphere."""

import jax
import jax.numpy as jnp
from jax.scipy.special import i0e, i1e

from repara.distributions.divergences.registry import register_kl
from repara.distributions.power_spherical import PowerSpherical
from repara.distributions.von_mises import VonMises
from repara.distributions.von_mises_fisher import VonMisesFisher
from repara.special import von_mises_fisher_log_normalizer

__all__: list[str] = []


@register_kl(VonMises, VonMises)
def _von_mises_von_mises(q: VonMises, p: VonMises) -> jax.Array:
    scaled, scaled_p = i0e(q.concentration), i0e(p.concentration)
    resultant = i1e(q.concentration) / scaled
    cosine = jnp.cos(q.loc - p.loc)
    return _mean_exponent(q, p, resultant, cosine) + jnp.log(scaled_p / scaled)


@register_kl(VonMisesFisher, VonMisesFisher)
def _fisher_fisher(q: VonMisesFisher, p: VonMisesFisher) -> jax.Array:
    d = q.event_shape[0]
    cosine = jnp.sum(q._unit() * p._unit(), axis=-1)
    normalizers = von_mises_fisher_log_normalizer(
        p.concentration, d
    ) - von_mises_fisher_log_normalizer(q.concentration, d)
    return _mean_exponent(q, p, q._resultant(), cosine) + normalizers


def _mean_exponent(
    q: VonMises | VonMisesFisher,
    p: VonMises | VonMisesFisher,
    resultant: jax.Array,
    cosine: jax.Array,
) -> jax.Array:
    """E_q of the exponents k_q (cos - 1) - k_p (cos_p - 1), where E_q[x] = resultant mu_q."""
    return p.concentration * (1 - resultant * cosine) - q.concentration * (1 - resultant)


@register_kl(PowerSpherical, VonMisesFisher)
def _power_spherical_von_mises_fisher(q: PowerSpherical, p: VonMisesFisher) -> jax.Array:
    cosine = jnp.sum(q._mean() * p._unit(), axis=-1)
    log_normalizer = von_mises_fisher_log_normalizer(p.concentration, q.event_shape[0])
    return log_normalizer + p.concentration * (1 - cosine) - q._entropy()
