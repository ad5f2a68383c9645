"""Closed forms of KL between scalar continuous families.

Each is E_q[log q - log p]; a comment names the expectation that it needs. If q has mass outside the
support of p, the divergence is infinite.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp

from repara.distributions.base import Distribution
from repara.distributions.beta import Beta
from repara.distributions.cauchy import Cauchy
from repara.distributions.continuous_bernoulli import ContinuousBernoulli
from repara.distributions.divergences.registry import register_kl
from repara.distributions.exponential import Exponential, Weibull
from repara.distributions.extreme_value import Gumbel
from repara.distributions.gamma import Chi2, Gamma
from repara.distributions.half_normal import HalfNormal
from repara.distributions.kumaraswamy import Kumaraswamy
from repara.distributions.laplace import Laplace
from repara.distributions.log_normal import LogitNormal, LogNormal
from repara.distributions.normal import Normal
from repara.distributions.pareto import Pareto
from repara.distributions.uniform import LogUniform, Uniform
from repara.special.constants import EULER_GAMMA, HALF_LOG_2PI
from repara.special.elementary import expm1_minus, expm1_over, log_sinh_over

__all__: list[str] = []


@register_kl(Normal, Normal)
@register_kl(LogNormal, LogNormal)
@register_kl(LogitNormal, LogitNormal)
def normals(q: Any, p: Any) -> jax.Array:
    """Computes KL between two scalar normals of one dtype and rank."""
    # With r = log(q.scale / p.scale): (expm1(2 r) - 2 r) / 2 keeps its digits for nearly equal
    # scales, where scale^2 - 1 - log(scale^2) cancels. The same increasing map of both changes
    # nothing.
    r = jnp.log(q.scale / p.scale)
    divergence: jax.Array = 0.5 * (expm1_minus(2 * r) + ((q.loc - p.loc) / p.scale) ** 2)
    return divergence


@register_kl(HalfNormal, HalfNormal)
def _half_normal_half_normal(q: HalfNormal, p: HalfNormal) -> jax.Array:
    return 0.5 * expm1_minus(2 * jnp.log(q.scale / p.scale))


@register_kl(Normal, Gumbel)
def _normal_gumbel(q: Normal, p: Gumbel) -> jax.Array:
    # E exp(-t) of a normal t is the moment generating function at -1.
    mean, spread = (q.loc - p.loc) / p.scale, q.scale / p.scale
    return mean + jnp.exp(0.5 * spread**2 - mean) - jnp.log(spread) - 0.5 - HALF_LOG_2PI


@register_kl(Normal, Laplace)
def _normal_laplace(q: Normal, p: Laplace) -> jax.Array:
    # E|z - m| of a normal variable, the mean of the folded normal.
    t = (q.loc - p.loc) / q.scale
    folded = math.sqrt(2 / math.pi) * jnp.exp(-0.5 * t**2) + t * jax.scipy.special.erf(
        t * math.sqrt(0.5)
    )
    ratio = q.scale / p.scale
    return ratio * folded - jnp.log(ratio) + math.log(2) - 0.5 - HALF_LOG_2PI


@register_kl(Laplace, Laplace)
def _laplace_laplace(q: Laplace, p: Laplace) -> jax.Array:
    # With d = |loc - loc'| / scale and r the ratio of the scales: r (exp(-d) + d) - 1 - log r,
    # which is r (exp(-d) - 1 + d) + (exp(log r) - 1 - log r), two terms that do not cancel.
    log_r = jnp.log(q.scale / p.scale)
    d = jnp.abs(q.loc - p.loc) / q.scale
    return jnp.exp(log_r) * expm1_minus(-d) + expm1_minus(log_r)


@register_kl(Laplace, Normal)
def _laplace_normal(q: Laplace, p: Normal) -> jax.Array:
    ratio = q.scale / p.scale
    square = 0.5 * ((q.loc - p.loc) / p.scale) ** 2 + ratio**2
    return square - jnp.log(ratio) + HALF_LOG_2PI - math.log(2) - 1


@register_kl(Gumbel, Gumbel)
def _gumbel_gumbel(q: Gumbel, p: Gumbel) -> jax.Array:
    # E exp(-r t) of a standard Gumbel t is Gamma(1 + r).
    r, shift = q.scale / p.scale, (q.loc - p.loc) / p.scale
    gamma = jnp.exp(jax.scipy.special.gammaln(1 + r) - shift)
    return shift + EULER_GAMMA * r + gamma - (EULER_GAMMA + 1) - jnp.log(r)


@register_kl(Gumbel, Normal)
def _gumbel_normal(q: Gumbel, p: Normal) -> jax.Array:
    r = q.scale / p.scale
    mean = (q.loc - p.loc) / p.scale + EULER_GAMMA * r
    return 0.5 * (mean**2 + math.pi**2 / 6 * r**2) + HALF_LOG_2PI - (EULER_GAMMA + 1) - jnp.log(r)


@register_kl(Cauchy, Cauchy)
def _cauchy_cauchy(q: Cauchy, p: Cauchy) -> jax.Array:
    # log(((s + s')^2 + (m - m')^2) / (4 s s')), Chyzak and Nielsen (2019), equation 1,
    # https://arxiv.org/abs/1905.10965; the quotient is 1 + ((s - s')^2 + (m - m')^2) / (4 s s').
    excess = (q.scale - p.scale) ** 2 + (q.loc - p.loc) ** 2
    return jnp.log1p(excess / (4 * q.scale * p.scale))


@register_kl(Exponential, Exponential)
def _exponential_exponential(q: Exponential, p: Exponential) -> jax.Array:
    return expm1_minus(jnp.log(p.rate / q.rate))


@register_kl(Exponential, Gumbel)
def _exponential_gumbel(q: Exponential, p: Gumbel) -> jax.Array:
    # E exp(-z / scale) = rate / (rate + 1 / scale).
    product = q.rate * p.scale
    tail = jnp.exp(p.loc / p.scale) * product / (1 + product)
    return jnp.log(product) - 1 + 1 / product - p.loc / p.scale + tail


@register_kl(Exponential, Normal)
def _exponential_normal(q: Exponential, p: Normal) -> jax.Array:
    mean, spread = 1 / q.rate, 1 / (q.rate * p.scale)
    square = 0.5 * (((mean - p.loc) / p.scale) ** 2 + spread**2)
    return square - jnp.log(spread) - 1 + HALF_LOG_2PI


@register_kl(Weibull, Weibull)
def _weibull_weibull(q: Weibull, p: Weibull) -> jax.Array:
    # With z = scale e^(1/k), e exponential: E log e = -Euler, E e^r = Gamma(1 + r).
    r = p.concentration / q.concentration
    log_ratio = jnp.log(q.scale / p.scale)
    power = jnp.exp(p.concentration * log_ratio + jax.scipy.special.gammaln(1 + r))
    return -jnp.log(r) - p.concentration * log_ratio - EULER_GAMMA * (1 - r) - 1 + power


@register_kl(Pareto, Pareto)
def _pareto_pareto(q: Pareto, p: Pareto) -> jax.Array:
    log_ratio = jnp.log(q.scale / p.scale)
    inside = expm1_minus(jnp.log(p.alpha / q.alpha)) + p.alpha * log_ratio
    return jnp.where(q.scale < p.scale, jnp.inf, inside)


@register_kl(Pareto, Exponential)
def _pareto_exponential(q: Pareto, p: Exponential) -> jax.Array:
    finite = ~(q.alpha <= 1)
    alpha = jnp.where(finite, q.alpha, 2)
    inside = p.rate * q.scale * alpha / (alpha - 1)
    value = jnp.log(alpha / (q.scale * p.rate)) - 1 / alpha - 1 + inside
    return jnp.where(finite, value, jnp.inf)


@register_kl(Pareto, Normal)
def _pareto_normal(q: Pareto, p: Normal) -> jax.Array:
    finite = ~(q.alpha <= 2)
    alpha = jnp.where(finite, q.alpha, 3)
    mean = q.scale * alpha / (alpha - 1)
    variance = q.scale**2 * alpha / ((alpha - 1) ** 2 * (alpha - 2))
    square = 0.5 * (variance + (mean - p.loc) ** 2) / p.scale**2
    value = jnp.log(alpha * p.scale / q.scale) - 1 / alpha - 1 + square + HALF_LOG_2PI
    return jnp.where(finite, value, jnp.inf)


def finite_if_covered(q: Uniform, valid: jax.Array, value: jax.Array) -> jax.Array:
    """Returns the value if the support of p covers that of q, otherwise infinity; NaN for NaN."""
    return jnp.where(valid | jnp.isnan(q.low + q.high + value), value, jnp.inf)


@register_kl(Uniform, Uniform)
@register_kl(LogUniform, LogUniform)
def _uniform_uniform(q: Any, p: Any) -> jax.Array:
    covered = (p.low <= q.low) & (q.high <= p.high)
    return finite_if_covered(q, covered, jnp.log(_width(p) / _width(q)))


def _width(q: Any) -> jax.Array:
    """The width of the interval, on the scale on which the density is flat."""
    return q.high - q.low if isinstance(q, Uniform) else q._log_width()


@register_kl(Uniform, Exponential)
def _uniform_exponential(q: Uniform, p: Exponential) -> jax.Array:
    value = p.rate * q._mean() - jnp.log(p.rate * (q.high - q.low))
    return finite_if_covered(q, q.low >= 0, value)


@register_kl(Uniform, Gumbel)
def _uniform_gumbel(q: Uniform, p: Gumbel) -> jax.Array:
    # E exp(-t) of a uniform t: exp(-low) (1 - exp(-width)) / width.
    width = (q.high - q.low) / p.scale
    low = (q.low - p.loc) / p.scale
    return (q._mean() - p.loc) / p.scale + jnp.exp(-low) * expm1_over(-width) - jnp.log(width)


@register_kl(Uniform, Normal)
def _uniform_normal(q: Uniform, p: Normal) -> jax.Array:
    width = (q.high - q.low) / p.scale
    square = ((q._mean() - p.loc) / p.scale) ** 2 + width**2 / 12
    return 0.5 * square + HALF_LOG_2PI - jnp.log(width)


@register_kl(Uniform, Laplace)
def _uniform_laplace(q: Uniform, p: Laplace) -> jax.Array:
    # E|z - loc|: the integral of a piecewise square.
    low, high = (q.low - p.loc) / p.scale, (q.high - p.loc) / p.scale
    absolute = 0.5 * (high * jnp.abs(high) - low * jnp.abs(low)) / (high - low)
    return absolute + math.log(2) - jnp.log(high - low)


@register_kl(Uniform, Pareto)
def _uniform_pareto(q: Uniform, p: Pareto) -> jax.Array:
    # E log z = (high log high - low log low) / width - 1.
    covered = q.low >= p.scale
    low = jnp.where(covered, q.low, p.scale)
    high = jnp.where(covered, q.high, p.scale + (q.high - q.low))
    width = high - low
    mean_log = (high * jnp.log(high / p.scale) - low * jnp.log(low / p.scale)) / width - 1
    value = (p.alpha + 1) * mean_log - jnp.log(p.alpha * width / p.scale)
    return finite_if_covered(q, covered, value)


@register_kl(Uniform, ContinuousBernoulli)
def _uniform_continuous_bernoulli(q: Uniform, p: ContinuousBernoulli) -> jax.Array:
    covered = (q.low >= 0) & (q.high <= 1)
    return finite_if_covered(
        q, covered, -jnp.log(q.high - q.low) - log_continuous_bernoulli(p, q._mean())
    )


def log_continuous_bernoulli(p: ContinuousBernoulli, x: jax.Array) -> jax.Array:
    """Returns the log-density at x, linear in x: the normalizer is sinh(h) / h at h = l / 2."""
    logit = p._logit()
    return logit * (x - 0.5) - log_sinh_over(0.5 * logit)


@register_kl(ContinuousBernoulli, ContinuousBernoulli)
def _cb_cb(q: ContinuousBernoulli, p: ContinuousBernoulli) -> jax.Array:
    return log_continuous_bernoulli(q, q._mean()) - log_continuous_bernoulli(p, q._mean())


@register_kl(ContinuousBernoulli, Exponential)
def _cb_exponential(q: ContinuousBernoulli, p: Exponential) -> jax.Array:
    return p.rate * q._mean() - jnp.log(p.rate) - q._entropy()


@register_kl(ContinuousBernoulli, Normal)
def _cb_normal(q: ContinuousBernoulli, p: Normal) -> jax.Array:
    square = (q._variance() + (q._mean() - p.loc) ** 2) / p.scale**2
    return 0.5 * square + jnp.log(p.scale) + HALF_LOG_2PI - q._entropy()


@register_kl(ContinuousBernoulli, Uniform)
def _cb_uniform(q: ContinuousBernoulli, p: Uniform) -> jax.Array:
    value = jnp.log(p.high - p.low) - q._entropy()
    covered = (p.low <= 0) & (p.high >= 1)
    return jnp.where(covered | jnp.isnan(value), value, jnp.inf)


Families = tuple[type[Distribution], ...]
_REAL: Families = (Normal, Laplace, Gumbel, Cauchy)
_POSITIVE: Families = (Exponential, Gamma, Chi2, HalfNormal, Weibull)
_BOUNDED: Families = (Uniform, ContinuousBernoulli, Beta, Kumaraswamy)


@register_kl(_REAL, (*_POSITIVE, Pareto, *_BOUNDED))
@register_kl((*_POSITIVE, Pareto), _BOUNDED)
@register_kl((*_POSITIVE, ContinuousBernoulli, Beta, Kumaraswamy), Pareto)
def _infinite(q: Any, p: Any) -> jax.Array:
    """Infinity: some of the mass of q is outside the support of p, whatever the parameters."""
    total = jnp.full((), jnp.inf, q.dtype)
    for leaf in jax.tree.leaves((q, p)):
        total = total + 0 * leaf  # NaN if a parameter is NaN
    return total
