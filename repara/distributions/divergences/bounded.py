"""Closed forms of KL from distributions of bounded or half-bounded support.

Each needs only the entropy of q and the expectations of z, z^2, log z and log(1 - z).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import digamma, gammaln, xlogy

from repara.distributions.beta import Beta, log_beta
from repara.distributions.continuous_bernoulli import ContinuousBernoulli
from repara.distributions.divergences.gamma import shape_and_rate
from repara.distributions.divergences.registry import register_kl
from repara.distributions.divergences.scalars import finite_if_covered, log_continuous_bernoulli
from repara.distributions.exponential import Exponential, Weibull
from repara.distributions.extreme_value import Gumbel
from repara.distributions.gamma import Chi2, Gamma
from repara.distributions.kumaraswamy import Kumaraswamy
from repara.distributions.normal import Normal
from repara.distributions.pareto import Pareto
from repara.distributions.uniform import Uniform
from repara.special.constants import EULER_GAMMA, HALF_LOG_2PI
from repara.special.elementary import log1mexp

__all__: list[str] = []


def _cross_gamma(p: Any, mean: jax.Array, mean_log: jax.Array) -> jax.Array:
    """E[-log p(z)] for a gamma p, from E z and E log z."""
    a, rate = shape_and_rate(p)
    return rate * mean - (a - 1) * mean_log - a * jnp.log(rate) + gammaln(a)


def _cross_beta(p: Beta, mean_log: jax.Array, mean_log_rest: jax.Array) -> jax.Array:
    """E[-log p(z)] for a beta p, from E log z and E log(1 - z)."""
    a, b = p.concentration1, p.concentration0
    return log_beta(a, b) - (a - 1) * mean_log - (b - 1) * mean_log_rest


def _cross_normal(p: Normal, mean: jax.Array, variance: jax.Array) -> jax.Array:
    """E[-log p(z)] for a normal p."""
    square = (variance + (mean - p.loc) ** 2) / p.scale**2
    return 0.5 * square + jnp.log(p.scale) + HALF_LOG_2PI


def _mean_logs(q: Beta) -> tuple[jax.Array, jax.Array]:
    """E log z and E log(1 - z)."""
    a, b = q.concentration1, q.concentration0
    total = digamma(a + b)
    return digamma(a) - total, digamma(b) - total


@register_kl(Beta, Beta)
def _beta_beta(q: Beta, p: Beta) -> jax.Array:
    return _cross_beta(p, *_mean_logs(q)) - _cross_beta(q, *_mean_logs(q))


@register_kl(Beta, ContinuousBernoulli)
def _beta_cb(q: Beta, p: ContinuousBernoulli) -> jax.Array:
    return -q._entropy() - log_continuous_bernoulli(p, q._mean())


@register_kl(Beta, (Gamma, Chi2, Exponential))
def _beta_gamma(q: Beta, p: Any) -> jax.Array:
    return _cross_gamma(p, q._mean(), _mean_logs(q)[0]) - q._entropy()


@register_kl(Beta, Normal)
def _beta_normal(q: Beta, p: Normal) -> jax.Array:
    return _cross_normal(p, q._mean(), q._variance()) - q._entropy()


@register_kl(Beta, Uniform)
def _beta_uniform(q: Beta, p: Uniform) -> jax.Array:
    value = jnp.log(p.high - p.low) - q._entropy()
    covered = (p.low <= 0) & (p.high >= 1)
    return jnp.where(covered | jnp.isnan(value), value, jnp.inf)


@register_kl((Gamma, Chi2), Gumbel)
def _gamma_gumbel(q: Gamma | Chi2, p: Gumbel) -> jax.Array:
    # E exp(-z / s) = (1 + 1 / (rate s))^-a.
    a, rate = shape_and_rate(q)
    tail = jnp.exp(p.loc / p.scale - a * jnp.log1p(1 / (rate * p.scale)))
    return (q._mean() - p.loc) / p.scale + tail + jnp.log(p.scale) - q._entropy()


@register_kl((Gamma, Chi2), Normal)
def _gamma_normal(q: Gamma | Chi2, p: Normal) -> jax.Array:
    return _cross_normal(p, q._mean(), q._variance()) - q._entropy()


@register_kl(Pareto, (Gamma, Chi2))
def _pareto_gamma(q: Pareto, p: Any) -> jax.Array:
    # z = scale e^(e / alpha), e exponential.
    finite = ~(q.alpha <= 1)
    alpha = jnp.where(finite, q.alpha, 2.0)
    mean_log = jnp.log(q.scale) + 1 / alpha
    mean = q.scale * alpha / (alpha - 1)
    entropy = jnp.log(q.scale / alpha) + 1 / alpha + 1
    value = _cross_gamma(p, mean, mean_log) - entropy
    return jnp.where(finite | jnp.isnan(value), value, jnp.inf)


def _mean_log_of_uniform(low: jax.Array, high: jax.Array) -> jax.Array:
    """E log z of a uniform z, 0 <= low < high."""
    return (xlogy(high, high) - xlogy(low, low)) / (high - low) - 1


@register_kl(Uniform, (Gamma, Chi2))
def _uniform_gamma(q: Uniform, p: Any) -> jax.Array:
    covered = q.low >= 0
    low = jnp.where(covered, q.low, 0.0)
    mean_log = _mean_log_of_uniform(low, jnp.where(covered, q.high, 1.0))
    value = _cross_gamma(p, q._mean(), mean_log) - jnp.log(q.high - q.low)
    return finite_if_covered(q, covered, value)


@register_kl(Uniform, Beta)
def _uniform_beta(q: Uniform, p: Beta) -> jax.Array:
    covered = (q.low >= 0) & (q.high <= 1)
    low, high = jnp.where(covered, q.low, 0.0), jnp.where(covered, q.high, 1.0)
    logs = _mean_log_of_uniform(low, high), _mean_log_of_uniform(1 - high, 1 - low)
    return finite_if_covered(q, covered, _cross_beta(p, *logs) - jnp.log(q.high - q.low))


@register_kl(Weibull, (Gamma, Chi2, Exponential))
def _weibull_gamma(q: Weibull, p: Any) -> jax.Array:
    # z = scale e^(1 / k), e exponential: E log e = -Euler.
    mean_log = jnp.log(q.scale) - EULER_GAMMA / q.concentration
    return _cross_gamma(p, q._mean(), mean_log) - q._entropy()


# The tanh-sinh rule for s = sigmoid(u) in [0, 1], u = pi sinh(t): for a bounded integrand
# the error, beyond the ends and between the nodes, is below 1e-16.
_T = np.arange(-50, 51) / 16
_NODES = np.pi * np.sinh(_T)
_WEIGHTS = np.pi * np.cosh(_T) / (2 + 2 * np.cosh(_NODES)) / 16


@register_kl(Kumaraswamy, Beta)
def _kumaraswamy_beta(q: Kumaraswamy, p: Beta) -> jax.Array:
    # w = z^a is Beta(1, b): E log w = -Euler - digamma(b + 1), E log(1 - w) = -1 / b. The rest,
    # E log((1 - w) / (1 - z)), has no closed form (its series in beta functions converges slowly).
    # The logarithm lies between 0 and -log a, and tanh-sinh quadrature is exact to rounding.
    a, b = q.concentration1, q.concentration0
    mean_log = -(EULER_GAMMA + digamma(b + 1)) / a

    shape = (-1, *(1,) * max(jnp.ndim(a), jnp.ndim(b)))
    u, weights = (jnp.asarray(x.reshape(shape), a.dtype) for x in (_NODES, _WEIGHTS))
    # s = sigmoid(u) is the probability of larger values, and log(1 - w) = log(s) / b.
    log_rest = -jax.nn.softplus(-u) / b[None]
    far = log_rest < -30.0
    near = jnp.where(far, -1.0, log_rest)
    log_z = log1mexp(near) / a[None]
    gap = jnp.where(far, jnp.log(a)[None], near - log1mexp(log_z))
    total = jnp.sum(weights * gap, axis=0)
    return _cross_beta(p, mean_log, -1 / b - total) - q._entropy()
