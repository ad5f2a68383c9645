"""The log-likelihood by annealed importance sampling, from below and from above."""

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp

from repara.distributions import Distribution, VonMisesFisher
from repara.estimators.surrogate import holds, innermost
from repara.noise import iid
from repara.objectives import LogLikelihood

__all__ = [
    "AnnealedEstimate",
    "BidirectionalEstimate",
    "annealed_log_likelihood",
    "bidirectional_log_likelihood",
]

Start = Literal["prior", "posterior"]


class AnnealedEstimate(NamedTuple):
    """An estimate of a log-likelihood by annealed importance sampling, one value an example.

    Attributes:
      log_likelihood: the estimate, [B], nats.
      stderr: its standard error from the spread of the chains' weights (delta method), [B], nats;
        too small where few chains have nearly all of the weight.
      effective_chains: (sum w)^2 / sum w^2, from 1 to the number of chains, [B].
      acceptance: the mean acceptance probability of the Hamiltonian transitions, [B].
    """

    log_likelihood: jax.Array
    stderr: jax.Array
    effective_chains: jax.Array
    acceptance: jax.Array


class BidirectionalEstimate(NamedTuple):
    """A log-likelihood between two estimates, one value an example.

    Attributes:
      lower: the forward estimate; its expectation is at most log p(x).
      upper: the reverse one; its expectation is at least log p(x).
    """

    lower: AnnealedEstimate
    upper: AnnealedEstimate

    @property
    def gap(self) -> jax.Array:
        """The upper less the lower estimate, [B], nats; negative by noise alone."""
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
    """The log-likelihood by annealed importance sampling with Hamiltonian transitions.

        f_t(z) = p_0(z)^(1 - b_t) (p(x | z) p(z))^b_t,   0 = b_0 < b_1 < ... < b_T = 1
        log w = sum_t (b_t - b_t-1) (log p(x | z_t-1) + log p(z_t-1) - log p_0(z_t-1))
        log p(x) ~ log 1/C sum_c w_c

    with p_0 the prior (or the posterior q), z_0 a draw from it, and z_t made from z_t-1 by one
    transition that leaves f_t invariant: ten leapfrog steps and a Metropolis test. E[w] = p(x):
    the expectation of the estimate is a lower bound of log p(x), tighter with steps and chains.
    The b_t are those of a logistic function, dense at both ends.

    The step size of the leapfrog follows f_t at an acceptance near 0.65. Chosen by a chain for
    itself it would spoil E[w] = p(x): the transition would depend on the chain's own past. So a few
    chains more than are asked for, a quarter, go ahead of the others as scouts: at each temperature
    their mean acceptance moves the step size that all chains of the example use next. They do not
    enter the estimate, and know nothing of those that do: given the scouts, the transitions of the
    others are fixed beforehand, and their weights unbiased. The first step size is D^-1/4, as for a
    standard normal in D dimensions.

    All chains are held at once; memory does not grow with the number of steps.

    Args:
      key: a typed key; consumed.
      posterior: q(z | x), batch shape [B]; it says what B is, and with "posterior" where to start.
      prior: p(z), batch shape [] or [B], with a density on all of R^D.
      log_likelihood: maps latents [C, B, *event] to log p(x | z), [C, B], in nats; differentiable
        in the latents.
      num_steps: T, at least 1; with 1 and "prior" it is plain importance sampling.
      num_chains: C, at least 1.
      start: p_0: "prior", which knows nothing of the encoder, or "posterior", which is nearer.

    Returns:
      The estimate with its Monte Carlo standard error, each [B].

    Raises:
      ValueError: a count below 1, an unknown start, or latents that are not of all of R^D.

    Source:
      Neal (2001), "Annealed importance sampling"; Wu, Burda, Salakhutdinov & Grosse (2017), "On the
      quantitative analysis of decoder-based generative models", for the transitions and b_t;
      Beskos et al. (2013), "Optimal tuning of the hybrid Monte Carlo algorithm", for 0.65 and
      D^-1/4.

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
    path = _path(posterior, prior, log_likelihood, start)
    forward, _ = _forward(key, path, posterior.batch_shape[0], num_steps, num_chains)
    return forward


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
    """The log-likelihood of simulated data from below and from above (bidirectional Monte Carlo).

        z* ~ p(z),   x ~ p(x | z*):   then z* is an exact draw from p(z | x)

    Annealed importance sampling backwards, from z* at b_T to b_0, has E[1/w] = 1/p(x), so that the
    expectation of -log 1/C sum_c 1/w_c is an upper bound. The gap between it and the forward
    estimate bounds the error of either, in expectation over data of the model; on other data, for
    which there is no exact sample, the forward estimate with the same settings is as good as the
    data are like the model's.

    All chains of an example begin in its one z*, and backwards the step sizes are those that the
    forward scouts left: given x these are independent of z*, as the bound asks.

    Args:
      key: a typed key; consumed.
      posterior: as in `annealed_log_likelihood`.
      prior: as there.
      log_likelihood: of the simulated x, as there.
      exact_sample: z*, the latents with which x was simulated, [B, *event].
      num_steps: T, at least 1.
      num_chains: C, at least 1.
      start: p_0: "prior" or "posterior".

    Returns:
      Both estimates, each [B]; `gap` is their difference.

    Raises:
      ValueError: as in `annealed_log_likelihood`, or the sample does not have that shape.

    Source:
      Grosse, Ghahramani & Adams (2015), "Sandwiching the marginal likelihood using bidirectional
      Monte Carlo".

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
    path = _path(posterior, prior, log_likelihood, start)
    forward_key, reverse_key = jax.random.split(key)
    lower, steps = _forward(forward_key, path, posterior.batch_shape[0], num_steps, num_chains)
    return BidirectionalEstimate(
        lower, _reverse(reverse_key, path, exact_sample, steps, num_chains)
    )


