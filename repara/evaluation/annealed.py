"""The log-likelihood by annealed importance sampling, from below and from above."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from repara.distributions import Distribution, VonMisesFisher
from repara.distributions.introspection import concrete_all, without_independent
from repara.evaluation.annealing import AnnealedEstimate, Start, backward, forward, make_path
from repara.objectives import LogLikelihood

__all__ = [
    "AnnealedEstimate",
    "BidirectionalEstimate",
    "annealed_log_likelihood",
    "bidirectional_log_likelihood",
]


class BidirectionalEstimate(NamedTuple):
    """Two estimates of a log-likelihood, from below and from above, one value per example.

    Attributes:
      lower: the forward estimate; its expectation is at most log p(x).
      upper: the backward estimate; its expectation is at least log p(x).
    """

    lower: AnnealedEstimate
    upper: AnnealedEstimate

    @property
    def gap(self) -> jax.Array:
        """The upper minus the lower estimate, [B], nats; it is negative only because of noise."""
        return self.upper.log_likelihood - self.lower.log_likelihood


def annealed_log_likelihood(
    key: jax.Array,
    posterior: Distribution,
    prior: Distribution,
    log_likelihood: LogLikelihood,
    *,
    num_steps: int = 1000,
    num_chains: int = 16,
    start: Start = "prior",
) -> AnnealedEstimate:
    """Estimates the log-likelihood by annealed importance sampling; biased low.

        f_t(z) = p_0(z)^(1 - b_t) (p(x | z) p(z))^b_t,   0 = b_0 < b_1 < ... < b_T = 1
        log w = sum_t (b_t - b_t-1) (log p(x | z_t-1) + log p(z_t-1) - log p_0(z_t-1))
        log p(x) ~ log 1/C sum_c w_c

    with p_0 the prior (or the posterior q), z_0 a sample of it, and z_t the result of one
    Hamiltonian transition from z_t-1 that leaves f_t invariant: ten leapfrog steps and a Metropolis
    test. Since E[w] = p(x), the expectation of the estimate is a lower bound of log p(x), tighter
    for more steps and chains. The b_t are values of a logistic function, dense at both ends.

    The step size of the leapfrog integrator adapts to an acceptance of 0.65. A chain must not adapt
    its own step size: its transition would depend on its past, and E[w] = p(x) would not hold. So
    extra pilot chains, a quarter of the requested number, tune the step size: at each temperature
    their mean acceptance changes the step size of all chains of the example. The pilot chains do
    not enter the estimate and are independent of the chains that do, whose weights are therefore
    unbiased. The first step size is D^-1/4, as for a standard normal in D dimensions.

    All chains run at the same time; memory does not grow with the number of steps.

    Args:
      key: a typed key; consumed.
      posterior: q(z | x), batch shape [B]; it determines B, and is p_0 if `start` is "posterior".
      prior: p(z), batch shape [] or [B], with a density on all of R^D.
      log_likelihood: maps latents [C, B, *event] to log p(x | z), [C, B], in nats; differentiable
        in the latents.
      num_steps: T, at least 1; with 1 and "prior" it is plain importance sampling.
      num_chains: C, at least 1.
      start: p_0: "prior", which does not depend on the encoder, or "posterior", which is closer to
        the end of the path.

    Returns:
      The estimate with its Monte Carlo standard error, each [B].

    Raises:
      ValueError: a count below 1, an unknown start, or latents whose support is not R^D.

    References:
      Neal (2001), "Annealed Importance Sampling", https://arxiv.org/abs/physics/9803008

      Wu, Burda, Salakhutdinov and Grosse (2017), "On the Quantitative Analysis of Decoder-Based
      Generative Models", for the transitions and b_t, https://arxiv.org/abs/1611.04273

      Beskos et al. (2013), "Optimal Tuning of the Hybrid Monte Carlo Algorithm", for 0.65 and
      D^-1/4, https://arxiv.org/abs/1001.4460

    Example:
      >>> import repara as rp
      >>> p = rp.Normal(0.0, 1.0)
      >>> x = jnp.array([0.0, 2.0])
      >>> log_likelihood = lambda z: rp.Normal(z, 0.5).log_prob(x[None])
      >>> e = annealed_log_likelihood(
      ...     jax.random.key(0), rp.Normal(x, 1.0), p, log_likelihood, num_steps=100)
      >>> exact = rp.Normal(0.0, 1.25**0.5).log_prob(x)
      >>> bool(jnp.all(jnp.abs(e.log_likelihood - exact) < 0.2))
      True
    """
    _check(posterior, prior, num_steps, num_chains, start)
    path = make_path(posterior, prior, log_likelihood, start)
    estimate, _ = forward(key, path, posterior.batch_shape[0], num_steps, num_chains)
    return estimate


def bidirectional_log_likelihood(
    key: jax.Array,
    posterior: Distribution,
    prior: Distribution,
    log_likelihood: LogLikelihood,
    exact_sample: jax.Array,
    *,
    num_steps: int = 1000,
    num_chains: int = 16,
    start: Start = "prior",
) -> BidirectionalEstimate:
    """Estimates the log-likelihood of simulated data from both sides (bidirectional Monte Carlo).

        z* ~ p(z),   x ~ p(x | z*):   then z* is an exact sample of p(z | x)

    Annealed importance sampling backward, from z* at b_T to b_0, has E[1/w] = 1/p(x), so the
    expectation of -log 1/C sum_c 1/w_c is an upper bound. The gap between it and the forward
    estimate bounds the error of both, in expectation over data simulated from the model. Other data
    have no exact sample. The more they resemble simulated data, the better the gap tells the error
    of the forward estimate at the same settings.

    All chains of an example start at its z*. The backward chains use the step sizes that the
    forward pilot chains found; given x these are independent of z*, as the bound requires.

    Args:
      key: a typed key; consumed.
      posterior: q(z | x), batch shape [B], as in `annealed_log_likelihood`.
      prior: p(z), batch shape [] or [B], with a density on all of R^D.
      log_likelihood: maps latents [C, B, *event] to log p(x | z) of the simulated x, [C, B].
      exact_sample: z*, the latents that x was simulated from, [B, *event].
      num_steps: T, at least 1.
      num_chains: C, at least 1.
      start: p_0: "prior" or "posterior".

    Returns:
      Both estimates, each [B]; `gap` is their difference.

    Raises:
      ValueError: as in `annealed_log_likelihood`, or the sample does not have that shape.

    References:
      Grosse, Ghahramani and Adams (2015), "Sandwiching the Marginal Likelihood Using Bidirectional
      Monte Carlo", https://arxiv.org/abs/1511.02543

    Example:
      >>> import repara as rp
      >>> z_key, x_key, key = jax.random.split(jax.random.key(0), 3)
      >>> p = rp.Normal(0.0, 1.0)
      >>> z = p.sample(z_key, (50,))
      >>> x = rp.Normal(z, 0.5).sample(x_key)
      >>> log_likelihood = lambda z: rp.Normal(z, 0.5).log_prob(x[None])
      >>> e = bidirectional_log_likelihood(
      ...     key, rp.Normal(x, 1.0), p, log_likelihood, z, num_steps=100)
      >>> bool(jnp.abs(jnp.mean(e.gap)) < 0.1)
      True
    """
    _check(posterior, prior, num_steps, num_chains, start)
    expected = posterior.batch_shape + posterior.event_shape
    if exact_sample.shape != expected:
        raise ValueError(f"exact_sample must have shape {expected}, got {exact_sample.shape}")
    path = make_path(posterior, prior, log_likelihood, start)
    forward_key, backward_key = jax.random.split(key)
    lower, step_sizes = forward(forward_key, path, posterior.batch_shape[0], num_steps, num_chains)
    upper = backward(backward_key, path, exact_sample, step_sizes, num_chains)
    return BidirectionalEstimate(lower, upper)


def _check(
    posterior: Distribution, prior: Distribution, num_steps: int, num_chains: int, start: str
) -> None:
    """Raises if an argument is out of range or the support of the latents is not R^D."""
    if num_steps < 1 or num_chains < 1:
        raise ValueError(
            f"num_steps and num_chains must be at least 1, got {num_steps} and {num_chains}"
        )
    if start not in ("prior", "posterior"):
        raise ValueError(f"start must be prior or posterior, got {start!r}")
    if len(posterior.batch_shape) != 1:
        raise ValueError(f"posterior must have batch shape (B,), got {posterior.batch_shape}")
    with jax.ensure_compile_time_eval():
        far = jnp.full(prior.batch_shape + prior.event_shape, 1e3)
        everywhere = concrete_all(prior.support.check(far) & prior.support.check(-far))
    # The support check of directions accepts vectors of any length.
    directions = isinstance(without_independent(prior), VonMisesFisher)
    if not prior.has_rsample or everywhere is False or directions:
        raise ValueError(
            "Hamiltonian transitions need latents with support R^D, got the prior "
            f"{type(without_independent(prior)).__name__}: use importance_log_likelihood"
        )
