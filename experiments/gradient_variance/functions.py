"""Three functions of a normal variable: measured variances beside exact ones.

    d/dtheta E_N(loc, scale)[f(x)],   f = (x - k)^2, exp(-k x^2), cos(k x)

after Mohamed et al. (2020), "Monte Carlo gradient estimation in machine learning", section 3.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import repara as rp
from repara.estimators import measure_valued, pathwise, score_function

__all__ = ["ESTIMATORS", "FUNCTIONS", "exact_curves", "exact_variance", "measured_variance",
           "study"]  # fmt: skip

LOC, SCALE = 1.0, 1.0
_CHUNK = 4000

# Of x, k and the module to compute with, jax.numpy or numpy.
FUNCTIONS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "(x - k)^2": lambda x, k, xp: (x - k) ** 2,
    "exp(-k x^2)": lambda x, k, xp: xp.exp(-k * x**2),
    "cos(k x)": lambda x, k, xp: xp.cos(k * x),
}
_GRIDS = {
    "(x - k)^2": np.linspace(-3.0, 3.0, 13),
    "exp(-k x^2)": np.geomspace(0.1, 10.0, 13),
    "cos(k x)": np.geomspace(0.5, 5.0, 13),
}
ESTIMATORS: dict[str, Any] = {
    "score function": score_function,
    "pathwise": pathwise,
    "measure-valued": measure_valued,
}


def exact_variance(function: str, estimator: str, k: float) -> np.ndarray:
    """The variance of a single estimate, by quadrature in float64.

    Args:
      function: a key of `FUNCTIONS`.
      estimator: a key of `ESTIMATORS`.
      k: the function's parameter.

    Returns:
      The variances of the derivatives in location and scale, [2].
    """

    def f(x: np.ndarray) -> np.ndarray:
        return FUNCTIONS[function](x, k, np)

    if estimator == "measure-valued":
        nodes, weights = np.polynomial.legendre.leggauss(300)
        w = 6.0 * (nodes + 1)  # a Rayleigh radius of 12 has probability e^-72
        rayleigh = weights * w * np.exp(-0.5 * w**2)
        low = f(LOC + SCALE * w) - f(LOC - SCALE * w)
        loc = _variance(low / (SCALE * np.sqrt(2 * np.pi)), rayleigh)
        radius = np.linspace(-12.0, 12.0, 2401)[:, None]
        maxwell = radius**2 * np.exp(-0.5 * radius**2)
        nodes, weights = np.polynomial.legendre.leggauss(60)
        uniform = 0.5 * (nodes + 1)[None]
        high = f(LOC + SCALE * radius) - f(LOC + SCALE * radius * uniform)
        return np.array([loc, _variance(high / SCALE, maxwell * weights[None])])
    # The trapezoidal rule on smooth functions that vanish at both ends: exact to rounding.
    eps = np.linspace(-12.0, 12.0, 6001)
    density, x = np.exp(-0.5 * eps**2), LOC + SCALE * eps
    if estimator == "pathwise":
        slope = f(x + 1e-30j).imag / 1e-30  # the complex step: exact to rounding
        g = [slope, slope * eps]
    else:
        g = [f(x) * eps / SCALE, f(x) * (eps**2 - 1) / SCALE]
    return np.array([_variance(v, density) for v in g])


def exact_curves(num_points: int) -> list[dict]:
    """Exact variances over fine grids, for the lines of a figure.

    Args:
      num_points: points of each grid.

    Returns:
      One row a function, estimator, k and parameter.
    """
    rows = []
    for function, grid in _GRIDS.items():
        space = np.linspace if grid[0] < 0 else np.geomspace
        for estimator in ESTIMATORS:
            for k in space(grid[0], grid[-1], num_points):
                exact = exact_variance(function, estimator, float(k))
                rows += [
                    {"function": function, "estimator": estimator, "k": float(k),
                     "parameter": parameter, "exact": float(value)}
                    for parameter, value in zip(("loc", "scale"), exact, strict=True)
                ]  # fmt: skip
    return rows


def _variance(values: np.ndarray, weights: np.ndarray) -> float:
    weights = np.broadcast_to(weights, values.shape) / np.sum(
        np.broadcast_to(weights, values.shape)
    )
    mean = np.sum(weights * values)
    return float(np.sum(weights * (values - mean) ** 2))


def measured_variance(
    function: str, estimator: str, ks: np.ndarray, key: jax.Array, repeats: int
) -> tuple[np.ndarray, np.ndarray]:
    """The variance of single estimates, and its standard error.

    Args:
      function: a key of `FUNCTIONS`.
      estimator: a key of `ESTIMATORS`.
      ks: the function's parameters, [n].
      key: a typed key; consumed.
      repeats: estimates for each of them.

    Returns:
      The variances in location and scale and their standard errors, each [n, 2].
    """
    params = jnp.array([LOC, SCALE])

    @jax.jit
    def moments(k: jax.Array, keys: jax.Array) -> tuple[jax.Array, jax.Array]:
        surrogate = ESTIMATORS[estimator](
            lambda x: FUNCTIONS[function](x, k, jnp), lambda p: rp.Normal(p[0], p[1])
        )

        def gradient(key: jax.Array) -> jax.Array:
            return jax.grad(lambda p: surrogate(p, key, 1)[0])(params)

        g = jax.lax.map(gradient, keys, batch_size=min(_CHUNK, repeats))
        centred = g - jnp.mean(g, axis=0)[None]
        return jnp.mean(centred**2, axis=0), jnp.mean(centred**4, axis=0)

    keys = jax.random.split(key, repeats)
    second, fourth = (
        np.asarray(x, np.float64)
        for x in zip(*(moments(jnp.float32(k), keys) for k in ks), strict=True)
    )
    return second, np.sqrt(np.maximum(fourth - second**2, 0) / repeats)


def study(key: jax.Array, repeats: int, num_points: int, tick: Callable[[str], None]) -> list[dict]:
    """All functions and estimators over their grids.

    Args:
      key: a typed key; consumed.
      repeats: estimates a point.
      num_points: points of each grid.
      tick: called with a label after each of the 9 parts.

    Returns:
      One row a function, estimator, k and parameter: exact and measured variance and its error.
    """
    rows = []
    for function in FUNCTIONS:
        grid = _GRIDS[function]
        ks = grid[np.round(np.linspace(0, len(grid) - 1, num_points)).astype(int)]
        for estimator in ESTIMATORS:
            measured, error = measured_variance(function, estimator, ks, key, repeats)
            for i, k in enumerate(ks):
                exact = exact_variance(function, estimator, float(k))
                for j, parameter in enumerate(("loc", "scale")):
                    rows.append({
                        "function": function, "estimator": estimator, "k": float(k),
                        "parameter": parameter, "exact": float(exact[j]),
                        "measured": float(measured[i, j]), "stderr": float(error[i, j]),
                    })  # fmt: skip
            tick(f"{function} {estimator}")
    return rows
