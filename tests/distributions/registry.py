"""Every distribution with several parameter settings, for the tests that all of them must pass."""

from typing import Any

import numpy as np
import scipy.stats

import repara as rp
from tests.distributions.case import Case
from tests.distributions.scalars import SCALARS


def _independent_normal(loc: Any, scale: Any) -> rp.Independent:
    return rp.Independent(rp.Normal(loc, scale), 1)


def _independent_bernoulli(logits: Any) -> rp.Independent:
    return rp.Independent(rp.Bernoulli(logits=logits), 2)


def _continuous_bernoulli(p: float) -> Any:
    # The density of a continuous Bernoulli is that of a truncated exponential, for p < 1/2.
    rate = -np.log(p / (1 - p))
    return scipy.stats.truncexpon(b=rate, scale=1 / rate)


_TRIL = [[1.5, 0.0, 0.0], [0.4, 0.7, 0.0], [-0.3, 0.2, 2.0]]
_COVARIANCE = [[2.0, 0.3, -0.2], [0.3, 1.0, 0.1], [-0.2, 0.1, 0.5]]
_BAD_MATRIX = [[1.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0]]

CASES = [
    Case("normal", rp.Normal, rp.Normal, {"loc": 0.5, "scale": 2.0}, {"loc": np.nan, "scale": 0.0},
         scipy.stats.norm(0.5, 2.0)),
    Case("normal_narrow", rp.Normal, rp.Normal, {"loc": -3.0, "scale": 1e-3}, {"scale": -1.0},
         scipy.stats.norm(-3.0, 1e-3)),
    Case("normal_batch", rp.Normal, rp.Normal,
         {"loc": [[-1.0], [2.0]], "scale": [0.1, 1.0, 30.0]}, {"scale": [1.0, -2.0, 1.0]}),
    Case("independent_normal", rp.Independent, _independent_normal,
         {"loc": [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]], "scale": [0.5, 1.0, 2.0]},
         {"scale": [1.0, 0.0, 1.0]}),
    Case("mvn_tril", rp.MultivariateNormal, rp.MultivariateNormal,
         {"loc": [0.0, 1.0, -2.0], "scale_tril": _TRIL},
         {"loc": [0.0, np.nan, 1.0], "scale_tril": np.ones((3, 3))}),
    Case("mvn_tril_batch", rp.MultivariateNormal, rp.MultivariateNormal,
         {"loc": np.arange(6.0).reshape(2, 3), "scale_tril": [_TRIL, np.eye(3)]},
         {"scale_tril": [_TRIL, -np.eye(3)]}),
    Case("mvn_covariance", rp.MultivariateNormal, rp.MultivariateNormal,
         {"loc": [0.0, 1.0, -2.0], "covariance_matrix": _COVARIANCE},
         {"covariance_matrix": _BAD_MATRIX}),
    Case("mvn_precision", rp.MultivariateNormal, rp.MultivariateNormal,
         {"loc": [[0.0, 1.0, -2.0]], "precision_matrix": _COVARIANCE},
         {"precision_matrix": np.triu(np.ones((3, 3)))}),
    Case("mvn_diag", rp.MultivariateNormal, rp.MultivariateNormal,
         {"loc": [[0.0, 1.0], [2.0, 3.0]], "scale_diag": [0.5, 2.0]},
         {"scale_diag": [1.0, 0.0]}),
    Case("continuous_bernoulli", rp.ContinuousBernoulli, rp.ContinuousBernoulli,
         {"probs": 0.2}, {"probs": 1.0}, _continuous_bernoulli(0.2)),
    Case("continuous_bernoulli_half", rp.ContinuousBernoulli, rp.ContinuousBernoulli,
         {"logits": 0.0}, {"logits": np.nan}, scipy.stats.uniform()),
    Case("continuous_bernoulli_batch", rp.ContinuousBernoulli, rp.ContinuousBernoulli,
         {"logits": [-30.0, -0.6, 1e-3, 0.4, 7.0]}, {"logits": [np.nan] * 5}),
    Case("bernoulli_probs", rp.Bernoulli, rp.Bernoulli, {"probs": [0.0, 0.3, 1.0]},
         {"probs": [0.2, 1.1, 0.5]}),
    Case("bernoulli_logits", rp.Bernoulli, rp.Bernoulli, {"logits": 0.7}, {"logits": np.nan},
         scipy.stats.bernoulli(1 / (1 + np.exp(-0.7)))),
    Case("independent_bernoulli", rp.Independent, _independent_bernoulli,
         {"logits": [[[-1.0, 2.0], [0.0, 30.0]]]}, {"logits": [[[np.nan, 0.0], [0.0, 0.0]]]}),
    Case("discretized_logistic", rp.DiscretizedLogistic, rp.DiscretizedLogistic,
         {"loc": [3.0, 0.0, 9.5], "scale": [2.0, 0.01, 50.0]}, {"scale": [1.0, 0.0, 1.0]},
         static={"num_values": 8}),
]  # fmt: skip

CASES += SCALARS

CONTINUOUS = [case for case in CASES if case.build().has_rsample]
DISCRETE = [case for case in CASES if not case.build().has_rsample]
