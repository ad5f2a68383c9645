"""Sources of noise: i.i.d., antithetic, stratified and scrambled Sobol.

A *source* is a function

    source(key, shape, noise_shape, marginal, dtype) -> eps

It draws `prod(shape)` points of shape `noise_shape`. Every coordinate of a point has the requested
marginal distribution: standard normal, or uniform on the open unit interval. The sources differ
only in the dependence between points. Each of them therefore works with the transform of every
distribution, and estimates of `E[f(transform(eps))]` stay unbiased. Fixed noise (common random
numbers) needs no source: draw it once and pass it to `transform`.

Some gradient estimators need independent points. A source of your own whose points are independent
says so with an attribute: `source.independent = True`.
"""

import functools
import math
from collections.abc import Sequence
from typing import Literal, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import ndtri
from jax.typing import DTypeLike

from repara._bits import bits
from repara._cpu import compile_separately

# The distribution of each coordinate of the noise.
Marginal = Literal["normal", "uniform"]
Shape = Sequence[int]

__all__ = [
    "Marginal",
    "Source",
    "antithetic",
    "check_key",
    "draws_independently",
    "iid",
    "open_uniform",
    "sobol",
    "stratified",
]


class Source(Protocol):
    """The type of a source of noise, such as `iid`; see the module docstring."""

    def __call__(
        self, key: jax.Array, shape: Shape, noise_shape: Shape, marginal: Marginal, dtype: DTypeLike
    ) -> jax.Array:
        """Draws noise of shape `shape + noise_shape`; consumes the key."""
        ...


def check_key(key: jax.Array) -> None:
    """Raises an error unless `key` is one typed jax key.

    Args:
      key: an argument that should be a key.

    Raises:
      TypeError: `key` is an integer, a raw `uint32` key, an array of keys, or anything else. The
        message says what to pass.

    Example:
      >>> check_key(jax.random.key(0))
    """
    dtype = getattr(key, "dtype", None)
    if dtype is None or not jnp.issubdtype(dtype, jax.dtypes.prng_key):
        given = f"the integer {key}" if isinstance(key, int) else _describe(key)
        raise TypeError(
            f"expected a typed jax key, got {given}: pass jax.random.key(seed), "
            "or jax.random.wrap_key_data(raw) for a raw key"
        )
    if key.shape:
        raise TypeError(
            f"expected one key, got an array of keys of shape {key.shape}: "
            "pass one of them, or use jax.vmap"
        )


def _describe(value: object) -> str:
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    return type(value).__name__ if dtype is None else f"an array {dtype}{list(shape or ())}"


def open_uniform(key: jax.Array, shape: Shape, dtype: DTypeLike) -> jax.Array:
    """Draws independent uniform numbers in the open unit interval.

        u = (k + 1/2) / 2^m,  k uniform in 0, ..., 2^m - 1

    They are never 0 or 1, and 1 - u is exact and on the same grid.

    Args:
      key: a typed key; consumed.
      shape: the shape of the result.
      dtype: float32 or float64; m is 23 or 52.

    Returns:
      An array of that shape and dtype.

    Example:
      >>> u = open_uniform(jax.random.key(0), (1000,), jnp.float32)
      >>> bool(jnp.all((u > 0) & (u < 1)))
      True
    """
    # m leaves one bit of the significand for the 1/2.
    m = jnp.finfo(dtype).nmant
    k = bits(key, shape, _word(dtype)) >> (jnp.finfo(dtype).bits - m)
    return (k.astype(dtype) + 0.5) * 2.0**-m


def _standard_normal(key: jax.Array, shape: Shape, dtype: DTypeLike) -> jax.Array:
    """The numbers that `jax.random.normal` draws: sqrt(2) erfinv(u), u uniform in (-1, 1)."""
    words = bits(key, shape, _word(dtype))
    return _normals(words, jnp.dtype(dtype)) if words.size else words.astype(dtype)


@functools.partial(jax.jit, static_argnums=1)
def _normals(words: jax.Array, dtype: jnp.dtype) -> jax.Array:
    def normal(words: jax.Array) -> jax.Array:
        info = jnp.finfo(dtype)
        one = jnp.ones((), dtype)
        # The random bits become a significand: a number in [1, 2).
        significand = words >> (info.bits - info.nmant)
        two = lax.bitcast_convert_type(
            significand | lax.bitcast_convert_type(one, words.dtype), dtype
        )
        low = jnp.nextafter(-one, jnp.zeros((), dtype))
        u = jnp.maximum((two - one) * (one - low) + low, low)
        return jnp.asarray(math.sqrt(2), dtype) * lax.erf_inv(u)

    return compile_separately(normal, words)


def _word(dtype: DTypeLike) -> jnp.dtype:
    return jnp.dtype(f"uint{jnp.finfo(dtype).bits}")


