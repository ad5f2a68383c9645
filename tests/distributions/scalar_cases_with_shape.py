"""Cases of the scalar families with a shape parameter, or with several coordinates of noise."""

import numpy as np
import scipy.special
import scipy.stats as st

import repara as rp
from tests.distributions.case import Case
from tests.distributions.scalar_cases import Reference


def _inverse_gaussian(loc: float, concentration: float) -> Reference:
    """Uses Shuster's formula, since the quantiles of scipy do not reach the tails."""
    c = concentration / loc

    def log_cdf(x):
        y = np.log(x / loc)
        alpha, beta = 2 * np.sqrt(c) * np.sinh(y / 2), 2 * np.sqrt(c) * np.cosh(y / 2)
        log_ndtr = scipy.special.log_ndtr
        return np.logaddexp(log_ndtr(alpha), 2 * c + log_ndtr(-beta))

    def ppf(u):
        low, high = np.full_like(u, -50.0), np.full_like(u, 20.0)
        for _ in range(60):
            middle = 0.5 * (low + high)
            below = log_cdf(loc * np.exp(middle)) < np.log(u)
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return loc * np.exp(low)

    frozen = st.invgauss(loc / concentration, scale=concentration)
    variance = loc**3 / concentration
    return Reference(frozen.logpdf, lambda x: np.exp(log_cdf(x)), ppf, loc, variance, np.nan)


def _skew_normal(skewness: float, loc: float, scale: float) -> Reference:
    """Uses Gauss' rule over the tail, since the cdf of scipy has errors of 1e-8."""
    frozen = st.skewnorm(skewness, loc, scale)
    nodes, weights = np.polynomial.legendre.leggauss(160)
    nodes, weights = 5 * (1 + nodes), 5 * weights

    def tail(t, side):
        inside = st.norm.pdf(t + side * nodes) * st.norm.cdf(skewness * (t + side * nodes))
        return 2 * np.sum(weights * inside, axis=-1)

    def cdf(x):
        t = (np.asarray(x)[..., None] - loc) / scale
        return np.where(t[..., 0] < 0.5, tail(t, -1), 1 - tail(t, 1))

    return Reference(frozen.logpdf, cdf, frozen.ppf, frozen.mean(), frozen.var(), np.nan)


def _half_student_t(df: float, scale: float) -> Reference:
    def share(x):
        t = (x / scale) ** 2
        return t / (df + t)

    def ppf(u):
        y = scipy.special.betaincinv(0.5, 0.5 * df, u)
        return scale * np.sqrt(df * y / (1 - y))

    full = st.t(df, scale=scale)
    mean = 2 * scale * np.sqrt(df) / (df - 1) / scipy.special.beta(0.5, 0.5 * df)
    return Reference(
        lambda x: np.log(2) + full.logpdf(x),
        lambda x: scipy.special.betainc(0.5, 0.5 * df, share(x)),
        ppf,
        mean,
        full.var() - mean**2,
        full.entropy() - np.log(2),
    )


# The relative error that the functions of noise, fitted or by integration, state in float64.
_FITTED = 1e-11

SCALARS_WITH_SHAPE = [
    Case("generalized_normal", rp.GeneralizedNormal, rp.GeneralizedNormal,
         {"loc": 0.5, "scale": 2.0, "power": 3.3}, {"scale": 0.0, "power": -1.0},
         st.gennorm(3.3, 0.5, 2.0), condition=4.0, accuracy=_FITTED, slow=True),
    Case("generalized_normal_peaked", rp.GeneralizedNormal, rp.GeneralizedNormal,
         {"loc": -1.0, "scale": 0.3, "power": 1.4}, {"power": 0.0},
         st.gennorm(1.4, -1.0, 0.3), condition=4.0, accuracy=_FITTED, slow=True),
    Case("half_student_t", rp.HalfStudentT, rp.HalfStudentT,
         {"df": 6.5, "loc": 0.0, "scale": 2.0}, {"df": 0.0, "scale": -1.0},
         _half_student_t(6.5, 2.0), condition=16.0, reference_error=1e-11, accuracy=_FITTED,
         slow=True),
    Case("fisher_snedecor", rp.FisherSnedecor, rp.FisherSnedecor, {"df1": 5.0, "df2": 12.0},
         {"df1": 0.0, "df2": -1.0}, st.f(5.0, 12.0), condition=64.0, reference_error=1e-11,
         accuracy=_FITTED, slow=True),
    Case("inverse_gaussian", rp.InverseGaussian, rp.InverseGaussian,
         {"loc": 1.5, "concentration": 4.0}, {"loc": 0.0, "concentration": -1.0},
         _inverse_gaussian(1.5, 4.0), condition=16.0, reference_error=1e-10, slow=True),
    Case("inverse_gaussian_batch", rp.InverseGaussian, rp.InverseGaussian,
         {"loc": [0.3, 1.0, 3.0], "concentration": [[0.9], [200.0]]},
         {"loc": 0.0}, condition=16.0, slow=True),
    Case("skew_normal", rp.SkewNormal, rp.SkewNormal,
         {"loc": 0.5, "scale": 2.0, "skewness": 1.5}, {"scale": 0.0, "skewness": np.nan},
         _skew_normal(1.5, 0.5, 2.0), condition=16.0, reference_error=1e-11, slow=True,
         units=8.0),  # without the optimizer its two inversions differ by up to six
    Case("skew_normal_batch", rp.SkewNormal, rp.SkewNormal,
         {"loc": 0.5, "scale": 2.0, "skewness": [-8.0, -0.3, 0.0, 3.0]},
         {"skewness": np.nan}, condition=16.0, slow=True),
    Case("stable", rp.Stable, rp.Stable,
         {"stability": 1.7, "skew": -0.4, "scale": 1.5, "loc": 0.5},
         {"stability": 2.1, "skew": -1.1, "scale": 0.0}, moments=0, condition=4.0, density=False),
    Case("stable_batch", rp.Stable, rp.Stable,
         {"stability": [0.9, 1.0, 1.3], "skew": [[0.5], [0.0]], "scale": 1.5, "loc": 0.5},
         {"stability": 0.0}, moments=0, condition=16.0, density=False, slow=True),
    Case("normal_inverse_gaussian", rp.NormalInverseGaussian, rp.NormalInverseGaussian,
         {"loc": 0.5, "scale": 1.2, "tailweight": 2.0, "skewness": -0.7},
         {"scale": 0.0, "tailweight": -1.0, "skewness": 2.5},
         st.norminvgauss(2.4, -0.84, 0.5, 1.2), condition=16.0, reference_error=1e-10, slow=True),
    Case("exponentially_modified_gaussian", rp.ExponentiallyModifiedGaussian,
         rp.ExponentiallyModifiedGaussian, {"loc": 0.5, "scale": 1.2, "rate": 0.7},
         {"scale": 0.0, "rate": -1.0}, st.exponnorm(1 / 0.84, 0.5, 1.2), condition=4.0,
         reference_error=1e-9, accuracy=1e-15),
    Case("exponentially_modified_gaussian_batch", rp.ExponentiallyModifiedGaussian,
         rp.ExponentiallyModifiedGaussian,
         {"loc": 0.5, "scale": [0.01, 1.0, 30.0], "rate": [[1.0], [5.0]]},
         {"scale": 0.0}, accuracy=1e-15, slow=True),
]  # fmt: skip
