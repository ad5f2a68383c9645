"""Coefficients are reproducible, and the tools that make them are right."""

import pathlib

import mpmath as mp
import numpy as np
import pytest

import repara.special
from repara.special.fits import __main__ as fits
from repara.special.fits import chebyshev


@pytest.mark.parametrize(
    "family",
    [
        name if name == "normal" else pytest.param(name, marks=pytest.mark.slow)
        for name in fits.FAMILIES
    ],
)
def test_coefficients_are_regenerated_to_the_last_digit(family):
    module = pathlib.Path(repara.special.__file__).parent / "coefficients" / f"{family}.py"
    assert fits.source(family) == module.read_text(encoding="utf-8")


def test_fit_of_a_polynomial_is_that_polynomial():
    with mp.workdps(30):
        found = chebyshev.fit(lambda x: 2 - x + 3 * x**4, 12, 1e-20)
        assert len(found) == 5
        assert max(abs(c - t) for c, t in zip(found, (2, -1, 0, 0, 3), strict=True)) < 1e-25
        values = [[(1 + x) * (2 - y) ** 2 for y in chebyshev.nodes(5)] for x in chebyshev.nodes(4)]
        table = chebyshev.monomials_2d(
            chebyshev.truncated(chebyshev.coefficients_2d(values), 1e-20)
        )
        np.testing.assert_allclose(np.array(table, float), [[4, -4, 1], [4, -4, 1]], atol=1e-15)
        moved = chebyshev.shifted([mp.mpf(1), mp.mpf(2), mp.mpf(3)], 2, -1)  # at 2 x - 1
        assert [int(c) for c in moved] == [2, -8, 12]


def test_truncation_error_is_within_its_tolerance():
    with mp.workdps(30):
        n, tolerance = 14, 1e-5
        grid = chebyshev.nodes(n)
        values = [[mp.exp(x) / (3 + y) for y in grid] for x in grid]
        rows = chebyshev.monomials_2d(
            chebyshev.truncated(chebyshev.coefficients_2d(values), tolerance)
        )
        rng = np.random.default_rng(0)
        for x, y in rng.uniform(-1, 1, (50, 2)):
            found = sum(c * x**i * y**j for i, row in enumerate(rows) for j, c in enumerate(row))
            assert abs(found - mp.exp(x) / (3 + y)) < tolerance


def test_three_variables():
    with mp.workdps(30):
        # (1 + x) y^2 - z, with y^2 = (T_0 + T_2) / 2
        series = dict.fromkeys(np.ndindex(2, 3, 2), mp.mpf(0))
        half = mp.mpf(1) / 2
        series |= {(i, j, 0): half for i in (0, 1) for j in (0, 2)} | {(0, 0, 1): mp.mpf(-1)}
        found = chebyshev.monomials_3d(series)
        expected = np.zeros((2, 3, 2))
        expected[:, 2, 0], expected[0, 0, 1] = 1, -1
        np.testing.assert_allclose(np.array(found, float), expected, atol=1e-25)
        text = chebyshev.literal_3d("TABLE", found, "float32")
        assert eval(text.split("=")[1]) == tuple(tuple(map(tuple, t)) for t in expected.tolist())
