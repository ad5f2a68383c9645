"""The fits behind `repara.special.elementary.minus_log_complement`.

- `EXPM1`  (1 - e^-x) / x on [0, log 2], in x
- `LOG1P`  -log(1 - v) / u in u^2, with u = v / (2 - v) and v in [0, 1/2]: twice the series of atanh
"""

from __future__ import annotations

from typing import Any

import mpmath as mp  # type: ignore[import-untyped]

from repara.special.fits import chebyshev

__all__ = ["generate"]

DIGITS = 45


def expm1(tolerance: float) -> list[Any]:
    """(1 - e^-x) / x as monomials in x."""

    def f(s: Any) -> Any:
        x = mp.log(2) * (1 + s) / 2
        return -mp.expm1(-x) / x

    return chebyshev.shifted(chebyshev.fit(f, 30, tolerance), 2 / mp.log(2), -1)


def log1p(tolerance: float) -> list[Any]:
    """2 atanh(u) / u as monomials in u^2, which is at most 1/9."""

    def f(s: Any) -> Any:
        u = mp.sqrt((1 + s) / 18)
        return 2 * mp.atanh(u) / u

    return chebyshev.shifted(chebyshev.fit(f, 30, tolerance), 18, -1)


def generate() -> str:
    """Returns the source of `repara/special/coefficients/elementary.py`, without its header.

    Returns:
      Python source.

    Example:
      >>> source = generate()  # doctest: +SKIP
    """
    source = ""
    with mp.workdps(DIGITS):
        for dtype, tolerance in (("float32", 2e-9), ("float64", 1e-17)):
            suffix = f"_{dtype.upper()}"
            source += chebyshev.literal("EXPM1" + suffix, expm1(tolerance), dtype)
            source += chebyshev.literal("LOG1P" + suffix, log1p(tolerance), dtype)
    return source
