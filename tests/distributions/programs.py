"""The compiled programs behind the registry's tests: each is compiled once and asked many things.

Compilation is nearly all that these tests cost, so each program gathers what several assertions
need, takes parameters as arguments (values out of range run through the same executable), and is
compiled without the optimizer.
"""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tests.xla_options import XLA_OPTIONS

SHAPE = (2, 3)


def compiled(function, **kwargs):
    """`jax.jit` for tests, where compilation costs more than execution."""
    return jax.jit(function, compiler_options=XLA_OPTIONS, **kwargs)


# No distribution of the registry takes more coordinates of noise in its batch.
_COORDINATES = 24


@functools.cache
def _pool(source, n, marginal):
    key = jax.random.key(10)
    draw = jax.jit(lambda key: source(key, (n,), (_COORDINATES,), marginal, "float64"))
    return np.asarray(draw(key))


def noise_for(q, source, n):
    """n draws of noise for q from `source` in float64, drawn once for all distributions."""
    shape = q.batch_shape + q.noise_shape
    pool = _pool(source, n, q.noise_marginal)
    return pool[:, : math.prod(shape)].reshape(n, *shape)


def held(eps):
    """A source that returns this noise."""
    return lambda *_: eps


def if_any(function):
    """The result of `function`, or None where the distribution does not have it."""
    try:
        return function()
    except NotImplementedError:
        return None


@compiled
def asked(q, x):
    """The log-density at x and all summaries there are, in one program."""
    names = ("mean", "variance", "mode", "covariance_matrix")
    found = {k: if_any(lambda k=k: getattr(q, k)) for k in names if hasattr(type(q), k)}
    return {"log_prob": q.log_prob(x), "entropy": if_any(q.entropy), **found}


def parameters_of(case, dtype):
    return {k: jnp.asarray(np.asarray(v, dtype)) for k, v in case.parameters.items()}


def density(case, q, z):
    """The log-density, or zeros where the family has none."""
    if case.density:
        return q.log_prob(z)
    return jnp.zeros(z.shape[: z.ndim - len(q.event_shape)], z.dtype)


def pair(case, q, key, shape, **source):
    """A sample and its log-density, or zeros where the family has none."""
    if case.density:
        return q.rsample_and_log_prob(key, shape, **source)
    z = q.rsample(key, shape, **source)
    return z, density(case, q, z)


def mechanics(case):
    """What a draw of each kind gives; with it, the list that grows by one at every trace."""
    traces: list[None] = []

    def program(parameters, key, sixteen_bit=None):
        traces.append(None)
        q = case.make(**parameters, **case.static)
        z = q.sample(key, SHAPE)
        slopes = jax.grad(lambda z: jnp.sum(density(case, q, z)))(z) if q.has_rsample else z
        out: dict[str, Any] = {
            "sample": z,
            "log_prob": density(case, q, z),
            "slopes": slopes,
            "support": q.support.check(z),
            "stopped": jax.grad(lambda q: jnp.sum(q.sample(key, SHAPE) ** 2))(q),
        }
        if q.has_rsample:
            eps = q.noise(key, SHAPE)
            z, dz = jax.jvp(q.transform, (eps,), (jnp.ones_like(eps),))
            out |= {
                "noise": eps,
                "transform": z,
                "stretch": dz,
                "rsample": q.rsample(key, SHAPE),
                "pair": pair(case, q, key, SHAPE),
                "inverse": if_any(lambda: q.inverse(z)),
                "passed": jax.grad(lambda q: jnp.sum(q.rsample(key, SHAPE) ** 2))(q),
            }
        if sixteen_bit is not None:
            low = case.make(**sixteen_bit, **case.static)
            lifted = jax.tree.map(lambda x: x.astype("float32"), low)
            out["low"] = low.sample(key, SHAPE)
            out["low_log_prob"] = density(case, low, out["low"])
            out["lifted"] = lifted.sample(key, SHAPE)
            stacked = jax.tree.map(lambda x: jnp.stack([x, x]), q)
            out["mapped"] = jax.vmap(lambda q: density(case, q, out["sample"]))(stacked)[1]
            out["carried"], _ = jax.lax.scan(lambda q, _: (q, None), q, None, length=2)
        return out

    return compiled(program), traces


# Steps of the five-point difference, whose error is h^4 f^(5) / 30 with f a function of t.
STEP = 3e-3
_STENCIL = np.asarray([-2.0, -1.0, 0.0, 1.0, 2.0])
_WEIGHTS = np.asarray([1.0, -8.0, 0.0, 8.0, -1.0]) / 12
_ZERO = 2


def difference(values):
    """The derivative at t = 0 from values [direction, stencil, ...] by five-point differences."""
    return np.einsum("s,ds...->d...", _WEIGHTS, np.asarray(values)) / STEP


def at_zero(values):
    """Of values [direction, stencil, ...] those at t = 0."""
    return np.asarray(values)[:, _ZERO]


