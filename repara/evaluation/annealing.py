"""Annealed importance sampling: the path of densities, the transitions, both directions."""

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp

from repara.distributions import Distribution
from repara.noise import iid
from repara.objectives import LogLikelihood

__all__ = ["AnnealedEstimate", "Path", "Point", "Start"]

Start = Literal["prior", "posterior"]
"""The density at the start of the path."""


class AnnealedEstimate(NamedTuple):
    """An estimate of a log-likelihood by annealed importance sampling, one value per example.

    Attributes:
      log_likelihood: the estimate, [B], nats.
      stderr: its standard error from the spread of the chains' weights (delta method), [B], nats;
        too small if a few chains have nearly all of the weight.
      effective_chains: (sum w)^2 / sum w^2, from 1 to the number of chains, [B].
      acceptance: the mean acceptance probability of the Hamiltonian transitions, [B].
    """

    log_likelihood: jax.Array
    stderr: jax.Array
    effective_chains: jax.Array
    acceptance: jax.Array


# The leapfrog steps per transition: Wu et al. (2017), appendix, https://arxiv.org/abs/1611.04273.
_LEAPFROG_STEPS = 10
# The acceptance of Beskos et al. (2013), https://arxiv.org/abs/1001.4460.
_ACCEPTANCE = 0.65
# The change of the logarithm of the step size per unit of missing acceptance: a tenfold change of
# scale takes about fifty temperatures, and the noise of a few pilot chains averages over ten.
_GAIN = 0.1
# The temperatures are a logistic function between these ends, as in Wu et al. (2017).
_LOGISTIC_END = 4.0


class Point(NamedTuple):
    """The state of the chains: their positions, and the log-densities of the path there.

    Attributes:
      z: latents, [C, B, *event].
      base: log p_0(z), [C, B].
      ratio: log p(x | z) + log p(z) - log p_0(z), [C, B].
      base_gradient: the derivative of `base` in z, [C, B, *event].
      ratio_gradient: the derivative of `ratio` in z, [C, B, *event].
    """

    z: jax.Array
    base: jax.Array
    ratio: jax.Array
    base_gradient: jax.Array
    ratio_gradient: jax.Array


class Path(NamedTuple):
    """A path of densities from p_0(z) to p(x | z) p(z).

    Attributes:
      draw: maps a key and C to samples of p_0, [C, B, *event].
      evaluate: maps latents [C, B, *event] to a point.
    """

    draw: Callable[[jax.Array, int], jax.Array]
    evaluate: Callable[[jax.Array], Point]


def make_path(
    posterior: Distribution, prior: Distribution, log_likelihood: LogLikelihood, start: Start
) -> Path:
    """Returns the path from the prior or the posterior to the joint density."""
    base = prior if start == "prior" else posterior

    def draw(key: jax.Array, count: int) -> jax.Array:
        return base.sample(key, (count,) if base.batch_shape else (count, *posterior.batch_shape))

    def ratio(z: jax.Array) -> jax.Array:
        if start == "prior":
            return log_likelihood(z)
        return log_likelihood(z) + prior.log_prob(z) - posterior.log_prob(z)

    def evaluate(z: jax.Array) -> Point:
        b, b_gradient = _value_and_gradient(base.log_prob, z)
        r, r_gradient = _value_and_gradient(ratio, z)
        return Point(z, b, r, b_gradient, r_gradient)

    return Path(draw, evaluate)


