"""Results of the programs of the registry, computed once per case and dtype for many tests."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import repara as rp
from tests.distributions import programs
from tests.distributions.registry import CASES

__all__ = ["Outcome", "outcome_of", "sixteen_bit_of"]

_NAMED = {case.name: case for case in CASES}


class Outcome(NamedTuple):
    """Results of the program `draw` for one case in one dtype.

    Attributes:
      distribution: with the batched parameters: all have the full batch shape, of two or more.
      rounding: the relative error of one operation in this dtype.
      good: the draw with the case's parameters.
      rounded: the draw with these parameters rounded to bfloat16.
      with_bad_member: parameter name -> the draw with its bad value in the last batch member.
      recompilations: how many compilations followed the first draw.
    """

    distribution: rp.Distribution
    rounding: float
    good: programs.Draw
    rounded: programs.Draw
    with_bad_member: dict[str, programs.Draw]
    recompilations: int

    @property
    def members(self) -> int:
        """Returns the number of batch members."""
        return int(np.prod(self.distribution.batch_shape))


def _key() -> jax.Array:
    return jax.random.key(1)


def _as_numpy(tree: Any) -> Any:
    return jax.tree.map(np.asarray, tree)


# The tests of one case run one after another (conftest.py), so that only the last one is kept.
@functools.lru_cache(maxsize=1)
def outcome_of(name: str, dtype: str) -> Outcome:
    """Returns the outcome of the case of this name."""
    case = _NAMED[name]
    program, traces = programs.draw(case)

    def draw(parameters):
        return _as_numpy(program(jax.tree.map(jnp.asarray, parameters), _key()))

    parameters = case.batched_parameters(dtype)
    good = draw(parameters)
    compilations = len(traces)
    rounded = draw({k: v.astype(jnp.bfloat16).astype(dtype) for k, v in parameters.items()})
    with_bad_member = {name: draw(case.with_bad_member(name, dtype)) for name in case.bad}
    return Outcome(
        distribution=case.make(**parameters, **case.static),
        rounding=case.rounding(dtype),
        good=good,
        rounded=rounded,
        with_bad_member=with_bad_member,
        recompilations=len(traces) - compilations,
    )


@functools.lru_cache(maxsize=1)
def sixteen_bit_of(name: str) -> programs.SixteenBit:
    """Returns what the case gives with its parameters in bfloat16, at `outcome.rounded.sample`."""
    case = _NAMED[name]
    parameters = {
        k: jnp.asarray(v, jnp.bfloat16) for k, v in case.batched_parameters("float32").items()
    }
    value = outcome_of(name, "float32").rounded.sample
    return _as_numpy(programs.sixteen_bit(case)(parameters, _key(), value))
