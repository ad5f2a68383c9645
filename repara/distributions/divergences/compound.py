"""Closed forms of KL between distributions that are made of others."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from repara.distributions.base import Distribution
from repara.distributions.combinators.independent import Independent
from repara.distributions.combinators.transformed import Transformed
from repara.distributions.combinators.truncated import Truncated
from repara.distributions.divergences.registry import kl_of_ready, no_closed_form, register_kl
from repara.distributions.divergences.vectors import multivariate_normals
from repara.distributions.multivariate_normal import MultivariateNormal
from repara.distributions.normal import Normal
from repara.distributions.truncated_normal import TruncatedNormal

__all__ = ["require_shared_part"]


def require_shared_part(q: Distribution, p: Distribution) -> None:
    """Raises if there is a closed form only for a shared part, and q and p share none.

    Args:
      q: the first distribution, as the user made it: the parts of distributions that have been made
        ready are copies.
      p: the second.

    Raises:
      NotImplementedError: the bijectors of two `Transformed` differ, or a truncated distribution is
        not one of p.

    Example:
      >>> from repara.distributions import Normal
      >>> require_shared_part(Normal(0.0, 1.0), Normal(0.0, 1.0))
    """
    ours: Any
    theirs: Any
    if isinstance(q, Independent) and isinstance(p, Independent):
        return require_shared_part(q.base, p.base)
    if isinstance(q, Transformed) and isinstance(p, Transformed):
        require_shared_part(q.base, p.base)
        ours, theirs, what = q.bijector, p.bijector, "the bijector"
    elif isinstance(q, Truncated) and type(p) is type(q.base):
        ours, theirs, what = q.base, p, "the base"
    elif isinstance(q, TruncatedNormal) and isinstance(p, Normal):
        ours, theirs, what = (q.loc, q.scale), (p.loc, p.scale), "its loc and scale"
    else:
        return None
    same = bool(jax.tree.structure(ours) == jax.tree.structure(theirs))  # type: ignore[operator]
    leaves = jax.tree.leaves(ours), jax.tree.leaves(theirs)
    if not (same and all(_is_same(a, b) for a, b in zip(*leaves, strict=True))):
        unless = f" unless {what} is one and the same"
        raise no_closed_form(type(q).__name__, type(p).__name__, unless)
    return None


def _is_same(a: jax.Array, b: jax.Array) -> bool:
    if a is b:
        return True
    traced = isinstance(a, jax.core.Tracer) or isinstance(b, jax.core.Tracer)
    return not traced and np.array_equal(a, b)


@register_kl(Independent, Independent)
def _independent_independent(q: Independent, p: Independent) -> jax.Array:
    if q.reinterpreted_batch_ndims != p.reinterpreted_batch_ndims:
        raise NotImplementedError(
            "no closed form of KL between Independent distributions that reinterpret "
            f"{q.reinterpreted_batch_ndims} and {p.reinterpreted_batch_ndims} dimensions"
        )
    full = jnp.broadcast_shapes(q.base.batch_shape, p.base.batch_shape)
    return q._sum(jnp.broadcast_to(kl_of_ready(q.base, p.base), full))


@register_kl(Independent, MultivariateNormal)
@register_kl(MultivariateNormal, Independent)
def _independent_mvn(q: Any, p: Any) -> jax.Array:
    return multivariate_normals(_as_mvn(q), _as_mvn(p))


def _as_mvn(q: Independent | MultivariateNormal) -> MultivariateNormal:
    if isinstance(q, MultivariateNormal):
        return q
    if not isinstance(q.base, Normal):
        raise no_closed_form(f"Independent({type(q.base).__name__})", "MultivariateNormal")
    d = q.event_shape[-1]
    loc, scale = (jnp.broadcast_to(x, (*x.shape[:-1], d)) for x in (q.base.loc, q.base.scale))
    return MultivariateNormal._without_checks(loc=loc, scale_tril=None, scale_diag=scale)


@register_kl(Truncated, Distribution)
def _truncated_base(q: Truncated, p: Distribution) -> jax.Array:
    if type(q.base) is not type(p):
        raise no_closed_form(f"Truncated({type(q.base).__name__})", type(p).__name__)
    return -jnp.log(q._mass())


@register_kl(TruncatedNormal, Normal)
def _truncated_normal_normal(q: TruncatedNormal, p: Normal) -> jax.Array:
    # log q(x) - log p(x) is the same everywhere in the interval.
    inside = jax.lax.stop_gradient(jnp.clip(q.loc, q.low, q.high))
    return q._log_prob(inside) - p._log_prob(inside)


@register_kl(Transformed, Transformed)
def _transformed_transformed(q: Transformed, p: Transformed) -> jax.Array:
    return kl_of_ready(q.base, p.base)
