"""Gradients of expectations of three functions of a normal variable: measured and exact variances.

    d/dtheta E_N(loc, scale)[f(x)],   f = (x - k)^2, exp(-k x^2), cos(k x)

References:
  Mohamed et al. (2020), "Monte Carlo gradient estimation in machine learning", section 3,
  https://arxiv.org/abs/1906.10652
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import repara as rp
from repara.estimators import Surrogate, measure_valued, pathwise, score_function

__all__ = ["ESTIMATORS", "FUNCTIONS", "NUM_PARTS", "Estimator", "Function", "exact_curves",
           "exact_variance", "measured_variance", "study"]  # fmt: skip

LOC, SCALE = 1.0, 1.0
PARAMETERS = ("loc", "scale")
# Estimates that are computed at once.
_CHUNK = 4000


class Function(NamedTuple):
    """A function f(x) with a parameter k.

    Attributes:
      value: (x, k, module) -> f(x), where the module is `jax.numpy` or `numpy`.
      grid: the values of k at which variances are measured.
      spacing: the function that makes such a grid, `np.linspace` or `np.geomspace`.
      title: the formula in LaTeX.
    """

    value: Callable[[Any, Any, Any], Any]
    grid: np.ndarray
    spacing: Callable[..., np.ndarray]
    title: str


class Estimator(NamedTuple):
    """A gradient estimator with the exact variance of its estimates.

    Attributes:
      surrogate: (function, distribution_fn) -> the surrogate.
      exact_variance: f -> the variances of the derivatives in loc and scale, [2]. The function f
        accepts NumPy arrays, also complex ones.
    """

    surrogate: Callable[[Any, Any], Surrogate]
    exact_variance: Callable[[Callable[[np.ndarray], np.ndarray]], np.ndarray]


def _variance(values: np.ndarray, weights: np.ndarray) -> float:
    """Returns the variance of values under weights, which need not sum to 1."""
    weights = np.broadcast_to(weights, values.shape)
    weights = weights / np.sum(weights)
    mean = np.sum(weights * values)
    return float(np.sum(weights * (values - mean) ** 2))


def _normal_quadrature() -> tuple[np.ndarray, np.ndarray]:
    """Returns nodes and weights of the trapezoidal rule for a standard normal variable.

    The rule is exact up to rounding for smooth functions that vanish at both ends.
    """
    eps = np.linspace(-12.0, 12.0, 6001)
    return eps, np.exp(-0.5 * eps**2)


def _score_function_variance(f: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    eps, density = _normal_quadrature()
    values = f(LOC + SCALE * eps)
    by_loc, by_scale = values * eps / SCALE, values * (eps**2 - 1) / SCALE
    return np.array([_variance(by_loc, density), _variance(by_scale, density)])


def _pathwise_variance(f: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    eps, density = _normal_quadrature()
    # Complex-step differentiation: exact up to rounding.
    derivative = f(LOC + SCALE * eps + 1e-30j).imag / 1e-30
    return np.array([_variance(derivative, density), _variance(derivative * eps, density)])


def _measure_valued_variance(f: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    nodes, weights = np.polynomial.legendre.leggauss(300)
    w = 6.0 * (nodes + 1)  # the probability of a Rayleigh radius above 12 is e^-72
    rayleigh = weights * w * np.exp(-0.5 * w**2)
    by_loc = f(LOC + SCALE * w) - f(LOC - SCALE * w)
    radius = np.linspace(-12.0, 12.0, 2401)[:, None]
    maxwell = radius**2 * np.exp(-0.5 * radius**2)
    nodes, weights = np.polynomial.legendre.leggauss(60)
    uniform = 0.5 * (nodes + 1)[None]
    by_scale = f(LOC + SCALE * radius) - f(LOC + SCALE * radius * uniform)
    return np.array(
        [
            _variance(by_loc / (SCALE * np.sqrt(2 * np.pi)), rayleigh),
            _variance(by_scale / SCALE, maxwell * weights[None]),
        ]
    )


FUNCTIONS: dict[str, Function] = {
    "(x - k)^2": Function(
        lambda x, k, xp: (x - k) ** 2, np.linspace(-3.0, 3.0, 13), np.linspace,
        r"$f = (x - k)^2$",
    ),
    "exp(-k x^2)": Function(
        lambda x, k, xp: xp.exp(-k * x**2), np.geomspace(0.1, 10.0, 13), np.geomspace,
        r"$f = \exp(-k x^2)$",
    ),
    "cos(k x)": Function(
        lambda x, k, xp: xp.cos(k * x), np.geomspace(0.5, 5.0, 13), np.geomspace,
        r"$f = \cos(k x)$",
    ),
}  # fmt: skip
ESTIMATORS: dict[str, Estimator] = {
    "score function": Estimator(score_function, _score_function_variance),
    "pathwise": Estimator(pathwise, _pathwise_variance),
    "measure-valued": Estimator(measure_valued, _measure_valued_variance),
}
NUM_PARTS = len(FUNCTIONS) * len(ESTIMATORS)


def exact_variance(function: Function, estimator: Estimator, k: float) -> np.ndarray:
    """Computes the variance of a single estimate by quadrature in float64.

    Args:
      function: a value of `FUNCTIONS`.
      estimator: a value of `ESTIMATORS`.
      k: the parameter of the function.

    Returns:
      The variances of the derivatives in loc and scale, [2].

    Example:
      >>> exact_variance(FUNCTIONS["(x - k)^2"], ESTIMATORS["pathwise"], 1.0).round(6).tolist()
      [4.0, 8.0]
    """
    return estimator.exact_variance(lambda x: function.value(x, k, np))


def exact_curves(num_points: int) -> list[dict]:
    """Computes exact variances over fine grids, for the lines of a figure.

    Args:
      num_points: points per grid.

    Returns:
      One row per function, estimator, k and parameter.
    """
    return [
        {"function": function_name, "estimator": estimator_name, "k": float(k),
         "parameter": parameter, "exact": float(value)}
        for function_name, function in FUNCTIONS.items()
        for estimator_name, estimator in ESTIMATORS.items()
        for k in function.spacing(function.grid[0], function.grid[-1], num_points)
        for parameter, value in zip(
            PARAMETERS, exact_variance(function, estimator, float(k)), strict=True
        )
    ]  # fmt: skip


def measured_variance(
    function: Function, estimator: Estimator, ks: np.ndarray, key: jax.Array, repeats: int
) -> tuple[np.ndarray, np.ndarray]:
    """Measures the variance of single estimates.

    Args:
      function: a value of `FUNCTIONS`.
      estimator: a value of `ESTIMATORS`.
      ks: parameters of the function, [n].
      key: a typed key; the estimates for each parameter use the same noise.
      repeats: estimates per parameter.

    Returns:
      The variances of the derivatives in loc and scale and their standard errors, each [n, 2].
    """
    params = jnp.array([LOC, SCALE])

    @jax.jit
    def moments(k: jax.Array, keys: jax.Array) -> tuple[jax.Array, jax.Array]:
        surrogate = estimator.surrogate(
            lambda x: function.value(x, k, jnp), lambda p: rp.Normal(p[0], p[1])
        )

        def gradient(key: jax.Array) -> jax.Array:
            return jax.grad(lambda p: surrogate(p, key, 1)[0])(params)

        g = jax.lax.map(gradient, keys, batch_size=min(_CHUNK, repeats))
        centered = g - jnp.mean(g, axis=0)[None]
        return jnp.mean(centered**2, axis=0), jnp.mean(centered**4, axis=0)

    keys = jax.random.split(key, repeats)
    second, fourth = (
        np.asarray(x, np.float64)
        for x in zip(*(moments(jnp.float32(k), keys) for k in ks), strict=True)
    )
    return second, np.sqrt(np.maximum(fourth - second**2, 0) / repeats)


def study(
    key: jax.Array, *, repeats: int, num_points: int, on_part_done: Callable[[str], None]
) -> list[dict]:
    """Measures all functions and estimators over their grids.

    Args:
      key: a typed key; all functions and estimators use the same noise.
      repeats: estimates per point.
      num_points: points per grid.
      on_part_done: called with a label after each of the `NUM_PARTS` parts.

    Returns:
      One row per function, estimator, k and parameter: the exact variance, the measured variance,
      and the standard error of the latter.
    """
    rows: list[dict] = []
    for function_name, function in FUNCTIONS.items():
        indices = np.round(np.linspace(0, len(function.grid) - 1, num_points)).astype(int)
        ks = function.grid[indices]
        for estimator_name, estimator in ESTIMATORS.items():
            measured, error = measured_variance(function, estimator, ks, key, repeats)
            for i, k in enumerate(ks):
                exact = exact_variance(function, estimator, float(k))
                rows += [
                    {"function": function_name, "estimator": estimator_name, "k": float(k),
                     "parameter": parameter, "exact": float(exact[j]),
                     "measured": float(measured[i, j]), "stderr": float(error[i, j])}
                    for j, parameter in enumerate(PARAMETERS)
                ]  # fmt: skip
            on_part_done(f"{function_name} {estimator_name}")
    return rows
