"""What the elementwise functions share: argument checks, derivatives, one loop for the outputs."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jax import Array
from jax.custom_derivatives import SymbolicZero
from jax.typing import ArrayLike

from repara._apart import apart

Tangent = Array | SymbolicZero
Outputs = tuple[Array, ...]
T = TypeVar("T")

# Bytes of each array at a time on a CPU, so that some of them stay in a core's cache. From a
# quarter of it on, times differ little; at once, some functions of many loops take up to twice the
# time, and 30 to 140 arrays of a million where 6 to 14 do.
BLOCK = 1 << 19


def as_floats(name: str, *arguments: ArrayLike) -> list[Array]:
    """The arguments as arrays of one floating-point dtype and one rank, ready to broadcast.

    Axes of length 1 are put in front, so that no rank is promoted later on; lengths stay, so that
    what depends on a small argument alone is computed on that alone.

    Args:
        name: The calling function, for the error.
        *arguments: Numbers or arrays whose shapes broadcast; integers become the default float.

    Returns:
        Arrays of equal rank, float32 or float64.

    Raises:
        TypeError: If the common dtype is not float32 or float64.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> [v.shape for v in as_floats("f", jnp.ones((2, 3)), jnp.ones(3), 1.0)]
        [(2, 3), (1, 3), (1, 1)]
    """
    inexact = [x for x in arguments if jnp.issubdtype(jnp.result_type(x), jnp.inexact)]
    dtype = jnp.result_type(*inexact) if inexact else jnp.result_type(float)
    if dtype not in (jnp.float32, jnp.float64):
        raise TypeError(f"{name} computes in float32 or float64, got {dtype}; cast to one of them.")
    arrays = [jnp.asarray(x, dtype=dtype) for x in arguments]
    rank = len(jnp.broadcast_shapes(*(x.shape for x in arrays)))
    return [jnp.reshape(x, (1,) * (rank - x.ndim) + x.shape) for x in arrays]


def tangent_sum(
    shape: tuple[int, ...], dtype: jnp.dtype, *pairs: tuple[Array | None, Tangent]
) -> Array:
    """Sum of derivative x tangent over the arguments whose tangent is not known to be zero.

    Args:
        shape: The shape of the function's value.
        dtype: Its dtype.
        *pairs: A derivative and a tangent for each argument. The derivative is not used, and may be
            None, where `is_zero` says that the tangent is.

    Returns:
        The tangent of the value.
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
    """Whether a tangent in a custom rule (`symbolic_zeros=True`) is known to be zero."""
    return isinstance(tangent, SymbolicZero)


def with_forward_derivatives(
    f: Callable[..., Array], *, block: int | None = BLOCK
) -> Callable[..., Array]:
    """Makes the derivatives of an elementwise function coefficients computed beside its value.

    The tangent is sum_i df/dx_i x_dot_i with df/dx_i from one forward pass through `f`; so backward
    differentiation keeps one array an argument, not every step of every polynomial, and arguments
    that are not differentiated cost nothing. The coefficients are such functions themselves, so
    that derivatives of any order, forward and backward, are made of forward passes only. First
    derivatives in all arguments come from one loop; higher ones argument by argument, as the
    unrolled steps of all of them together are too many for the compiler's memory.

    Args:
        f: Elementwise in arguments of one rank and dtype whose shapes broadcast.
        block: As in `isolated`.

    Returns:
        A function like `f`.
    """

    @functools.cache
    def family(orders: tuple[int, ...]) -> Callable[..., Outputs]:
        """The value and its derivatives in every subset of `orders`, as 2^len(orders) outputs."""
        outputs = functools.reduce(lambda g, i: _with_slopes(g, (i,)), orders, _as_tuple(f))

        def slopes(active: tuple[int, ...], *xs: Array) -> list[Outputs]:
            count = 2 ** len(orders)
            return [family((*orders, i))(*xs)[count:] for i in active]

        return _custom(outputs, slopes, None if orders else jointly, block)

    @functools.cache
    def jointly(active: tuple[int, ...]) -> Callable[..., Outputs]:
        """The value and its first derivatives in all of `active`."""

        def slopes(moving: tuple[int, ...], *xs: Array) -> list[Outputs]:
            columns = []
            for j in moving:
                parts = [family((i, j))(*xs) for i in active]
                columns.append((parts[0][2], *(part[3] for part in parts)))
            return columns

        together = _with_slopes(_as_tuple(f), active, at_once=block is not None)
        return _custom(together, slopes, None, block)

    return lambda *xs: family(())(*xs)[0]


