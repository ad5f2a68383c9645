"""The fit behind `repara.special.normal`: Mills' ratio of the normal distribution."""

from __future__ import annotations

from typing import Any

import mpmath as mp  # type: ignore[import-untyped]

from repara.special.fits import chebyshev


def mills(x: Any) -> Any:
    """Phi(-x) / phi(x), by the continued fraction 1/(x + 1/(x + 2/(x + ...))) far out."""
    if x > 60:
        f = mp.mpf(0)
        for k in range(200, 0, -1):
            f = k / (x + f)
        return 1 / (x + f)
    return mp.exp(x * x / 2) * mp.erfc(x / mp.sqrt(2)) * mp.sqrt(mp.pi / 2)


def _scaled(s: Any) -> Any:
    t = (1 + s) / 2
    return mills(4 * (1 - t) / t) / t


def generate() -> str:
    """The source of `repara/special/coefficients/normal.py`."""
    source = ""
    with mp.workdps(40):
        for dtype, tolerance in (("float32", 1e-8), ("float64", 5e-17)):
            source += f"# at most {tolerance:.1e} from the function fitted, which is 0.25 to 1.26\n"
            series = chebyshev.fit(_scaled, 60, tolerance)
            source += chebyshev.literal(f"MILLS_{dtype.upper()}", series, dtype)
    return source
