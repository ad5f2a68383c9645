"""The fits behind `repara.special.beta_fit`, in two regimes.

With u = Phi(eps) = I_z(a, b) and w the larger of the concentrations, the fitted functions are

- `LARGE`  V in -log(1 - z) = m exp V,  m = g / N,  N = b + (a - 1) 3 / 10,  P(a, g) = u, so that
           g is the gamma quantile, in 1 - (1 + m / 12)^-2, a / (b + a / 10) and 1 / (b + 2 / 5):
                                                                              a <= b, w >= seam
- `SMALL`  C in z = x exp(m C),  x = s / (1 + k s),  m = s / (1 + (k - 3 / 4) s),
           s = (u a B(a, b))^(1 / a),  k = (1 - b) (1 - a b / 4) / (1 + a / 2),
           in m, a / (1 + a) and b:                                           z <= 1/2, w <= seam
- `MIXED`  H in log(a B(a, b)) = log(1 + a / b) - a b H, in a / (1 + a) and b / (1 + b): w <= seam

The numbers and functions of this list are those of `repara.special.beta_fit`. The other tail
follows by exchanging a and b, u and 1 - u. For b -> infinity -log(1 - z) is a gamma variate over b.
N contains nearly the first correction (Wise 1950, "The incomplete beta function as a contour
integral and a quickly converging series for its inverse", Biometrika 37), and stays positive. s is
the limit of z for small u, and z itself at b = 1. x is z also at b = 0, a -> 0, where z is close to
0 or 1.

V and C are functions of three variables: sums of Chebyshev polynomials up to a total degree. They
are fitted by least squares over points that are denser at the ends, with weights that make the
greatest error small. The errors are those of the logit of z and of its derivatives in a and b, over
the required accuracy. The data are float64 values of this package's own `logit_beta_from_normal`,
which uses none of these fits. Coefficients are rounded to multiples of `QUANTUM`, far more than the
differences between the rounding errors of machines.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import mpmath as mp  # type: ignore[import-untyped]
import numpy as np
from numpy.polynomial import chebyshev as series

from repara.special import beta, beta_fit, gamma, normal
from repara.special.constants import NOISE_BOUND_FLOAT32
from repara.special.fits import chebyshev

__all__ = ["generate"]

DIGITS = 30
SEAM = 1.25
# All are fitted over this factor beyond the seams, as derivatives are worst at the end of a fit.
OVERLAP = 1.03
LEAST = 4e-3  # concentration; both fits are smooth down to 0
Z = 0.575  # greatest z of `SMALL`
POINTS = 9000
QUANTUM = 2.0**-26
ROUNDS = 8
# Greatest degrees n, and the power p in (i / n)^p + ... <= 1. They gave the smallest errors for
# their number of terms.
TERMS_LARGE = (11, 7, 7), 1.15
TERMS_SMALL = (7, 6, 8), 1.3
MIXED_TOLERANCE = 1e-7

Columns = tuple[np.ndarray, np.ndarray, np.ndarray]
Coordinates = tuple[jax.Array, jax.Array, jax.Array]


class Regime(NamedTuple):
    """One regime of the fit.

    Attributes:
      points: eps, a and b.
      function: from eps, a, b and the logit of z: the function that is fitted, what it multiplies
        in the logarithm of -log(1 - z) or of z, the derivative of the logit in that logarithm,
        and the three variables.
      degrees: those of the Chebyshev polynomials in each variable, for each term.
      ends: the greatest value of each variable; the least is 0.
    """

    points: Columns
    function: Any
    degrees: list[tuple[int, int, int]]
    ends: tuple[float, float, float]


def terms(greatest: tuple[int, int, int], power: float) -> list[tuple[int, int, int]]:
    """The degrees (i, j, k) whose shares of the greatest ones, to the power, sum to at most 1."""
    grid = np.ndindex(*(n + 1 for n in greatest))

    def size(degrees: tuple[int, ...]) -> float:
        return float(sum((i / n) ** power for i, n in zip(degrees, greatest, strict=True)))

    return [(i, j, k) for i, j, k in grid if size((i, j, k)) < 1 + 1e-9]


def _dense_at_ends(rng: np.random.Generator, count: int) -> np.ndarray:
    return 0.5 - 0.5 * np.cos(np.pi * rng.random(count))


def _between(rng: np.random.Generator, low: Any, high: Any, count: int) -> np.ndarray:
    """Log-uniform."""
    return np.asarray(np.exp(np.log(low) + np.log(high / low) * rng.random(count)))


def large() -> Regime:
    """V, for one large concentration."""
    rng = np.random.default_rng(1)
    least = SEAM / OVERLAP
    b = least / np.maximum(_dense_at_ends(rng, POINTS), 1e-5)
    b[::3] = _between(rng, least, 1e5, len(b[::3]))
    a = LEAST * np.exp(np.log(1.05 * b / LEAST) * _dense_at_ends(rng, POINTS))
    a[::2] = np.maximum(1.05 * b * _dense_at_ends(rng, POINTS), LEAST)[::2]
    eps = NOISE_BOUND_FLOAT32 * 1.01 * (2 * _dense_at_ends(rng, POINTS) - 1)

    def function(eps: jax.Array, a: jax.Array, b: jax.Array, y: jax.Array) -> Any:
        far = y < -30
        m = jax.nn.softplus(jnp.where(far, 0, y))
        log_m = jnp.where(far, y, jnp.log(m))
        start = gamma.log_gamma_from_normal(eps, a) - jnp.log(beta_fit.gamma_rate(a, b))
        x = 1 - (1 + jnp.exp(start) / beta_fit.MASS_SCALE) ** -2
        inverse, reciprocal = beta_fit.large_coordinates(a, b)
        by_log = jnp.where(far, 1, m / -jnp.expm1(-m))
        return log_m - start, jnp.ones_like(a), by_log, (x, a * inverse, reciprocal)

    inverse, _ = beta_fit.large_coordinates(1.05, 1.0)
    _, reciprocal = beta_fit.large_coordinates(0.0, least)
    ends = (0.86, 1.05 * inverse, reciprocal)
    return Regime((eps, a, b), function, terms(*TERMS_LARGE), ends)


def small() -> Regime:
    """C, for two small concentrations."""
    rng = np.random.default_rng(2)
    top = SEAM * OVERLAP
    a, b = (np.maximum(top * _dense_at_ends(rng, POINTS), LEAST) for _ in range(2))
    a[::3] = _between(rng, LEAST, top, len(a[::3]))
    b[1::3] = _between(rng, LEAST, top, len(b[1::3]))
    z = Z * np.maximum(_dense_at_ends(rng, POINTS), 1e-6)
    eps = np.asarray(beta.normal_from_beta(np.log(z) - np.log1p(-z), a, b))

    def function(eps: jax.Array, a: jax.Array, b: jax.Array, y: jax.Array) -> Any:
        mixed = jax.lax.lgamma(1 + a) + jax.lax.lgamma(1 + b) - jax.lax.lgamma(1 + a + b)
        log_s = (normal.log_ndtr(eps) + mixed + jnp.log1p(a / b)) / a
        s = jnp.exp(log_s)
        k = beta_fit.quadratic_coefficient(a, b)
        m = s / (1 + (k - beta_fit.MASS_SHIFT) * s)
        log_z = -jax.nn.softplus(-y)
        fitted = (log_z - log_s + jnp.log1p(k * s)) / m
        return fitted, m, 1 + jnp.exp(y), (m, a / (1 + a), b)

    ends = (1.1, top / (1 + top), top)
    return Regime((eps, a, b), function, terms(*TERMS_SMALL), ends)


def _accuracy(eps: Any, a: Any, b: Any) -> Columns:
    """The required accuracy of the logit and of its derivatives in a and b, in float32."""
    unit = 2.0**-23
    y, *slopes = _logit_and_slopes(eps, a, b)
    by_eps, by_a, by_b = (np.asarray(v) for v in slopes)
    condition = sum(abs(x * d) for x, d in ((eps, by_eps), (a, by_a), (b, by_b))) + abs(y)
    share = np.maximum(2e-5, 32 * unit * condition)
    value = np.maximum(3e-6, 4 * unit * (1 + condition))
    return np.asarray(value), share * abs(by_a), share * abs(by_b)


@jax.jit
def _logit_and_slopes(eps: Any, a: Any, b: Any) -> tuple[jax.Array, ...]:
    def total(eps: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.sum(beta.logit_beta_from_normal(eps, a, b))

    return beta.logit_beta_from_normal(eps, a, b), *jax.grad(total, (0, 1, 2))(eps, a, b)


def _powers(x: np.ndarray, degree: int) -> tuple[np.ndarray, np.ndarray]:
    """T_0(x) .. T_degree(x), and their derivatives."""
    slopes = [series.chebval(x, series.chebder(np.eye(degree + 1)[j])) for j in range(degree + 1)]
    return series.chebvander(x, degree), np.stack(slopes, axis=-1)


def equations(regime: Regime) -> tuple[np.ndarray, np.ndarray]:
    """The rows of the least-squares problem: for the value, the slopes in a and in b."""
    eps, a, b = regime.points

    @jax.jit
    def parts(a: jax.Array, b: jax.Array) -> Any:
        fitted, factor, by_log, variables = regime.function(
            eps, a, b, beta.logit_beta_from_normal(eps, a, b)
        )
        scaled = [2 * v / end - 1 for v, end in zip(variables, regime.ends, strict=True)]
        return (factor * fitted, factor, *scaled), by_log

    one, zero = jnp.ones_like(a), jnp.zeros_like(a)
    (value, factor, *xs), by_log = (jax.tree.map(np.asarray, v) for v in parts(a, b))
    tangents = [jax.jvp(parts, (a, b), t)[1][0] for t in ((one, zero), (zero, one))]
    index = np.array(regime.degrees).T
    tables = [_powers(x, max(i)) for x, i in zip(xs, index, strict=True)]
    columns = [[t[:, i] for t in table] for table, i in zip(tables, index, strict=True)]
    (p, dp), (q, dq), (r, dr) = columns
    basis, gradient = p * q * r, (dp * q * r, p * dq * r, p * q * dr)
    rows, right = [factor[:, None] * basis], [value]
    for slope, by_factor, *by_x in (map(np.asarray, m) for m in tangents):
        along = sum(d[:, None] * g for d, g in zip(by_x, gradient, strict=True))
        rows.append(by_factor[:, None] * basis + factor[:, None] * along)
        right.append(slope)
    weights = [by_log / accuracy for accuracy in _accuracy(eps, a, b)]
    return (
        np.concatenate([w[:, None] * m for w, m in zip(weights, rows, strict=True)]),
        np.concatenate([w * v for w, v in zip(weights, right, strict=True)]),
    )


def solve(regime: Regime) -> tuple[list[int], list[float]]:
    """Chebyshev coefficients over `QUANTUM`, and the greatest errors over the required accuracies.

    The greatest error is made small by weights that grow where the error is large (Lawson 1961,
    "Contributions to the theory of linear least maximum approximation"; here with their roots,
    which is slower and steadier). The best of some rounds is kept.
    """
    rows, right = equations(regime)
    weights = np.ones_like(right)
    best: tuple[np.ndarray, np.ndarray] | None = None
    for _ in range(ROUNDS):
        solution = np.linalg.lstsq(weights[:, None] * rows, weights * right, rcond=None)[0]
        multiples = np.rint(solution / QUANTUM)
        errors = np.abs(rows @ (multiples * QUANTUM) - right)
        if best is None or errors.max() < best[1].max():
            best = multiples, errors
        weights = weights * np.sqrt(errors / errors.max() + 0.01)
        weights = weights / weights.max()
    assert best is not None
    multiples, errors = best
    return [int(v) for v in multiples], [float(e) for e in errors.reshape(3, -1).max(axis=1)]


def mixed() -> chebyshev.Table:
    """H as monomials in the shares a / (1 + a) and b / (1 + b), scaled from [0, top] to [-1, 1]."""
    top = mp.mpf(SEAM) * OVERLAP
    half = top / (1 + top) / 2

    def f(x: Any, y: Any) -> Any:
        a, b = (share / (1 - share) for share in (half * (1 + x), half * (1 + y)))
        return (mp.loggamma(1 + a + b) - mp.loggamma(1 + a) - mp.loggamma(1 + b)) / (a * b)

    points = chebyshev.nodes(20)
    values = [[f(x, y) for y in points] for x in points]
    table = chebyshev.truncated(chebyshev.coefficients_2d(values), MIXED_TOLERANCE)
    return chebyshev.monomials_2d(table)


def generate() -> str:
    """Returns the source of `repara/special/coefficients/beta.py`, without its header.

    Returns:
      Python source.

    Example:
      >>> source = generate()  # doctest: +SKIP
    """
    top = SEAM * OVERLAP
    with mp.workdps(DIGITS):
        source = f"SEAM = {SEAM}\nTOP = {top / (1 + top)!r}\n"
        source += f"# mixed: at most {MIXED_TOLERANCE:.1e} from the function fitted\n"
        source += chebyshev.literal_2d("MIXED", mixed(), "float32")
        for fit in (large, small):
            with jax.enable_x64(True):
                regime = fit()
                values, errors = solve(regime)
            name = fit.__name__.upper()
            source += f"ENDS_{name} = {regime.ends!r}\n"
            source += "# {}: at most {:.1f}, {:.1f} and {:.1f} of the accuracies aimed at\n".format(
                fit.__name__, *errors
            )
            exact = (v * mp.mpf(QUANTUM) for v in values)
            table = chebyshev.monomials_3d(dict(zip(regime.degrees, exact, strict=True)))
            source += chebyshev.literal_3d(name, table, "float32")
        return source
