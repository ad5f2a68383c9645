"""Bounds on the log-likelihood of latent-variable models: one value an example, never a mean.

    bound(key, posterior, prior, log_likelihood, **options) -> Bound

Each takes the approximate posterior q(z | x) as a distribution with batch shape [B], the prior p(z)
with batch shape [] or [B], and the log-likelihood as a function of the latents. A bound is to be
maximised; a loss is its negative mean, taken by the caller. The value is always that of the bound
itself; `gradient` chooses how its gradient in the posterior's parameters is estimated. What is not
"plain" is made for first derivatives: a second one leaves terms out.

At the same key, number of samples and source all of them draw the same samples.
"""

from repara.objectives.bound import Bound, Gradient, LogLikelihood
from repara.objectives.elbo import elbo, elbo_monte_carlo, linear_warmup
from repara.objectives.importance_weighted import ciwae, iwae, miwae, piwae
from repara.objectives.renyi import renyi
from repara.objectives.vimco import vimco

__all__ = [
    "Bound",
    "Gradient",
    "LogLikelihood",
    "ciwae",
    "elbo",
    "elbo_monte_carlo",
    "iwae",
    "linear_warmup",
    "miwae",
    "piwae",
    "renyi",
    "vimco",
]
