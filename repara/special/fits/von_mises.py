"""The fits behind `repara.special.von_mises` in float32, in three regimes.

z is odd in eps. With e = |eps|, c = sqrt(2 pi) I0(k) exp(-k), which is dz/de at 0, r = (e c)^2,
w = 1 / k and b = arcsinh(k / 2) the fitted functions are

- `SLOPE`  log c, in b:                                       k <= seam
- `LOG1P`  log(1 + v) / v, in v on [0, 1]
- `NEAR`   g in z = e c (1 + r g(r, b)):                      k <= seam, r <= split
- `FAR`    H in pi - z = d H(x, b),  k d^2 = log(1 + k q^2),
           q = sqrt(pi / 2) c exp(2 k) Phi(-e):               k <= seam, r >= split
- `LARGE`  G in z = e sqrt(w) G(e^2 w, w):                    k >= seam

q is the integral of exp(2 k sin^2(t / 2)) from 0 to pi - z, so that pi - z is about q where k q^2
is small, and k (pi - z)^2 grows like 2 log q where it is large. x is y / (y + 4), y = d^2 (k + 1),
over its greatest value for that k. arcsinh spreads the zeros of I0 on the imaginary axis.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import mpmath as mp  # type: ignore[import-untyped]

from repara.special.constants import NOISE_BOUND_FLOAT32
from repara.special.fits import chebyshev

__all__ = ["generate"]

DIGITS = 40
SEAM = 14
SPLIT = mp.mpf(5) / 2
FAR_END = mp.mpf(27) / 20  # of d^2
# y / (y + MIDPOINT) maps [0, inf) to [0, 1).
MIDPOINT = 4
# All are fitted over these factors beyond the seams, as derivatives are worst at the end of a fit.
OVERLAP = mp.mpf(11) / 10
OVERLAP_SPLIT = mp.mpf(21) / 20
TOLERANCE = 4e-7
TOLERANCE_NEAR = 1e-7


@functools.cache
def _rule(digits: int) -> list[tuple[Any, Any]]:
    """Gauss' points and weights on [0, 1] for integrands that fall by exp(-2.4 digits)."""
    n = 20 + digits
    rule = []
    for i in range(n):
        x = mp.cos(mp.pi * (i + mp.mpf(3) / 4) / (n + mp.mpf(1) / 2))
        for _ in range(8):
            before, now = mp.mpf(1), x
            for j in range(2, n + 1):
                before, now = now, ((2 * j - 1) * x * now - (j - 1) * before) / j
            slope = n * (x * now - before) / (x * x - 1)
            x -= now / slope
        rule.append(((1 + x) / 2, 1 / ((1 - x * x) * slope * slope)))
    return rule


def _integral(f: Callable[[Any], Any], end: Any) -> Any:
    return end * mp.fsum(weight * f(end * point) for point, weight in _rule(mp.mp.dps))


def _reach(rise: Any, k: Any) -> Any:
    """The angle at which 2 k sin^2(t / 2) exceeds `rise` by what is below rounding; at most pi."""
    square = rise + mp.mpf("1.2") * mp.mp.dps / max(k, mp.mpf("1e-9"))
    return 2 * mp.asin(mp.sqrt(square)) if square < 1 else mp.pi


def tail(k: Any, log_t: Any) -> tuple[Any, Any]:
    """The tail beyond z over the density at z, and z, from log tan(z / 2)."""
    rest = 2 * mp.atan(mp.exp(-log_t))
    z = mp.pi - rest
    end = min(_reach(mp.cos(rest / 2) ** 2, k) - z, rest)
    return _integral(lambda t: mp.exp(-2 * k * mp.sin(t / 2) * mp.sin(rest - t / 2)), end), z


def center(k: Any, z: Any) -> Any:
    """The integral of exp(-2 k sin^2(y / 2)) over y in [0, z]."""
    return _integral(lambda t: mp.exp(-2 * k * mp.sin(t / 2) ** 2), min(_reach(mp.mpf(0), k), z))


@functools.cache
def scaled_bessel(k: Any) -> Any:
    """I0(k) exp(-k)."""
    return mp.besseli(0, k) * mp.exp(-k)


