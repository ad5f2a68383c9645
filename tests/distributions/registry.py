"""Every distribution with several parameter settings, for the tests that all of them must pass.

Here are the cases of normals, combinators, relaxed and discrete families; the other families have
files of their own.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

import repara as rp
from tests.distributions.case import Case
from tests.distributions.scalar_cases import SCALARS
from tests.distributions.scalar_cases_with_shape import SCALARS_WITH_SHAPE
from tests.distributions.vector_cases import VECTORS


def _independent_normal(loc: Any, scale: Any) -> rp.Independent:
    return rp.Independent(rp.Normal(loc, scale), 1)


def _independent_bernoulli(logits: Any) -> rp.Independent:
    return rp.Independent(rp.Bernoulli(logits=logits), 2)


def _exp_of_normal(loc: Any, scale: Any) -> rp.Transformed:
    return rp.Transformed(rp.Normal(loc, scale), rp.bijectors.Exp())


def _tanh_of_affine(loc: Any, scale: Any) -> rp.Transformed:
    return rp.Transformed(
        rp.Logistic(0 * loc, 1 + 0 * loc),
        rp.bijectors.Chain((rp.bijectors.Affine(loc, scale), rp.bijectors.Tanh())),
    )


def _on_simplex(loc: Any, scale: Any) -> rp.Transformed:
    base = rp.Independent(rp.Normal(loc, scale), 1)
    return rp.Transformed(base, rp.bijectors.StickBreaking())


def _truncated_normal(loc: Any, scale: Any, low: Any, high: Any) -> rp.Truncated:
    return rp.Truncated(rp.Normal(loc, scale), low, high)


def _truncated_below(rate: Any, low: Any) -> rp.Truncated:
    return rp.Truncated(rp.Exponential(rate), low)


def _mixture(logits: Any, loc: Any, scale: Any) -> rp.MixtureSameFamily:
    return rp.MixtureSameFamily(rp.Categorical(logits=logits), rp.Normal(loc, scale))


def _mixture_of_vectors(logits: Any, loc: Any, scale: Any) -> rp.MixtureSameFamily:
    components = rp.Independent(rp.Logistic(loc, scale), 1)
    return rp.MixtureSameFamily(rp.Categorical(logits=logits), components)


def _logistic_cdf(z: Any, loc: Any, scale: Any) -> Any:
    return jax.nn.sigmoid((z - loc) / scale)


def _logistic_log_prob(z: Any, loc: Any, scale: Any) -> Any:
    t = (z - loc) / scale
    return jax.nn.log_sigmoid(t) + jax.nn.log_sigmoid(-t) - jnp.log(scale)


def _implicit_logistic(loc: Any, scale: Any) -> rp.ImplicitReparameterization:
    parameters = {"loc": loc, "scale": scale}
    return rp.ImplicitReparameterization(_logistic_cdf, _logistic_log_prob, parameters)


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
         {"loc": [[-1.0], [2.0]], "scale": [0.1, 1.0, 30.0]}, {"scale": -2.0}),
    Case("independent_normal", rp.Independent, _independent_normal,
         {"loc": [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]], "scale": [0.5, 1.0, 2.0]},
         {"scale": [1.0, 0.0, 1.0]}, event_ranks={"loc": 1, "scale": 1}),
    Case("mvn_tril", rp.MultivariateNormal, rp.MultivariateNormal,
         {"loc": [0.0, 1.0, -2.0], "scale_tril": _TRIL},
         {"loc": [0.0, np.nan, 1.0], "scale_tril": np.ones((3, 3))}),
    Case("mvn_tril_batch", rp.MultivariateNormal, rp.MultivariateNormal,
         {"loc": np.arange(6.0).reshape(2, 3), "scale_tril": [_TRIL, np.eye(3)]},
         {"scale_tril": -np.eye(3)}),
    Case("mvn_covariance", rp.MultivariateNormal, rp.MultivariateNormal,
         {"loc": [0.0, 1.0, -2.0], "covariance_matrix": _COVARIANCE},
         {"covariance_matrix": _BAD_MATRIX}, event_ranks={"covariance_matrix": 2}),
    Case("mvn_precision", rp.MultivariateNormal, rp.MultivariateNormal,
         {"loc": [[0.0, 1.0, -2.0]], "precision_matrix": _COVARIANCE},
         {"precision_matrix": np.triu(np.ones((3, 3)))}, event_ranks={"precision_matrix": 2}),
    Case("mvn_diag", rp.MultivariateNormal, rp.MultivariateNormal,
         {"loc": [[0.0, 1.0], [2.0, 3.0]], "scale_diag": [0.5, 2.0]},
         {"scale_diag": [1.0, 0.0]}),
    Case("continuous_bernoulli", rp.ContinuousBernoulli, rp.ContinuousBernoulli,
         {"probs": 0.2}, {"probs": 1.0}, _continuous_bernoulli(0.2)),
    Case("continuous_bernoulli_half", rp.ContinuousBernoulli, rp.ContinuousBernoulli,
         {"logits": 0.0}, {"logits": np.nan}, scipy.stats.uniform()),
    Case("continuous_bernoulli_batch", rp.ContinuousBernoulli, rp.ContinuousBernoulli,
         {"logits": [-30.0, -0.6, 1e-3, 0.4, 7.0]}, {"logits": np.nan}),
    Case("bernoulli_probs", rp.Bernoulli, rp.Bernoulli, {"probs": [0.0, 0.3, 1.0]},
         {"probs": 1.1}),
    Case("bernoulli_logits", rp.Bernoulli, rp.Bernoulli, {"logits": 0.7}, {"logits": np.nan},
         scipy.stats.bernoulli(1 / (1 + np.exp(-0.7)))),
    Case("independent_bernoulli", rp.Independent, _independent_bernoulli,
         {"logits": [[[-1.0, 2.0], [0.0, 30.0]]]}, {"logits": [[np.nan, 0.0], [0.0, 0.0]]},
         event_ranks={"logits": 2}),
    Case("discretized_logistic", rp.DiscretizedLogistic, rp.DiscretizedLogistic,
         {"loc": [3.0, 0.0, 9.5], "scale": [2.0, 0.01, 50.0]}, {"scale": 0.0},
         static={"num_values": 8}),
    Case("implicit_logistic", rp.ImplicitReparameterization, _implicit_logistic,
         {"loc": 0.5, "scale": 1.5}, {"loc": np.nan}, scipy.stats.logistic(0.5, 1.5)),
    Case("exp_of_normal", rp.Transformed, _exp_of_normal, {"loc": 0.5, "scale": 0.4},
         {"scale": 0.0}, scipy.stats.lognorm(0.4, scale=np.exp(0.5)), condition=4.0),
    Case("tanh_of_affine", rp.Transformed, _tanh_of_affine, {"loc": 0.2, "scale": 0.3},
         {"scale": 0.0}, condition=4.0),
    Case("on_simplex", rp.Transformed, _on_simplex,
         {"loc": [[0.0, 1.0, -1.0], [2.0, 0.0, 0.0]], "scale": [0.5, 1.0, 0.7]},
         {"scale": [1.0, 0.0, 1.0]}, event_ranks={"loc": 1, "scale": 1}),
    Case("truncated_normal", rp.Truncated, _truncated_normal,
         {"loc": 0.5, "scale": 2.0, "low": -1.0, "high": 3.0}, {"scale": 0.0, "high": -2.0},
         scipy.stats.truncnorm(-0.75, 1.25, 0.5, 2.0), condition=4.0, reference_error=1e-10,
         slow=True),
    Case("truncated_normal_tails", rp.Truncated, _truncated_normal,
         {"loc": 0.0, "scale": 1.0, "low": [-9.0, 8.0, 5.0], "high": [-8.0, 9.0, 6.0]},
         {"high": 4.0}, condition=64.0, slow=True),
    Case("truncated_exponential", rp.Truncated, _truncated_below, {"rate": 2.0, "low": 3.0},
         {"rate": -1.0}, scipy.stats.expon(loc=3.0, scale=0.5), condition=4.0),
    Case("relaxed_one_hot", rp.RelaxedOneHotCategorical, rp.RelaxedOneHotCategorical,
         {"temperature": 0.8, "logits": [[0.0, 1.0, -0.5], [0.3, 0.3, 0.3]]},
         {"temperature": 0.0}, condition=16.0),
    Case("relaxed_one_hot_probs", rp.RelaxedOneHotCategorical, rp.RelaxedOneHotCategorical,
         {"temperature": [1.5, 0.6], "probs": [0.25, 0.75]}, {"temperature": -1.0},
         condition=16.0),
    Case("exp_relaxed_one_hot", rp.ExpRelaxedOneHotCategorical, rp.ExpRelaxedOneHotCategorical,
         {"temperature": 0.3, "logits": [0.0, 1.0, -0.5]}, {"temperature": -1.0}, condition=16.0),
    Case("logistic_normal", rp.LogisticNormal, rp.LogisticNormal,
         {"loc": [[0.0, 1.0], [-1.0, 0.5]], "scale": [0.7, 1.2]}, {"scale": [1.0, 0.0]},
         condition=4.0),
    Case("mixture", rp.MixtureSameFamily, _mixture,
         {"logits": [0.3, -0.5, 0.0], "loc": [-1.0, 0.5, 2.0], "scale": [0.7, 1.0, 0.5]},
         {"scale": [1.0, 0.0, 1.0], "logits": [0.0, np.nan, 0.0]}, condition=4.0,
         event_ranks={"logits": 1, "loc": 1, "scale": 1}),
    Case("mixture_of_vectors", rp.MixtureSameFamily, _mixture_of_vectors,
         {"logits": [[0.3, -0.5], [0.0, 1.0]], "loc": [[-1.0, 0.5, 2.0], [0.0, 0.0, 1.0]],
          "scale": [[0.7], [1.5]]},
         {"scale": [[1.0], [0.0]]}, condition=64.0, slow=True,
         event_ranks={"logits": 1, "loc": 2, "scale": 2}),
    Case("von_mises_fisher", rp.VonMisesFisher, rp.VonMisesFisher,
         {"mean_direction": [1.0, 0.0, 0.0, 0.0, 0.0], "concentration": 2.0},
         {"concentration": -1.0}, condition=64.0, accuracy=1e-8, slow=True),
    Case("categorical", rp.Categorical, rp.Categorical, {"logits": [0.0, 1.0, -2.0, 0.5]},
         {"logits": [0.0, np.nan, 0.0, 0.0]}),
    Case("categorical_probs", rp.Categorical, rp.Categorical,
         {"probs": [[0.25, 0.5, 0.25], [0.0, 0.0, 1.0]]},
         {"probs": [-0.5, 1.0, 0.5]}),
    Case("one_hot_categorical", rp.OneHotCategorical, rp.OneHotCategorical,
         {"logits": [[0.0, 1.0, -2.0], [5.0, 5.0, 5.0]]}, {"logits": [np.nan, 0.0, 0.0]}),
    Case("binomial", rp.Binomial, rp.Binomial, {"total_count": 7.0, "probs": 0.3},
         {"total_count": 1.5, "probs": -0.1}, scipy.stats.binom(7, 0.3)),
    Case("binomial_logits", rp.Binomial, rp.Binomial,
         {"total_count": [3.0, 12.0], "logits": 1.2}, {"total_count": -1.0}),
    Case("poisson", rp.Poisson, rp.Poisson, {"rate": 3.5}, {"rate": -1.0},
         scipy.stats.poisson(3.5)),
    Case("geometric", rp.Geometric, rp.Geometric, {"probs": 0.3}, {"probs": 0.0},
         scipy.stats.geom(0.3, loc=-1)),
    Case("geometric_logits", rp.Geometric, rp.Geometric, {"logits": [0.0, 1.0]},
         {"logits": np.nan}),
    Case("negative_binomial", rp.NegativeBinomial, rp.NegativeBinomial,
         {"total_count": 3.5, "probs": 0.4}, {"total_count": 0.0, "probs": 1.0},
         scipy.stats.nbinom(3.5, 0.6)),
    Case("negative_binomial_logits", rp.NegativeBinomial, rp.NegativeBinomial,
         {"total_count": 2.0, "logits": [-1.0, 0.5]}, {"total_count": -1.0}),
]  # fmt: skip

CASES += SCALARS + SCALARS_WITH_SHAPE + VECTORS

CONTINUOUS = [case for case in CASES if case.build().has_rsample]
DISCRETE = [case for case in CASES if not case.build().has_rsample]
