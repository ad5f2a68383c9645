"""Parameters as arrays: conversion, the check of concrete values, and NaN for traced ones."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike, DTypeLike

from repara.distributions.constraints import Constraint, real, real_matrix, real_vector

__all__ = [
    "as_float_arrays",
    "as_shape",
    "at_least_32_bits",
    "check_value",
    "first_invalid",
    "is_concrete",
    "nan_if_invalid",
]

_T = TypeVar("_T")
# Values of up to this many elements are checked with NumPy, without a dispatch to the device.
_HOST_ELEMENTS = 2**16


def as_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """Returns a sample shape as a tuple.

    Args:
      shape: a sequence of integers.

    Returns:
      The tuple.

    Raises:
      TypeError: `shape` is an integer.

    Example:
      >>> as_shape([2, 3])
      (2, 3)
    """
    if isinstance(shape, int):
        raise TypeError(
            f"shape must be a tuple of integers, got the integer {shape}: pass ({shape},)"
        )
    return tuple(shape)


def as_float_arrays(name: str, parameters: Mapping[str, ArrayLike]) -> dict[str, jax.Array]:
    """Converts parameters to arrays of one float dtype.

    Args:
      name: the distribution or bijector, for messages.
      parameters: parameter name -> number or array.

    Returns:
      Arrays of the result dtype of all parameters; integers become the default float dtype.

    Raises:
      TypeError: a parameter is a list or tuple, or not real.

    Example:
      >>> as_float_arrays("Normal", {"loc": 0, "scale": 1.5})["loc"].dtype
      dtype('float32')
    """
    for key, value in parameters.items():
        if isinstance(value, list | tuple):
            raise TypeError(
                f"{name}: {key} must be a number or an array, got a {type(value).__name__}: pass "
                "jnp.array of it"
            )
        dtype = value.dtype if hasattr(value, "dtype") else np.asarray(value).dtype
        if not (jnp.issubdtype(dtype, jnp.floating) or jnp.issubdtype(dtype, jnp.integer)):
            raise TypeError(
                f"{name}: {key} must be a real number or an array of them, got {dtype} {value!r}"
            )
    with jax.numpy_dtype_promotion("standard"):
        dtype = jnp.result_type(float, *parameters.values())
    # Under jit, too, what is concrete stays so, and can be checked.
    return {k: _eagerly(lambda x: _cast(x, dtype), v) for k, v in parameters.items()}


def _cast(x: Any, dtype: DTypeLike) -> jax.Array:
    # An array that needs no conversion stays the same object: distributions may share it.
    if isinstance(x, jax.Array) and x.dtype == dtype and not x.weak_type:
        return x
    return jnp.asarray(x).astype(dtype)


def _eagerly(function: Callable[[Any], _T], value: Any) -> _T:
    if isinstance(value, jax.core.Tracer):
        return function(value)
    with jax.ensure_compile_time_eval():
        return function(value)


def at_least_32_bits(dtype: DTypeLike) -> jnp.dtype:
    """Returns the dtype of computation: float32 for 16-bit dtypes, otherwise `dtype`.

    Args:
      dtype: a float dtype.

    Returns:
      A float dtype of 32 or 64 bits.

    Example:
      >>> at_least_32_bits(jnp.bfloat16)
      dtype('float32')
    """
    return jnp.dtype(dtype) if jnp.finfo(dtype).bits >= 32 else jnp.dtype(jnp.float32)


def is_concrete(value: Any) -> bool:
    """Returns whether a value is an array whose elements this process can read now.

    Args:
      value: anything; leaves of a pytree may be objects that are not arrays.

    Returns:
      False for a traced array, for one of which other hosts have a part, and for what is no array.

    Example:
      >>> is_concrete(jnp.zeros(3)), is_concrete(None)
      (True, False)
    """
    if isinstance(value, jax.core.Tracer):
        return False
    if isinstance(value, jax.Array):
        return value.is_fully_addressable
    return isinstance(value, np.ndarray)


def check_value(name: str, key: str, value: Any, constraint: Constraint, *, hint: str = "") -> None:
    """Raises for a concrete value out of range; a traced one becomes NaN later.

    Args:
      name: the distribution or bijector.
      key: the parameter.
      value: its value.
      constraint: what it must be.
      hint: text for the end of the message.

    Raises:
      ValueError: the value is concrete and out of range.

    Example:
      >>> check_value("Normal", "scale", jnp.float32(-1.0), real)
    """
    if not is_concrete(value):
        return
    dtype = at_least_32_bits(value.dtype)
    if value.size <= _HOST_ELEMENTS:
        host: Any = np.asarray(value).astype(dtype, copy=False)
        with np.errstate(all="ignore"), jax.ensure_compile_time_eval():
            valid = np.asarray(constraint.check(host))
    else:
        valid = np.asarray(_eagerly(constraint.check, value.astype(dtype)))
    if not valid.all():
        message = first_invalid(valid, np.asarray(value))
        raise ValueError(f"{name}: {key} must be {constraint.name}, {message}{hint}")


def first_invalid(valid: np.ndarray, value: np.ndarray) -> str:
    """Describes the first invalid element of a value.

    Args:
      valid: booleans, of the shape of the value without its event dimensions; not all are true.
      value: the value.

    Returns:
      "got <element>", with its index unless the value has no batch dimensions.

    Example:
      >>> first_invalid(np.array([True, False]), np.array([1.0, -2.0]))
      'got -2.0 at index (1,)'
    """
    index = tuple(int(i) for i in np.unravel_index(np.argmin(valid), valid.shape))
    where = f" at index {index}" if index else ""
    return f"got {value[index].tolist()}{where}"


def nan_if_invalid(value: jax.Array, constraint: Constraint) -> jax.Array:
    """Returns a value with NaN in place of each element that violates a constraint.

    Args:
      value: the value, `[..., *event]`.
      constraint: what it must be.

    Returns:
      The value; both it and its derivative are NaN if the constraint is violated.

    Example:
      >>> from repara.distributions.constraints import positive
      >>> nan_if_invalid(jnp.array([1.0, -1.0]), positive).tolist()
      [1.0, nan]
    """
    if constraint in (real, real_vector, real_matrix):
        return value  # only NaN violates them, and NaN needs no help
    # A product, not a selection: the derivative of the NaN must be NaN too.
    factor = jnp.where(constraint.check(value), 1.0, jnp.nan).astype(value.dtype)
    return value * factor.reshape(factor.shape + (1,) * constraint.event_ndims)
