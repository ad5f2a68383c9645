"""Cases of the families of vectors and matrices, and of a mixture of different families."""

from typing import Any

import numpy as np

import repara as rp
from tests.distributions.case import Case


def _mixture(logits: Any, loc: Any, scale: Any, rate: Any) -> rp.Mixture:
    components = (rp.Normal(loc, scale), rp.Exponential(rate), rp.Laplace(3.0 + 0 * loc, scale))
    return rp.Mixture(rp.Categorical(logits=logits), components)


_TRIL = [[1.5, 0.0, 0.0], [0.4, 0.7, 0.0], [-0.3, 0.2, 2.0]]
_SMALL_TRIL = [[1.2, 0.0], [-0.4, 0.7]]
_COVARIANCE = [[2.0, 0.3], [0.3, 1.0]]
_BAD_MATRIX = [[1.0, 2.0], [2.0, 1.0]]

VECTORS = [
    Case("dirichlet", rp.Dirichlet, rp.Dirichlet,
         {"concentration": [[0.7, 2.0, 30.0], [3.0, 0.8, 1.0]]},
         {"concentration": [1.0, 0.0, 2.0]}, condition=64.0, slow=True),
    Case("low_rank_mvn", rp.LowRankMultivariateNormal, rp.LowRankMultivariateNormal,
         {"loc": [0.0, 1.0, -2.0], "cov_factor": [[1.0, 0.2], [-0.5, 1.0], [0.3, 0.3]],
          "cov_diag": [[0.5, 1.0, 2.0], [3.0, 0.1, 0.2]]},
         {"cov_diag": [1.0, 0.0, 1.0], "loc": [np.nan, 0.0, 0.0]}, condition=4.0),
    Case("multivariate_student_t", rp.MultivariateStudentT, rp.MultivariateStudentT,
         {"df": 7.0, "loc": [0.0, 1.0, -2.0], "scale_tril": _TRIL},
         {"df": 0.0, "scale_tril": np.ones((3, 3))}, condition=16.0, slow=True),
    Case("matrix_normal", rp.MatrixNormal, rp.MatrixNormal,
         {"loc": np.arange(6.0).reshape(3, 2), "scale_tril_row": _TRIL,
          "scale_tril_column": [_SMALL_TRIL, np.eye(2)]},
         {"scale_tril_row": np.ones((3, 3)), "scale_tril_column": -np.eye(2)}, condition=4.0),
    Case("projected_normal", rp.ProjectedNormal, rp.ProjectedNormal,
         {"concentration": [[0.0, 1.0, 2.0, -1.0], [0.1, 0.0, 0.0, 0.2]]},
         {"concentration": [0.0, np.nan, 0.0, 0.0]}, condition=16.0),
    Case("projected_normal_plane", rp.ProjectedNormal, rp.ProjectedNormal,
         {"concentration": [-2.0, 1.0]}, {"concentration": [0.0, np.nan]}, condition=16.0),
    Case("power_spherical", rp.PowerSpherical, rp.PowerSpherical,
         {"mean_direction": [1.0, 0.0, 0.0, 0.0, 0.0], "concentration": [2.0, 30.0]},
         {"concentration": -1.0, "mean_direction": np.zeros(5)}, condition=64.0, accuracy=1e-11,
         slow=True),
    Case("wishart", rp.Wishart, rp.Wishart, {"df": 9.0, "scale_tril": _TRIL},
         {"df": 2.0, "scale_tril": np.ones((3, 3))}, condition=256.0, slow=True),
    Case("wishart_covariance", rp.Wishart, rp.Wishart,
         {"df": [7.5, 20.0], "covariance_matrix": _COVARIANCE},
         {"df": 0.5, "covariance_matrix": _BAD_MATRIX}, condition=256.0, slow=True,
         event_ranks={"covariance_matrix": 2}),
    Case("inverse_wishart", rp.InverseWishart, rp.InverseWishart,
         {"df": 16.0, "scale_tril": _SMALL_TRIL}, {"df": 1.0, "scale_tril": np.ones((2, 2))},
         condition=256.0, slow=True),
    Case("lkj_cholesky", rp.LKJCholesky, rp.LKJCholesky, {"concentration": [0.8, 3.0]},
         {"concentration": 0.0}, static={"dim": 3}, condition=64.0, accuracy=1e-11,
         slow=True),
    Case("gaussian_random_walk", rp.GaussianRandomWalk, rp.GaussianRandomWalk,
         {"scale": [0.5, 2.0]}, {"scale": 0.0}, static={"num_steps": 5}),
    Case("mixture_of_families", rp.Mixture, _mixture,
         {"logits": [[0.3, -0.5, 0.0]], "loc": [-1.0, 0.5], "scale": 0.7, "rate": 1.5},
         {"scale": 0.0, "logits": [0.0, np.nan, 0.0]}, condition=4.0,
         event_ranks={"logits": 1}),
]  # fmt: skip
