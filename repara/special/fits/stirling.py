"""The fit behind `repara.special.stirling`: the remainder of Stirling's formula."""

from __future__ import annotations

from typing import Any

import mpmath as mp  # type: ignore[import-untyped]

from repara.special.fits import chebyshev

__all__ = ["generate"]


def remainder(x: Any) -> Any:
    """log Gamma(x) - (x - 1/2) log x + x - log(2 pi) / 2: 1 / (12 x) - ... (DLMF 5.11.1)."""
    return mp.loggamma(x) - (x - mp.mpf(1) / 2) * mp.log(x) + x - mp.log(2 * mp.pi) / 2


def _scaled(s: Any) -> Any:
    w = (1 + s) / 2
    return remainder(1 / w) / w


def generate() -> str:
    """Returns the source of `repara/special/coefficients/stirling.py`, without its header.

    Returns:
      Python source.

    Example:
      >>> source = generate()  # doctest: +SKIP
    """
    source = ""
    with mp.workdps(40):
        for dtype, count, tolerance in (("float32", 30, 2e-9), ("float64", 80, 1e-17)):
            source += (
                f"# at most {tolerance:.0e} from the function fitted, which is 0.081 to 0.084\n"
            )
            series = chebyshev.fit(_scaled, count, tolerance)
            source += chebyshev.literal(f"STIRLING_{dtype.upper()}", series, dtype)
    return source
