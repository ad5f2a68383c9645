"""The compiled programs behind the registry's tests; each serves many assertions.

Compilation is nearly all that these tests cost. So each program computes what several tests need,
takes parameters as arguments (values out of range run through the same executable), serves all
cases that differ in their parameters only, and is compiled without the optimizer.
"""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tests.xla_options import XLA_OPTIONS

SHAPE = (2, 3)


def compiled(function, **kwargs):
    """`jax.jit` for tests, where compilation costs more than execution."""
    return jax.jit(function, compiler_options=XLA_OPTIONS, **kwargs)


def shared(program_of):
    """Makes cases that differ only in the values of their parameters share one compiled program."""
    cached = functools.lru_cache(maxsize=1)(lambda key: program_of(key.case))
    return lambda case: cached(_Key(case))


class _Key:
    """A hashable key of everything that a program depends on besides its arguments."""

    def __init__(self, case):
        self.case = case
        self.identity = (case.make, tuple(case.static.items()), case.density, case.slow)

    def __hash__(self):
        return hash(self.identity)

    def __eq__(self, other):
        return self.identity == other.identity


# No distribution of the registry uses more coordinates of noise in its batch.
_COORDINATES = 24


@functools.cache
def _pool(source, n, marginal):
    key = jax.random.key(10)
    draw = jax.jit(lambda key: source(key, (n,), (_COORDINATES,), marginal, "float64"))
    return np.asarray(draw(key))


def noise_for(q, source, n):
    """Returns n draws of noise for q from `source` in float64; all distributions share them."""
    shape = q.batch_shape + q.noise_shape
    pool = _pool(source, n, q.noise_marginal)
    return pool[:, : math.prod(shape)].reshape(n, *shape)


def fixed(eps):
    """Returns a source that returns this noise."""
    return lambda *_: eps


def if_any(function):
    """Returns the result of `function`, or None if the distribution does not have it."""
    try:
        return function()
    except NotImplementedError:
        return None


@compiled
def density_and_summaries(q, x):
    """Returns the log-density at x and all summaries that the family has."""
    names = ("mean", "variance", "mode", "covariance_matrix")
    summaries = {k: if_any(lambda k=k: getattr(q, k)) for k in names if hasattr(type(q), k)}
    return {"log_prob": q.log_prob(x), "entropy": if_any(q.entropy), **summaries}


def parameters_of(case, dtype):
    """Returns the parameters of a case as jax arrays, in their own shapes."""
    return {k: jnp.asarray(np.asarray(v, dtype)) for k, v in case.parameters.items()}


def density(case, q, z):
    """Returns the log-density, or zeros if the family has none."""
    if case.density:
        return q.log_prob(z)
    return jnp.zeros(z.shape[: z.ndim - len(q.event_shape)], z.dtype)


def sample_and_density(case, q, key, shape, **source):
    """Returns a sample and its log-density, or zeros if the family has none."""
    if case.density:
        return q.rsample_and_log_prob(key, shape, **source)
    z = q.rsample(key, shape, **source)
    return z, density(case, q, z)


class Draw(NamedTuple):
    """Results of one key at one setting of the parameters; arrays start with `SHAPE` + batch.

    Attributes:
      sample: from `sample`.
      log_prob: the log-density of `sample`.
      log_prob_gradient: its gradient with respect to the sample.
      in_support: whether the support holds the sample.
      sample_gradient: the gradient of the sum of squares of `sample`, a distribution of gradients.

    None for discrete families:
      noise: from `noise`.
      rsample: from `rsample`.
      rsample_gradient: the gradient of the sum of squares of `rsample`, a distribution.
      noise_gradient: the gradient of the sum of `rsample` with respect to the noise.
      joint_sample: the sample from `rsample_and_log_prob`.
      joint_log_prob: its log-density from the same call.
      inverse: `inverse` of `rsample`; None if the transform is not one-to-one.
    """

    sample: Any
    log_prob: Any
    log_prob_gradient: Any
    in_support: Any
    sample_gradient: Any
    noise: Any = None
    rsample: Any = None
    rsample_gradient: Any = None
    noise_gradient: Any = None
    joint_sample: Any = None
    joint_log_prob: Any = None
    inverse: Any = None