def _from_uniform(u: jax.Array, marginal: Marginal) -> jax.Array:
    return ndtri(u) if marginal == "normal" else u


def draws_independently(source: Source) -> bool:
    """Returns whether the points of a source are independent of one another.

    Args:
      source: a source of noise.

    Returns:
      True for `iid` and for a source whose attribute `independent` is true.

    Example:
      >>> draws_independently(iid), draws_independently(antithetic)
      (True, False)
    """
    return source is iid or bool(getattr(source, "independent", False))


def iid(
    key: jax.Array, shape: Shape, noise_shape: Shape, marginal: Marginal, dtype: DTypeLike
) -> jax.Array:
    """Draws independent points; the default source.

        eps_1, ..., eps_N independent

    Args:
      key: a typed key; consumed.
      shape: the sample shape, N = prod(shape).
      noise_shape: the shape of one point.
      marginal: "normal" or "uniform".
      dtype: float32 or float64.

    Returns:
      Noise of shape `shape + noise_shape`. Uniform numbers lie strictly inside (0, 1), on a grid
      that is symmetric about 1/2.

    Example:
      >>> iid(jax.random.key(0), (3,), (2,), "normal", jnp.float32).shape
      (3, 2)
    """
    check_key(key)
    full = (*shape, *noise_shape)
    if marginal == "normal":
        return _standard_normal(key, full, dtype)
    return open_uniform(key, full, dtype)