def _custom(
    f: Callable[..., Outputs],
    slopes: Callable[..., list[Outputs]],
    jointly: Callable[[tuple[int, ...]], Callable[..., Outputs]] | None,
    block: int | None,
) -> Callable[..., Outputs]:
    """A copy of f whose derivatives are `slopes(active, *xs)`, or come from `jointly(active)`."""
    # Compiled as such, so that a call outside jit is traced once a shape and not once a call; f
    # itself, so that what asks for its shapes and what compiles it trace it once together.
    traced = jax.jit(f)
    own = jax.custom_jvp(jax.jit(lambda *xs: isolated(traced, *xs, block=block)))

    def rule(primals: Outputs, tangents: tuple[Tangent, ...]) -> tuple[Outputs, Outputs]:
        active = tuple(i for i, tangent in enumerate(tangents) if not is_zero(tangent))
        if jointly is not None and active:
            value, *found = jointly(active)(*primals)
            values: Outputs = (value,)
            columns: list[Outputs] = [(slope,) for slope in found]
        else:
            values = own(*primals)
            columns = slopes(active, *primals)
        dots = []
        for k, value in enumerate(values):
            pairs = ((column[k], tangents[i]) for column, i in zip(columns, active, strict=True))
            dots.append(tangent_sum(value.shape, value.dtype, *pairs))
        return values, tuple(dots)

    own.defjvp(rule, symbolic_zeros=True)
    return own


def _as_tuple(f: Callable[..., Array]) -> Callable[..., Outputs]:
    return lambda *xs: (jnp.broadcast_to(f(*xs), jnp.broadcast_shapes(*(x.shape for x in xs))),)


def _with_slopes(
    f: Callable[..., Outputs], active: tuple[int, ...], *, at_once: bool = False
) -> Callable[..., Outputs]:
    """The outputs of f, then their derivatives in the first of `active`, in the second, ...

    Directions at once run a loop in f once, where it would run once a direction; without loops the
    compiler itself finds what directions have in common, and takes less memory for it.
    """

    def one_by_one(*xs: Array) -> Outputs:
        values: Outputs = ()
        slopes: list[Array] = []
        for i in active:
            along = (jnp.ones_like(xs[i]),)
            values, slope = jax.jvp(lambda x, i=i: f(*xs[:i], x, *xs[i + 1 :]), (xs[i],), along)
            slopes += slope
        return (*values, *slopes)

    def together(*xs: Array) -> Outputs:
        moving = tuple(xs[i] for i in active)
        tangents = [
            jnp.stack([jnp.full_like(x, float(i == j)) for i in active])
            for j, x in zip(active, moving, strict=True)
        ]

        def along(*ys: Array) -> Outputs:
            new = dict(zip(active, ys, strict=True))
            return f(*(new.get(i, x) for i, x in enumerate(xs)))

        values, slopes = jax.vmap(lambda *t: jax.jvp(along, moving, t), out_axes=(None, 0))(
            *tangents
        )
        return (*values, *(slope[i] for i in range(len(active)) for slope in slopes))

    return together if at_once and len(active) > 1 else one_by_one


