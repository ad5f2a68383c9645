"""One case of the registry of distributions."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

import repara as rp


class Case(NamedTuple):
    """One family at one setting.

    Attributes:
      name: what the test report calls it.
      family: the class.
      make: builds the distribution from keyword parameters.
      parameters: float64 arrays or numbers.
      bad: parameter name -> a value that it must refuse.
      reference: a frozen scipy distribution for a scalar family with scalar parameters, else None.
      static: keyword arguments of `make` that are not arrays.
      moments: how many of mean and variance have finite Monte Carlo error at this setting.
      condition: by how much rounding is magnified beyond what the slopes of the functions tell.
      reference_error: the relative error of the reference itself, where it is above 1e-12.
      accuracy: the relative error in float64 that the special functions behind it state, where it
        is above the rounding of float64.
      density: whether it has a `log_prob`.
      slow: whether its programs take more than ten seconds to compile; see conftest.py.
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
    density: bool = True
    slow: bool = False

    @property
    def wrapped(self) -> bool:
        """Whether the errors of its parameters come from a distribution inside it."""
        return bool({"base", "components"} & set(self.family._children))

    def rounding(self, dtype: Any) -> float:
        """The relative error of one operation: of float arithmetic, or of what it is made of."""
        return max(float(np.finfo(dtype).eps), self.accuracy)

    def build(self, dtype: Any = None) -> rp.Distribution:
        parameters = {k: np.asarray(v, dtype or "float32") for k, v in self.parameters.items()}
        return self.make(**parameters, **self.static)
