"""Bounds on the log-likelihood of latent-variable models: one value per example, never a mean.

    bound(key, posterior, prior, log_likelihood, **options) -> Bound

Each function gets the approximate posterior q(z | x), a distribution of batch shape [B]; the prior
p(z), of batch shape [] or [B]; and the log-likelihood, a function of the latents. Bounds are to be
maximized: a loss is the negative mean, which the caller computes. `gradient` selects an estimator
of the gradient in the parameters of the posterior; the value of the bound does not depend on it.
Gradients other than "plain" are for first derivatives: second derivatives lack terms.

At the same key, number of samples and source all bounds draw the same samples.
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
