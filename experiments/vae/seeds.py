"""Several seeds at once: functions of one seed mapped over all of them."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from experiments.harness.runs import RunKeys, run_keys

__all__ = ["Seeds"]


@dataclasses.dataclass(frozen=True)
class Seeds:
    """The seeds of a run. With a single seed nothing is mapped and no axis is added.

    Attributes:
      first: the first seed.
      count: the number of seeds; they are consecutive.
    """

    first: int
    count: int

    def keys(self) -> RunKeys:
        """Returns the keys of each seed, [S]: those of a run with this seed alone."""
        return jax.vmap(run_keys)(self.first + jnp.arange(self.count))

    def map(self, function: Callable[[jax.Array], Any]) -> Callable[[jax.Array], Any]:
        """Returns a function of one key as a function of `argument(keys)`."""
        return function if self.count == 1 else jax.jit(jax.vmap(function))

    def map_epoch(self, epoch: Any) -> Any:
        """Returns an epoch `(state, data, key)` mapped over states and keys."""
        if self.count == 1:
            return epoch
        return jax.jit(jax.vmap(epoch, in_axes=(0, None, 0)), donate_argnums=0)

    def argument(self, keys: jax.Array) -> jax.Array:
        """Returns the keys, [S], as mapped functions take them."""
        return keys[0] if self.count == 1 else keys

    def separate(self, tree: Any) -> list[Any]:
        """Returns the results of a mapped function, one per seed."""
        if self.count == 1:
            return [tree]
        return [jax.tree.map(lambda x, i=i: x[i], tree) for i in range(self.count)]
