"""repara: every continuous distribution is a differentiable transform of fixed noise.

    eps ~ p(eps),   z = transform(eps, theta)

Example:
  >>> import jax, repara as rp
  >>> q = rp.Normal(loc=1.0, scale=2.0)
  >>> z = q.rsample(jax.random.key(0), (1000,))
  >>> jax.grad(lambda q: q.transform(0.5) ** 2)(q)
  Normal(loc=4.0, scale=2.0)
"""

from repara import noise
from repara._version import __version__
from repara.distributions import (
    AsymmetricLaplace,
    Bernoulli,
    Cauchy,
    ContinuousBernoulli,
    DiscretizedLogistic,
    Distribution,
    Exponential,
    FoldedNormal,
    Frechet,
    GeneralizedExtremeValue,
    GeneralizedPareto,
    Gompertz,
    Gumbel,
    HalfCauchy,
    HalfNormal,
    Independent,
    JohnsonSU,
    Kumaraswamy,
    Laplace,
    Levy,
    Logistic,
    LogitNormal,
    LogLogistic,
    LogNormal,
    LogUniform,
    Moyal,
    MultivariateNormal,
    Normal,
    Pareto,
    Rayleigh,
    RelaxedBernoulli,
    SinhArcsinh,
    Triangular,
    Uniform,
    Weibull,
    WrappedCauchy,
    constraints,
    kl_divergence,
    monte_carlo_kl,
)

__all__ = [
    "AsymmetricLaplace",
    "Bernoulli",
    "Cauchy",
    "ContinuousBernoulli",
    "DiscretizedLogistic",
    "Distribution",
    "Exponential",
    "FoldedNormal",
    "Frechet",
    "GeneralizedExtremeValue",
    "GeneralizedPareto",
    "Gompertz",
    "Gumbel",
    "HalfCauchy",
    "HalfNormal",
    "Independent",
    "JohnsonSU",
    "Kumaraswamy",
    "Laplace",
    "Levy",
    "LogLogistic",
    "LogNormal",
    "LogUniform",
    "Logistic",
    "LogitNormal",
    "Moyal",
    "MultivariateNormal",
    "Normal",
    "Pareto",
    "Rayleigh",
    "RelaxedBernoulli",
    "SinhArcsinh",
    "Triangular",
    "Uniform",
    "Weibull",
    "WrappedCauchy",
    "__version__",
    "constraints",
    "kl_divergence",
    "monte_carlo_kl",
    "noise",
]
