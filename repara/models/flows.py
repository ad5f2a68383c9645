"""Normalizing flows: Flax modules that map features to bijectors, for `Transformed`.

A module's parameters become leaves of the bijector that it returns, so that a distribution through
a flow is one pytree. Features enter as biases, computed once an example and not once a sample.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from repara.distributions.bijectors import Chain
from repara.models.flow_steps import (
    Autoregressive,
    Coupling,
    Layers,
    Planar,
    Reverse,
    SplineCoupling,
)
from repara.models.networks import dense

__all__ = ["FLOWS", "AutoregressiveFlow", "CouplingFlow", "PlanarFlow", "SplineFlow"]


class PlanarFlow(nn.Module):
    """Planar maps, one after the other.

    Attributes:
      latent_dim: D.
      num_layers: how many.
      hidden_sizes: unused: their parameters are linear in the features.

    Example:
      >>> flow = PlanarFlow(3, 2)
      >>> h = jnp.zeros((5, 8))
      >>> flow.apply(flow.init(jax.random.key(0), h), h).forward(jnp.ones((5, 3))).shape
      (5, 3)
    """

    latent_dim: int
    num_layers: int = 4
    hidden_sizes: Sequence[int] = ()

    @nn.compact
    def __call__(self, h: jax.Array | None) -> Chain:
        """Maps features [..., F], or None, to a bijector of vectors [..., D]."""
        d = self.latent_dim
        layers = []
        for i in range(self.num_layers):
            # The identity at first; w is not zero, so that u has a gradient.
            u = _affine(self, f"u_{i}", h, d, nn.initializers.zeros)
            w = _affine(self, f"w_{i}", h, d, nn.initializers.lecun_normal(), _spread(d))
            b = _affine(self, f"b_{i}", h, 1, nn.initializers.lecun_normal())
            layers.append(Planar(u, w, b[..., 0]))
        return _chain(layers)


def _spread(d: int) -> Callable[..., jax.Array]:
    """Biases that point somewhere, of length about one."""
    return nn.initializers.normal(1 / math.sqrt(d))


def _affine(
    module: nn.Module,
    name: str,
    h: jax.Array | None,
    size: int,
    kernel_init: Any,
    bias_init: Any = nn.initializers.zeros,
) -> jax.Array:
    """An affine function of the features, [..., size]; a parameter where there are none."""
    if h is None:
        return module.param(name, bias_init, (size,), jnp.float32)
    return dense(h, size, name=name, kernel_init=kernel_init, bias_init=bias_init)


def _network(
    module: nn.Module, name: str, h: jax.Array | None, sizes: Sequence[int], masks: Sequence[Any]
) -> Layers:
    """Dense layers of these sizes, whose first and last biases are functions of the features.

    The last layer begins at zero, and with it every step begins as a constant map.
    """
    kernels, biases = [], []
    last = len(sizes) - 2
    for i, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        init = nn.initializers.zeros if i == last else nn.initializers.lecun_normal()
        kernel = module.param(f"{name}_kernel_{i}", init, (inputs, outputs), jnp.float32)
        kernels.append(kernel if masks[i] is None else kernel * masks[i])
        context = h if i in (0, last) else None
        biases.append(_affine(module, f"{name}_bias_{i}", context, outputs, init))
    return tuple(kernels), tuple(biases)


def _autoregressive_masks(d: int, hidden_sizes: Sequence[int]) -> list[np.ndarray]:
    """Germain et al. (2015), section 4: unit k sees coordinates up to its degree."""
    degrees = [np.arange(1, d + 1)]
    degrees += [1 + np.arange(size) % max(d - 1, 1) for size in hidden_sizes]
    masks = [b[None, :] >= a[:, None] for a, b in itertools.pairwise(degrees)]
    outputs = np.tile(degrees[0], 2)
    masks.append(outputs[None, :] > degrees[-1][:, None])
    return [m.astype(np.float32) for m in masks]


class AutoregressiveFlow(nn.Module):
    """Inverse autoregressive steps, the order of coordinates reversed between them.

    Attributes:
      latent_dim: D.
      num_layers: how many steps.
      hidden_sizes: the widths of each step's masked network.

    Example:
      >>> flow = AutoregressiveFlow(3, 2, (8,))
      >>> h = jnp.zeros((5, 8))
      >>> flow.apply(flow.init(jax.random.key(0), h), h).forward(jnp.ones((5, 3))).shape
      (5, 3)
    """

    latent_dim: int
    num_layers: int = 4
    hidden_sizes: Sequence[int] = (128,)

    @nn.compact
    def __call__(self, h: jax.Array | None) -> Chain:
        """Maps features [..., F], or None, to a bijector of vectors [..., D]."""
        d = self.latent_dim
        sizes, masks = (d, *self.hidden_sizes, 2 * d), _autoregressive_masks(d, self.hidden_sizes)
        return _alternate(
            Autoregressive(_network(self, f"step_{i}", h, sizes, masks))
            for i in range(self.num_layers)
        )


def _chain(bijectors: list[Any]) -> Chain:
    make: Any = Chain  # a dataclass by a decorator that a type checker does not see through
    return make(tuple(bijectors))


def _alternate(steps: Any) -> Chain:
    chain: list[Any] = []
    for step in steps:
        chain += [step, Reverse()]
    return _chain(chain)


class CouplingFlow(nn.Module):
    """Affine couplings, the order of coordinates reversed between them.

    Attributes:
      latent_dim: D, at least 2.
      num_layers: how many.
      hidden_sizes: the widths of each coupling's network.

    Example:
      >>> flow = CouplingFlow(3, 2, (8,))
      >>> h = jnp.zeros((5, 8))
      >>> flow.apply(flow.init(jax.random.key(0), h), h).forward(jnp.ones((5, 3))).shape
      (5, 3)
    """

    latent_dim: int
    num_layers: int = 4
    hidden_sizes: Sequence[int] = (128,)

    @nn.compact
    def __call__(self, h: jax.Array | None) -> Chain:
        """Maps features [..., F], or None, to a bijector of vectors [..., D]."""
        return _alternate(
            Coupling(_coupling_network(self, i, h, 2)) for i in range(self.num_layers)
        )


class SplineFlow(nn.Module):
    """Rational-quadratic spline couplings, the order of coordinates reversed between them.

    Attributes:
      latent_dim: D, at least 2.
      num_layers: how many.
      hidden_sizes: the widths of each coupling's network.
      num_bins: K, the bins of a spline.

    Example:
      >>> flow = SplineFlow(3, 2, (8,))
      >>> h = jnp.zeros((5, 8))
      >>> flow.apply(flow.init(jax.random.key(0), h), h).forward(jnp.ones((5, 3))).shape
      (5, 3)
    """

    latent_dim: int
    num_layers: int = 4
    hidden_sizes: Sequence[int] = (128,)
    num_bins: int = 8

    @nn.compact
    def __call__(self, h: jax.Array | None) -> Chain:
        """Maps features [..., F], or None, to a bijector of vectors [..., D]."""
        return _alternate(
            SplineCoupling(_coupling_network(self, i, h, 3 * self.num_bins - 1))
            for i in range(self.num_layers)
        )


def _coupling_network(module: Any, i: int, h: jax.Array | None, each: int) -> Layers:
    d = module.latent_dim
    if d < 2:
        raise ValueError(f"{type(module).__name__}: latent_dim must be at least 2, got {d}")
    sizes = (d // 2, *module.hidden_sizes, each * (d - d // 2))
    return _network(module, f"layer_{i}", h, sizes, [None] * (len(sizes) - 1))


FLOWS: dict[str, Any] = {
    "planar": PlanarFlow,
    "iaf": AutoregressiveFlow,
    "coupling": CouplingFlow,
    "spline": SplineFlow,
}
"""The flows by name."""