def log_quantile(k: Any, log_tail: Any) -> Any:
    """Log tan(z / 2) of the z > 0 with P(Z > z) = exp(log_tail), by Newton's method."""
    total = 2 * mp.pi * scaled_bessel(k)
    central = -mp.expm1(log_tail + mp.log(2)) / 2
    inner = log_tail > -1.8
    # start from 2 k sin^2(z / 2) - log cos(z / 2) = -log_tail - log(2), which nearly holds
    low, high, aim = -50.0, 100.0, -float(log_tail) - math.log(2)
    for _ in range(60):
        middle = (low + high) / 2
        square = math.exp(2 * middle)
        risen = 2 * float(k) * square / (1 + square) + math.log1p(square) / 2
        low, high = (middle, high) if risen < aim else (low, middle)
    log_t = mp.mpf(low)
    for _ in range(80):
        t = mp.exp(log_t)
        slope = 2 * t / (1 + t * t)  # dz / dlog_t
        if inner:
            z = 2 * mp.atan(t)
            inside = center(k, z)
            density = mp.exp(-2 * k * mp.sin(z / 2) ** 2)
            step = mp.log(central * total / inside) * inside / (density * slope)
        else:
            beyond, z = tail(k, log_t)
            size = mp.log(beyond / total) - 2 * k * t * t / (1 + t * t)
            step = (size - log_tail) * beyond / slope
        log_t += max(min(step, 1), -1)
        if abs(step) < mp.mpf(10) ** (-mp.mp.dps // 2 + 4):  # the next error is its square
            return log_t
    raise ArithmeticError(f"no convergence at {k=} {log_tail=}")


def log_quantile_at_noise(k: Any, e: Any) -> Any:
    """Log tan(z / 2) with P(Z > z) = Phi(-e), e > 0."""
    return log_quantile(k, mp.log(mp.erfc(e / mp.sqrt(2)) / 2))


def _table(
    f: Callable[[Any, Any], Any], rows: int, columns: int, tolerance: float
) -> chebyshev.Table:
    values = [
        [f((1 + x) / 2, (1 + y) / 2) for y in chebyshev.nodes(columns)]
        for x in chebyshev.nodes(rows)
    ]
    table = chebyshev.truncated(chebyshev.coefficients_2d(values), tolerance)
    return chebyshev.monomials_2d(table)


def _slope(k: Any) -> Any:
    return mp.sqrt(2 * mp.pi) * scaled_bessel(k)


def _b_top() -> Any:
    return mp.asinh(OVERLAP * SEAM / 2)


def slope() -> list[Any]:
    """log c as monomials in 2 b / b_max - 1."""
    return chebyshev.fit(lambda y: mp.log(_slope(2 * mp.sinh(_b_top() * (1 + y) / 2))), 40, 1e-8)


def log1p() -> list[Any]:
    """log(1 + v) / v as monomials in v."""
    series = chebyshev.fit(lambda y: mp.log1p((1 + y) / 2) / (1 + y) * 2, 30, 5e-9)
    return chebyshev.shifted(series, 2, -1)


def near() -> chebyshev.Table:
    """g(r, b) as monomials in 2 r / r_max - 1 and 2 b / b_max - 1."""
    top = OVERLAP_SPLIT * SPLIT

    def f(r: Any, b: Any) -> Any:
        k = 2 * mp.sinh(_b_top() * b)
        linear = mp.sqrt(top * r)
        z = 2 * mp.atan(mp.exp(log_quantile_at_noise(k, linear / _slope(k))))
        return (z / linear - 1) / (top * r)

    return _table(f, 18, 30, TOLERANCE_NEAR)


def far() -> chebyshev.Table:
    """H(x, b) as monomials in 2 x - 1 and 2 b / b_max - 1."""

    def f(x: Any, b: Any) -> Any:
        k = 2 * mp.sinh(_b_top() * b)
        share = x * FAR_END * (k + 1) / (FAR_END * (k + 1) + MIDPOINT)
        square = MIDPOINT * share / ((1 - share) * (k + 1))
        log_q = mp.log(mp.expm1(k * square) / k) / 2
        log_t = log_quantile(k, log_q - mp.log(mp.sqrt(mp.pi / 2) * _slope(k)) - 2 * k)
        return 2 * mp.atan(mp.exp(-log_t)) / mp.sqrt(square)

    return _table(f, 24, 26, TOLERANCE)


def large() -> chebyshev.Table:
    """G(q, w) as monomials in 2 q / q_max - 1 and 2 w / w_max - 1, q = e^2 w."""
    w_top = OVERLAP / SEAM
    top = NOISE_BOUND_FLOAT32**2 * w_top

    def f(q: Any, w: Any) -> Any:
        k = 1 / (w_top * w)
        log_t = log_quantile_at_noise(k, mp.sqrt(top * q * k))
        return 2 * mp.atan(mp.exp(log_t)) / mp.sqrt(top * q)

    return _table(f, 20, 14, TOLERANCE)


def generate() -> str:
    """Returns the source of `repara/special/coefficients/von_mises.py`, without its header.

    Returns:
      Python source.

    Example:
      >>> source = generate()  # doctest: +SKIP
    """
    with mp.workdps(DIGITS):
        w_top = OVERLAP / SEAM
        source = f"SEAM = {float(SEAM)}\nSPLIT = {float(SPLIT)}\n"
        source += f"MIDPOINT = {MIDPOINT}\n"
        source += f"B = {float(_b_top())!r}\nR = {float(OVERLAP_SPLIT * SPLIT)!r}\n"
        source += f"FAR_END = {float(FAR_END)}\n"
        source += f"W = {float(w_top)!r}\nQ = {float(NOISE_BOUND_FLOAT32**2 * w_top)!r}\n"
        source += chebyshev.literal("SLOPE", slope(), "float32")
        source += chebyshev.literal("LOG1P", log1p(), "float32")
        for name, table in {"NEAR": near(), "FAR": far(), "LARGE": large()}.items():
            tolerance = TOLERANCE_NEAR if name == "NEAR" else TOLERANCE
            source += f"# {name.lower()}: at most {tolerance:.1e} from the function fitted\n"
            source += chebyshev.literal_2d(name, table, "float32")
        return source
