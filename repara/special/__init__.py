"""Elementwise special functions with exact derivatives in every argument, one family a file.

`X_quantile(eps, parameters)` makes a variate from standard-normal noise by inversion of the CDF:
Phi(eps) = F(z; parameters). `X_normal_score(z, parameters)` is its inverse in eps.
"""

from repara.special.bessel import log_k1e
from repara.special.beta import (
    beta_normal_score,
    beta_quantile,
    log_betainc,
    logit_beta_quantile,
)
from repara.special.gamma import (
    gamma_normal_score,
    gamma_quantile,
    log_gamma_quantile,
    log_gammainc,
    log_gammaincc,
)
from repara.special.generalized_normal import (
    generalized_normal_normal_score,
    generalized_normal_quantile,
)
from repara.special.inverse_gaussian import (
    inverse_gaussian_normal_score,
    log_inverse_gaussian_quantile,
)
from repara.special.normal import log_ndtr, ndtri, ndtri_exp
from repara.special.skew_normal import skew_normal_normal_score, skew_normal_quantile
from repara.special.student_t import student_t_normal_score, student_t_quantile
from repara.special.truncated_normal import truncated_normal_quantile
from repara.special.von_mises import von_mises_normal_score, von_mises_quantile
from repara.special.von_mises_fisher import (
    von_mises_fisher_angle,
    von_mises_fisher_log_normalizer,
)

__all__ = [
    "beta_normal_score",
    "beta_quantile",
    "gamma_normal_score",
    "gamma_quantile",
    "generalized_normal_normal_score",
    "generalized_normal_quantile",
    "inverse_gaussian_normal_score",
    "log_betainc",
    "log_gamma_quantile",
    "log_gammainc",
    "log_gammaincc",
    "log_inverse_gaussian_quantile",
    "log_k1e",
    "log_ndtr",
    "logit_beta_quantile",
    "ndtri",
    "ndtri_exp",
    "skew_normal_normal_score",
    "skew_normal_quantile",
    "student_t_normal_score",
    "student_t_quantile",
    "truncated_normal_quantile",
    "von_mises_fisher_angle",
    "von_mises_fisher_log_normalizer",
    "von_mises_normal_score",
    "von_mises_quantile",
]
