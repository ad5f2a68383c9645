"""Normalizing flows: Flax modules that map features to bijectors, for `Transformed`.

The parameters of a module become leaves of the bijector that it returns, so a distribution
transformed by a flow is one pytree. Features enter as biases, which are computed once per example
and not once per sample.
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
    """A composition of planar maps.

    Attributes:
      latent_dim: D.
      num_layers: the number of planar maps.
      hidden_sizes: unused, since the parameters are affine in the features.

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
            # It starts as the identity; w is not zero, so that u has a gradient.
            u = _affine(self, f"u_{i}", h, d, nn.initializers.zeros)
            w = _affine(self, f"w_{i}", h, d, nn.initializers.lecun_normal(), _unit_length(d))
            b = _affine(self, f"b_{i}", h, 1, nn.initializers.lecun_normal())
            layers.append(Planar(u, w, b[..., 0]))
        return Chain(tuple(layers))


def _unit_length(d: int) -> Callable[..., jax.Array]:
    """Returns an initializer of vectors in a random direction, of length about one."""
    return nn.initializers.normal(1 / math.sqrt(d))


def _affine(
    module: nn.Module,
    name: str,
    h: jax.Array | None,
    size: int,
    kernel_init: Any,
    bias_init: Any = nn.initializers.zeros,
) -> jax.Array:
    """Returns an affine function of the features, [..., size], or without features a parameter."""
    if h is None:
        bias: jax.Array = module.param(name, bias_init, (size,), jnp.float32)
        return bias
    return dense(h, size, name=name, kernel_init=kernel_init, bias_init=bias_init)


def _network(
    module: nn.Module, name: str, h: jax.Array | None, sizes: Sequence[int], masks: Sequence[Any]
) -> Layers:
    """Returns dense layers of these sizes, whose first and last biases depend on the features.

    The last layer starts at zero, so every step starts as a map that does not depend on its input.
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
    """Returns the masks of MADE: a unit depends on the coordinates up to its degree.

    References:
      Germain et al. (2015), "MADE: Masked Autoencoder for Distribution Estimation", section 4,
      https://arxiv.org/abs/1502.03509
    """
    degrees = [np.arange(1, d + 1)]
    degrees += [1 + np.arange(size) % max(d - 1, 1) for size in hidden_sizes]
    masks = [b[None, :] >= a[:, None] for a, b in itertools.pairwise(degrees)]
    outputs = np.tile(degrees[0], 2)
    masks.append(outputs[None, :] > degrees[-1][:, None])
    return [m.astype(np.float32) for m in masks]


class AutoregressiveFlow(nn.Module):
    """Inverse autoregressive steps; between them the order of the coordinates is reversed.

    Attributes:
      latent_dim: D.
      num_layers: the number of steps.
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
        return _with_reversals(
            Autoregressive(_network(self, f"step_{i}", h, sizes, masks))
            for i in range(self.num_layers)
        )


def _with_reversals(steps: Any) -> Chain:
    """Returns the composition of the steps, each followed by a reversal of the coordinates."""
    chain: list[Any] = []
    for step in steps:
        chain += [step, Reverse()]
    return Chain(tuple(chain))


class CouplingFlow(nn.Module):
    """Affine couplings; between them the order of the coordinates is reversed.

    Attributes:
      latent_dim: D, at least 2.
      num_layers: the number of couplings.
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
        return _with_reversals(
            Coupling(_coupling_network(self, i, h, 2)) for i in range(self.num_layers)
        )


class SplineFlow(nn.Module):
    """Rational-quadratic spline couplings; between them the order of the coordinates is reversed.

    Attributes:
      latent_dim: D, at least 2.
      num_layers: the number of couplings.
      hidden_sizes: the widths of each coupling's network.
      num_bins: K, the number of bins of a spline.

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
        return _with_reversals(
            SplineCoupling(_coupling_network(self, i, h, 3 * self.num_bins - 1))
            for i in range(self.num_layers)
        )


def _coupling_network(
    module: Any, i: int, h: jax.Array | None, outputs_per_coordinate: int
) -> Layers:
    """Returns the network of one coupling."""
    d = module.latent_dim
    if d < 2:
        raise ValueError(f"{type(module).__name__}: latent_dim must be at least 2, got {d}")
    sizes = (d // 2, *module.hidden_sizes, outputs_per_coordinate * (d - d // 2))
    return _network(module, f"layer_{i}", h, sizes, [None] * (len(sizes) - 1))


FLOWS: dict[str, Any] = {
    "planar": PlanarFlow,
    "iaf": AutoregressiveFlow,
    "coupling": CouplingFlow,
    "spline": SplineFlow,
}
"""The flow modules by name."""
