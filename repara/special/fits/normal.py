"""The fits behind `repara.special.normal`: Mills' ratio, and the logarithms of both tails.

With t = 4 / (4 + x), so that 2 t - 1 = (4 - x) / (4 + x), and s = (4 - r) / (4 + r) scaled to
[-1, 1], the fitted functions are

- `MILLS`  Phi(-x) / phi(x) / t for x >= 0, in 2 t - 1
- `LEFT`   -log Phi(-r) - r^2 / 2, in s, for r up to the bound of the noise
- `RIGHT`  -log(-log Phi(r)) - r^2 / 2, in s, likewise
"""

from __future__ import annotations

from typing import Any

import mpmath as mp  # type: ignore[import-untyped]

from repara.special.constants import NOISE_BOUND_FLOAT32, NOISE_BOUND_FLOAT64
from repara.special.fits import chebyshev

__all__ = ["MIDPOINT", "generate", "mills_ratio", "scaled_radius_end"]

# x / (x + MIDPOINT) maps [0, inf) to [0, 1).
MIDPOINT = 4


def mills_ratio(x: Any) -> Any:
    """Computes Phi(-x) / phi(x), far out by the continued fraction 1/(x + 1/(x + 2/(x + ...))).

    Args:
      x: an mpmath number from 0 up.

    Returns:
      An mpmath number.

    References:
      DLMF 7.9.1, https://dlmf.nist.gov/7.9.E1

    Example:
      >>> mp.nstr(mills_ratio(mp.mpf(0)), 6)
      '1.25331'
    """
    if x > 60:
        f = mp.mpf(0)
        for k in range(200, 0, -1):
            f = k / (x + f)
        return 1 / (x + f)
    return mp.exp(x * x / 2) * mp.erfc(x / mp.sqrt(2)) * mp.sqrt(mp.pi / 2)


def scaled_radius_end(bound: float) -> Any:
    """Computes the least s, which belongs to the largest r.

    Args:
      bound: the largest r.

    Returns:
      (4 - bound) / (4 + bound) as an mpmath number.

    Example:
      >>> float(scaled_radius_end(4.0))
      0.0
    """
    return (MIDPOINT - mp.mpf(bound)) / (MIDPOINT + mp.mpf(bound))


def mills(tolerance: float) -> list[Any]:
    """`MILLS` as monomials in 2 t - 1."""

    def f(s: Any) -> Any:
        t = (1 + s) / 2
        return mills_ratio(MIDPOINT * (1 - t) / t) / t

    return chebyshev.fit(f, 60, tolerance)


def tails(bound: float, tolerance: float) -> tuple[list[Any], list[Any]]:
    """`LEFT` and `RIGHT` as monomials in s."""
    least = scaled_radius_end(bound)

    def radius(x: Any) -> Any:
        s = least + (1 - least) * (1 + x) / 2
        return MIDPOINT * (1 - s) / (1 + s)

    def left(x: Any) -> Any:
        return -mp.log(mp.ncdf(-radius(x))) - radius(x) ** 2 / 2

    def right(x: Any) -> Any:
        return -mp.log(-mp.log1p(-mp.ncdf(-radius(x)))) - radius(x) ** 2 / 2

    return chebyshev.fit(left, 60, tolerance), chebyshev.fit(right, 60, tolerance)


def generate() -> str:
    """Returns the source of `repara/special/coefficients/normal.py`, without its header.

    Returns:
      Python source.

    Example:
      >>> source = generate()  # doctest: +SKIP
    """
    source = f"MIDPOINT = {MIDPOINT}\n"
    for dtype, bound, tolerance, tail_tolerance in (
        ("float32", NOISE_BOUND_FLOAT32, 1e-8, 1e-8),
        ("float64", NOISE_BOUND_FLOAT64, 5e-17, 5e-17),
    ):
        suffix = f"_{dtype.upper()}"
        source += f"# at most {tolerance:.1e} from the function fitted, which is 0.25 to 1.26\n"
        with mp.workdps(40):
            source += chebyshev.literal("MILLS" + suffix, mills(tolerance), dtype)
        least = (MIDPOINT - bound) / (MIDPOINT + bound)
        source += f"LEAST{suffix} = {least}\n"
        with mp.workdps(45):
            left, right = tails(bound, tail_tolerance)
        source += chebyshev.literal("LEFT" + suffix, left, dtype)
        source += chebyshev.literal("RIGHT" + suffix, right, dtype)
    return source
