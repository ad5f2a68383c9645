"""Distributions: pytrees of parameters with noise, transform and density.

The list of public names is here; `repara` exports the same names.
"""

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
from repara.distributions.divergences import kl_divergence, monte_carlo_kl, register_kl
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

# The public names by topic.
__all__ = [  # noqa: RUF022 (by topic)
    # Base class.
    "Distribution",
    # Real numbers.
    "Normal",
    "Laplace",
    "AsymmetricLaplace",
    "Logistic",
    "Cauchy",
    "StudentT",
    "Gumbel",
    "GeneralizedExtremeValue",
    "Moyal",
    "ExpGamma",
    "GeneralizedNormal",
    "SkewNormal",
    "JohnsonSU",
    "SinhArcsinh",
    "ExponentiallyModifiedGaussian",
    "NormalInverseGaussian",
    "Stable",
    # Positive numbers and half-lines.
    "Exponential",
    "Gamma",
    "InverseGamma",
    "Chi",
    "Chi2",
    "FisherSnedecor",
    "Weibull",
    "Rayleigh",
    "Gompertz",
    "LogNormal",
    "LogLogistic",
    "HalfNormal",
    "FoldedNormal",
    "HalfCauchy",
    "HalfStudentT",
    "InverseGaussian",
    "Levy",
    "Pareto",
    "GeneralizedPareto",
    "Frechet",
    # Intervals.
    "Uniform",
    "LogUniform",
    "Triangular",
    "TruncatedNormal",
    "Beta",
    "Kumaraswamy",
    "ContinuousBernoulli",
    "LogitNormal",
    "RelaxedBernoulli",
    # Circle and sphere.
    "VonMises",
    "WrappedCauchy",
    "VonMisesFisher",
    "PowerSpherical",
    "ProjectedNormal",
    # Vectors.
    "MultivariateNormal",
    "LowRankMultivariateNormal",
    "MultivariateStudentT",
    "GaussianRandomWalk",
    # Simplex.
    "Dirichlet",
    "LogisticNormal",
    "RelaxedOneHotCategorical",
    "ExpRelaxedOneHotCategorical",
    # Matrices.
    "MatrixNormal",
    "Wishart",
    "InverseWishart",
    "LKJCholesky",
    # Discrete values, without reparameterization.
    "Bernoulli",
    "Binomial",
    "Categorical",
    "OneHotCategorical",
    "Poisson",
    "Geometric",
    "NegativeBinomial",
    "DiscretizedLogistic",
    # Distributions made of others.
    "Independent",
    "Transformed",
    "Truncated",
    "Mixture",
    "MixtureSameFamily",
    "ImplicitReparameterization",
    # Divergences.
    "kl_divergence",
    "monte_carlo_kl",
    "register_kl",
    # Modules.
    "bijectors",
    "constraints",
]
