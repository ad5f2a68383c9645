"""Closed forms of KL between discrete distributions."""

import jax
import jax.numpy as jnp
from jax.scipy.special import xlogy

from repara.distributions.bernoulli import Bernoulli
from repara.distributions.categorical import Categorical, OneHotCategorical
from repara.distributions.counts import Binomial, Geometric, Poisson
from repara.distributions.divergences.registry import register_kl
from repara.special.elementary import sigmoid

__all__: list[str] = []


def _weighted(weight: jax.Array, difference: jax.Array) -> jax.Array:
    """weight * difference with 0 log 0 = 0: if the weight is 0 the difference may be infinite."""
    used = weight != 0
    return jnp.where(used, weight * jnp.where(used, difference, 0), 0)


@register_kl(Bernoulli, Bernoulli)
@register_kl(Bernoulli, Poisson)
def _bernoulli_bernoulli(q: Bernoulli, p: Bernoulli | Poisson) -> jax.Array:
    one, zero = jnp.ones((), q._probs().dtype), jnp.zeros((), q._probs().dtype)
    mean = q._probs()
    complement = sigmoid(-q.logits) if q.probs is None else 1 - mean
    return _weighted(mean, q._log_prob(one) - p._log_prob(one)) + _weighted(
        complement, q._log_prob(zero) - p._log_prob(zero)
    )


@register_kl(Binomial, Binomial)
def _binomial_binomial(q: Binomial, p: Binomial) -> jax.Array:
    # n trials of each; with more trials q has values that p does not have. With fewer there is no
    # closed form.
    one = Bernoulli(probs=q.probs, logits=q.logits), Bernoulli(probs=p.probs, logits=p.logits)
    value = q.total_count * _bernoulli_bernoulli(*one)
    more = jnp.where(q.total_count > p.total_count, jnp.inf, jnp.nan)
    return jnp.where(q.total_count == p.total_count, value, more)


@register_kl(Categorical, Categorical)
@register_kl(OneHotCategorical, OneHotCategorical)
def _categorical_categorical(
    q: Categorical | OneHotCategorical, p: Categorical | OneHotCategorical
) -> jax.Array:
    if q.num_categories != p.num_categories:
        raise ValueError(f"kl_divergence: {q.num_categories} categories against {p.num_categories}")
    return jnp.sum(_weighted(q._probs(), q._log_probs() - p._log_probs()), axis=-1)


@register_kl(Poisson, Poisson)
def _poisson_poisson(q: Poisson, p: Poisson) -> jax.Array:
    return xlogy(q.rate, q.rate) - xlogy(q.rate, p.rate) - (q.rate - p.rate)


@register_kl(Poisson, Bernoulli)
@register_kl(Poisson, Binomial)
def _poisson_bounded(q: Poisson, p: Bernoulli | Binomial) -> jax.Array:
    # q has values that p does not have, unless q is always 0.
    at_zero = -p._log_prob(jnp.zeros_like(q.rate))
    nothing = q.rate == 0
    return jnp.where(nothing | jnp.isnan(q.rate + at_zero), at_zero + 0 * q.rate, jnp.inf)


@register_kl(Geometric, Geometric)
def _geometric_geometric(q: Geometric, p: Geometric) -> jax.Array:
    # log q(k) - log p(k) is linear in k.
    zero, one = jnp.zeros((), q._probs().dtype), jnp.ones((), q._probs().dtype)
    first = q._log_prob(zero) - p._log_prob(zero)
    second = q._log_prob(one) - p._log_prob(one)
    return first + _weighted(q._mean(), second - first)
