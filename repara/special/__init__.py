"""Elementwise special functions with exact derivatives in every argument, one family per file.

`X_from_normal(eps, parameters)` makes a variate of X from standard-normal noise by inversion of the
CDF, Phi(eps) = F(z; parameters). `normal_from_X(z, parameters)` is its inverse in eps. Names such
as `log_gamma_from_normal` and `logit_beta_from_normal` say in which form the variate comes.
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

__all__ = [  # noqa: RUF022, grouped by topic
    # Variates from standard-normal noise, and the noise from variates.
    "beta_from_normal",
    "logit_beta_from_normal",
    "normal_from_beta",
    "gamma_from_normal",
    "log_gamma_from_normal",
    "normal_from_gamma",
    "generalized_normal_from_normal",
    "normal_from_generalized_normal",
    "log_inverse_gaussian_from_normal",
    "normal_from_inverse_gaussian",
    "skew_normal_from_normal",
    "normal_from_skew_normal",
    "student_t_from_normal",
    "normal_from_student_t",
    "truncated_normal_from_normal",
    "von_mises_from_normal",
    "normal_from_von_mises",
    "von_mises_fisher_angle",
    # Distribution functions and quantiles.
    "log_betainc",
    "log_gammainc",
    "log_gammaincc",
    "log_ndtr",
    "ndtri",
    "ndtri_exp",
    # Bessel functions and normalizers.
    "log_k1e",
    "von_mises_fisher_log_normalizer",
]
