"""Constraints on parameters and values: named predicates.

Predicates without a matrix factorization also work on NumPy arrays, which cost no dispatch to the
device. Concrete parameters are checked in that way.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

__all__ = [
    "Constraint",
    "at_least",
    "boolean",
    "correlation_cholesky",
    "greater_than",
    "integer_interval",
    "interval",
    "lower_cholesky",
    "nonnegative",
    "nonnegative_integer",
    "one_hot",
    "open_unit_interval",
    "positive",
    "positive_definite",
    "positive_vector",
    "real",
    "real_matrix",
    "real_vector",
    "signed_fraction",
    "simplex",
    "stability",
    "success_probability",
    "unit_interval",
    "unit_vector",
]


@dataclasses.dataclass(frozen=True)
class Constraint:
    """A named set of values.

    Attributes:
      name: the name of the set in messages, after the words "must be".
      check: maps an array `[..., *event]` to booleans `[...]`, true if the value is in the set. NaN
        is in no set.
      event_ndims: the number of trailing dimensions of one value.

    Example:
      >>> bool(positive.check(jnp.float32(-1.0)))
      False
    """

    name: str
    check: Callable[[jax.Array], jax.Array]
    event_ndims: int = 0

    def __repr__(self) -> str:
        return self.name


def _numpy_of(x: Any) -> Any:
    """NumPy for a NumPy array, otherwise jax.numpy."""
    return np if isinstance(x, np.ndarray) else jnp


def _is_nan(x: jax.Array) -> jax.Array:
    nan: jax.Array = _numpy_of(x).isnan(x)
    return nan


def _is_lower_triangular(x: jax.Array) -> jax.Array:
    triangle: jax.Array = _numpy_of(x).tril(x)
    return (x == triangle).all(axis=(-2, -1))


def _diagonal(x: jax.Array) -> jax.Array:
    diagonal: jax.Array = _numpy_of(x).diagonal(x, 0, -2, -1)
    return diagonal


def _is_lower_cholesky(x: jax.Array) -> jax.Array:
    return _is_lower_triangular(x) & (_diagonal(x) > 0).all(axis=-1)


def _is_positive_definite(x: jax.Array) -> jax.Array:
    # Upper and lower triangles that differ only by rounding count as equal.
    tolerance = 32 * jnp.finfo(x.dtype).eps * jnp.max(jnp.abs(x), axis=(-2, -1), initial=0)
    asymmetry = jnp.max(jnp.abs(x - jnp.swapaxes(x, -2, -1)), axis=(-2, -1), initial=0)
    factor = jnp.linalg.cholesky(x)
    return (asymmetry <= tolerance) & jnp.all(jnp.isfinite(factor), axis=(-2, -1))


def _is_simplex(x: jax.Array) -> jax.Array:
    # The rounding of a sum of n terms, each of which was rounded when it was normalized.
    tolerance = 8 * x.shape[-1] * jnp.finfo(x.dtype).eps
    return (x >= 0).all(axis=-1) & (abs(x.sum(axis=-1) - 1) <= tolerance)


def _is_one_hot(x: jax.Array) -> jax.Array:
    return ((x == 0) | (x == 1)).all(axis=-1) & (x.sum(axis=-1) == 1)


def _is_unit_vector(x: jax.Array) -> jax.Array:
    # The rounding of a sum of n squares and of the division by its root.
    tolerance = 8 * x.shape[-1] * jnp.finfo(x.dtype).eps
    return abs((x * x).sum(axis=-1) - 1) <= tolerance


def _is_correlation_cholesky(x: jax.Array) -> jax.Array:
    upward = (_diagonal(x) >= 0).all(axis=-1)
    return _is_lower_triangular(x) & upward & _is_unit_vector(x).all(axis=-1)


def greater_than(bound: float) -> Constraint:
    """Returns the constraint to values above `bound`, which is excluded.

    Args:
      bound: any number.

    Returns:
      The constraint.

    Example:
      >>> greater_than(2.0)
      greater than 2
    """
    return Constraint(f"greater than {bound:g}", lambda x: x > bound)


def integer_interval(low: int, high: int) -> Constraint:
    """Returns the constraint to integers from `low` to `high`, both included.

    Args:
      low: the smallest integer.
      high: the largest integer.

    Returns:
      The constraint.

    Example:
      >>> [bool(b) for b in integer_interval(0, 3).check(jnp.array([-1.0, 0.0, 2.5, 3.0]))]
      [False, True, False, True]
    """
    return Constraint(
        f"an integer from {low} to {high}",
        lambda x: (x >= low) & (x <= high) & (x == x.round()),
    )


def at_least(low: ArrayLike) -> Constraint:
    """Returns the constraint to values that are at least `low`.

    Args:
      low: a number, or an array that broadcasts with the trailing dimensions of the values.

    Returns:
      The constraint.

    Example:
      >>> [bool(b) for b in at_least(2.0).check(jnp.array([1.0, 2.0]))]
      [False, True]
    """
    return Constraint("not below its lower end", lambda x: x >= like(low, x))


def interval(low: ArrayLike, high: ArrayLike) -> Constraint:
    """Returns the constraint to the closed interval from `low` to `high`.

    Args:
      low: a number, or an array that broadcasts with the trailing dimensions of the values.
      high: the same.

    Returns:
      The constraint.

    Example:
      >>> [bool(b) for b in interval(0.0, 1.0).check(jnp.array([-1.0, 0.0, 2.0]))]
      [False, True, False]
    """
    return Constraint(
        "in the interval of its support", lambda x: (x >= like(low, x)) & (x <= like(high, x))
    )


def like(bound: ArrayLike, x: jax.Array) -> jax.Array:
    """Returns a bound with the dtype and the rank of x.

    Args:
      bound: a number, or an array that broadcasts with the trailing dimensions of x.
      x: an array.

    Returns:
      The bound, with leading dimensions of length one.

    Example:
      >>> like(2.0, jnp.zeros((3, 4))).shape
      (1, 1)
    """
    value = jnp.asarray(bound).astype(x.dtype)
    return value.reshape((1,) * (x.ndim - value.ndim) + value.shape)


simplex = Constraint("nonnegative with sum 1", _is_simplex, 1)
one_hot = Constraint("one-hot", _is_one_hot, 1)
nonnegative_integer = Constraint("a nonnegative integer", lambda x: (x >= 0) & (x == x.round()))
real = Constraint("a real number", lambda x: ~_is_nan(x))
positive = Constraint("positive", lambda x: x > 0)
nonnegative = Constraint("nonnegative", lambda x: x >= 0)
unit_interval = Constraint("in the interval [0, 1]", lambda x: (x >= 0) & (x <= 1))
open_unit_interval = Constraint("strictly between 0 and 1", lambda x: (x > 0) & (x < 1))
success_probability = Constraint("in the interval (0, 1]", lambda x: (x > 0) & (x <= 1))
signed_fraction = Constraint("in the interval [-1, 1]", lambda x: (x >= -1) & (x <= 1))
stability = Constraint("in the interval (0, 2]", lambda x: (x > 0) & (x <= 2))
boolean = Constraint("0 or 1", lambda x: (x == 0) | (x == 1))
positive_vector = Constraint("a vector of positive numbers", lambda x: (x > 0).all(axis=-1), 1)
real_vector = Constraint("a vector of real numbers", lambda x: ~_is_nan(x).any(axis=-1), 1)
lower_cholesky = Constraint("lower triangular with a positive diagonal", _is_lower_cholesky, 2)
positive_definite = Constraint("symmetric and positive definite", _is_positive_definite, 2)
real_matrix = Constraint("a matrix of real numbers", lambda x: ~_is_nan(x).any(axis=(-2, -1)), 2)
unit_vector = Constraint("a vector of length 1", _is_unit_vector, 1)
correlation_cholesky = Constraint(
    "lower triangular with rows of length 1 and a nonnegative diagonal", _is_correlation_cholesky, 2
)
