"""Elementwise special functions with exact derivatives in every argument, one family a file.

`X_quantile(eps, parameters)` makes a variate from standard-normal noise by inversion of the CDF:
Phi(eps) = F(z; parameters). `X_normal_score(z, parameters)` is its inverse in eps.
"""

from repara.special.gamma import (
    gamma_normal_score,
    gamma_quantile,
    log_gamma_quantile,
    log_gammainc,
    log_gammaincc,
)
from repara.special.normal import log_ndtr, ndtri, ndtri_exp
from repara.special.truncated_normal import truncated_normal_quantile

__all__ = [
    "gamma_normal_score",
    "gamma_quantile",
    "log_gamma_quantile",
    "log_gammainc",
    "log_gammaincc",
    "log_ndtr",
    "ndtri",
    "ndtri_exp",
    "truncated_normal_quantile",
]