@shared
def draw(case):
    """Returns the program (parameters, key) -> Draw, and a list that grows with every trace."""
    traces: list[None] = []

    def program(parameters, key):
        traces.append(None)
        q = case.make(**parameters, **case.static)
        z, pull_sample = jax.vjp(lambda q: q.sample(key, SHAPE), q)
        log_prob, pull_log_prob = jax.vjp(lambda z: density(case, q, z), z)
        # A discrete sample has no gradient to look at.
        gradient = pull_log_prob(jnp.ones_like(log_prob))[0] if q.has_rsample else None
        common = Draw(z, log_prob, gradient, q.support.check(z), pull_sample(2 * z)[0])
        if not q.has_rsample:
            return common

        eps = q.noise(key, SHAPE)
        x, pull = jax.vjp(lambda q, eps: q.rsample(key, SHAPE, source=fixed(eps)), q, eps)
        joint_sample, joint_log_prob = sample_and_density(case, q, key, SHAPE)
        return common._replace(
            noise=eps,
            rsample=x,
            rsample_gradient=pull(2 * x)[0],
            noise_gradient=pull(jnp.ones_like(x))[1],
            joint_sample=joint_sample,
            joint_log_prob=joint_log_prob,
            inverse=if_any(lambda: q.inverse(x)),
        )

    return compiled(program), traces


class SixteenBit(NamedTuple):
    """Results of 16-bit parameters.

    Attributes:
      sample: the sample drawn with the key of the `Draw` that it is compared with.
      log_prob: the log-density of that draw's sample, by `jax.vmap` over two distributions.
      after_scan: the distribution after it was the carry of a scan.
    """

    sample: Any
    log_prob: Any
    after_scan: Any


@shared
def sixteen_bit(case):
    """Returns the program (parameters, key, value) -> SixteenBit."""

    def program(parameters, key, value):
        q = case.make(**parameters, **case.static)
        two = jax.tree.map(lambda x: jnp.stack([x, x]), q)
        log_prob = jax.vmap(lambda q: density(case, q, value))(two)[1]
        after_scan, _ = jax.lax.scan(lambda q, _: (q, None), q, None, length=2)
        return SixteenBit(q.sample(key, SHAPE), log_prob, after_scan)

    return compiled(program)


# Steps of the five-point difference, whose error is h^4 f^(5) / 30 with f a function of t.
STEP = 3e-3
_STENCIL = np.asarray([-2.0, -1.0, 0.0, 1.0, 2.0])
_WEIGHTS = np.asarray([1.0, -8.0, 0.0, 8.0, -1.0]) / 12
_ZERO = 2


def difference(values):
    """Returns the derivative at t = 0 of values [direction, stencil, ...] by finite differences."""
    return np.einsum("s,ds...->d...", _WEIGHTS, np.asarray(values)) / STEP


def at_zero(values):
    """Returns the values at t = 0 of an array [direction, stencil, ...]."""
    return np.asarray(values)[:, _ZERO]


def _direction(case, name, value, rng):
    """Returns a random direction in which a parameter stays valid, small compared with it."""
    value = np.asarray(value, "float64")
    size = np.where(value == 0, 0.1, 0.1 * np.abs(value))
    d = size * rng.uniform(0.3, 1.0, value.shape) * rng.choice([-1.0, 1.0], value.shape)
    if name == "probs" and value.ndim and np.allclose(value.sum(-1), 1):
        return d - d.mean(-1, keepdims=True)  # the sum stays 1
    if name in ("covariance_matrix", "precision_matrix", "scale_matrix"):
        return 0.5 * (d + np.swapaxes(d, -2, -1))
    return np.tril(d) if "tril" in name else d


def directions_of(case, eps, marginal):
    """Returns stacked directions: one for each parameter, and the last for the noise."""
    rng = np.random.default_rng(0)
    parameters = {k: np.asarray(v, "float64") for k, v in case.parameters.items()}
    n = len(parameters) + 1
    along = {k: np.zeros((n, *v.shape)) for k, v in parameters.items()}
    for i, (k, v) in enumerate(parameters.items()):
        along[k][i] = _direction(case, k, v, rng)
    noise = np.zeros((n, *eps.shape))
    size = 0.1 * eps * (1 - eps) if marginal == "uniform" else 0.1
    noise[-1] = size * rng.uniform(0.3, 1.0, eps.shape) * rng.choice([-1.0, 1.0], eps.shape)
    return along, noise


