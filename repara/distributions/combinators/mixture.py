"""Mixtures, reparameterized also in the weights."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from repara.distributions.base import Distribution, Shape
from repara.distributions.categorical import Categorical
from repara.distributions.combinators.independent import Independent
from repara.distributions.constraints import Constraint
from repara.distributions.unit_interval import on_unit_interval
from repara.special.implicit import quantile

__all__ = ["Mixture", "MixtureSameFamily"]


class MixtureSameFamily(Distribution):
    """A mixture whose components are one batch of distributions.

        q(z) = sum_k w_k q_k(z)
        F(z) = sum_k w_k F_k(z) = u,   u ~ U(0, 1)

    The sample is the quantile of the mixture, not a draw from one component, so it varies smoothly
    with the weights and has the right gradient in them. Vectors whose coordinates are independent
    within each component are drawn coordinate by coordinate,

        sum_k w_k(z_1, ..., z_{i-1}) F_ki(z_i) = u_i,   w_k(z_1, ..., z_i) ~ w_k prod_j q_kj(z_j).

    If components overlap little, the density between them is small. There the gradient of a sample
    is large, and so is its variance; any reparameterization by the quantile has it.

    Args:
      mixture: a `Categorical` of K categories, its batch shape broadcasts with that of the
        components without the last dimension.
      components: scalar distributions with cdf and icdf, or `Independent(scalar, 1)` of them; the
        last batch dimension, K, counts the components.

    Raises:
      ValueError: the numbers of components differ, or the components are neither.

    References:
      Graves (2016), "Stochastic backpropagation through mixture density distributions",
      https://arxiv.org/abs/1607.05690
      Figurnov, Mohamed and Mnih (2018), "Implicit reparameterization gradients", section 3,
      https://arxiv.org/abs/1805.08498

    Example:
      >>> from repara.distributions import Normal
      >>> weights = Categorical(logits=jnp.zeros(2))
      >>> q = MixtureSameFamily(weights, Normal(jnp.array([-1.0, 1.0]), 1.0))
      >>> gradient = jax.grad(lambda q: q.transform(0.5))(q)
      >>> [round(float(g), 4) for g in gradient.mixture.logits]
      [-0.7053, 0.7053]
    """

    mixture: Categorical
    components: Distribution
    _children: ClassVar = ("mixture", "components")
    noise_marginal = "uniform"

    def __init__(self, mixture: Categorical, components: Distribution) -> None:
        batch = components.batch_shape
        if not batch or batch[-1] != mixture.num_categories:
            raise ValueError(
                f"MixtureSameFamily: components of batch shape {batch} do not end in the "
                f"{mixture.num_categories} categories of the mixture"
            )
        vectors = isinstance(components, Independent) and len(components.event_shape) == 1
        if components.event_shape and not (vectors and not components.base.event_shape):  # type: ignore[attr-defined]
            raise ValueError(
                "MixtureSameFamily: components must be scalar distributions or Independent(scalar, "
                f"1) of them, got {type(components).__name__} with events of shape "
                f"{components.event_shape}"
            )
        jnp.broadcast_shapes(mixture.batch_shape, batch[:-1])
        self._set("mixture", mixture)
        self._set("components", components)

    @property
    def batch_shape(self) -> Shape:
        return jnp.broadcast_shapes(self.mixture.batch_shape, self.components.batch_shape[:-1])

    @property
    def event_shape(self) -> Shape:
        return self.components.event_shape

    @property
    def has_rsample(self) -> bool:
        return self.components.has_rsample

    @property
    def support(self) -> Constraint:
        inner, n = self.components.support, len(self.event_shape)
        return Constraint(
            f"{inner.name} of some component",
            lambda x: jnp.any(inner.check(_expand(x, n)), axis=-1),
            n,
        )

    def _child_ranks(self) -> Mapping[str, int]:
        return {"mixture": 0, "components": 1}

    def _transform(self, eps: jax.Array) -> jax.Array:
        log_weights = self.mixture._log_probs()
        if not self.event_shape:
            return _mixture_quantile(log_weights, self.components, eps)
        return self._coordinatewise(eps, solve=True)[0]

    def _inverse(self, z: jax.Array) -> jax.Array:
        if not self.event_shape:
            return _mixture_cdf(z, (self.mixture._log_probs(), self.components))
        return self._coordinatewise(z, solve=False)[1]

    def _coordinatewise(self, values: jax.Array, solve: bool) -> tuple[jax.Array, jax.Array]:
        """Maps noise to values, or values to noise, one coordinate after the other."""
        base, d = self.components.base, values.shape[-1]  # type: ignore[attr-defined]

        def one(
            log_weights: jax.Array, x: tuple[Any, jax.Array]
        ) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
            component, value = x
            normalized = jax.nn.log_softmax(log_weights, axis=-1)
            if solve:
                u, z = value, _mixture_quantile(normalized, component, value)
            else:
                u, z = _mixture_cdf(value, (normalized, component)), value
            return normalized + component._log_prob(z[..., None]), (z, u)

        # The scan runs over coordinates, the last dimension of every leaf.
        leading = jax.tree.map(
            lambda x: jnp.moveaxis(jnp.broadcast_to(x, (*x.shape[:-1], d)), -1, 0), base
        )
        first = self.mixture._log_probs()
        batch = jnp.broadcast_shapes(values.shape[:-1], first.shape[:-1])
        batch = jnp.broadcast_shapes(batch, *(x.shape[1:-1] for x in jax.tree.leaves(leading)))
        first = jnp.broadcast_to(first, (*batch, first.shape[-1]))
        values = jnp.broadcast_to(values, (*batch, d))
        _, (z, u) = jax.lax.scan(one, first, (leading, jnp.moveaxis(values, -1, 0)))
        return jnp.moveaxis(z, 0, -1), jnp.moveaxis(u, 0, -1)

    def _log_prob(self, z: jax.Array) -> jax.Array:
        each = self.components._log_prob(_expand(z, len(self.event_shape)))
        return _logsumexp(self.mixture._log_probs() + each)

    def _cdf(self, x: jax.Array) -> jax.Array:
        if self.event_shape:
            return super()._cdf(x)
        return _mixture_cdf(x, (self.mixture._log_probs(), self.components))

    def _icdf(self, u: jax.Array) -> jax.Array:
        if self.event_shape:
            return super()._icdf(u)
        return on_unit_interval(self._transform, u)

    def _weights(self) -> jax.Array:
        weights = self.mixture._probs()
        return weights[..., None] if self.event_shape else weights

    def _mean(self) -> jax.Array:
        axis = -1 - len(self.event_shape)
        return jnp.sum(self._weights() * self.components._mean(), axis=axis)

    def _variance(self) -> jax.Array:
        axis = -1 - len(self.event_shape)
        mean = jnp.expand_dims(self._mean(), axis)
        between = (self.components._mean() - mean) ** 2
        return jnp.sum(self._weights() * (self.components._variance() + between), axis=axis)


class _StackedComponents(Distribution):
    """Scalar distributions of any families as one batch, whose last dimension counts them."""

    parts: tuple[Distribution, ...]
    _children: ClassVar = ("parts",)
    noise_marginal = "uniform"

    @property
    def batch_shape(self) -> Shape:
        return (*jnp.broadcast_shapes(*(p.batch_shape for p in self.parts)), len(self.parts))

    @property
    def has_rsample(self) -> bool:
        return all(p.has_rsample for p in self.parts)

    @property
    def support(self) -> Constraint:
        def check(x: jax.Array) -> jax.Array:
            one = x.shape[-1] == 1
            parts = enumerate(self.parts)
            inside = [p.support.check(x[..., 0 if one else k]) for k, p in parts]
            return jnp.stack(inside, axis=-1)

        return Constraint("in the support", check)

    def _child_ranks(self) -> Mapping[str, int]:
        return {"parts": -1}

    def _each(self, values: Iterable[jax.Array]) -> jax.Array:
        return jnp.stack(jnp.broadcast_arrays(*values), axis=-1)

    def _log_prob(self, z: jax.Array) -> jax.Array:
        return self._each(p._log_prob(z[..., 0]) for p in self.parts)

    def _cdf(self, x: jax.Array) -> jax.Array:
        return self._each(p._cdf(x[..., 0]) for p in self.parts)

    def _icdf(self, u: jax.Array) -> jax.Array:
        return self._each(p._icdf(u[..., 0]) for p in self.parts)

    def _mean(self) -> jax.Array:
        return self._each(p._mean() for p in self.parts)

    def _variance(self) -> jax.Array:
        return self._each(p._variance() for p in self.parts)


class Mixture(Distribution):
    """A mixture of scalar distributions of different families.

        q(z) = sum_k w_k q_k(z)
        F(z) = sum_k w_k F_k(z) = u,   u ~ U(0, 1)

    The sample is the quantile of the mixture, as in `MixtureSameFamily`, with its gradient in the
    weights.

    Args:
      mixture: a `Categorical` of K categories.
      components: a tuple of K scalar distributions with cdf and icdf; their batch shapes broadcast
        with that of `mixture`.

    Raises:
      ValueError: the number of components is not K, one of them is not scalar, or shapes do not
        broadcast.

    References:
      Graves (2016), "Stochastic backpropagation through mixture density distributions",
      https://arxiv.org/abs/1607.05690

    Example:
      >>> from repara.distributions import Laplace, Normal
      >>> weights = Categorical(probs=jnp.array([0.25, 0.75]))
      >>> q = Mixture(weights, (Normal(0.0, 1.0), Laplace(4.0, 1.0)))
      >>> round(float(q.mean), 4)
      3.0
    """

    mixture: Categorical
    components: tuple[Distribution, ...]
    _children: ClassVar = ("mixture", "components")
    noise_marginal = "uniform"

    def __init__(self, mixture: Categorical, components: Sequence[Distribution]) -> None:
        components = tuple(components)
        if len(components) != mixture.num_categories:
            raise ValueError(
                f"Mixture: {len(components)} components for the {mixture.num_categories} "
                "categories of the mixture"
            )
        for component in components:
            if component.event_shape or not component.has_rsample:
                raise ValueError(
                    "Mixture: components must be continuous scalar distributions, got "
                    f"{type(component).__name__} with events of shape {component.event_shape}"
                )
        self._set("mixture", mixture)
        self._set("components", components)
        _ = self.batch_shape

    def _as_batch(self) -> MixtureSameFamily:
        stacked = _StackedComponents._without_checks(parts=self.components)
        return MixtureSameFamily._without_checks(mixture=self.mixture, components=stacked)

    @property
    def batch_shape(self) -> Shape:
        return self._as_batch().batch_shape

    @property
    def support(self) -> Constraint:
        return self._as_batch().support

    def _child_ranks(self) -> Mapping[str, int]:
        return {"mixture": 0, "components": 0}

    def _transform(self, eps: jax.Array) -> jax.Array:
        return self._as_batch()._transform(eps)

    def _inverse(self, z: jax.Array) -> jax.Array:
        return self._as_batch()._inverse(z)

    def _log_prob(self, z: jax.Array) -> jax.Array:
        return self._as_batch()._log_prob(z)

    def _cdf(self, x: jax.Array) -> jax.Array:
        return self._as_batch()._cdf(x)

    def _icdf(self, u: jax.Array) -> jax.Array:
        return self._as_batch()._icdf(u)

    def _mean(self) -> jax.Array:
        return self._as_batch()._mean()

    def _variance(self) -> jax.Array:
        return self._as_batch()._variance()


def _expand(x: jax.Array, event_ndims: int) -> jax.Array:
    return jnp.expand_dims(x, -1 - event_ndims)


def _logsumexp(x: jax.Array) -> jax.Array:
    """The logarithm of a sum of exponentials; -inf without a NaN gradient if all are zero."""
    empty = jnp.all(x == -jnp.inf, axis=-1, keepdims=True)
    value = jax.nn.logsumexp(jnp.where(empty, 0, x), axis=-1)
    return jnp.where(empty[..., 0], -jnp.inf, value)


def _mixture_cdf(z: jax.Array, parameters: tuple[jax.Array, Distribution]) -> jax.Array:
    log_weights, components = parameters
    return jnp.sum(jnp.exp(log_weights) * components._cdf(z[..., None]), axis=-1)


def _mixture_log_prob(z: jax.Array, parameters: tuple[jax.Array, Distribution]) -> jax.Array:
    log_weights, components = parameters
    return _logsumexp(log_weights + components._log_prob(z[..., None]))


def _mixture_quantile(log_weights: jax.Array, components: Distribution, u: jax.Array) -> jax.Array:
    # The quantile of a mixture lies between the smallest and the largest of its components.
    ends = jax.lax.stop_gradient(components._icdf(u[..., None]))
    low, high = jnp.min(ends, axis=-1), jnp.max(ends, axis=-1)
    shape = jnp.broadcast_shapes(u.shape, low.shape, log_weights.shape[:-1])
    u, low, high = (jnp.broadcast_to(x, shape) for x in (u, low, high))
    return quantile(_mixture_cdf, _mixture_log_prob, None, (log_weights, components), u, low, high)