def _value_and_gradient(
    function: Callable[[jax.Array], jax.Array], z: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Returns log-densities [C, B] and their gradients in the latents [C, B, *event]."""
    value, pull_back = jax.vjp(function, z)
    return value, pull_back(jnp.ones_like(value))[0]


def _temperatures(num_steps: int) -> np.ndarray:
    """Returns b_0, ..., b_T."""
    b = 1 / (1 + np.exp(-np.linspace(-_LOGISTIC_END, _LOGISTIC_END, num_steps + 1)))
    from_0_to_1: np.ndarray = (b - b[0]) / (b[-1] - b[0])
    return from_0_to_1


def forward(
    key: jax.Array, path: Path, batch: int, num_steps: int, num_chains: int
) -> tuple[AnnealedEstimate, jax.Array]:
    """Runs the chains from b_0 to b_T.

    Returns the estimate, and the step sizes at the temperatures b_1, ..., b_T, [T, B].
    """
    num_pilots = -(-num_chains // 4)
    start_key, run_key = jax.random.split(key)
    point = path.evaluate(path.draw(start_key, num_pilots + num_chains))
    dimension = math.prod(point.z.shape[2:])
    log_step = jnp.full((batch,), -0.25 * math.log(max(dimension, 1)), point.z.dtype)

    def body(carry: Any, xs: Any) -> Any:
        point, log_w, log_step = carry
        key, increment, b = xs
        log_w = log_w + increment * point.ratio
        step = jnp.exp(log_step)
        point, acceptance = _transition(key, path, point, b, step)
        missing = _ACCEPTANCE - jnp.mean(acceptance[:num_pilots], axis=0)
        carry = point, log_w, log_step - _GAIN * missing
        return carry, (step, jnp.mean(acceptance[num_pilots:], axis=0))

    b = _temperatures(num_steps)
    dtype = point.base.dtype
    xs = (
        jax.random.split(run_key, num_steps),
        jnp.asarray(np.diff(b), dtype),
        jnp.asarray(b[1:], dtype),
    )
    (_, log_w, _), (step_sizes, acceptance) = jax.lax.scan(
        body, (point, jnp.zeros_like(point.base), log_step), xs
    )
    return _estimate(log_w[num_pilots:], jnp.mean(acceptance, axis=0), 1), step_sizes


def backward(
    key: jax.Array, path: Path, exact_sample: jax.Array, step_sizes: jax.Array, num_chains: int
) -> AnnealedEstimate:
    """Runs chains from the exact sample at b_T to b_0; returns the estimate from above."""
    start = jnp.broadcast_to(exact_sample[None], (num_chains, *exact_sample.shape))
    point = path.evaluate(start)

    def body(carry: Any, xs: Any) -> Any:
        point, log_w = carry
        key, increment, b, step = xs
        log_w = log_w + increment * point.ratio
        point, acceptance = _transition(key, path, point, b, step)
        return (point, log_w), jnp.mean(acceptance, axis=0)

    num_steps = len(step_sizes)
    b = _temperatures(num_steps)
    dtype = point.base.dtype
    # Backward, the increment to b_t is added before the transition at b_t-1. A transition at b_T
    # would map the exact sample to another exact sample, and at b_0 none is needed.
    xs = (
        jax.random.split(key, num_steps),
        jnp.asarray(np.diff(b)[::-1], dtype),
        jnp.asarray(b[:-1][::-1], dtype),
        jnp.concatenate([step_sizes[:1], step_sizes[:-1]])[::-1],
    )
    (_, log_w), acceptance = jax.lax.scan(body, (point, jnp.zeros_like(point.base)), xs)
    return _estimate(-log_w, jnp.mean(acceptance, axis=0), -1)


def _transition(
    key: jax.Array, path: Path, point: Point, b: jax.Array, step: jax.Array
) -> tuple[Point, jax.Array]:
    """Applies one Hamiltonian transition to all chains.

    Returns the new point, and the acceptance probabilities, [C, B].
    """
    momentum_key, test_key = jax.random.split(key)
    momentum = iid(momentum_key, point.z.shape, (), "normal", point.z.dtype)
    step = step.reshape(1, -1, *(1,) * (point.z.ndim - 2))

    def log_density_gradient(at: Point) -> jax.Array:
        # log f_t = base + b ratio.
        return at.base_gradient + b * at.ratio_gradient

    def energy(at: Point, momentum: jax.Array) -> jax.Array:
        kinetic = 0.5 * jnp.sum((momentum**2).reshape(*at.base.shape, -1), axis=-1)
        return kinetic - at.base - b * at.ratio

    def leapfrog(carry: Any, _: None) -> Any:
        at, p = carry
        p = p + 0.5 * step * log_density_gradient(at)
        at = path.evaluate(at.z + step * p)
        return (at, p + 0.5 * step * log_density_gradient(at)), None

    (proposal, p), _ = jax.lax.scan(leapfrog, (point, momentum), None, length=_LEAPFROG_STEPS)
    gain = energy(point, momentum) - energy(proposal, p)
    # A trajectory that overflows is rejected.
    acceptance = jnp.where(jnp.isnan(gain), 0, jnp.exp(jnp.minimum(gain, 0)))
    accepted = iid(test_key, gain.shape, (), "uniform", gain.dtype) < acceptance

    def choose(new: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.where(accepted.reshape(accepted.shape + (1,) * (new.ndim - 2)), new, old)

    return jax.tree.map(choose, proposal, point), acceptance


def _estimate(log_w: jax.Array, acceptance: jax.Array, sign: int) -> AnnealedEstimate:
    """Returns `sign` log 1/C sum_c w_c for log-weights [C, B], with its standard error."""
    count = log_w.shape[0]
    log_sum = logsumexp(log_w, axis=0)
    # As in importance_log_likelihood.
    log_ratio = logsumexp(2 * log_w, axis=0) - 2 * log_sum
    variance = jnp.maximum(jnp.exp(log_ratio) - 1 / count, 0)
    return AnnealedEstimate(
        sign * (log_sum - math.log(count)), jnp.sqrt(variance), jnp.exp(-log_ratio), acceptance
    )
