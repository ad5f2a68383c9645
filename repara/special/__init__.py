"""Elementwise special functions with exact derivatives in every argument, one family a file.

`X_quantile(eps, parameters)` makes a variate from standard-normal noise by inversion of the CDF:
Phi(eps) = F(z; parameters). `X_normal_score(z, parameters)` is its inverse in eps.
"""

from repara.special.bessel import log_k1e
from repara.special.beta import (
    beta_from_normal,
    log_betainc,
    logit_beta_from_normal,
    normal_from_beta,
)
from repara.special.gamma import (
    gamma_from_normal,
    log_gamma_from_normal,
    log_gammainc,
    log_gammaincc,
    normal_from_gamma,
)
from repara.special.generalized_normal import (
    generalized_normal_from_normal,
    normal_from_generalized_normal,
)
from repara.special.inverse_gaussian import (
    log_inverse_gaussian_from_normal,
    normal_from_inverse_gaussian,
)
from repara.special.normal import log_ndtr, ndtri, ndtri_exp
from repara.special.skew_normal import normal_from_skew_normal, skew_normal_from_normal
from repara.special.student_t import normal_from_student_t, student_t_from_normal
from repara.special.truncated_normal import truncated_normal_from_normal
from repara.special.von_mises import normal_from_von_mises, von_mises_from_normal
from repara.special.von_mises_fisher import (
    von_mises_fisher_angle,
    von_mises_fisher_log_normalizer,
)

__all__ = [
    "beta_from_normal",
    "gamma_from_normal",
    "generalized_normal_from_normal",
    "log_betainc",
    "log_gamma_from_normal",
    "log_gammainc",
    "log_gammaincc",
    "log_inverse_gaussian_from_normal",
    "log_k1e",
    "log_ndtr",
    "logit_beta_from_normal",
    "ndtri",
    "ndtri_exp",
    "normal_from_beta",
    "normal_from_gamma",
    "normal_from_generalized_normal",
    "normal_from_inverse_gaussian",
    "normal_from_skew_normal",
    "normal_from_student_t",
    "normal_from_von_mises",
    "skew_normal_from_normal",
    "student_t_from_normal",
    "truncated_normal_from_normal",
    "von_mises_fisher_angle",
    "von_mises_fisher_log_normalizer",
    "von_mises_from_normal",
]
