"""Distributions: pytrees of parameters with noise, transform and density."""

from repara.distributions import bijectors, constraints
from repara.distributions.base import Distribution
from repara.distributions.bernoulli import Bernoulli
from repara.distributions.beta import Beta, FisherSnedecor
from repara.distributions.categorical import Categorical, OneHotCategorical
from repara.distributions.cauchy import Cauchy, HalfCauchy, WrappedCauchy
from repara.distributions.continuous_bernoulli import ContinuousBernoulli
from repara.distributions.counts import Binomial, Geometric, NegativeBinomial, Poisson
from repara.distributions.discretized_logistic import DiscretizedLogistic
from repara.distributions.divergences import kl_divergence, monte_carlo_kl
from repara.distributions.exponential import Exponential, Gompertz, Rayleigh, Weibull
from repara.distributions.exponentially_modified_gaussian import ExponentiallyModifiedGaussian
from repara.distributions.extreme_value import Frechet, GeneralizedExtremeValue, Gumbel
from repara.distributions.gamma import Chi, Chi2, ExpGamma, Gamma, InverseGamma
from repara.distributions.generalized_normal import GeneralizedNormal
from repara.distributions.half_normal import FoldedNormal, HalfNormal
from repara.distributions.implicit import ImplicitReparameterization
from repara.distributions.independent import Independent
from repara.distributions.inverse_gaussian import InverseGaussian, NormalInverseGaussian
from repara.distributions.johnson import JohnsonSU, SinhArcsinh
from repara.distributions.kumaraswamy import Kumaraswamy
from repara.distributions.laplace import AsymmetricLaplace, Laplace
from repara.distributions.levy import Levy, Moyal
from repara.distributions.log_normal import LogitNormal, LogNormal
from repara.distributions.logistic import Logistic, LogLogistic, RelaxedBernoulli
from repara.distributions.logistic_normal import LogisticNormal
from repara.distributions.mixture import MixtureSameFamily
from repara.distributions.multivariate_normal import MultivariateNormal
from repara.distributions.normal import Normal
from repara.distributions.pareto import GeneralizedPareto, Pareto
from repara.distributions.relaxed_categorical import (
    ExpRelaxedOneHotCategorical,
    RelaxedOneHotCategorical,
)
from repara.distributions.skew_normal import SkewNormal
from repara.distributions.stable import Stable
from repara.distributions.student_t import HalfStudentT, StudentT
from repara.distributions.transformed import Transformed
from repara.distributions.truncated import Truncated
from repara.distributions.truncated_normal import TruncatedNormal
from repara.distributions.uniform import LogUniform, Triangular, Uniform
from repara.distributions.von_mises import VonMises
from repara.distributions.von_mises_fisher import VonMisesFisher

__all__ = [
    "AsymmetricLaplace",
    "Bernoulli",
    "Beta",
    "Binomial",
    "Categorical",
    "Cauchy",
    "Chi",
    "Chi2",
    "ContinuousBernoulli",
    "DiscretizedLogistic",
    "Distribution",
    "ExpGamma",
    "ExpRelaxedOneHotCategorical",
    "Exponential",
    "ExponentiallyModifiedGaussian",
    "FisherSnedecor",
    "FoldedNormal",
    "Frechet",
    "Gamma",
    "GeneralizedExtremeValue",
    "GeneralizedNormal",
    "GeneralizedPareto",
    "Geometric",
    "Gompertz",
    "Gumbel",
    "HalfCauchy",
    "HalfNormal",
    "HalfStudentT",
    "ImplicitReparameterization",
    "Independent",
    "InverseGamma",
    "InverseGaussian",
    "JohnsonSU",
    "Kumaraswamy",
    "Laplace",
    "Levy",
    "LogLogistic",
    "LogNormal",
    "LogUniform",
    "Logistic",
    "LogisticNormal",
    "LogitNormal",
    "MixtureSameFamily",
    "Moyal",
    "MultivariateNormal",
    "NegativeBinomial",
    "Normal",
    "NormalInverseGaussian",
    "OneHotCategorical",
    "Pareto",
    "Poisson",
    "Rayleigh",
    "RelaxedBernoulli",
    "RelaxedOneHotCategorical",
    "SinhArcsinh",
    "SkewNormal",
    "Stable",
    "StudentT",
    "Transformed",
    "Triangular",
    "Truncated",
    "TruncatedNormal",
    "Uniform",
    "VonMises",
    "VonMisesFisher",
    "Weibull",
    "WrappedCauchy",
    "bijectors",
    "constraints",
    "kl_divergence",
    "monte_carlo_kl",
]
