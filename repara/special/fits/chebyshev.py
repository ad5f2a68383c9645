"""Chebyshev interpolation in one and two variables in mpmath arithmetic, and its monomial form."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import mpmath as mp  # type: ignore[import-untyped]
import numpy as np

__all__: list[str] = []

Table = list[list[Any]]


def nodes(count: int) -> list[Any]:
    """The `count` zeros of the Chebyshev polynomial T_count, from 1 down to -1."""
    return [mp.cos(mp.pi * (2 * k + 1) / (2 * count)) for k in range(count)]


def coefficients(values: Sequence[Any]) -> list[Any]:
    """Chebyshev coefficients of the interpolant through `values` at `nodes(len(values))`.

    c_j = (2 - [j = 0]) / n  sum_k f(x_k) cos(pi j (2k + 1) / 2n): discrete orthogonality.
    """
    n = len(values)
    angles = [mp.cos(mp.pi * k / (2 * n)) for k in range(4 * n)]
    sums = [
        mp.fsum(values[k] * angles[j * (2 * k + 1) % (4 * n)] for k in range(n)) for j in range(n)
    ]
    return [s * (1 if j == 0 else 2) / n for j, s in enumerate(sums)]


def coefficients_2d(values: Table) -> Table:
    """Chebyshev coefficients [i][j] of T_i(x) T_j(y) from values[k][l] = f(x_k, y_l)."""
    rows = [coefficients(row) for row in values]
    columns = [coefficients(column) for column in zip(*rows, strict=True)]
    return [list(row) for row in zip(*columns, strict=True)]


def monomials(series: Sequence[Any]) -> list[Any]:
    """Coefficients in powers of x of sum_j series[j] T_j(x), exact up to the working precision."""
    total = [mp.mpf(0)] * len(series)
    before: list[int] = [1]
    now: list[int] = [0, 1]
    for j, c in enumerate(series):
        t = before if j == 0 else now
        for power, integer in enumerate(t):
            if integer:
                total[power] += c * integer
        if j > 0:
            after = [0, *(2 * k for k in now)]
            for power, integer in enumerate(before):
                after[power] -= integer
            before, now = now, after
    return total


def truncated(table: Table, tolerance: float) -> Table:
    """Drops from each row the largest tail of Chebyshev coefficients whose absolute sum is small.

    The tails dropped from all the rows together sum to at most `tolerance`, which therefore bounds
    the error of the truncation on the whole square.
    """
    entries = sorted(
        (abs(value), i, j) for i, row in enumerate(table) for j, value in enumerate(row)
    )
    spent = mp.mpf(0)
    keep = [[True] * len(row) for row in table]
    for size, i, j in entries:
        spent += size
        if spent > tolerance:
            break
        keep[i][j] = False
    lengths = [max((j + 1 for j in range(len(row)) if row[j]), default=0) for row in keep]
    while lengths and lengths[-1] == 0:
        lengths.pop()
    return [
        [value if keep[i][j] else mp.mpf(0) for j, value in enumerate(table[i][: lengths[i]])]
        for i in range(len(lengths))
    ]


def monomials_2d(table: Table) -> Table:
    """Rows of coefficients in powers of y, one row for each power of x, from a Chebyshev table."""
    width = max(len(row) for row in table)
    in_y = [monomials(row) + [mp.mpf(0)] * (width - len(row)) for row in table]
    columns = [monomials(column) for column in zip(*in_y, strict=True)]
    rows = [list(row) for row in zip(*columns, strict=True)]
    trimmed = []
    for row in rows:
        length = max((j + 1 for j, value in enumerate(row) if value != 0), default=1)
        trimmed.append(row[:length])
    return trimmed


def monomials_3d(series: dict[tuple[int, int, int], Any]) -> list[Table]:
    """Coefficients [i][j][k] of x^i y^j z^k in the sum of series[i, j, k] T_i(x) T_j(y) T_k(z).

    If a term is given, all terms of lower degrees must be given too.
    """
    cube = np.full([1 + max(degrees) for degrees in zip(*series, strict=True)], mp.mpf(0))
    for degrees, value in series.items():
        cube[degrees] = value
    for axis in range(3):
        cube = np.apply_along_axis(lambda v: np.array(monomials(list(v))), axis, cube)
    tables: list[Table] = []
    for i, j, k in sorted(series):
        if j == k == 0:
            tables.append([])
        if k == 0:
            tables[i].append([])
        tables[i][j].append(cube[i, j, k])
    return tables


def fit(f: Callable[[Any], Any], count: int, tolerance: float) -> list[Any]:
    """Monomial coefficients of the shortest Chebyshev series of f on [-1, 1] within tolerance."""
    (row,) = truncated([coefficients([f(x) for x in nodes(count)])], tolerance)
    return monomials(row)


def shifted(series: Sequence[Any], scale: Any, offset: Any) -> list[Any]:
    """Coefficients in powers of x of sum_j series[j] (scale x + offset)^j."""
    total = [mp.mpf(0)]
    for c in reversed(series):
        times = [offset * v for v in total] + [mp.mpf(0)]
        for power, v in enumerate(total):
            times[power + 1] += scale * v
        times[0] += c
        total = times
    return total[: len(series)]


def number(value: Any, dtype: str) -> str:
    """The shortest literal that reads back as `value` rounded to `dtype`."""
    if dtype == "float32":
        return str(np.float32(float(value)))
    return repr(float(value))


def literal(name: str, series: Sequence[Any], dtype: str) -> str:
    """Python source that assigns a tuple of coefficients to `name`."""
    lines = "".join(f"    {number(value, dtype)},\n" for value in series)
    return f"{name} = (\n{lines})\n"


def literal_2d(name: str, table: Table, dtype: str) -> str:
    """Python source that assigns a tuple of tuples of coefficients to `name`."""
    lines = ""
    for row in table:
        lines += "    (\n" + "".join(f"        {number(v, dtype)},\n" for v in row) + "    ),\n"
    return f"{name} = (\n{lines})\n"


def literal_3d(name: str, tables: Sequence[Table], dtype: str) -> str:
    """Python source that assigns a tuple of tuples of tuples of coefficients to `name`."""
    lines = ""
    for table in tables:
        lines += "    (\n"
        for row in table:
            numbers = "(" + " ".join(f"{number(v, dtype)}," for v in row) + "),"
            lines += textwrap.indent("\n ".join(textwrap.wrap(numbers, 90)), " " * 8) + "\n"
        lines += "    ),\n"
    return f"{name} = (\n{lines})\n"
