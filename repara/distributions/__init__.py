"""Distributions: pytrees of parameters with noise, transform and density."""

from repara.distributions import bijectors, constraints
from repara.distributions.base import Distribution
from repara.distributions.bernoulli import Bernoulli
from repara.distributions.beta import Beta, FisherSnedecor
from repara.distributions.categorical import Categorical, OneHotCategorical
from repara.distributions.cauchy import Cauchy, HalfCauchy, WrappedCauchy
from repara.distributions.combinators.implicit import ImplicitReparameterization
from repara.distributions.combinators.independent import Independent
from repara.distributions.combinators.mixture import Mixture, MixtureSameFamily
from repara.distributions.combinators.transformed import Transformed
from repara.distributions.combinators.truncated import Truncated
from repara.distributions.continuous_bernoulli import ContinuousBernoulli
from repara.distributions.counts import Binomial, Geometric, NegativeBinomial, Poisson
from repara.distributions.dirichlet import Dirichlet
from repara.distributions.discretized_logistic import DiscretizedLogistic
from repara.distributions.divergences import kl_divergence, monte_carlo_kl
from repara.distributions.exponential import Exponential, Gompertz, Rayleigh, Weibull
from repara.distributions.exponentially_modified_gaussian import ExponentiallyModifiedGaussian
from repara.distributions.extreme_value import Frechet, GeneralizedExtremeValue, Gumbel
from repara.distributions.gamma import Chi, Chi2, ExpGamma, Gamma, InverseGamma
from repara.distributions.gaussian_random_walk import GaussianRandomWalk
from repara.distributions.generalized_normal import GeneralizedNormal
from repara.distributions.half_normal import FoldedNormal, HalfNormal
from repara.distributions.inverse_gaussian import InverseGaussian, NormalInverseGaussian
from repara.distributions.johnson import JohnsonSU, SinhArcsinh
from repara.distributions.kumaraswamy import Kumaraswamy
from repara.distributions.laplace import AsymmetricLaplace, Laplace
from repara.distributions.levy import Levy, Moyal
from repara.distributions.lkj import LKJCholesky
from repara.distributions.log_normal import LogitNormal, LogNormal
from repara.distributions.logistic import Logistic, LogLogistic, RelaxedBernoulli
from repara.distributions.logistic_normal import LogisticNormal
from repara.distributions.low_rank_multivariate_normal import LowRankMultivariateNormal
from repara.distributions.matrix_normal import MatrixNormal
from repara.distributions.multivariate_normal import MultivariateNormal
from repara.distributions.multivariate_student_t import MultivariateStudentT
from repara.distributions.normal import Normal
from repara.distributions.pareto import GeneralizedPareto, Pareto
from repara.distributions.power_spherical import PowerSpherical
from repara.distributions.projected_normal import ProjectedNormal
from repara.distributions.relaxed_categorical import (
    ExpRelaxedOneHotCategorical,
    RelaxedOneHotCategorical,
)
from repara.distributions.skew_normal import SkewNormal
from repara.distributions.stable import Stable
from repara.distributions.student_t import HalfStudentT, StudentT
from repara.distributions.truncated_normal import TruncatedNormal
from repara.distributions.uniform import LogUniform, Triangular, Uniform
from repara.distributions.von_mises import VonMises
from repara.distributions.von_mises_fisher import VonMisesFisher
from repara.distributions.wishart import InverseWishart, Wishart

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
    "Dirichlet",
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
    "GaussianRandomWalk",
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
    "InverseWishart",
    "JohnsonSU",
    "Kumaraswamy",
    "LKJCholesky",
    "Laplace",
    "Levy",
    "LogLogistic",
    "LogNormal",
    "LogUniform",
    "Logistic",
    "LogisticNormal",
    "LogitNormal",
    "LowRankMultivariateNormal",
    "MatrixNormal",
    "Mixture",
    "MixtureSameFamily",
    "Moyal",
    "MultivariateNormal",
    "MultivariateStudentT",
    "NegativeBinomial",
    "Normal",
    "NormalInverseGaussian",
    "OneHotCategorical",
    "Pareto",
    "Poisson",
    "PowerSpherical",
    "ProjectedNormal",
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
    "Wishart",
    "WrappedCauchy",
    "bijectors",
    "constraints",
    "kl_divergence",
    "monte_carlo_kl",
]
