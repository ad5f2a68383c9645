"""Cases of the scalar families, with scipy as reference."""

from typing import Any

import numpy as np
import scipy.special
import scipy.stats as st

import repara as rp
from tests.distributions.case import Case


class Reference:
    """The methods of a frozen scipy distribution that the tests use, for families not in scipy."""

    def __init__(self, logpdf: Any, cdf: Any, ppf: Any, mean: float, var: float, entropy: float):
        self.logpdf, self.cdf, self.ppf = logpdf, cdf, ppf
        self.mean, self.var, self._entropy = (lambda: mean), (lambda: var), entropy

    def std(self) -> float:
        return float(np.sqrt(self.var()))

    def entropy(self) -> float:
        return self._entropy


def _by_normal(to_eps: Any, slope: Any, from_eps: Any, mean: float = np.nan, var: float = np.nan):
    """Returns a transform of the normal; its density from the inverse and its log-derivative."""
    return Reference(
        lambda x: st.norm.logpdf(to_eps(x)) + slope(x),
        lambda x: st.norm.cdf(to_eps(x)),
        lambda u: from_eps(st.norm.ppf(u)),
        mean,
        var,
        np.nan,
    )


def _sinh_arcsinh(loc: float, scale: float, skewness: float, tailweight: float) -> Reference:
    def inverse(x):
        return np.sinh(np.arcsinh((x - loc) / scale) / tailweight - skewness)

    def slope(x):
        t = (x - loc) / scale
        angle = np.arcsinh(t) / tailweight - skewness
        return np.log(np.cosh(angle) / (np.hypot(1, t) * tailweight * scale))

    def transform(eps):
        return loc + scale * np.sinh((np.arcsinh(eps) + skewness) * tailweight)

    return _by_normal(inverse, slope, transform)


def _logit_normal(loc: float, scale: float) -> Reference:
    return _by_normal(
        lambda x: (np.log(x) - np.log1p(-x) - loc) / scale,
        lambda x: -np.log(x) - np.log1p(-x) - np.log(scale),
        lambda eps: 1 / (1 + np.exp(-loc - scale * eps)),
    )


def _wrapped_cauchy(loc: float, r: float) -> Reference:
    ratio = (1 - r) / (1 + r)

    def cdf(x):
        return 0.5 + np.arctan2(np.sin((x - loc) / 2), ratio * np.cos((x - loc) / 2)) / np.pi

    def ppf(u):
        return loc - 2 * np.arctan2(ratio * np.cos(np.pi * u), np.sin(np.pi * u))

    def logpdf(x):
        spread = (1 - r) ** 2 + 4 * r * np.sin((x - loc) / 2) ** 2
        return np.log((1 - r) * (1 + r) / (2 * np.pi)) - np.log(spread)

    return Reference(logpdf, cdf, ppf, loc, np.nan, np.log(2 * np.pi * (1 - r * r)))


def _kumaraswamy(a: float, b: float) -> Reference:
    def log_rest(x):
        return np.log1p(-(x**a))

    first, second = b * scipy.special.beta(1 + 1 / a, b), b * scipy.special.beta(1 + 2 / a, b)
    return Reference(
        lambda x: np.log(a * b) + (a - 1) * np.log(x) + (b - 1) * log_rest(x),
        lambda x: -np.expm1(b * log_rest(x)),
        lambda u: np.exp(np.log(-np.expm1(np.log1p(-u) / b)) / a),
        first,
        second - first**2,
        (1 - 1 / b) + (1 - 1 / a) * (scipy.special.digamma(b + 1) + np.euler_gamma) - np.log(a * b),
    )


def _relaxed_bernoulli(temperature: float, logit: float) -> Reference:
    def t(x):
        return temperature * (np.log(x) - np.log1p(-x)) - logit

    def logpdf(x):
        v = t(x)
        jacobian = -np.log(x) - np.log1p(-x)
        return np.log(temperature) - np.logaddexp(0, v) - np.logaddexp(0, -v) + jacobian

    def ppf(u):
        return 1 / (1 + np.exp(-(logit + np.log(u) - np.log1p(-u)) / temperature))

    return Reference(logpdf, lambda x: 1 / (1 + np.exp(-t(x))), ppf, np.nan, np.nan, np.nan)


