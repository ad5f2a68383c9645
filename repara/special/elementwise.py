"""Checks of arguments and rules of differentiation for elementwise functions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jax import Array
from jax.custom_derivatives import SymbolicZero
from jax.typing import ArrayLike

from repara._cpu import BLOCK_BYTES, elementwise_stage

__all__ = [
    "Tangent",
    "as_floats",
    "is_zero",
    "select_by_dtype",
    "tangent_sum",
    "with_forward_derivatives",
]

# The tangent of an argument in a custom rule that is made with `symbolic_zeros=True`.
Tangent = Array | SymbolicZero
Outputs = tuple[Array, ...]
T = TypeVar("T")


def as_floats(name: str, *arguments: ArrayLike) -> list[Array]:
    """Returns the arguments as arrays of one floating-point dtype and one rank.

    Axes of length 1 are put in front, so that later operations do not promote ranks. Lengths stay,
    so that what depends on a small argument alone is computed on that alone.

    Args:
      name: the name of the calling function, for the error.
      *arguments: numbers or arrays whose shapes broadcast; integers become the default float.

    Returns:
      Arrays of equal rank, float32 or float64.

    Raises:
      TypeError: the common dtype is neither float32 nor float64.
      ValueError: the shapes do not broadcast.

    Example:
      >>> [v.shape for v in as_floats("f", jnp.ones((2, 3)), jnp.ones(3), 1.0)]
      [(2, 3), (1, 3), (1, 1)]
    """
    inexact = [x for x in arguments if jnp.issubdtype(jnp.result_type(x), jnp.inexact)]
    dtype = jnp.result_type(*inexact) if inexact else jnp.result_type(float)
    if dtype not in (jnp.float32, jnp.float64):
        raise TypeError(f"{name} computes in float32 or float64, got {dtype}: cast to one of them")
    arrays = [jnp.asarray(x, dtype=dtype) for x in arguments]
    rank = len(jnp.broadcast_shapes(*(x.shape for x in arrays)))
    return [jnp.reshape(x, (1,) * (rank - x.ndim) + x.shape) for x in arrays]


def select_by_dtype(x: Array, for_float32: T, for_float64: T) -> T:
    """Returns the second argument for a float32 x and the third one for a float64 x.

    Args:
      x: an array.
      for_float32: anything, such as the coefficients of a polynomial.
      for_float64: the same for the other dtype.

    Returns:
      One of the two.

    Example:
      >>> select_by_dtype(jnp.float32(1.0), 4, 9)
      4
    """
    return for_float32 if x.dtype == jnp.float32 else for_float64


def tangent_sum(
    shape: tuple[int, ...], dtype: jnp.dtype, *pairs: tuple[Array | None, Tangent]
) -> Array:
    """Computes the sum of derivative x tangent over the tangents that are not known to be zero.

    Args:
      shape: the shape of the function's value.
      dtype: its dtype.
      *pairs: a derivative and a tangent for each argument. The derivative is not used, and may be
        None, if `is_zero` holds for the tangent.

    Returns:
      The tangent of the value.

    Example:
      >>> x = jnp.float32(2.0)
      >>> float(tangent_sum((), x.dtype, (3 * x, x), (x, x)))
      16.0
    """
    total: Array | None = None
    for derivative, tangent in pairs:
        if derivative is None or isinstance(tangent, SymbolicZero):
            continue
        term = derivative * tangent
        total = term if total is None else total + term
    if total is None:
        return jnp.zeros(shape, dtype)
    return jnp.broadcast_to(total, shape)


def is_zero(tangent: Tangent) -> bool:
    """Returns whether a tangent in a custom rule is known to be zero.

    Args:
      tangent: a tangent in a rule that is defined with `symbolic_zeros=True`.

    Returns:
      True for a symbolic zero.

    Example:
      >>> is_zero(jnp.zeros(3))
      False
    """
    return isinstance(tangent, SymbolicZero)


def with_forward_derivatives(
    f: Callable[..., Array], *, block: int | None = BLOCK_BYTES
) -> Callable[..., Array]:
    """Returns an elementwise function whose derivatives are computed together with its value.

        f_dot = sum_i df/dx_i x_i_dot

    The df/dx_i come from one forward pass through `f`. Reverse mode therefore keeps one array per
    argument instead of every step of every polynomial, and arguments that are not differentiated
    cost nothing. The df/dx_i are functions of the same kind, so derivatives of any order, in
    forward and reverse mode, consist of forward passes only.

    First derivatives in all arguments come from one loop. Higher ones are computed argument by
    argument, as all of them unrolled together would exhaust the compiler's memory.

    Args:
      f: elementwise in arguments of one rank and dtype whose shapes broadcast.
      block: bytes of each array per block on a CPU, or None for no blocks; see
        `repara._cpu.elementwise_stage`.

    Returns:
      A function with the values of `f`.

    Example:
      >>> square = with_forward_derivatives(lambda x: x * x)
      >>> float(jax.grad(square)(3.0))
      6.0
    """

    @functools.cache
    def family(orders: tuple[int, ...]) -> Callable[..., Outputs]:
        """The value and its derivatives in every subset of `orders`: 2^len(orders) outputs."""
        outputs = functools.reduce(lambda g, i: _with_derivatives(g, (i,)), orders, _as_tuple(f))

        def derivatives(active: tuple[int, ...], *xs: Array) -> list[Outputs]:
            count = 2 ** len(orders)
            return [family((*orders, i))(*xs)[count:] for i in active]

        return _custom(outputs, derivatives, None if orders else jointly, block)

    @functools.cache
    def jointly(active: tuple[int, ...]) -> Callable[..., Outputs]:
        """The value and its first derivatives in all of `active`."""

        def derivatives(moving: tuple[int, ...], *xs: Array) -> list[Outputs]:
            columns = []
            for j in moving:
                parts = [family((i, j))(*xs) for i in active]
                columns.append((parts[0][2], *(part[3] for part in parts)))
            return columns

        together = _with_derivatives(_as_tuple(f), active, at_once=block is not None)
        return _custom(together, derivatives, None, block)

    @functools.wraps(f)
    def differentiable(*xs: Array) -> Array:
        return family(())(*xs)[0]

    return differentiable


def _custom(
    f: Callable[..., Outputs],
    derivatives: Callable[..., list[Outputs]],
    jointly: Callable[[tuple[int, ...]], Callable[..., Outputs]] | None,
    block: int | None,
) -> Callable[..., Outputs]:
    """f with the derivatives `derivatives(active, *xs)`, or those from `jointly(active)`."""
    # Both are jitted. A call outside jit is then traced once per shape, not once per call; and
    # shape inference and compilation share one trace of f.
    traced = jax.jit(f)
    own = jax.custom_jvp(jax.jit(lambda *xs: elementwise_stage(traced, *xs, block=block)))

    def rule(primals: Outputs, tangents: tuple[Tangent, ...]) -> tuple[Outputs, Outputs]:
        active = tuple(i for i, tangent in enumerate(tangents) if not is_zero(tangent))
        if jointly is not None and active:
            value, *firsts = jointly(active)(*primals)
            values: Outputs = (value,)
            columns: list[Outputs] = [(first,) for first in firsts]
        else:
            values = own(*primals)
            columns = derivatives(active, *primals)
        dots = []
        for k, value in enumerate(values):
            pairs = ((column[k], tangents[i]) for column, i in zip(columns, active, strict=True))
            dots.append(tangent_sum(value.shape, value.dtype, *pairs))
        return values, tuple(dots)

    own.defjvp(rule, symbolic_zeros=True)
    return own


def _as_tuple(f: Callable[..., Array]) -> Callable[..., Outputs]:
    return lambda *xs: (jnp.broadcast_to(f(*xs), jnp.broadcast_shapes(*(x.shape for x in xs))),)


def _with_derivatives(
    f: Callable[..., Outputs], active: tuple[int, ...], *, at_once: bool = False
) -> Callable[..., Outputs]:
    """The outputs of f, then their derivatives in the first of `active`, in the second, ...

    With `at_once`, loops in f run once for all directions instead of once per direction. Without
    loops in f, the compiler itself finds what the directions share, and needs less memory for it.
    """

    def one_by_one(*xs: Array) -> Outputs:
        values: Outputs = ()
        derivatives: list[Array] = []
        for i in active:
            along = (jnp.ones_like(xs[i]),)
            values, columns = jax.jvp(lambda x, i=i: f(*xs[:i], x, *xs[i + 1 :]), (xs[i],), along)
            derivatives += columns
        return (*values, *derivatives)

    def together(*xs: Array) -> Outputs:
        moving = tuple(xs[i] for i in active)
        tangents = [
            jnp.stack([jnp.full_like(x, float(i == j)) for i in active])
            for j, x in zip(active, moving, strict=True)
        ]

        def along(*ys: Array) -> Outputs:
            new = dict(zip(active, ys, strict=True))
            return f(*(new.get(i, x) for i, x in enumerate(xs)))

        values, derivatives = jax.vmap(lambda *t: jax.jvp(along, moving, t), out_axes=(None, 0))(
            *tangents
        )
        return (*values, *(column[i] for i in range(len(active)) for column in derivatives))

    return together if at_once and len(active) > 1 else one_by_one
