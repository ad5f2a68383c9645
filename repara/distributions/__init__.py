"""Distributions: pytrees of parameters with noise, transform and density."""

from repara.distributions import constraints
from repara.distributions.base import Distribution
from repara.distributions.bernoulli import Bernoulli
from repara.distributions.continuous_bernoulli import ContinuousBernoulli
from repara.distributions.discretized_logistic import DiscretizedLogistic
from repara.distributions.divergences import kl_divergence, monte_carlo_kl
from repara.distributions.independent import Independent
from repara.distributions.multivariate_normal import MultivariateNormal
from repara.distributions.normal import Normal

__all__ = [
    "Bernoulli",
    "ContinuousBernoulli",
    "DiscretizedLogistic",
    "Distribution",
    "Independent",
    "MultivariateNormal",
    "Normal",
    "constraints",
    "kl_divergence",
    "monte_carlo_kl",
]
