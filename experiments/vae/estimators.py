"""Gradient estimators for discrete posteriors, by the name that `--estimator` gives them."""

from collections.abc import Callable
from typing import Any

import jax

from repara import estimators

__all__ = ["ESTIMATORS", "Estimator"]

Estimator = Callable[[Callable[[jax.Array], jax.Array], Any], estimators.Surrogate]
"""`(function of one latent, temperature) -> surrogate`, whose parameters are the posterior."""


def _posterior(q: Any) -> Any:
    """The posterior as a function of itself: the surrogate's parameters are its parameters."""
    return q


ESTIMATORS: dict[str, Estimator] = {
    "straight_through": lambda f, t: estimators.straight_through(f, _posterior),
    "gumbel_softmax": lambda f, t: estimators.gumbel_softmax(f, _posterior, temperature=t),
    "straight_through_gumbel": lambda f, t: estimators.gumbel_softmax(
        f, _posterior, temperature=t, straight_through=True
    ),
    "gumbel_rao": lambda f, t: estimators.gumbel_rao(f, _posterior, temperature=t),
    "score_function": lambda f, t: estimators.score_function(f, _posterior),
    "leave_one_out": lambda f, t: estimators.score_function(
        f, _posterior, baseline="leave_one_out"
    ),
    "arm": lambda f, t: estimators.arm(f, _posterior),
    "disarm": lambda f, t: estimators.disarm(f, _posterior),
    "rebar": lambda f, t: estimators.rebar(f, _posterior, temperature=t),
}
"""The estimators. Those without a temperature ignore it."""