def isolated(
    f: Callable[..., tuple[Array, ...]], *arguments: Array, block: int | None = None
) -> tuple[Array, ...]:
    """f(*arguments), compiled on a CPU apart from what makes its arguments and uses its results.

    XLA on a CPU makes a loop for every array that leaves a fused computation and evaluates again in
    each whatever it counts as cheap: long polynomials several times, normal noise in each loop that
    reads it; measured, two to four times the work. Two things stop it: a conditional (`apart`), and
    two real arrays that leave as one complex array leave from one loop. Other platforms fuse
    several outputs and need neither.

    Arrays are also made one-dimensional: a last axis of a few elements would keep the loops from
    using vectors. Where an argument's sharding is part of its type that would lose it, and f is
    called as it is.

    Args:
        f: Elementwise, to real arrays of the arguments' broadcast shape and of one dtype.
        *arguments: Arrays.
        block: On a CPU, how many bytes of each array at a time, so that what f makes on its way
            stays in the cache: for an f of many loops. None for all at once.

    Returns:
        What f returns.
    """
    shape = jax.eval_shape(f, *arguments)[0].shape
    if math.prod(shape) < 2 or any(map(_sharded, arguments)):
        return f(*arguments)

    def flat(x: Array) -> Array:
        return x.reshape(1) if x.size == 1 else jnp.broadcast_to(x, shape).reshape(-1)

    def on_cpu(*arrays: Array) -> tuple[Array, ...]:
        xs = [flat(x) for x in arrays]
        count = block and block // xs[0].dtype.itemsize
        if count is None or max(x.size for x in xs) <= count:
            results = _in_pairs(f, *xs)
        else:
            results = _in_blocks(f, count, *xs)
        return tuple(x.reshape(shape) for x in results)

    return jax.lax.platform_dependent(*arguments, cpu=on_cpu, default=f)


def _in_pairs(f: Callable[..., tuple[Array, ...]], *xs: Array) -> tuple[Array, ...]:
    """f apart, two of its results at a time as one complex array."""

    def packed(*xs: Array) -> tuple[Array, ...]:
        outputs = f(*xs)
        pairs = zip(outputs[0::2], outputs[1::2], strict=False)
        return (*(jax.lax.complex(*pair) for pair in pairs), *outputs[len(outputs) // 2 * 2 :])

    parts: list[Array] = []
    for x in apart(packed, *xs):
        parts += [jax.lax.real(x), jax.lax.imag(x)] if jnp.iscomplexobj(x) else [x]
    return tuple(parts)


def _in_blocks(f: Callable[..., tuple[Array, ...]], block: int, *xs: Array) -> tuple[Array, ...]:
    """f of one-dimensional arrays of one length, or of length 1, a block after the other.

    Results are written over the arguments, block by block: no other array of their length is held,
    and none is filled with zeros to start from, where there are as many arguments as results.
    """
    size = max(x.size for x in xs)
    least = -(-size // block)
    # Somewhat shorter blocks, if those are of one length: without copies that are padded.
    count = next((n for n in range(least, 2 * least) if size % n == 0), least)
    block = -(-size // count)

    def cut(x: Array) -> Array:
        return jnp.pad(x, (0, count * block - size), mode="edge").reshape(count, block)

    def one(*long: Array) -> tuple[Array, ...]:
        parts = iter(long)
        return _in_pairs(f, *(x if x.size == 1 else next(parts) for x in xs))

    arguments = [cut(x) for x in xs if x.size > 1]
    results = jax.eval_shape(one, *(x[0] for x in arguments))
    more = [jnp.zeros((count, block), x.dtype) for x in results[len(arguments) :]]

    def body(i: Array, held: list[Array]) -> list[Array]:
        found = one(*(x[i] for x in held[: len(arguments)]))
        written = [x.at[i].set(value) for x, value in zip(held, found, strict=False)]
        return written + held[len(written) :]

    done = jax.lax.fori_loop(0, count, body, [*arguments, *more])
    return tuple(x.reshape(-1)[:size] for x in done[: len(results)])


def _sharded(x: Array) -> bool:
    return any(axis is not None for axis in jax.typeof(x).sharding.spec)


def select_by_dtype(x: Array, single: T, double: T) -> T:
    """`single` for a float32 x, `double` for a float64 one."""
    return single if x.dtype == jnp.float32 else double