class Derivatives(NamedTuple):
    """Derivatives at t = 0 along directions; every array is [direction, ...].

    Two sums depend on t: the weighted samples and their weighted log-densities at fixed samples.

    Attributes:
      values: the sums on the stencil, [direction, stencil, 2].
      forward: their derivatives on the stencil, in forward mode, [direction, stencil, 2].
      forward_forward: their second derivatives, [direction, 2].
      reverse: the derivative of the total of both sums, [direction].

    None for slow cases, whose programs take minutes to compile with them:
      reverse_reverse: the second derivative of the total, [direction].
      total_values: the log-density of samples that move too, [direction, stencil].
      total_forward: its derivatives, [direction, stencil].
      cdf_forward: the derivative of the cdf at the sample, [direction, stencil, ...]; None if there
        is no cdf or the transform is not one-to-one.
    """

    values: Any
    forward: Any
    forward_forward: Any
    reverse: Any
    reverse_reverse: Any = None
    total_values: Any = None
    total_forward: Any = None
    cdf_forward: Any = None


@shared
def derivatives(case):
    """Returns the program (parameters, eps, directions, noise directions, weights) -> Derivatives.

    `weights` are those of the samples and those of their log-densities.
    """

    def program(parameters, eps, along, along_eps, weights):
        z0 = case.make(**parameters, **case.static).transform(eps)
        sample_weights, log_weights = weights

        def per_direction(along, along_eps):
            def moved(t):
                moved = {k: v + t * along[k] for k, v in parameters.items()}
                return case.make(**moved, **case.static), eps + t * along_eps

            def sums(t):
                q, noise = moved(t)
                log_q = density(case, q, z0)
                of_samples = jnp.sum(sample_weights * q.transform(noise))
                return jnp.stack([of_samples, jnp.sum(log_weights * log_q)])

            def total(t):
                q, noise = moved(t)
                source = fixed(noise)
                z, log_q = sample_and_density(
                    case, q, jax.random.key(0), eps.shape[:1], source=source
                )
                one_to_one = if_any(lambda: q.inverse(z)) is not None
                cdf = if_any(lambda: q.cdf(z)) if one_to_one else None
                return jnp.sum(log_weights * log_q), cdf

            def with_tangent(f):
                return lambda t: jax.jvp(f, (t,), (jnp.ones_like(t),))

            # Zero is a point of the stencil, so that one trace gives the differences and what they
            # are compared with.
            stencil, zero = jnp.asarray(STEP * _STENCIL), jnp.zeros(())
            (values, forward), (_, second) = jax.vmap(with_tangent(with_tangent(sums)))(stencil)
            reverse = jax.grad(lambda t: jnp.sum(sums(t)))
            if case.slow:
                return Derivatives(values, forward, second[_ZERO], reverse(zero))
            slope, curvature = jax.value_and_grad(reverse)(zero)
            (total_values, _), (total_forward, cdf) = jax.vmap(with_tangent(total))(stencil)
            return Derivatives(
                values, forward, second[_ZERO], slope, curvature, total_values, total_forward, cdf
            )

        return jax.vmap(per_direction)(along, along_eps)

    return compiled(program)


class Comparison(NamedTuple):
    """Values that are compared with a reference.

    Attributes:
      log_prob: the log-density at x.
      log_prob_derivative: its derivative at x.
      cdf: at x; None if the family has none, and so are the next four.
      icdf: at u.
      icdf_outside: `icdf` at numbers that are no probabilities.
      cdf_of_icdf: the cdf at `icdf`.
      log_prob_of_icdf: the log-density at `icdf`.
      mean, variance, stddev, mode, entropy: the summaries, each None if the family has none.
      log_prob_of_mode: the log-density at the mode.
      samples: draws of `sample`.
    """

    log_prob: Any
    log_prob_derivative: Any
    cdf: Any
    icdf: Any
    icdf_outside: Any
    cdf_of_icdf: Any
    log_prob_of_icdf: Any
    mean: Any
    variance: Any
    stddev: Any
    mode: Any
    entropy: Any
    log_prob_of_mode: Any
    samples: Any


