"""Gradients of expectations; one signature for all estimators.

    estimator(function, distribution_fn, **options) -> surrogate
    surrogate(params, key, num_samples) -> [num_samples]

`distribution_fn(params)` returns a distribution, and `function(z)` maps one sample of it to a
scalar. The value of the surrogate is f(z_s); its gradient in the parameters is the estimate of
d/dparams E[f(z)]. `jax.grad` of its mean is used for training; `jax.jacrev` returns one estimate
per sample. The batch members of a distribution count as independent coordinates of one sample. If
f depends on other parameters through its closure, their gradient is right too.

At the same key all estimators draw the same samples (except that `gumbel_softmax` relaxes them).
They are the samples at `jax.random.split(key)[0]`; the other half of the key serves whatever else
an estimator draws.

The surrogate of `score_function(..., baseline="moving_average")` has the same signature with one
optional argument more: the average that the previous call ended with.
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
from repara.estimators.score_function import (
    MovingAverageSurrogate,
    moving_average,
    score_function,
)
from repara.estimators.surrogate import Surrogate
from repara.estimators.variance import VarianceReport, control_variate_loss, variance

__all__ = [
    "MovingAverageSurrogate",
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
