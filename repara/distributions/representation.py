"""Short representations: the value of a scalar, the dtype and shape of an array."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import jax
import numpy as np

__all__ = ["describe", "describe_fields"]

# The number of elements of a tuple, list or dictionary that are shown.
_MAX_ELEMENTS = 3


def describe(value: Any) -> str:
    """Returns a short text for a value of any type.

    Args:
      value: an array, a distribution, a bijector, a container of them, or anything else.

    Returns:
      The value of an array with one element, `dtype[shape]` of any other array, the first
      elements of a container, and otherwise `repr(value)`.

    Example:
      >>> describe((jax.numpy.ones((3, 4)), jax.numpy.float32(0.5)))
      '(float32[3,4], 0.5)'
    """
    if isinstance(value, jax.core.Tracer):
        return _dtype_and_shape(value)
    if isinstance(value, (jax.Array, np.ndarray)) and value.size == 1:
        return f"{value.reshape(())}"
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return _dtype_and_shape(value)
    if isinstance(value, dict):
        return f"{{{_first(f'{k!r}: {describe(v)}' for k, v in value.items())}}}"
    if type(value) is list:
        return f"[{_first(map(describe, value))}]"
    if type(value) is tuple:
        return f"({_first(map(describe, value))}{',' if len(value) == 1 else ''})"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return describe_fields(value, [field.name for field in dataclasses.fields(value)])
    return repr(value)


def describe_fields(instance: Any, names: Iterable[str]) -> str:
    """Returns the name of an instance's class with short texts for some of its attributes.

    Args:
      instance: any object.
      names: the attributes to show.

    Returns:
      `Class(name=text, ...)`.

    Example:
      >>> describe_fields(slice(1, 2), ["start", "stop"])
      'slice(start=1, stop=2)'
    """
    inside = ", ".join(f"{name}={describe(getattr(instance, name))}" for name in names)
    return f"{type(instance).__name__}({inside})"


def _dtype_and_shape(value: Any) -> str:
    return f"{value.dtype}[{','.join(str(n) for n in value.shape)}]"


def _first(texts: Iterable[str]) -> str:
    """The first texts, and how many there are if that is not all of them."""
    texts = list(texts)
    shown = texts if len(texts) <= _MAX_ELEMENTS + 1 else texts[:_MAX_ELEMENTS]
    more = [] if len(shown) == len(texts) else [f"... {len(texts) - len(shown)} more"]
    return ", ".join([*shown, *more])
