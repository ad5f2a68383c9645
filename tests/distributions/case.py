"""One case of the registry of distributions."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

import repara as rp

__all__ = ["Case"]


class Case(NamedTuple):
    """One family with one setting of its parameters.

    Attributes:
      name: the test's id; cases of one family begin with the same word.
      family: the class.
      make: builds the distribution from keyword parameters.
      parameters: float64 arrays or numbers.
      bad: parameter name -> a value for one batch member that the parameter must refuse.
      reference: a frozen scipy distribution for a scalar family with scalar parameters, or None.
      static: keyword arguments of `make` that are not arrays.
      moments: 2 if the Monte Carlo errors of mean and variance are finite, 1 if only that of the
        mean is, 0 if neither is.
      condition: the factor by which rounding is magnified beyond what the derivatives say.
      reference_error: the relative error of the reference itself, if it exceeds 1e-12.
      accuracy: the relative error in float64 that the special functions behind it state, if it
        exceeds the rounding of float64.
      units: the units in the last place by which two compiled programs of one sample may differ.
      density: whether it has a `log_prob`.
      slow: whether its programs take more than ten seconds to compile; see conftest.py.
      event_ranks: parameter name -> how many of its dimensions belong to one batch member, for
        parameters that are not in `family.arg_constraints`; 0 if absent.
    """

    name: str
    family: type
    make: Callable[..., rp.Distribution]
    parameters: dict[str, Any]
    bad: dict[str, Any]
    reference: Any = None
    static: Mapping[str, Any] = MappingProxyType({})
    moments: int = 2
    condition: float = 1.0
    reference_error: float = 0.0
    accuracy: float = 0.0
    units: float = 2.0
    density: bool = True
    slow: bool = False
    event_ranks: Mapping[str, int] = MappingProxyType({})

    @property
    def is_wrapped(self) -> bool:
        """Returns whether the errors of its parameters come from a distribution inside it."""
        return bool({"base", "components"} & set(self.family._children))

    @property
    def is_converted(self) -> bool:
        """Returns whether the constructor computes its parameters from those of the case."""
        return not self.is_wrapped and not set(self.parameters) <= set(
            self.family.arg_constraints  # type: ignore[attr-defined]
        )

    @property
    def location(self) -> float:
        """Returns the size of the terms of which a sample may be the small difference."""
        ends = [self.parameters.get(name, 0.0) for name in ("loc", "low")]
        return max(float(np.abs(np.asarray(end, "float64")).max()) for end in ends)

    def rounding(self, dtype: Any) -> float:
        """Returns the relative error of one operation: of arithmetic or of a special function."""
        return max(float(np.finfo(dtype).eps), self.accuracy)

    def build(self, dtype: Any = None) -> rp.Distribution:
        """Builds the distribution; in float32 unless `dtype` is given."""
        parameters = {k: np.asarray(v, dtype or "float32") for k, v in self.parameters.items()}
        return self.make(**parameters, **self.static)

    def batched_parameters(self, dtype: Any) -> dict[str, np.ndarray]:
        """Returns parameters that all have the full batch shape, of at least two members."""
        batch = self.build().batch_shape
        batch = batch if np.prod(batch, dtype=int) > 1 else (2, *batch)
        parameters = {k: np.asarray(v, dtype) for k, v in self.parameters.items()}
        return {
            k: np.broadcast_to(v, batch + v.shape[v.ndim - self._event_rank(k) :]).copy()
            for k, v in parameters.items()
        }

    def with_bad_member(self, name: str, dtype: Any) -> dict[str, np.ndarray]:
        """Returns `batched_parameters` with the bad value of `name` in the last batch member."""
        parameters = self.batched_parameters(dtype)
        value = parameters[name]
        last = (-1,) * (value.ndim - self._event_rank(name))
        value[last] = np.asarray(self.bad[name], dtype)
        return parameters

    def _event_rank(self, name: str) -> int:
        constraint = self.family.arg_constraints.get(name)  # type: ignore[attr-defined]
        return self.event_ranks.get(name, 0) if constraint is None else constraint.event_ndims
