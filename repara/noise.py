"""Where noise comes from: i.i.d., antithetic, stratified, scrambled Sobol.

A *source* is a function

    source(key, shape, noise_shape, marginal, dtype) -> eps

that draws `prod(shape)` points, each of shape `noise_shape`, every coordinate of which has the
stated marginal: standard normal, or uniform on the open unit interval. The sources differ only in
how the points depend on one another, so each of them drives every distribution through the same
transform, and every one leaves `E[f(transform(eps))]` unbiased. Noise that is to be held fixed
(common random numbers) needs no source: draw it once and pass it to `transform`.
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

Marginal = Literal["normal", "uniform"]
Shape = Sequence[int]

__all__ = [
    "Marginal",
    "Source",
    "antithetic",
    "check_key",
    "iid",
    "open_uniform",
    "sobol",
    "stratified",
]


class Source(Protocol):
    """The type of a noise source; see the module docstring."""

    def __call__(
        self, key: jax.Array, shape: Shape, noise_shape: Shape, marginal: Marginal, dtype: DTypeLike
    ) -> jax.Array:
        """Draws noise of shape `shape + noise_shape`; the key is consumed."""
        ...


def check_key(key: jax.Array) -> None:
    """Raises unless `key` is one typed JAX key.

    Args:
      key: what the caller passed as a key.

    Raises:
      TypeError: for an integer, a raw `uint32` key, an array of keys, or anything else; the
        message says what to pass.

    Example:
      >>> check_key(jax.random.key(0))
    """
    dtype = getattr(key, "dtype", None)
    if dtype is None or not jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key):
        given = f"the integer {key}" if isinstance(key, int) else _describe(key)
        raise TypeError(
            f"expected a typed JAX key, got {given}: pass jax.random.key(seed), "
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
    """Uniforms on the grid (k + 1/2) / 2^m: never 0 or 1, and 1 - u is exact and on the grid."""
    # m leaves one bit of the significand for the half.
    m = jnp.finfo(dtype).nmant
    k = bits(key, shape, _word(dtype)) >> (jnp.finfo(dtype).bits - m)
    return (k.astype(dtype) + 0.5) * 2.0**-m


def _standard_normal(key: jax.Array, shape: Shape, dtype: DTypeLike) -> jax.Array:
    """What `jax.random.normal` draws: sqrt(2) erfinv(u), u uniform in (-1, 1)."""
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


def iid(
    key: jax.Array, shape: Shape, noise_shape: Shape, marginal: Marginal, dtype: DTypeLike
) -> jax.Array:
    """Independent draws, the default source.

        eps_1, ..., eps_N independent

    Args:
      key: a typed key; consumed.
      shape: the sample shape, N = prod(shape).
      noise_shape: the shape of one draw.
      marginal: "normal" or "uniform".
      dtype: float32 or float64.

    Returns:
      Noise of shape `shape + noise_shape`; uniforms lie strictly inside (0, 1), on a grid that
      is symmetric about 1/2.

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
    """Mirrored pairs: the second half of the draws is the reflection of the first.

        eps_{i + N/2} = -eps_i  (normal),   1 - eps_i  (uniform)

    The variance of a mean over the pairs is below that of i.i.d. draws where f(transform(eps)) is
    monotone in every coordinate of eps, and zero where it is odd about its mean.

    Args:
      key: a typed key; consumed.
      shape: the sample shape; N = prod(shape) must be even. Draws i and i + N/2, counted in
        row-major order, are a pair.
      noise_shape: the shape of one draw.
      marginal: "normal" or "uniform".
      dtype: float32 or float64.

    Returns:
      Noise of shape `shape + noise_shape`.

    Raises:
      ValueError: if the number of draws is odd.

    Source:
      Hammersley & Morton (1956), "A new Monte Carlo technique: antithetic variates".

    Example:
      >>> eps = antithetic(jax.random.key(0), (4,), (), "normal", jnp.float32)
      >>> bool(eps[0] == -eps[2])
      True
    """
    n = math.prod(shape)
    if n % 2:
        raise ValueError(
            f"antithetic noise comes in pairs: shape {tuple(shape)} asks for {n} draws"
        )
    half = iid(key, (n // 2,), noise_shape, marginal, dtype)
    mirrored = -half if marginal == "normal" else 1.0 - half
    return jnp.concatenate([half, mirrored]).reshape(*shape, *noise_shape)


def stratified(
    key: jax.Array, shape: Shape, noise_shape: Shape, marginal: Marginal, dtype: DTypeLike
) -> jax.Array:
    """One draw in each of N equal strata of every coordinate (Latin hypercube).

        u_{i,j} = (pi_j(i) + v_{i,j}) / N,   pi_j a random permutation, v uniform

    Args:
      key: a typed key; consumed.
      shape: the sample shape, N = prod(shape) strata.
      noise_shape: the shape of one draw; each of its coordinates is stratified by itself.
      marginal: "normal" or "uniform".
      dtype: float32 or float64.

    Returns:
      Noise of shape `shape + noise_shape`.

    Source:
      McKay, Beckman & Conover (1979), "A comparison of three methods for selecting values of
      input variables in the analysis of output from a computer code".

    Example:
      >>> u = stratified(jax.random.key(0), (4,), (), "uniform", jnp.float32)
      >>> sorted(int(v) for v in 4 * u)
      [0, 1, 2, 3]
    """
    check_key(key)
    n, d = math.prod(shape), math.prod(noise_shape)
    permute, jitter = jax.random.split(key)
    strata = jnp.broadcast_to(jnp.arange(n, dtype=dtype)[:, None], (n, d))
    strata = jax.random.permutation(permute, strata, axis=0, independent=True)
    u = (strata + open_uniform(jitter, (n, d), dtype)) / n
    return _from_uniform(_inside(u), marginal).reshape(*shape, *noise_shape)


def _inside(u: jax.Array) -> jax.Array:
    # (stratum + jitter) / n can round to 1; the largest value of the grid below it is kept.
    return jnp.minimum(u, 1.0 - 0.5 * 2.0 ** -jnp.finfo(u.dtype).nmant)


_SOBOL_BITS = 32
# The number of coordinates for which Joe & Kuo (2008) tabulate direction numbers.
_SOBOL_DIMENSIONS = 21201


def sobol(
    key: jax.Array, shape: Shape, noise_shape: Shape, marginal: Marginal, dtype: DTypeLike
) -> jax.Array:
    """Scrambled Sobol points: randomized quasi-Monte Carlo.

        u_i = L (v_1 b_1(i) + v_2 b_2(i) + ...) + s   over GF(2), digit by digit

    with direction numbers v, the binary digits b of the Gray code of i, and per coordinate a random
    lower-triangular matrix L and a digital shift s. Each point is uniform, so estimates are
    unbiased; for smooth f the root mean square error of a mean of N points falls nearly like 1/N
    where i.i.d. noise gives N^-1/2. N = 2^k keeps the points balanced.

    Args:
      key: a typed key; consumed.
      shape: the sample shape, N = prod(shape) <= 2^31 points, best a power of two.
      noise_shape: the shape of one draw, at most 21,201 coordinates, one Sobol dimension each.
      marginal: "normal" or "uniform".
      dtype: float32 or float64.

    Returns:
      Noise of shape `shape + noise_shape`.

    Raises:
      ValueError: for more coordinates than there are direction numbers.

    Source:
      Joe & Kuo (2008), "Constructing Sobol sequences with better two-dimensional projections";
      Matousek (1998), "On the L2-discrepancy for anchored boxes", for the scrambling.

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
    own = jnp.uint32(1) << jnp.arange(_SOBOL_BITS, dtype=jnp.uint32)[:, None]  # [32, 1]
    above = ~(own | (own - 1))
    rows = own | (jax.random.bits(matrix_key, (_SOBOL_BITS, d), jnp.uint32) & above)  # [32, d]
    parity = jax.lax.population_count(rows[:, None] & directions[None]) & 1  # [32, m, d]
    scrambled = jnp.sum(parity * own[:, :, None], axis=0, dtype=jnp.uint32)  # [m, d]

    index = jnp.arange(n, dtype=jnp.uint32)
    gray = index ^ (index >> 1)
    points = jnp.broadcast_to(
        jax.random.bits(shift_key, (d,), jnp.uint32), (n, d)
    )  # the digital shift
    for k in range(scrambled.shape[0]):
        digit = ((gray >> k) & 1)[:, None]
        points = points ^ (digit * scrambled[k][None])
    if jnp.dtype(dtype).itemsize == 8:
        # Digits past the 32nd are independent, as scrambling to infinite depth would have them.
        low = open_uniform(low_key, (n, d), dtype)
        u = _inside((points.astype(dtype) + low) * 2.0**-_SOBOL_BITS)
    else:
        bits = jnp.finfo(dtype).nmant
        u = ((points >> (_SOBOL_BITS - bits)).astype(dtype) + 0.5) * 2.0**-bits
    return _from_uniform(u, marginal).reshape(*shape, *noise_shape)


@functools.lru_cache(maxsize=32)
def _direction_numbers(d: int, m: int) -> np.ndarray:
    """The first m direction numbers of d Sobol coordinates, uint32[m, d], read off the points."""
    from scipy.stats import qmc  # scipy comes with jax; its import is slow

    if d == 0:
        return np.zeros((m, 0), np.uint32)
    engine = qmc.Sobol(d, scramble=False, bits=_SOBOL_BITS)
    numbers = []
    for k in range(m):
        # In Gray-code order points 2^k - 1 and 2^k differ by the k-th direction number alone.
        engine.reset()
        if k > 0:
            engine.fast_forward(2**k - 1)
        before, after = (engine.random(2) * 2.0**_SOBOL_BITS).astype(np.uint32)
        numbers.append(before ^ after)
    return np.stack(numbers)
