"""The fits behind `repara.special.gamma`: variates from noise and the inverse, in two regimes.

With u = Phi(eps) = P(a, z), w = 1 / a and b = log(1 + a), the four fitted functions are

- `SMALL`  R in z = m exp(R(tau, b)),  m = -log(1 - u^(1/a)),  tau = m / (m + 8):        a <= seam
- `LARGE`  M in z = a exp(eps sqrt(w) + w M),  M = A(eps^2, w) + eps sqrt(w) B(eps^2, w): a >= seam
- `MASS`   S in m = z exp(-S(t, b)),   t = z / (z + 8):                                   a <= 1
- `SCORE`  T in eps = sqrt(a) (eta + w T(x, w)),  x = log(z / a),  eta = x `ETA`(x),
           eta^2 / 2 = exp(x) - 1 - x,  sign eta = sign x:                                a >= 1

m is exactly z at a = 1 and z Gamma(a + 1)^(-1/a) as z -> 0, so that R and S are smooth and small;
log(1 + a) sends the singularity of the gamma function at a = -1 to infinity. L and T are the
expansions of Temme (1979, 1992), in eps sqrt(w) and w, with fitted coefficients: they
do not change under (eps, sqrt(w)) -> -(eps, sqrt(w)), so half of the monomials are absent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import mpmath as mp  # type: ignore[import-untyped]
from scipy import special

from repara.special.constants import NOISE_BOUND_FLOAT32, NOISE_BOUND_FLOAT64
from repara.special.fits import chebyshev

__all__ = ["generate"]

DIGITS = 45


def log_tails(a: Any, log_z: Any) -> tuple[Any, Any]:
    """Log P(a, z) and log Q(a, z): the power series in integers, far right a continued fraction.

    P(a, z) = z^a e^-z / Gamma(a + 1)  sum_n z^n / ((a + 1) ... (a + n)),  DLMF 8.7.1; 8.9.2.
    """
    z = mp.exp(log_z)
    log_kernel = a * log_z - z - mp.loggamma(a + 1)
    # Q is 1 - P and needs as many more bits as it is small, known from the exponent of its density.
    guard = max(0, int(-(log_kernel + mp.log(a)) / mp.log(2))) if z > a else 0
    if guard > 3000:
        f = mp.mpf(0)
        for n in range(3000, 0, -1):
            f = n * (a - n) / (z + 2 * n + 1 - a + f)
        log_upper = log_kernel + mp.log(a) - mp.log(z + 1 - a + f)
        return mp.log1p(-mp.exp(log_upper)), log_upper
    bits = 220 + guard
    with mp.workprec(bits):
        one = 1 << bits
        z = mp.exp(log_z)  # again, to all the bits: P must not exceed 1
        factor, denominator = int(mp.floor(z * one)), int(mp.floor(a * one))
        term = total = one
        while term:
            denominator += one
            term = term * factor // denominator
            total += term
        log_lower = a * log_z - z - mp.loggamma(a + 1) + mp.log(mp.mpf(total) / one)
        return log_lower, mp.log(-mp.expm1(log_lower))


def log_quantile(a: Any, log_lower: Any, log_upper: Any) -> Any:
    """Log z of the z with log P(a, z) = log_lower, log Q(a, z) = log_upper, by Newton's method."""
    left = (log_lower + mp.loggamma(a + 1)) / a
    lower = log_lower < log_upper
    if left < -3:
        log_z = left
    elif lower:
        log_z = mp.log(special.gammaincinv(float(a), float(mp.exp(log_lower))))
    else:
        log_z = mp.log(special.gammainccinv(float(a), float(mp.exp(log_upper))))
    for _ in range(40):
        tails = log_tails(a, log_z)
        kernel = mp.exp(a * log_z - mp.exp(log_z) - mp.loggamma(a))
        if lower:
            step = (tails[0] - log_lower) * mp.exp(tails[0]) / kernel
        else:
            step = -(tails[1] - log_upper) * mp.exp(tails[1]) / kernel
        log_z -= step
        if abs(step) < mp.mpf(10) ** (-DIGITS // 2 + 4):  # the next error is its square
            return log_z
    raise ArithmeticError(f"no convergence at {a=} {log_lower=}")


def log_quantile_at_noise(a: Any, eps: Any) -> Any:
    """Log z with P(a, z) = Phi(eps)."""
    return log_quantile(a, mp.log(mp.ncdf(eps)), mp.log(mp.ncdf(-eps)))


def score(a: Any, log_z: Any) -> Any:
    """The eps with Phi(eps) = P(a, z)."""
    lower, upper = log_tails(a, log_z)
    target, sign = (lower, -1) if lower < upper else (upper, 1)
    x = mp.sqrt(-2 * target) if target < -1 else mp.mpf(0)
    for _ in range(60):
        log_tail = mp.log(mp.erfc(x / mp.sqrt(2)) / 2)
        hazard = mp.exp(-x * x / 2 - log_tail) / mp.sqrt(2 * mp.pi)
        step = (target - log_tail) / hazard
        x -= step
        if abs(step) < mp.mpf(10) ** (-DIGITS // 2 + 4) * (1 + abs(x)):
            return sign * x
    raise ArithmeticError(f"no convergence at {a=} {log_z=}")


class Setting(NamedTuple):
    """The fits for one dtype.

    Attributes:
      dtype: the floating-point type whose arithmetic the coefficients are for.
      seam: the concentration at which the two regimes of the variate meet. (Those of the inverse
        meet at 1.)
      noise: largest |eps|.
      mass: largest m; at eps = noise, m is at most 2 - log(Phi(-noise) / seam).
      z: largest z of `MASS`.
      x: least and greatest log(z / a) of `SCORE`.
      tolerance: bound on the absolute error of R and w M, which is the relative error of z. The
        bound on S and T, which the tails of P and Q multiply, is a sixteenth of it.
      grid: Chebyshev nodes per side.
    """

    dtype: str
    seam: int
    noise: float
    mass: int
    z: int
    x: tuple[float, float]
    tolerance: float
    grid: int


SETTINGS = (
    Setting("float32", 8, NOISE_BOUND_FLOAT32, 25, 13, (-3.1, 2.6), 8e-7, 30),
    Setting("float64", 16, NOISE_BOUND_FLOAT64, 46, 13, (-3.1, 2.6), 2e-11, 40),
)

# All are fitted over this factor beyond the seams, as derivatives are worst at the end of a fit.
OVERLAP = 1.3
# x / (x + MIDPOINT) maps [0, inf) to [0, 1).
MIDPOINT = 8


def _table(f: Callable[[Any, Any], Any], count: int) -> chebyshev.Table:
    points = chebyshev.nodes(count)
    return chebyshev.coefficients_2d([[f(x, y) for y in points] for x in points])


def small(setting: Setting) -> chebyshev.Table:
    """R(tau, b) as monomials in 2 tau / tau_max - 1 and 2 b / b_max - 1."""
    top, b_top = mp.mpf(setting.mass) / (setting.mass + MIDPOINT), mp.log1p(OVERLAP * setting.seam)

    def f(x: Any, y: Any) -> Any:
        tau, a = top * (1 + x) / 2, mp.expm1(b_top * (1 + y) / 2)
        m = MIDPOINT * tau / (1 - tau)
        log_lower = a * mp.log(-mp.expm1(-m))
        return log_quantile(a, log_lower, mp.log(-mp.expm1(log_lower))) - mp.log(m)

    table = _table(f, setting.grid)
    return chebyshev.monomials_2d(chebyshev.truncated(table, setting.tolerance))


def large(setting: Setting) -> tuple[chebyshev.Table, chebyshev.Table]:
    """A and B as monomials in w (rows) and in (eps / noise)^2; B of eps sqrt(w) / noise."""
    least = mp.mpf(setting.seam) / OVERLAP
    scale = 1 / mp.sqrt(least)

    def f(x: Any, y: Any) -> Any:
        a = 1 / (scale * y) ** 2
        log_z = log_quantile_at_noise(a, setting.noise * x * mp.sign(y))
        return (log_z - mp.log(a) - setting.noise * x * scale * y) * a

    table = _table(f, setting.grid)
    even = [[v * ((i + j) % 2 == 0) for j, v in enumerate(row)] for i, row in enumerate(table)]
    powers = chebyshev.monomials_2d(chebyshev.truncated(even, setting.tolerance * least))
    by_root = [
        [(powers[i][j] if j < len(powers[i]) else mp.mpf(0)) for i in range(len(powers))]
        for j in range(max(len(row) for row in powers))
    ]
    # a power of sqrt(w least) and of eps / noise; both even, or both odd
    a_rows = [[v * least**j for v in by_root[2 * j][0::2]] for j in range((len(by_root) + 1) // 2)]
    b_rows = [
        [v * least ** (j + mp.mpf(1) / 2) for v in by_root[2 * j + 1][1::2]]
        for j in range(len(by_root) // 2)
    ]
    return _trimmed(a_rows), _trimmed(b_rows)


def _trimmed(rows: chebyshev.Table) -> chebyshev.Table:
    lengths = [max((j + 1 for j, v in enumerate(row) if v != 0), default=1) for row in rows]
    return [row[:length] for row, length in zip(rows, lengths, strict=True)]


def mass(setting: Setting) -> chebyshev.Table:
    """S(t, b) as monomials in 2 t / t_max - 1 and 2 b / b_max - 1, for a <= 1."""
    top, b_top = mp.mpf(setting.z) / (setting.z + MIDPOINT), mp.log1p(OVERLAP)

    def f(x: Any, y: Any) -> Any:
        t, a = top * (1 + x) / 2, mp.expm1(b_top * (1 + y) / 2)
        z = MIDPOINT * t / (1 - t)
        lower, _ = log_tails(a, mp.log(z))
        return mp.log(z) - mp.log(-mp.log(-mp.expm1(lower / a)))

    table = _table(f, setting.grid)
    return chebyshev.monomials_2d(chebyshev.truncated(table, setting.tolerance / 16))


def _eta(x: Any) -> Any:
    if abs(x) < mp.mpf(10) ** -12:
        return x + x * x / 6
    return mp.sign(x) * mp.sqrt(2 * (mp.expm1(x) - x))


def eta(setting: Setting) -> list[Any]:
    """Temme's eta over x, as monomials in (x - middle) / half width."""
    low, high = setting.x
    return chebyshev.fit(
        lambda s: _eta(low + (high - low) * (1 + s) / 2) / (low + (high - low) * (1 + s) / 2),
        48,
        1e-8 if setting.dtype == "float32" else 2e-17,
    )


def residual(setting: Setting) -> chebyshev.Table:
    """T(x, w) as monomials in (x - middle) / half width and 2 w / OVERLAP - 1."""
    low, high = setting.x

    def f(s: Any, y: Any) -> Any:
        x, a = low + (high - low) * (1 + s) / 2, 2 / (OVERLAP * (1 + y))
        return (score(a, x + mp.log(a)) / mp.sqrt(a) - _eta(x)) * a

    table = _table(f, setting.grid)
    return chebyshev.monomials_2d(chebyshev.truncated(table, setting.tolerance / 16))


def generate() -> str:
    """Returns the source of `repara/special/coefficients/gamma.py`, without its header.

    Returns:
      Python source.

    Example:
      >>> source = generate()  # doctest: +SKIP
    """
    source = f"MIDPOINT = {MIDPOINT}\n"
    with mp.workdps(DIGITS):
        for setting in SETTINGS:
            low, high = setting.x
            a_rows, b_rows = large(setting)
            pieces = {
                "SMALL": small(setting),
                "LARGE_EVEN": a_rows,
                "LARGE_ODD": b_rows,
                "MASS": mass(setting),
                "SCORE": residual(setting),
            }
            suffix = f"_{setting.dtype.upper()}"
            source += f"SEAM{suffix} = {float(setting.seam)}\n"
            source += f"TAU{suffix} = {setting.mass / (setting.mass + MIDPOINT)}\n"
            source += f"B{suffix} = {float(mp.log1p(OVERLAP * setting.seam))!r}\n"
            source += f"Z{suffix} = {float(setting.z)}\n"
            source += f"OVERLAP{suffix} = {OVERLAP}\n"
            source += f"X{suffix} = ({low}, {high})\n"
            for name, table in pieces.items():
                inner = setting.tolerance / (16 if name in ("MASS", "SCORE") else 1)
                source += f"# {name.lower()}: at most {inner:.1e} from the function fitted\n"
                source += chebyshev.literal_2d(name + suffix, table, setting.dtype)
            source += chebyshev.literal("ETA" + suffix, eta(setting), setting.dtype)
    return source
