"""Policy gradients of the linear-quadratic regulator by several estimators, and their errors."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import repara as rp
from experiments.policy_gradient.environments.lqr import LinearPolicy, lqr, policy_gradient
from experiments.policy_gradient.trajectories import Trajectories, discounted_return
from repara import estimators

__all__ = ["ESTIMATORS", "POLICY", "Estimator", "make_surrogate", "measure"]

Estimator = Callable[[Any, Any], estimators.Surrogate]
"""(function, distribution_fn) -> a surrogate."""

# The policy whose gradient is estimated.
POLICY = LinearPolicy(np.array([[0.3, 0.3]]), np.array([-1.0]))

ESTIMATORS: dict[str, Estimator] = {
    "pathwise": estimators.pathwise,
    "score_function": estimators.score_function,
    "score_function, moving average": functools.partial(
        estimators.score_function, baseline="moving_average"
    ),
    "score_function, leave one out": functools.partial(
        estimators.score_function, baseline="leave_one_out"
    ),
}


def make_surrogate(estimator: Estimator) -> estimators.Surrogate:
    """Returns the surrogate of an estimator for the return of a linear policy.

    Args:
      estimator: a value of `ESTIMATORS`.

    Returns:
      `(LinearPolicy, key, num_samples) -> [num_samples]`.

    Example:
      >>> surrogate = make_surrogate(ESTIMATORS["pathwise"])
      >>> surrogate(POLICY, jax.random.key(0), 2).shape
      (2,)
    """
    environment = lqr()

    def start(key: jax.Array, count: int) -> jax.Array:
        return jax.vmap(environment.reset)(jax.random.split(key, count))

    def distribution_fn(params: LinearPolicy) -> Trajectories:
        def policy(state: jax.Array) -> rp.Distribution:
            loc = -jnp.dot(params.gain, state)
            return rp.Independent(rp.Normal(loc, jnp.exp(params.log_scale)), 1)

        return Trajectories(environment, policy, start, environment.horizon)

    return estimator(discounted_return(environment), distribution_fn)


def measure(
    estimators_by_name: Mapping[str, Estimator], key: jax.Array, num_samples: int, repeats: int
) -> list[dict[str, Any]]:
    """Measures estimators and compares them with the exact gradient.

    Args:
      estimators_by_name: name -> estimator; the variances are divided by that of the first.
      key: a typed key; all estimators draw the same trajectories from it.
      num_samples: trajectories per gradient.
      repeats: gradients per estimator.

    Returns:
      One row per estimator: its name, its mean gradient, the standard error of that mean, the
      exact gradient, the difference from it in standard errors, the total variance, the seconds
      per gradient, and the variance divided by that of the first estimator.
    """
    policy = jax.tree.map(jnp.float32, POLICY)
    exact = _flatten(policy_gradient(POLICY))
    rows: list[dict[str, Any]] = []
    for name, estimator in estimators_by_name.items():
        report = estimators.variance(make_surrogate(estimator), policy, key, num_samples, repeats)
        mean, stderr = _flatten(report.mean), _flatten(report.stderr)
        rows.append(
            {
                "estimator": name,
                "mean": mean.tolist(),
                "stderr": stderr.tolist(),
                "exact": exact.tolist(),
                "standard_errors": ((mean - exact) / stderr).tolist(),
                "variance": report.total_variance,
                "seconds": report.seconds,
            }
        )
    for row in rows:
        row["variance_ratio"] = row["variance"] / rows[0]["variance"]
    return rows


def _flatten(policy: LinearPolicy) -> np.ndarray:
    """Returns all entries of a policy or its gradient, gain first, float64."""
    return np.concatenate([np.asarray(x, np.float64).ravel() for x in policy])