# Hamiltonian transitions: Wu et al. (2017), appendix; the acceptance of Beskos et al. (2013).
_LEAPFROGS = 10
_ACCEPTANCE = 0.65
# By how much the logarithm of the step size moves per unit of acceptance that is missing: a tenfold
# change of scale takes some fifty temperatures, and the noise of a few scouts is averaged over ten.
_GAIN = 0.1
# The ends of the logistic function of the temperatures, as in Wu et al. (2017).
_LOGISTIC = 4.0


class _Point(NamedTuple):
    """A state of the chains: where they are, and what the path's densities are there.

    Attributes:
      z: latents, [C, B, *event].
      base: log p_0(z), [C, B].
      ratio: log p(x | z) + log p(z) - log p_0(z), [C, B].
      base_slope: the derivative of `base` in z, [C, B, *event].
      ratio_slope: that of `ratio`.
    """

    z: jax.Array
    base: jax.Array
    ratio: jax.Array
    base_slope: jax.Array
    ratio_slope: jax.Array


class _Path(NamedTuple):
    """Where chains start, and how a point of theirs is evaluated."""

    draw: Callable[[jax.Array, int], jax.Array]
    evaluate: Callable[[jax.Array], _Point]


def _path(
    posterior: Distribution, prior: Distribution, log_likelihood: LogLikelihood, start: Start
) -> _Path:
    base = prior if start == "prior" else posterior

    def draw(key: jax.Array, count: int) -> jax.Array:
        return base.sample(key, (count,) if base.batch_shape else (count, *posterior.batch_shape))

    def ratio(z: jax.Array) -> jax.Array:
        if start == "prior":
            return log_likelihood(z)
        return log_likelihood(z) + prior.log_prob(z) - posterior.log_prob(z)

    def evaluate(z: jax.Array) -> _Point:
        (b, b_slope), (r, r_slope) = _value_and_slope(base.log_prob, z), _value_and_slope(ratio, z)
        return _Point(z, b, r, b_slope, r_slope)

    return _Path(draw, evaluate)


def _value_and_slope(
    function: Callable[[jax.Array], jax.Array], z: jax.Array
) -> tuple[jax.Array, jax.Array]:
    value, pull_back = jax.vjp(function, z)
    return value, pull_back(jnp.ones_like(value))[0]


def _temperatures(num_steps: int) -> np.ndarray:
    """b_0, ..., b_T."""
    b = 1 / (1 + np.exp(-np.linspace(-_LOGISTIC, _LOGISTIC, num_steps + 1)))
    return (b - b[0]) / (b[-1] - b[0])