def _asymmetric_laplace(loc: float, scale: float, asymmetry: float) -> Any:
    return st.laplace_asymmetric(asymmetry, loc, scale)


def _gompertz(a: float, rate: float) -> Any:
    return st.gompertz(a, scale=1 / rate)


# The relative error that the fitted functions of noise state in float64.
_FITTED = 1e-11

SCALARS = [
    Case("uniform", rp.Uniform, rp.Uniform, {"low": -1.0, "high": 2.5},
         {"high": -1.0, "low": np.nan}, st.uniform(-1.0, 3.5)),
    Case("uniform_batch", rp.Uniform, rp.Uniform,
         {"low": [[0.0], [-3.0]], "high": [1.0, 100.0]}, {"high": -4.0}),
    Case("triangular", rp.Triangular, rp.Triangular, {"low": -1.0, "high": 3.0, "peak": 0.5},
         {"high": -2.0, "peak": 4.0}, st.triang(1.5 / 4, -1.0, 4.0)),
    Case("log_uniform", rp.LogUniform, rp.LogUniform, {"low": 0.1, "high": 20.0},
         {"low": 0.0, "high": 0.05}, st.loguniform(0.1, 20.0)),
    Case("exponential", rp.Exponential, rp.Exponential, {"rate": 2.5}, {"rate": 0.0},
         st.expon(scale=0.4)),
    Case("exponential_batch", rp.Exponential, rp.Exponential, {"rate": [1e-6, 1.0, 1e6]},
         {"rate": -1.0}),
    Case("weibull", rp.Weibull, rp.Weibull, {"scale": 2.0, "concentration": 1.7},
         {"scale": -1.0, "concentration": 0.0}, st.weibull_min(1.7, scale=2.0)),
    Case("weibull_heavy", rp.Weibull, rp.Weibull, {"scale": 0.3, "concentration": 0.6},
         {"concentration": -1.0}, st.weibull_min(0.6, scale=0.3)),
    Case("rayleigh", rp.Rayleigh, rp.Rayleigh, {"scale": 1.5}, {"scale": 0.0},
         st.rayleigh(scale=1.5)),
    Case("gompertz", rp.Gompertz, rp.Gompertz, {"concentration": 0.4, "rate": 2.0},
         {"concentration": 0.0, "rate": -1.0}, _gompertz(0.4, 2.0)),
    Case("laplace", rp.Laplace, rp.Laplace, {"loc": 1.0, "scale": 0.7}, {"scale": 0.0},
         st.laplace(1.0, 0.7)),
    Case("asymmetric_laplace", rp.AsymmetricLaplace, rp.AsymmetricLaplace,
         {"loc": -0.5, "scale": 1.2, "asymmetry": 2.0}, {"scale": 0.0, "asymmetry": -1.0},
         _asymmetric_laplace(-0.5, 1.2, 2.0)),
    Case("logistic", rp.Logistic, rp.Logistic, {"loc": 0.5, "scale": 1.5}, {"scale": 0.0},
         st.logistic(0.5, 1.5)),
    Case("log_logistic", rp.LogLogistic, rp.LogLogistic, {"loc": 0.3, "scale": 0.15},
         {"scale": 0.0}, st.fisk(1 / 0.15, scale=np.exp(0.3)), condition=4.0),
    Case("relaxed_bernoulli", rp.RelaxedBernoulli, rp.RelaxedBernoulli,
         {"temperature": 1.3, "logits": 0.4}, {"temperature": 0.0},
         _relaxed_bernoulli(1.3, 0.4)),
    Case("relaxed_bernoulli_probs", rp.RelaxedBernoulli, rp.RelaxedBernoulli,
         {"temperature": 0.7, "probs": [0.2, 0.5, 0.9]}, {"probs": 0.0}),
    Case("gumbel", rp.Gumbel, rp.Gumbel, {"loc": -1.0, "scale": 2.0}, {"scale": 0.0},
         st.gumbel_r(-1.0, 2.0)),
    Case("frechet", rp.Frechet, rp.Frechet, {"loc": 0.5, "scale": 2.0, "concentration": 6.0},
         {"scale": 0.0, "concentration": 0.0}, st.invweibull(6.0, 0.5, 2.0)),
    Case("gev_heavy", rp.GeneralizedExtremeValue, rp.GeneralizedExtremeValue,
         {"loc": 0.5, "scale": 2.0, "concentration": 0.15}, {"scale": 0.0},
         st.genextreme(-0.15, 0.5, 2.0), reference_error=1e-10),
    Case("gev_zero", rp.GeneralizedExtremeValue, rp.GeneralizedExtremeValue,
         {"loc": -1.0, "scale": 0.5, "concentration": 0.0}, {"concentration": np.nan},
         st.gumbel_r(-1.0, 0.5)),
    Case("gev_bounded", rp.GeneralizedExtremeValue, rp.GeneralizedExtremeValue,
         {"loc": 0.5, "scale": 2.0, "concentration": -0.6}, {"scale": -1.0},
         st.genextreme(0.6, 0.5, 2.0), reference_error=1e-10),
    Case("pareto", rp.Pareto, rp.Pareto, {"scale": 0.5, "alpha": 6.0},
         {"scale": 0.0, "alpha": -1.0}, st.pareto(6.0, scale=0.5)),
    Case("generalized_pareto", rp.GeneralizedPareto, rp.GeneralizedPareto,
         {"loc": 1.0, "scale": 2.0, "concentration": 0.15}, {"scale": 0.0},
         st.genpareto(0.15, 1.0, 2.0)),
    Case("generalized_pareto_zero", rp.GeneralizedPareto, rp.GeneralizedPareto,
         {"loc": 0.0, "scale": 0.5, "concentration": 0.0}, {"concentration": np.nan},
         st.expon(scale=0.5)),
    Case("generalized_pareto_bounded", rp.GeneralizedPareto, rp.GeneralizedPareto,
         {"loc": 0.0, "scale": 0.5, "concentration": -0.5}, {"scale": -1.0},
         st.genpareto(-0.5, 0.0, 0.5)),
    Case("cauchy", rp.Cauchy, rp.Cauchy, {"loc": 1.0, "scale": 0.5}, {"scale": 0.0},
         st.cauchy(1.0, 0.5), moments=0),
    Case("half_cauchy", rp.HalfCauchy, rp.HalfCauchy, {"scale": 0.5}, {"scale": 0.0},
         st.halfcauchy(scale=0.5), moments=0),
    Case("wrapped_cauchy", rp.WrappedCauchy, rp.WrappedCauchy,
         {"loc": 0.5, "concentration": 0.6}, {"concentration": 1.0}, _wrapped_cauchy(0.5, 0.6)),
    Case("half_normal", rp.HalfNormal, rp.HalfNormal, {"scale": 1.5}, {"scale": 0.0},
         st.halfnorm(scale=1.5)),
    Case("folded_normal", rp.FoldedNormal, rp.FoldedNormal, {"loc": 0.8, "scale": 1.5},
         {"scale": 0.0}, st.foldnorm(0.8 / 1.5, scale=1.5), reference_error=1e-10),
    Case("log_normal", rp.LogNormal, rp.LogNormal, {"loc": 0.5, "scale": 0.4}, {"scale": 0.0},
         st.lognorm(0.4, scale=np.exp(0.5)), condition=4.0),
    Case("logit_normal", rp.LogitNormal, rp.LogitNormal, {"loc": -0.5, "scale": 1.2},
         {"scale": 0.0}, _logit_normal(-0.5, 1.2)),
    Case("kumaraswamy", rp.Kumaraswamy, rp.Kumaraswamy,
         {"concentration1": 2.0, "concentration0": 3.0},
         {"concentration1": 0.0, "concentration0": -1.0}, _kumaraswamy(2.0, 3.0)),
    Case("kumaraswamy_batch", rp.Kumaraswamy, rp.Kumaraswamy,
         {"concentration1": [0.5, 1.0, 5.0], "concentration0": [[2.0], [0.8]]},
         {"concentration0": 0.0}),
    Case("johnson_su", rp.JohnsonSU, rp.JohnsonSU,
         {"skewness": 0.5, "tailweight": 2.0, "loc": 1.0, "scale": 0.7},
         {"tailweight": 0.0, "scale": -1.0}, st.johnsonsu(0.5, 2.0, 1.0, 0.7)),
    Case("sinh_arcsinh", rp.SinhArcsinh, rp.SinhArcsinh,
         {"loc": 1.0, "scale": 0.7, "skewness": 0.3, "tailweight": 1.4},
         {"tailweight": 0.0, "scale": -1.0}, _sinh_arcsinh(1.0, 0.7, 0.3, 1.4)),
    Case("beta", rp.Beta, rp.Beta, {"concentration1": 2.5, "concentration0": 1.4},
         {"concentration1": 0.0, "concentration0": -1.0}, st.beta(2.5, 1.4), condition=64.0,
         reference_error=1e-11,
         accuracy=1e-11, slow=True),
    Case("student_t", rp.StudentT, rp.StudentT, {"df": 6.5, "loc": 0.5, "scale": 2.0},
         {"df": 0.0, "scale": -1.0}, st.t(6.5, 0.5, 2.0), condition=16.0, reference_error=1e-11,
         accuracy=1e-11, slow=True),
    Case("von_mises", rp.VonMises, rp.VonMises, {"loc": 0.5, "concentration": 2.0},
         {"concentration": -1.0}, st.vonmises(2.0, loc=0.5), moments=0, condition=16.0,
         reference_error=1e-10, accuracy=1e-11, slow=True),
    Case("levy", rp.Levy, rp.Levy, {"loc": 1.0, "scale": 0.5}, {"scale": 0.0},
         st.levy(1.0, 0.5), moments=0),
    Case("moyal", rp.Moyal, rp.Moyal, {"loc": 1.0, "scale": 0.5}, {"scale": 0.0},
         st.moyal(1.0, 0.5)),
    Case("gamma", rp.Gamma, rp.Gamma, {"concentration": 2.5, "rate": 1.5},
         {"concentration": 0.0, "rate": -1.0}, st.gamma(2.5, scale=1 / 1.5), accuracy=_FITTED,
         slow=True),
    Case("gamma_small", rp.Gamma, rp.Gamma, {"concentration": 0.5, "rate": 0.2},
         {"concentration": -1.0}, st.gamma(0.5, scale=5.0), condition=4.0, accuracy=_FITTED,
         slow=True),
    Case("gamma_batch", rp.Gamma, rp.Gamma,
         {"concentration": [0.9, 30.0, 3000.0], "rate": [[1.0], [100.0]]},
         {"concentration": 0.0}, condition=4.0, accuracy=_FITTED, slow=True),
    Case("exp_gamma", rp.ExpGamma, rp.ExpGamma, {"concentration": 2.5, "rate": 1.5},
         {"concentration": 0.0, "rate": -1.0}, st.loggamma(2.5, loc=-np.log(1.5)), condition=4.0,
         accuracy=_FITTED, slow=True),
    Case("exp_gamma_tiny", rp.ExpGamma, rp.ExpGamma,
         {"concentration": [1e-3, 0.02], "rate": 1.5}, {"concentration": -1.0},
         condition=4.0, accuracy=_FITTED, slow=True),
    Case("inverse_gamma", rp.InverseGamma, rp.InverseGamma, {"concentration": 9.0, "rate": 4.0},
         {"concentration": 0.0, "rate": -1.0}, st.invgamma(9.0, scale=4.0), condition=4.0,
         accuracy=_FITTED, slow=True),
    Case("chi2", rp.Chi2, rp.Chi2, {"df": 3.0}, {"df": 0.0}, st.chi2(3.0), accuracy=_FITTED,
         slow=True),
    Case("chi", rp.Chi, rp.Chi, {"df": 3.0}, {"df": 0.0}, st.chi(3.0), condition=4.0,
         accuracy=_FITTED, slow=True),
    Case("chi_batch", rp.Chi, rp.Chi, {"df": [0.9, 20.0, 1e4]}, {"df": 0.0},
         condition=4.0, accuracy=_FITTED, slow=True),
    Case("truncated_normal_across", rp.TruncatedNormal, rp.TruncatedNormal,
         {"loc": 0.5, "scale": 2.0, "low": -1.0, "high": 3.0}, {"scale": 0.0, "high": -2.0},
         st.truncnorm(-0.75, 1.25, 0.5, 2.0), condition=4.0, reference_error=1e-10, slow=True),
    Case("truncated_normal_far", rp.TruncatedNormal, rp.TruncatedNormal,
         {"loc": 0.0, "scale": 1.0, "low": [20.0, 5.0], "high": [21.0, 5.5]},
         {"high": 4.0}, condition=64.0, slow=True),
]  # fmt: skip