@shared
def comparison(case):
    """Returns the program (parameters, x, u, key, number of samples) -> Comparison.

    Each method is called once, at all points together: calls are what compilation costs.
    """

    def program(parameters, x, u, key, draws):
        q = case.make(**parameters, **case.static)
        summaries = {
            name: if_any(functools.partial(getattr, q, name))
            for name in ("mean", "variance", "stddev", "mode")
        }
        outside = jnp.asarray([-0.1, 1.1], u.dtype)
        icdf = if_any(lambda: q.icdf(jnp.concatenate([u, outside])))
        inside = x[:0] if icdf is None else icdf[: u.size]
        mode = x[:0] if summaries["mode"] is None else summaries["mode"][None]

        points = jnp.concatenate([x, inside, mode])
        log_prob, derivative = jax.jvp(q.log_prob, (points,), (jnp.ones_like(points),))
        at_x, at_icdf, at_mode = jnp.split(log_prob, [x.size, x.size + inside.size])
        cdf = if_any(lambda: q.cdf(points[: x.size + inside.size]))
        return Comparison(
            log_prob=at_x,
            log_prob_derivative=derivative[: x.size],
            cdf=None if cdf is None else cdf[: x.size],
            icdf=None if icdf is None else inside,
            icdf_outside=None if icdf is None else icdf[u.size :],
            cdf_of_icdf=None if cdf is None or icdf is None else cdf[x.size :],
            log_prob_of_icdf=None if icdf is None else at_icdf,
            **summaries,
            entropy=if_any(q.entropy),
            log_prob_of_mode=at_mode[0] if at_mode.size else None,
            samples=q.sample(key, (draws,)) if draws else None,
        )

    return compiled(program, static_argnums=4)


class Moments(NamedTuple):
    """Averages over samples, and the derivatives of the moments in one coordinate of a parameter.

    Attributes:
      mean, variance: of the distribution; each None if the family has none.
      derivatives: for each parameter, for mean and variance, a `MomentDerivative`.
      averages: the means of the samples from each source of noise, [source, ...].
    """

    mean: Any
    variance: Any
    derivatives: Any
    averages: Any


class MomentDerivative(NamedTuple):
    """A derivative of a moment, in closed form and from samples.

    Attributes:
      exact: the derivative of the closed form; None if there is none.
      average: the mean of the pathwise derivatives of the samples; None if there is none.
      deviation: their standard deviation.
    """

    exact: Any
    average: Any
    deviation: Any


@shared
def moments(case):
    """Returns the program (parameters, eps, noise by source) -> Moments.

    d/dtheta E[(z - m)^2] at m = mean is the derivative of the variance. The noise by source is
    [source, draw, ...].
    """

    def program(parameters, eps, by_source):
        q = case.make(**parameters, **case.static)
        leaves, structure = jax.tree.flatten(q)

        def statistics(q):
            return if_any(lambda: q.mean), if_any(lambda: q.variance)

        def estimates(q):
            z = q.transform(eps)
            center = if_any(lambda: q.mean)
            squares = None if center is None else (z - jax.lax.stop_gradient(center)[None]) ** 2
            return z, squares

        def along(leaf_index):
            direction = [jnp.zeros_like(x) for x in leaves]
            first = (0,) * leaves[leaf_index].ndim
            direction[leaf_index] = direction[leaf_index].at[first].set(1.0)
            tangent = structure.unflatten(direction)
            _, exact = jax.jvp(statistics, (q,), (tangent,))
            _, sampled = jax.jvp(estimates, (q,), (tangent,))
            return [
                MomentDerivative(e, None, None)
                if s is None
                else MomentDerivative(e, jnp.mean(s, axis=0), jnp.std(s, axis=0))
                for e, s in zip(exact, sampled, strict=True)
            ]

        derivatives = [along(i) for i in range(len(leaves))]
        return Moments(*statistics(q), derivatives, jnp.mean(q.transform(by_source), axis=1))

    return compiled(program)
