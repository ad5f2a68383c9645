"""Gradients of expectations, one signature for all estimators.

    est(function, distribution_fn, **options) -> surrogate
    surrogate(params, key, num_samples) -> [num_samples]

`distribution_fn(params)` is a distribution and `function(z)` maps one sample of it to a scalar. The
value of the surrogate is f(z_s); its gradient with respect to the parameters is the estimate of
d/dparams E[f(z)]. `jax.grad` of its mean trains, `jax.jacrev` gives the estimates one by one. The
batch of a distribution counts as independent coordinates of one sample. Where f itself depends on
other parameters through its closure, their gradient passes too.

At the same key all of them draw the same samples (a relaxed sample excepted).
"""

from repara.estimators.arm import arm, disarm
from repara.estimators.delta_method import delta_method
from repara.estimators.discrete import (
    enumerate_exactly,
    gumbel_rao,
    gumbel_softmax,
    straight_through,
)
from repara.estimators.measure_valued import measure_valued
from repara.estimators.pathwise import pathwise
from repara.estimators.rebar import rebar, relax
from repara.estimators.score_function import moving_average, score_function
from repara.estimators.surrogate import Surrogate
from repara.estimators.variance import VarianceReport, control_variate_loss, variance

__all__ = [
    "Surrogate",
    "VarianceReport",
    "arm",
    "control_variate_loss",
    "delta_method",
    "disarm",
    "enumerate_exactly",
    "gumbel_rao",
    "gumbel_softmax",
    "measure_valued",
    "moving_average",
    "pathwise",
    "rebar",
    "relax",
    "score_function",
    "straight_through",
    "variance",
]
