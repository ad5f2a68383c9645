"""The distributions of the benchmark, and their samplers in each library."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

import repara as rp

__all__ = ["FAMILIES", "Family", "Sampler", "TorchDistribution", "draw_parameters"]

Sampler = Callable[..., Any]
"""(key, *parameters) -> samples of the parameters' shape."""


class TorchDistribution(NamedTuple):
    """A distribution of PyTorch with some parameters fixed.

    Attributes:
      name: the name of the class in `torch.distributions`.
      first: fixed parameters before the others.
      last: fixed parameters after the others.
    """

    name: str
    first: tuple[float, ...] = ()
    last: tuple[float, ...] = ()


class Family(NamedTuple):
    """A distribution: the range of its parameters, and its sampler in each library.

    Attributes:
      parameters: the range of each parameter, which is drawn log-uniformly from it.
      event: the length of the last axis of parameter and sample; 0 if they are scalars.
      samplers: library -> sampler in jax; libraries that do not have it are left out.
      torch: the distribution in PyTorch.
      no_gradient: libraries whose samples have no gradient in the parameters.
    """

    parameters: tuple[tuple[float, float], ...]
    event: int
    samplers: Mapping[str, Sampler]
    torch: TorchDistribution
    no_gradient: tuple[str, ...] = ()


def _laplace(key: Array, loc: Array, scale: Array) -> Array:
    return loc + scale * jax.random.laplace(key, loc.shape, loc.dtype)


def _gumbel(key: Array, loc: Array, scale: Array) -> Array:
    return loc + scale * jax.random.gumbel(key, loc.shape, loc.dtype)


def _normal(key: Array, loc: Array, scale: Array) -> Array:
    return loc + scale * jax.random.normal(key, loc.shape, loc.dtype)


def _tfp(name: str, first: Sequence[float], last: Sequence[float]) -> Sampler:
    def sample(key: Array, *parameters: Array) -> Array:
        from tensorflow_probability.substrates.jax import distributions

        before, after = (
            [jnp.asarray(v, parameters[0].dtype) for v in values] for values in (first, last)
        )
        return getattr(distributions, name)(*before, *parameters, *after).sample(seed=key)

    return sample


def _numpyro(name: str, first: Sequence[float]) -> Sampler:
    def sample(key: Array, *parameters: Array) -> Array:
        from numpyro import distributions

        before = [jnp.asarray(v, parameters[0].dtype) for v in first]
        return getattr(distributions, name)(*before, *parameters, validate_args=False).sample(key)

    return sample


def _family(
    name: str,
    parameters: Sequence[tuple[float, float]],
    ours: Sampler,
    jax_random: Sampler | None,
    *,
    event: int = 0,
    first: tuple[float, ...] = (),
    tfp_last: tuple[float, ...] = (),
    torch_last: tuple[float, ...] = (),
    no_gradient: tuple[str, ...] = (),
) -> Family:
    """Returns a family that has the same name in all other libraries.

    `first` are fixed parameters before the others; `tfp_last` and `torch_last` are those after
    them, for libraries without a default value.
    """
    samplers = {
        "ours": ours,
        "tfp": _tfp(name, first, tfp_last),
        "numpyro": _numpyro(name, first),
    }
    if jax_random is not None:
        samplers["jax.random"] = jax_random
    torch = TorchDistribution(name, first, torch_last)
    return Family(tuple(parameters), event, samplers, torch, no_gradient)


_RANGE = (0.1, 10.0)
FAMILIES = {
    "Gamma": _family(
        "Gamma", [_RANGE], lambda k, a: rp.Gamma(a, 1.0).rsample(k), jax.random.gamma,
        tfp_last=(1.0,), torch_last=(1.0,),
    ),
    "Beta": _family(
        "Beta", [_RANGE, _RANGE], lambda k, a, b: rp.Beta(a, b).rsample(k), jax.random.beta
    ),
    "Dirichlet": _family(
        "Dirichlet", [_RANGE], lambda k, a: rp.Dirichlet(a).rsample(k), jax.random.dirichlet,
        event=10,
    ),
    "StudentT": _family(
        "StudentT", [(0.5, 50.0)], lambda k, df: rp.StudentT(df, 0.0, 1.0).rsample(k),
        jax.random.t, tfp_last=(0.0, 1.0),
    ),
    # The location only shifts the samples: it is fixed at 0.
    "VonMises": _family(
        "VonMises", [_RANGE], lambda k, c: rp.VonMises(0.0, c).rsample(k), None,
        first=(0.0,), no_gradient=("torch", "numpyro"),
    ),
    "Normal": _family(
        "Normal", [_RANGE, _RANGE], lambda k, m, s: rp.Normal(m, s).rsample(k), _normal
    ),
    "Laplace": _family(
        "Laplace", [_RANGE, _RANGE], lambda k, m, s: rp.Laplace(m, s).rsample(k), _laplace
    ),
    "Gumbel": _family(
        "Gumbel", [_RANGE, _RANGE], lambda k, m, s: rp.Gumbel(m, s).rsample(k), _gumbel
    ),
}  # fmt: skip


def draw_parameters(family: Family, samples: int, dtype: str) -> list[np.ndarray]:
    """Draws the parameters of a family, one set per sample.

    Args:
      family: the family.
      samples: the number of variates.
      dtype: the dtype of the parameters.

    Returns:
      One array per parameter, [samples] or [samples // event, event].
    """
    rng = np.random.default_rng(0)
    shape = (samples // family.event, family.event) if family.event else (samples,)
    return [
        np.exp(rng.uniform(np.log(low), np.log(high), shape)).astype(dtype)
        for low, high in family.parameters
    ]