def _forward(
    key: jax.Array, path: _Path, batch: int, num_steps: int, num_chains: int
) -> tuple[AnnealedEstimate, jax.Array]:
    """The estimate, and the step size at each temperature b_1, ..., b_T, [T, B]."""
    scouts = -(-num_chains // 4)
    start_key, run_key = jax.random.split(key)
    point = path.evaluate(path.draw(start_key, scouts + num_chains))
    size = math.prod(point.z.shape[2:])
    log_step = jnp.full((batch,), -0.25 * math.log(max(size, 1)), point.z.dtype)

    def body(carry: Any, xs: Any) -> Any:
        point, log_w, log_step = carry
        key, increment, b = xs
        log_w = log_w + increment * point.ratio
        step = jnp.exp(log_step)
        point, acceptance = _transition(key, path, point, b, step)
        missing = _ACCEPTANCE - jnp.mean(acceptance[:scouts], axis=0)
        carry = point, log_w, log_step - _GAIN * missing
        return carry, (step, jnp.mean(acceptance[scouts:], axis=0))

    b = _temperatures(num_steps)
    dtype = point.base.dtype
    xs = (jax.random.split(run_key, num_steps), jnp.asarray(np.diff(b), dtype),
          jnp.asarray(b[1:], dtype))  # fmt: skip
    (_, log_w, _), (steps, acceptance) = jax.lax.scan(
        body, (point, jnp.zeros_like(point.base), log_step), xs
    )
    return _estimate(log_w[scouts:], jnp.mean(acceptance, axis=0), 1), steps


def _reverse(
    key: jax.Array, path: _Path, exact_sample: jax.Array, steps: jax.Array, num_chains: int
) -> AnnealedEstimate:
    """The estimate from above, with the step sizes of b_1, ..., b_T."""
    start = jnp.broadcast_to(exact_sample[None], (num_chains, *exact_sample.shape))
    point = path.evaluate(start)

    def body(carry: Any, xs: Any) -> Any:
        point, log_w = carry
        key, increment, b, step = xs
        log_w = log_w + increment * point.ratio
        point, acceptance = _transition(key, path, point, b, step)
        return (point, log_w), jnp.mean(acceptance, axis=0)

    num_steps = len(steps)
    b = _temperatures(num_steps)
    dtype = point.base.dtype
    # The increment to b_t is counted at z_t-1, which the transition at b_t has yet to reach when
    # the chain runs backwards; that at b_T leaves the exact sample one, and none is needed at b_0.
    xs = (
        jax.random.split(key, num_steps),
        jnp.asarray(np.diff(b)[::-1], dtype),
        jnp.asarray(b[:-1][::-1], dtype),
        jnp.concatenate([steps[:1], steps[:-1]])[::-1],
    )
    (_, log_w), acceptance = jax.lax.scan(body, (point, jnp.zeros_like(point.base)), xs)
    return _estimate(-log_w, jnp.mean(acceptance, axis=0), -1)


def _transition(
    key: jax.Array, path: _Path, point: _Point, b: jax.Array, step: jax.Array
) -> tuple[_Point, jax.Array]:
    """One Hamiltonian transition of all chains, and its acceptance probability, [C, B]."""
    momentum_key, test_key = jax.random.split(key)
    momentum = iid(momentum_key, point.z.shape, (), "normal", point.z.dtype)
    step = step.reshape(1, -1, *(1,) * (point.z.ndim - 2))

    def slope(at: _Point) -> jax.Array:
        # f_t is the exponential of base + b ratio.
        return at.base_slope + b * at.ratio_slope

    def energy(at: _Point, momentum: jax.Array) -> jax.Array:
        kinetic = 0.5 * jnp.sum((momentum**2).reshape(*at.base.shape, -1), axis=-1)
        return kinetic - at.base - b * at.ratio

    def leapfrog(carry: Any, _: None) -> Any:
        at, p = carry
        p = p + 0.5 * step * slope(at)
        at = path.evaluate(at.z + step * p)
        return (at, p + 0.5 * step * slope(at)), None

    (proposal, p), _ = jax.lax.scan(leapfrog, (point, momentum), None, length=_LEAPFROGS)
    gain = energy(point, momentum) - energy(proposal, p)
    # Where the trajectory has left what the float can hold, it is rejected.
    acceptance = jnp.where(jnp.isnan(gain), 0, jnp.exp(jnp.minimum(gain, 0)))
    accepted = iid(test_key, gain.shape, (), "uniform", gain.dtype) < acceptance

    def choose(new: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.where(accepted.reshape(accepted.shape + (1,) * (new.ndim - 2)), new, old)

    return jax.tree.map(choose, proposal, point), acceptance


def _estimate(log_w: jax.Array, acceptance: jax.Array, sign: int) -> AnnealedEstimate:
    """+-log of the mean of the weights, [C, B], with its error from their spread."""
    count = log_w.shape[0]
    log_sum = logsumexp(log_w, axis=0)
    # As in importance_log_likelihood.
    log_ratio = logsumexp(2 * log_w, axis=0) - 2 * log_sum
    variance = jnp.maximum(jnp.exp(log_ratio) - 1 / count, 0)
    return AnnealedEstimate(
        sign * (log_sum - math.log(count)), jnp.sqrt(variance), jnp.exp(-log_ratio), acceptance
    )


def _check(
    posterior: Distribution, prior: Distribution, num_steps: int, num_chains: int, start: str
) -> None:
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
        everywhere = holds(prior.support.check(far) & prior.support.check(-far))
    # The density of directions, unlike their support, is that of a sphere alone.
    directions = isinstance(innermost(prior), VonMisesFisher)
    if not prior.has_rsample or everywhere is False or directions:
        raise ValueError(
            "Hamiltonian transitions need latents from all of R^D, got the prior "
            f"{type(innermost(prior)).__name__}: use importance_log_likelihood"
        )
