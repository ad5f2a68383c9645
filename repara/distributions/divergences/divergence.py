"""Kullback-Leibler divergences: the table of closed forms, and the Monte Carlo estimate."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import i0e, i1e

import repara.distributions.divergences.bounded
import repara.distributions.divergences.discrete
import repara.distributions.divergences.gamma
import repara.distributions.divergences.scalars
import repara.distributions.divergences.vectors  # noqa: F401 (its import enters its forms into the table)
from repara.distributions.base import Distribution, _at_least_32
from repara.distributions.combinators.independent import Independent
from repara.distributions.combinators.transformed import Transformed
from repara.distributions.combinators.truncated import Truncated
from repara.distributions.divergences.registry import _TABLE, _closed_form
from repara.distributions.multivariate_normal import MultivariateNormal, _solve
from repara.distributions.normal import Normal
from repara.distributions.truncated_normal import TruncatedNormal
from repara.distributions.von_mises import VonMises
from repara.distributions.von_mises_fisher import VonMisesFisher
from repara.special import von_mises_fisher_log_normalizer

__all__ = ["kl_divergence", "monte_carlo_kl"]


def kl_divergence(q: Distribution, p: Distribution) -> jax.Array:
    """The Kullback-Leibler divergence in closed form.

        KL(q || p) = E_q[log q(z) - log p(z)]

    Args:
      q: the distribution of the expectation.
      p: the other; its batch shape broadcasts with that of q, its event shape equals it.

    Returns:
      The divergence in nats, nonnegative, of the broadcast batch shape.

    Two `Transformed` have that of their bases if their bijector is one and the same, and a
    truncated distribution has one to its base if that is the same. Traced parameters must be the
    same array, not only equal: the derivative in those of one alone would be lost.

    Raises:
      NotImplementedError: there is no closed form for this pair; `monte_carlo_kl` estimates it.
      ValueError: the event shapes differ.

    Example:
      >>> from repara.distributions import Normal
      >>> round(float(kl_divergence(Normal(1.0, 1.0), Normal(0.0, 1.0))), 6)
      0.5
    """
    if q.event_shape != p.event_shape:
        raise ValueError(
            f"kl_divergence: event shapes differ: {type(q).__name__} has {q.event_shape}, "
            f"{type(p).__name__} has {p.event_shape}"
        )
    _require_shared(q, p)
    batch = jnp.broadcast_shapes(q.batch_shape, p.batch_shape)
    with jax.numpy_dtype_promotion("standard"):
        dtype = jnp.promote_types(q.dtype, p.dtype)
    wide = _at_least_32(dtype)
    value = _kl(q._ready(len(batch), wide), p._ready(len(batch), wide))
    return jnp.broadcast_to(value, batch).astype(dtype)


def _kl(q: Distribution, p: Distribution) -> jax.Array:
    closed_form = _TABLE.get((type(q), type(p)))
    if isinstance(q, Truncated) and type(q.base) is type(p):
        closed_form = _truncated_base
    if closed_form is None:
        raise NotImplementedError(
            f"no closed form of KL({type(q).__name__} || {type(p).__name__}): "
            "estimate it with repara.monte_carlo_kl"
        )
    return closed_form(q, p)


def _require_shared(q: Distribution, p: Distribution) -> None:
    """Raises where there is a closed form only if q and p have a part in common, and they have not.

    Asked of the distributions as given: what is made ready for the methods is no longer the same.
    """
    pair = type(q), type(p)
    if isinstance(q, (Independent, Transformed)) and pair[0] is pair[1]:
        _require_shared(q.base, p.base)  # type: ignore[attr-defined]
        ours, theirs = (d.bijector if isinstance(d, Transformed) else () for d in (q, p))
        what = "the bijector"
    elif isinstance(q, Truncated) and type(p) is type(q.base):
        ours, theirs, what = q.base, p, "the base"
    elif isinstance(q, TruncatedNormal) and isinstance(p, Normal):
        ours, theirs, what = (q.loc, q.scale), (p.loc, p.scale), "its loc and scale"
    else:
        return
    leaves = [jax.tree.leaves(part) for part in (ours, theirs)]
    first, second = (jax.tree.structure(part) for part in (ours, theirs))
    same = first == second  # type: ignore[operator]
    if not (same and all(_is_same(a, b) for a, b in zip(*leaves, strict=True))):
        raise NotImplementedError(
            f"no closed form of KL({pair[0].__name__} || {pair[1].__name__}) unless {what} "
            "is one and the same: estimate it with repara.monte_carlo_kl"
        )


def _is_same(a: jax.Array, b: jax.Array) -> bool:
    if a is b:
        return True
    traced = isinstance(a, jax.core.Tracer) or isinstance(b, jax.core.Tracer)
    return not traced and np.array_equal(a, b)


def monte_carlo_kl(
    key: jax.Array, q: Distribution, p: Distribution, num_samples: int
) -> tuple[jax.Array, jax.Array]:
    """The Kullback-Leibler divergence by Monte Carlo, with its standard error.

        KL(q || p) ~ mean_s [log q(z_s) - log p(z_s)],   z_s ~ q

    Unbiased, and so is its gradient where q is reparameterized; a single estimate may be negative.

    Args:
      key: a typed key; consumed.
      q: the distribution that is sampled.
      p: the other.
      num_samples: how many samples, at least 2.

    Returns:
      The estimate and its standard error in nats, each of the broadcast batch shape.

    Raises:
      ValueError: fewer than two samples.

    Example:
      >>> from repara.distributions import Normal
      >>> kl, error = monte_carlo_kl(jax.random.key(0), Normal(1.0, 1.0), Normal(0.0, 1.0), 10_000)
      >>> bool(abs(kl - 0.5) < 5 * error)
      True
    """
    if num_samples < 2:
        raise ValueError(f"monte_carlo_kl: num_samples must be at least 2, got {num_samples}")
    if q.has_rsample:
        z, log_q = q.rsample_and_log_prob(key, (num_samples,))
    else:
        z = q.sample(key, (num_samples,))
        log_q = q.log_prob(z)
    # Where p has more batch dimensions than q, the samples are shared by them.
    missing = max(0, len(p.batch_shape) - len(q.batch_shape))
    z = z.reshape(z.shape[:1] + (1,) * missing + z.shape[1:])
    log_q = log_q.reshape(log_q.shape[:1] + (1,) * missing + log_q.shape[1:])
    excess = log_q - p.log_prob(z)
    return jnp.mean(excess, axis=0), jnp.std(excess, axis=0, ddof=1) / math.sqrt(num_samples)


@_closed_form(MultivariateNormal, MultivariateNormal)
def _mvn_mvn(q: MultivariateNormal, p: MultivariateNormal) -> jax.Array:
    d = q.event_shape[0]
    shift = jnp.sum(p._inverse(q.loc) ** 2, axis=-1)
    if q.scale_diag is not None and p.scale_diag is not None:
        spread = jnp.sum((q.scale_diag / p.scale_diag) ** 2, axis=-1)
    else:
        # |L_p^-1 L_q|^2, the trace of Sigma_p^-1 Sigma_q: column by column of L_q.
        columns = jnp.swapaxes(_square_root(q), -2, -1)
        if p.scale_diag is not None:
            whitened = columns / p.scale_diag[..., None, :]
        else:
            whitened = _solve(jnp.tril(p.scale_tril)[..., None, :, :], columns)
        spread = jnp.sum(whitened**2, axis=(-2, -1))
    return 0.5 * (spread + shift - d) + p._half_log_det() - q._half_log_det()


def _square_root(q: MultivariateNormal) -> jax.Array:
    if q.scale_tril is not None:
        return jnp.tril(q.scale_tril)
    eye = jnp.eye(q.event_shape[0], dtype=q.loc.dtype)
    return q.scale_diag[..., None] * eye.reshape((1,) * (q.scale_diag.ndim - 1) + eye.shape)


@_closed_form(Independent, MultivariateNormal)
@_closed_form(MultivariateNormal, Independent)
def _independent_mvn(q: Any, p: Any) -> jax.Array:
    return _mvn_mvn(_as_mvn(q), _as_mvn(p))


def _as_mvn(q: Independent | MultivariateNormal) -> MultivariateNormal:
    if isinstance(q, MultivariateNormal):
        return q
    if not isinstance(q.base, Normal):
        raise NotImplementedError(
            f"no closed form of KL between Independent({type(q.base).__name__}) and "
            "MultivariateNormal: estimate it with repara.monte_carlo_kl"
        )
    d = q.event_shape[-1]
    loc, scale = (jnp.broadcast_to(x, (*x.shape[:-1], d)) for x in (q.base.loc, q.base.scale))
    return MultivariateNormal._unflatten((), (loc, None, scale))


def _truncated_base(q: Truncated, p: Distribution) -> jax.Array:
    return -jnp.log(q._mass())


@_closed_form(TruncatedNormal, Normal)
def _truncated_normal_normal(q: TruncatedNormal, p: Normal) -> jax.Array:
    # log q(x) - log p(x) is the same everywhere in the interval.
    inside = jax.lax.stop_gradient(jnp.clip(q.loc, q.low, q.high))
    return q._log_prob(inside) - p._log_prob(inside)


@_closed_form(Transformed, Transformed)
def _transformed_transformed(q: Transformed, p: Transformed) -> jax.Array:
    return _kl(q.base, p.base)


@_closed_form(VonMises, VonMises)
def _von_mises_von_mises(q: VonMises, p: VonMises) -> jax.Array:
    scaled, scaled_p = i0e(q.concentration), i0e(p.concentration)
    resultant = i1e(q.concentration) / scaled
    cosine = jnp.cos(q.loc - p.loc)
    return _directional(q, p, resultant, cosine) + jnp.log(scaled_p / scaled)


@_closed_form(VonMisesFisher, VonMisesFisher)
def _vmf_vmf(q: VonMisesFisher, p: VonMisesFisher) -> jax.Array:
    d = q.event_shape[0]
    cosine = jnp.sum(q._unit() * p._unit(), axis=-1)
    normalizers = von_mises_fisher_log_normalizer(
        p.concentration, d
    ) - von_mises_fisher_log_normalizer(q.concentration, d)
    return _directional(q, p, q._resultant(), cosine) + normalizers


def _directional(
    q: VonMises | VonMisesFisher,
    p: VonMises | VonMisesFisher,
    resultant: jax.Array,
    cosine: jax.Array,
) -> jax.Array:
    """E_q of the exponents k_q (cos - 1) - k_p (cos_p - 1), where E_q[x] = resultant mu_q."""
    return p.concentration * (1 - resultant * cosine) - q.concentration * (1 - resultant)


@_closed_form(Independent, Independent)
def _independent_independent(q: Independent, p: Independent) -> jax.Array:
    if q.reinterpreted_batch_ndims != p.reinterpreted_batch_ndims:
        raise NotImplementedError(
            "no closed form of KL between Independent distributions that reinterpret "
            f"{q.reinterpreted_batch_ndims} and {p.reinterpreted_batch_ndims} dimensions"
        )
    full = jnp.broadcast_shapes(q.base.batch_shape, p.base.batch_shape)
    return q._sum(jnp.broadcast_to(_kl(q.base, p.base), full))
