"""The fits behind `repara.special.student_t`.

z is odd in eps. With e = |eps|, l = -log(2 Phi(-e)) and w = 1 / df, the fitted functions are

- `NOISE`  P in l = e (e / 2 + P(t)),  t = (4 - e) / (4 + e)
- `SMALL`  R in z = sqrt(df) sinh(x / 2) exp(R(s, b)),  x = 2 l / df,  s = 1 / (2 e^x - 1),
           b = log(1 + df):                                                          df <= seam
- `LARGE`  g in log(1 + z^2 / df) = q (1 + w g(t, w)),  q = e^2 / df,  t = q / (q + 6): df >= seam

Far out P(|T| > z) is (1 + z^2 / df)^(-df / 2) times a power series in its base, so that R is one in
e^-x; at df = 2 it is closed, with p = e^-x: z^2 / 2 = (1 - p)^2 / (p (2 - p)), whose pole at p = 2
the variable s moves to infinity. g corrects the leading term of the uniform expansion for large df
(Temme 1982, "The uniform asymptotic expansion of a class of integrals related to cumulative
distribution functions", SIAM J. Math. Anal. 13): the normal distribution is joined with no switch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import mpmath as mp  # type: ignore[import-untyped]

from repara.special.fits import chebyshev, normal

__all__ = ["generate"]

DIGITS = 60
# q / (q + MIDPOINT) maps [0, inf) to [0, 1).
MIDPOINT = 6
# All are fitted over this factor beyond the seam, as derivatives are worst at the end of a fit.
OVERLAP = mp.mpf(13) / 10


class Setting(NamedTuple):
    """The fits for one dtype.

    Attributes:
      dtype: the floating-point type whose arithmetic the coefficients are for.
      seam: the degrees of freedom from which `LARGE` holds.
      noise: largest |eps|: no probability that is a normal number of the type is further out.
      tolerance: bound on the absolute error of R and of g.
      grid: Chebyshev nodes per side.
    """

    dtype: str
    seam: int
    noise: int
    tolerance: float
    grid: int


# Below the seam, float64 solves for a beta variate.
SINGLE = Setting("float32", 4, 13, 1e-7, 22)
DOUBLE = Setting("float64", 64, 38, 3e-13, 30)


def tails(df: Any, log_z: Any, log_tail: Any) -> tuple[Any, Any]:
    """P(0 < T < z) and P(T > z), the latter being near exp(log_tail).

    With y = z^2 / (df + z^2) either is half of a regularized incomplete beta function, I_y(1/2, a)
    or I_(1 - y)(a, 1/2), a = df / 2, by the power series DLMF 8.17.8; its terms are positive.
    """
    z2, a, half = mp.exp(2 * log_z), df / 2, mp.mpf(1) / 2
    y, rest = z2 / (df + z2), df / (df + z2)
    log_beta = mp.loggamma(a) + mp.loggamma(half) - mp.loggamma(a + half)
    kernel = mp.exp(half * mp.log(y) + a * mp.log(rest) - log_beta)
    inner = y < 0.6 and log_tail > -45  # 1/2 less it has lost 20 digits at most
    first, ratio = (3 * half, y) if inner else (a + 1, rest)
    term = total = mp.mpf(1)
    n = 0
    while term > mp.eps * total:
        term *= (a + half + n) / (first + n) * ratio
        total += term
        n += 1
    if inner:
        centre = kernel * total
        return centre, half - centre
    tail = kernel * total / (2 * a)
    return half - tail, tail


def log_quantile(df: Any, size: Any) -> Any:
    """Log z of the z > 0 with P(|T| > z) = exp(-size), by Newton's method."""
    log_tail, log_centre = -size - mp.log(2), mp.log(-mp.expm1(-size) / 2)
    if df < 3:
        log_z = mp.log(df) / 2 + mp.log(mp.sinh(size / df))
    else:
        e = size / (mp.mpf(4) / 5 + mp.sqrt(size / 2))
        log_z = mp.log(df * mp.expm1(e * e / df)) / 2
    a = df / 2
    peak = mp.loggamma(a + mp.mpf(1) / 2) - mp.loggamma(a) - mp.log(mp.pi * df) / 2
    for _ in range(80):
        centre, tail = tails(df, log_z, log_tail)
        density = mp.exp(peak - (a + mp.mpf(1) / 2) * mp.log1p(mp.exp(2 * log_z) / df) + log_z)
        if size > 1:
            step = (mp.log(tail) - log_tail) * tail / density
        else:
            step = (log_centre - mp.log(centre)) * centre / density
        log_z += max(min(step, 1), -1)
        if abs(step) < mp.mpf(10) ** (-mp.mp.dps // 2 + 6):  # the next error is its square
            return log_z
    raise ArithmeticError(f"no convergence at {df=} {size=}")


def size_of_noise(e: Any) -> Any:
    """-log(2 Phi(-e)) for e >= 0, to a relative error also where it is close to 0."""
    central = mp.erf(e / mp.sqrt(2))
    return -mp.log1p(-central) if e < 1 else -mp.log(mp.erfc(e / mp.sqrt(2)))


def log_quantile_at_noise(df: Any, e: Any) -> Any:
    """Log z with P(T > z) = Phi(-e), e > 0."""
    return log_quantile(df, size_of_noise(e))


def _table(f: Callable[[Any, Any], Any], setting: Setting) -> chebyshev.Table:
    points = chebyshev.nodes(setting.grid)
    values = [[f((1 + x) / 2, (1 + y) / 2) for y in points] for x in points]
    table = chebyshev.truncated(chebyshev.coefficients_2d(values), setting.tolerance)
    return chebyshev.monomials_2d(table)


def small(setting: Setting) -> chebyshev.Table:
    """R(s, b) as monomials in 2 s - 1 and 2 b / b_max - 1."""
    top = mp.log1p(OVERLAP * setting.seam)

    def f(s: Any, b: Any) -> Any:
        df, x = mp.expm1(top * b), mp.log((1 + s) / (2 * s))
        return log_quantile(df, x * df / 2) - mp.log(df) / 2 - mp.log(mp.sinh(x / 2))

    return _table(f, setting)


def _ends(setting: Setting) -> tuple[Any, Any]:
    """Largest w and t of `LARGE`."""
    w = OVERLAP / setting.seam
    return w, setting.noise**2 * w / (setting.noise**2 * w + MIDPOINT)


def large(setting: Setting) -> chebyshev.Table:
    """g(t, w) as monomials in 2 t / t_max - 1 and 2 w / w_max - 1."""
    w_top, t_top = _ends(setting)

    def f(t: Any, w: Any) -> Any:
        q, df = MIDPOINT * t_top * t / (1 - t_top * t), 1 / (w_top * w)
        log_z = log_quantile_at_noise(df, mp.sqrt(q * df))
        return (mp.log1p(mp.exp(2 * log_z) / df) - q) / q * df

    return _table(f, setting)


def noise(setting: Setting) -> list[Any]:
    """P as monomials in t, scaled to [-1, 1]."""
    least = normal.scaled_radius_end(setting.noise)

    def f(x: Any) -> Any:
        t = least + (1 - least) * (1 + x) / 2
        e = normal.MIDPOINT * (1 - t) / (1 + t)
        return size_of_noise(e) / e - e / 2

    return chebyshev.fit(f, 60, 1e-8)


def generate() -> str:
    """Returns the source of `repara/special/coefficients/student_t.py`, without its header.

    Returns:
      Python source.

    Example:
      >>> source = generate()  # doctest: +SKIP
    """
    with mp.workdps(DIGITS):
        source = f"MIDPOINT = {MIDPOINT}\n"
        source += f"LEAST_FLOAT32 = {float(normal.scaled_radius_end(SINGLE.noise))!r}\n"
        source += f"B_FLOAT32 = {float(mp.log1p(OVERLAP * SINGLE.seam))!r}\n"
        source += chebyshev.literal("NOISE_FLOAT32", noise(SINGLE), "float32")
        source += f"# small: at most {SINGLE.tolerance:.1e} from the function fitted\n"
        source += chebyshev.literal_2d("SMALL_FLOAT32", small(SINGLE), "float32")
        for setting in (SINGLE, DOUBLE):
            w_top, t_top = _ends(setting)
            suffix = f"_{setting.dtype.upper()}"
            source += f"SEAM{suffix} = {float(setting.seam)}\n"
            source += f"BOUND{suffix} = {float(setting.noise)}\n"
            source += f"W{suffix} = {float(w_top)!r}\nT{suffix} = {float(t_top)!r}\n"
            source += f"# large: at most {setting.tolerance:.1e} from the function fitted\n"
            source += chebyshev.literal_2d("LARGE" + suffix, large(setting), setting.dtype)
        return source