def antithetic(
    key: jax.Array, shape: Shape, noise_shape: Shape, marginal: Marginal, dtype: DTypeLike
) -> jax.Array:
    """Draws mirrored pairs: the second half of the points is the reflection of the first.

        eps_{i + N/2} = -eps_i  (normal),   1 - eps_i  (uniform)

    If f(transform(eps)) is monotone in every coordinate of eps, a mean over the pairs has a lower
    variance than one over i.i.d. points. If it is odd about its mean, the variance is zero.

    Args:
      key: a typed key; consumed.
      shape: the sample shape; N = prod(shape) must be even. Points i and i + N/2, counted in
        row-major order, are a pair.
      noise_shape: the shape of one point.
      marginal: "normal" or "uniform".
      dtype: float32 or float64.

    Returns:
      Noise of shape `shape + noise_shape`.

    Raises:
      ValueError: the number of points is odd.

    References:
      Hammersley and Morton (1956), "A new Monte Carlo technique: antithetic variates",
      https://doi.org/10.1017/S0305004100031455

    Example:
      >>> eps = antithetic(jax.random.key(0), (4,), (), "normal", jnp.float32)
      >>> bool(eps[0] == -eps[2])
      True
    """
    n = math.prod(shape)
    if n % 2:
        raise ValueError(
            f"antithetic noise comes in pairs, got shape {tuple(shape)} with {n} points: "
            "use an even number"
        )
    half = iid(key, (n // 2,), noise_shape, marginal, dtype)
    mirrored = -half if marginal == "normal" else 1.0 - half
    return jnp.concatenate([half, mirrored]).reshape(*shape, *noise_shape)


def stratified(
    key: jax.Array, shape: Shape, noise_shape: Shape, marginal: Marginal, dtype: DTypeLike
) -> jax.Array:
    """Draws one point in each of N equal strata of every coordinate (Latin hypercube).

        u_{i,j} = (pi_j(i) + v_{i,j}) / N,   pi_j a random permutation, v uniform

    Args:
      key: a typed key; consumed.
      shape: the sample shape, N = prod(shape) strata.
      noise_shape: the shape of one point; each of its coordinates is stratified independently.
      marginal: "normal" or "uniform".
      dtype: float32 or float64.

    Returns:
      Noise of shape `shape + noise_shape`.

    References:
      McKay, Beckman and Conover (1979), "A comparison of three methods for selecting values of
      input variables in the analysis of output from a computer code",
      https://doi.org/10.1080/00401706.1979.10489755

    Example:
      >>> u = stratified(jax.random.key(0), (4,), (), "uniform", jnp.float32)
      >>> sorted(int(v) for v in 4 * u)
      [0, 1, 2, 3]
    """
    check_key(key)
    n, d = math.prod(shape), math.prod(noise_shape)
    permutation_key, uniform_key = jax.random.split(key)
    strata = jnp.broadcast_to(jnp.arange(n, dtype=dtype)[:, None], (n, d))
    strata = jax.random.permutation(permutation_key, strata, axis=0, independent=True)
    u = (strata + open_uniform(uniform_key, (n, d), dtype)) / n
    return _from_uniform(_below_one(u), marginal).reshape(*shape, *noise_shape)


def _below_one(u: jax.Array) -> jax.Array:
    # A quotient such as (stratum + v) / n can round to 1: the largest number of the grid is used.
    return jnp.minimum(u, 1.0 - 0.5 * 2.0 ** -jnp.finfo(u.dtype).nmant)


_SOBOL_BITS = 32
# The number of coordinates for which Joe and Kuo (2008) tabulate direction numbers.
_SOBOL_DIMENSIONS = 21201


def sobol(
    key: jax.Array, shape: Shape, noise_shape: Shape, marginal: Marginal, dtype: DTypeLike
) -> jax.Array:
    """Draws scrambled Sobol points, for randomized quasi-Monte Carlo.

        u_i = L (v_1 b_1(i) + v_2 b_2(i) + ...) + s   over GF(2), digit by digit

    Here v are the direction numbers and b the binary digits of the Gray code of i. Each coordinate
    has its own random lower-triangular matrix L and digital shift s. Each point is uniform, so
    estimates are unbiased. For smooth f the root mean square error of a mean of N points decreases
    almost like 1/N; with i.i.d. noise it decreases like N^-1/2. N = 2^k keeps the points balanced.

    Args:
      key: a typed key; consumed.
      shape: the sample shape, N = prod(shape) <= 2^31 points, preferably a power of two.
      noise_shape: the shape of one point, at most 21,201 coordinates, one Sobol dimension each.
      marginal: "normal" or "uniform".
      dtype: float32 or float64.

    Returns:
      Noise of shape `shape + noise_shape`.

    Raises:
      ValueError: there are more coordinates than direction numbers.

    References:
      Joe and Kuo (2008), "Constructing Sobol sequences with better two-dimensional projections",
      https://doi.org/10.1137/070709359. Matousek (1998), "On the L2-discrepancy for anchored
      boxes", for the scrambling, https://doi.org/10.1006/jcom.1998.0489

    Example:
      >>> u = sobol(jax.random.key(0), (8,), (), "uniform", jnp.float32)
      >>> sorted(int(v) for v in 8 * u)
      [0, 1, 2, 3, 4, 5, 6, 7]
    """
    check_key(key)
    n, d = math.prod(shape), math.prod(noise_shape)
    if d > _SOBOL_DIMENSIONS:
        raise ValueError(
            f"Sobol points have at most {_SOBOL_DIMENSIONS} coordinates, noise of shape "
            f"{tuple(noise_shape)} has {d}: use iid, antithetic or stratified noise"
        )
    matrix_key, shift_key, low_key = jax.random.split(key, 3)
    directions = jnp.asarray(_direction_numbers(d, max(1, (n - 1).bit_length())))  # [m, d]

    # Row r of L, as a word: bit r itself, and random bits for the more significant digits.
    diagonal = jnp.uint32(1) << jnp.arange(_SOBOL_BITS, dtype=jnp.uint32)[:, None]  # [32, 1]
    above = ~(diagonal | (diagonal - 1))
    rows = diagonal | (jax.random.bits(matrix_key, (_SOBOL_BITS, d), jnp.uint32) & above)  # [32, d]
    parity = jax.lax.population_count(rows[:, None] & directions[None]) & 1  # [32, m, d]
    scrambled = jnp.sum(parity * diagonal[:, :, None], axis=0, dtype=jnp.uint32)  # [m, d]

    index = jnp.arange(n, dtype=jnp.uint32)
    gray = index ^ (index >> 1)
    points = jnp.broadcast_to(
        jax.random.bits(shift_key, (d,), jnp.uint32), (n, d)
    )  # the digital shift
    for k in range(scrambled.shape[0]):
        digit = ((gray >> k) & 1)[:, None]
        points = points ^ (digit * scrambled[k][None])
    if jnp.dtype(dtype).itemsize == 8:
        # Digits after the 32nd are independent, as in scrambling to infinite depth.
        low = open_uniform(low_key, (n, d), dtype)
        u = _below_one((points.astype(dtype) + low) * 2.0**-_SOBOL_BITS)
    else:
        m = jnp.finfo(dtype).nmant
        u = ((points >> (_SOBOL_BITS - m)).astype(dtype) + 0.5) * 2.0**-m
    return _from_uniform(u, marginal).reshape(*shape, *noise_shape)


@functools.lru_cache(maxsize=32)
def _direction_numbers(d: int, m: int) -> np.ndarray:
    """The first m direction numbers of d Sobol coordinates, uint32[m, d], derived from points."""
    from scipy.stats import qmc  # scipy comes with jax; its import is slow

    if d == 0:
        return np.zeros((m, 0), np.uint32)
    engine = qmc.Sobol(d, scramble=False, bits=_SOBOL_BITS)
    numbers = []
    for k in range(m):
        # In Gray-code order, points 2^k - 1 and 2^k differ exactly by the k-th direction number.
        engine.reset()
        if k > 0:
            engine.fast_forward(2**k - 1)
        before, after = (engine.random(2) * 2.0**_SOBOL_BITS).astype(np.uint32)
        numbers.append(before ^ after)
    return np.stack(numbers)
