"""A linear-quadratic regulator: its optimum and its policy gradient in closed form."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from experiments.policy_gradient.environments.environment import Environment

__all__ = ["LinearPolicy", "expected_return", "lqr", "optimal_gains", "optimal_return",
           "policy_gradient"]  # fmt: skip

# A force moves a mass on a line: position and velocity, 0.1 s per step.
_SECONDS = 0.1
# The force at action 1: more than the optimal regulator uses from any first state.
_FORCE = 6.0
_A = np.array([[1.0, _SECONDS], [0.0, 1.0]])
_B = _FORCE * np.array([[0.5 * _SECONDS**2], [_SECONDS]])
_Q = np.diag([1.0, 0.1])
_R = np.array([[0.1 * _FORCE**2]])
_HORIZON = 50
# The covariance of the first state, uniform on [-1, 1]^2.
_FIRST = np.eye(2) / 3


class LinearPolicy(NamedTuple):
    """The policy a ~ N(-K x, diag(exp(log_scale))^2); a pytree.

    Attributes:
      gain: K, [1, 2].
      log_scale: [1].
    """

    gain: ArrayLike
    log_scale: ArrayLike


def _step(state: jax.Array, action: jax.Array) -> tuple[jax.Array, jax.Array]:
    a, b, q, r = (jnp.asarray(m, state.dtype) for m in (_A, _B, _Q, _R))
    reward = -(state @ q @ state + action @ r @ action)
    return a @ state + b @ action, reward


def lqr() -> Environment:
    """Returns the problem of bringing a mass on a line to rest at the origin.

        x' = A x + B u,   r = -(x^T Q x + u^T R u)

    State and observation are position and velocity; the first state is uniform on [-1, 1]^2. An
    episode has 50 steps of 0.1 s. Actions are not clipped, so that the closed forms hold for linear
    policies; the optimal policy stays within [-1, 1].

    Returns:
      The environment.
    """

    def reset(key: jax.Array) -> jax.Array:
        return jax.random.uniform(key, (2,), minval=-1.0)

    return Environment(
        "lqr", 2, 2, 1, _HORIZON, reset, lambda state: state, _step, optimal_return=optimal_return()
    )


def optimal_gains() -> tuple[np.ndarray, np.ndarray]:
    """Computes the optimal regulator by the Riccati recursion, backward from the horizon.

        K_t = (R + B^T P_{t+1} B)^-1 B^T P_{t+1} A,   P_t = Q + A^T P_{t+1} (A - B K_t),   P_T = 0

    Returns:
      K_0, ..., K_{T-1}, [T, 1, 2], and P_0, [2, 2]: the optimal return from x is -x^T P_0 x.

    References:
      Bertsekas (2017), "Dynamic programming and optimal control", volume 1, section 3.1.
    """
    p, gains = np.zeros((2, 2)), []
    for _ in range(_HORIZON):
        gain = np.linalg.solve(_R + _B.T @ p @ _B, _B.T @ p @ _A)
        p = _Q + _A.T @ p @ (_A - _B @ gain)
        gains.append(gain)
    return np.array(gains[::-1]), p


def optimal_return() -> float:
    """Returns the largest expected return of any policy, -tr(P_0 Sigma_0)."""
    return float(-np.trace(optimal_gains()[1] @ _FIRST))


def expected_return(policy: LinearPolicy) -> float:
    """Computes the expected return of a linear policy.

        J = -sum_t tr((Q + K^T R K) Sigma_t) + tr(R S)
        Sigma_{t+1} = (A - B K) Sigma_t (A - B K)^T + B S B^T,   S = diag(exp(2 log_scale))

    Args:
      policy: K and log_scale.

    Returns:
      J.
    """
    gain, spread = _float64(policy)
    closed = _A - _B @ gain
    second, total = _FIRST, 0.0
    for _ in range(_HORIZON):
        total -= np.trace((_Q + gain.T @ _R @ gain) @ second) + np.trace(_R @ spread)
        second = closed @ second @ closed.T + _B @ spread @ _B.T
    return float(total)


def policy_gradient(policy: LinearPolicy) -> LinearPolicy:
    """Computes the gradient of the expected return in closed form.

        dJ/dK = -2 sum_t ((R + B^T P_{t+1} B) K - B^T P_{t+1} A) Sigma_t
        dJ/dlog_scale_i = -2 exp(2 log_scale_i) sum_t (R + B^T P_{t+1} B)_ii

    where P_t = Q + K^T R K + (A - B K)^T P_{t+1} (A - B K), P_T = 0, gives the cost of the rest of
    the episode, and Sigma_t is the second moment of the state.

    Args:
      policy: K and log_scale.

    Returns:
      The gradient, float64.

    References:
      Fazel et al. (2018), "Global convergence of policy gradient methods for the linear quadratic
      regulator", lemma 1, https://arxiv.org/abs/1801.05039; here for a finite horizon and noise in
      the actions.
    """
    gain, spread = _float64(policy)
    closed = _A - _B @ gain
    costs = [np.zeros((2, 2))]
    for _ in range(_HORIZON):
        costs.append(_Q + gain.T @ _R @ gain + closed.T @ costs[-1] @ closed)
    second, by_gain, by_scale = _FIRST, np.zeros_like(gain), np.zeros(1)
    for t in range(_HORIZON):
        after = costs[_HORIZON - 1 - t]
        curvature = _R + _B.T @ after @ _B
        by_gain -= 2 * (curvature @ gain - _B.T @ after @ _A) @ second
        by_scale -= 2 * np.diag(spread) * np.diag(curvature)
        second = closed @ second @ closed.T + _B @ spread @ _B.T
    return LinearPolicy(by_gain, by_scale)


def _float64(policy: LinearPolicy) -> tuple[np.ndarray, np.ndarray]:
    gain = np.asarray(policy.gain, np.float64)
    return gain, np.diag(np.exp(2 * np.asarray(policy.log_scale, np.float64)))