def _direction(case, name, value, rng):
    """A random direction for one parameter, within its kind and small beside its size."""
    value = np.asarray(value, "float64")
    size = np.where(value == 0, 0.1, 0.1 * np.abs(value))
    d = size * rng.uniform(0.3, 1.0, value.shape) * rng.choice([-1.0, 1.0], value.shape)
    if name == "probs" and value.ndim and np.allclose(value.sum(-1), 1):
        return d - d.mean(-1, keepdims=True)  # the sum stays 1
    if name in ("covariance_matrix", "precision_matrix", "scale_matrix"):
        return 0.5 * (d + np.swapaxes(d, -2, -1))
    return np.tril(d) if "tril" in name else d


def directions_of(case, eps, marginal):
    """One direction for each parameter by itself, then one for the noise; stacked."""
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


def derivatives(case):
    """First and second derivatives along directions, in every combination of modes.

    Along each direction three sums are followed: of the samples, of their densities at fixed
    samples, and of the total log-density from `rsample_and_log_prob`; and, where there is a cdf, it
    at the samples, one by one. For slow cases, whose programs take minutes to compile, there is no
    second derivative in reverse and no total.
    """

    def program(parameters, eps, along, along_eps, weights, log_weights):
        z0 = case.make(**parameters, **case.static).transform(eps)

        def per_direction(along, along_eps):
            def moved(t):
                moved = {k: v + t * along[k] for k, v in parameters.items()}
                return case.make(**moved, **case.static), eps + t * along_eps

            def sums(t):
                q, noise = moved(t)
                z = q.transform(noise)
                log_q = density(case, q, z0)
                return jnp.stack([jnp.sum(weights * z), jnp.sum(log_weights * log_q)])

            def totals(t):
                q, noise = moved(t)
                source = held(noise)
                z, log_q = pair(case, q, jax.random.key(0), eps.shape[:1], source=source)
                one_to_one = if_any(lambda: q.inverse(z)) is not None
                cdf = if_any(lambda: q.cdf(z)) if one_to_one else None
                return jnp.sum(log_weights * log_q), cdf

            def tangent(f):
                return lambda t: jax.jvp(f, (t,), (jnp.ones_like(t),))

            # Zero is a point of the stencil, so that one trace gives the differences and what they
            # are compared with.
            stencil = jnp.asarray(STEP * _STENCIL)
            reverse = jax.grad(lambda t: jnp.sum(sums(t)))
            (values, tangents), (_, second) = jax.vmap(tangent(tangent(sums)))(stencil)
            out = {"values": values, "forward": tangents, "forward_forward": second[_ZERO]}
            if case.slow:
                return {**out, "reverse": (reverse(jnp.zeros(())),)}
            return {
                **out,
                "reverse": tangent(reverse)(jnp.zeros(())),
                "reverse_reverse": jax.grad(reverse)(jnp.zeros(())),
                "totals": jax.vmap(tangent(totals))(stencil),
            }

        return jax.vmap(per_direction)(along, along_eps)

    return compiled(program)


def references(case, draws):
    """The density, its slope, cdf and quantiles at given points, and `draws` samples."""

    def program(parameters, x, u, key):
        q = case.make(**parameters, **case.static)
        log_prob, slope = jax.jvp(q.log_prob, (x,), (jnp.ones_like(x),))
        quantiles = if_any(lambda: q.icdf(u))
        out = {
            "log_prob": log_prob,
            "slope": slope,
            "cdf": if_any(lambda: q.cdf(x)),
            "icdf": quantiles,
            "refused": if_any(lambda: q.icdf(jnp.asarray([-0.1, 1.1], u.dtype))),
            "summaries": {
                name: if_any(functools.partial(getattr, q, name))
                for name in ("mean", "variance", "stddev", "mode")
            },
            "entropy": if_any(q.entropy),
            "samples": q.sample(key, (draws,)),
        }
        if quantiles is not None:
            out["cdf_of_icdf"] = if_any(lambda: q.cdf(quantiles))
            out["log_prob_of_icdf"] = q.log_prob(quantiles)
        if (mode := out["summaries"]["mode"]) is not None:
            out["log_prob_of_mode"] = q.log_prob(mode)
        return out

    return compiled(program)


def expectations(case):
    """Mean and variance, their derivatives in one coordinate of each parameter, and the draws'.

    d/dtheta E[(z - m)^2] at m = mean is the derivative of the variance. With them, the means of the
    samples that each row of `by_source` [source, draw, ...] gives.
    """

    def program(parameters, eps, by_source):
        q = case.make(**parameters, **case.static)
        leaves, structure = jax.tree.flatten(q)

        def statistics(q):
            return if_any(lambda: q.mean), if_any(lambda: q.variance)

        def estimates(q):
            z = q.transform(eps)
            centre = if_any(lambda: q.mean)
            squares = None if centre is None else (z - jax.lax.stop_gradient(centre)[None]) ** 2
            return z, squares

        out = []
        for i, leaf in enumerate(leaves):
            direction = [jnp.zeros_like(x) for x in leaves]
            direction[i] = direction[i].at[(0,) * leaf.ndim].set(1.0)
            tangent = structure.unflatten(direction)
            _, exact = jax.jvp(statistics, (q,), (tangent,))
            _, sampled = jax.jvp(estimates, (q,), (tangent,))
            moments = [
                None if s is None else (jnp.mean(s, axis=0), jnp.std(s, axis=0)) for s in sampled
            ]
            out.append((exact, moments))
        return out, statistics(q), jnp.mean(q.transform(by_source), axis=1)

    return compiled(program)
