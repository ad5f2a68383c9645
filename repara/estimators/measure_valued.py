"""The measure-valued estimator: a weighted difference of two expectations for each parameter."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from repara.distributions import Exponential, Normal, Poisson, Weibull
from repara.distributions.introspection import without_independent
from repara.estimators.surrogate import (
    DistributionFunction,
    Function,
    Params,
    Surrogate,
    attach,
    check_call,
    detach,
    draw,
    evaluate,
    split_call_key,
)
from repara.noise import iid

__all__ = ["measure_valued"]


class _Difference(NamedTuple):
    """The terms of d/dtheta E[f] = E[constant (f(plus) - f(minus))], one coordinate at a time.

    Attributes:
      parameter: theta, differentiable.
      constant: c, broadcasts with the samples.
      plus: draws of the positive part, [num_samples, *batch].
      minus: draws of the negative part, [num_samples, *batch].
    """

    parameter: jax.Array
    constant: Any
    plus: jax.Array
    minus: jax.Array


def measure_valued(function: Function, distribution_fn: DistributionFunction) -> Surrogate:
    """Returns the measure-valued (weak derivative) estimator; unbiased for any f.

        d/dtheta_i E[f(z)] = c_i ( E_{p_i+}[f(z)] - E_{p_i-}[f(z)] )

    where p_i+ and p_i- change only coordinate i of the sample. Both are drawn from the same noise
    (coupled), which removes most of the variance. f is evaluated twice per parameter and
    coordinate. It has first derivatives only; a second derivative raises.

        Normal        loc     c = 1/(scale sqrt(2 pi))   loc +- scale Rayleigh(1)
                      scale   c = 1/scale                double-sided Maxwell, minus the normal
        Exponential   rate    c = 1/rate                 Exponential, minus Gamma(2)
        Weibull       scale   c = concentration/scale    (y/scale)^k: Gamma(2), minus Exponential
        Poisson       rate    c = 1                      z + 1, minus z

    Args:
      function: f, maps one sample to a scalar; it need not be continuous.
      distribution_fn: maps parameters to a Normal, Exponential, Weibull or Poisson, or an
        Independent of them.

    Returns:
      The surrogate `(params, key, num_samples) -> [num_samples]`.

    Raises:
      NotImplementedError: another distribution, a derivative in the concentration of Weibull, or a
        second derivative.
      ValueError: f does not return a finite scalar.

    References:
      Mohamed et al. (2020), "Monte Carlo Gradient Estimation in Machine Learning", section 6 and
      table 1, https://arxiv.org/abs/1906.10652

      Heidergott, Vazquez-Abad and Volk-Makarewicz (2008), "Sensitivity Estimation for Gaussian
      Systems", for the coupling of the Maxwell and the normal distribution by a uniform variable

    Example:
      >>> import repara as rp
      >>> surrogate = measure_valued(lambda z: z**2, lambda rate: rp.Poisson(rate))
      >>> loss = lambda rate: surrogate(rate, jax.random.key(0), 1000).mean()
      >>> round(float(jax.grad(loss)(2.0)))  # E[z^2] = rate + rate^2
      5
    """

    def surrogate(params: Params, key: jax.Array, num_samples: int) -> jax.Array:
        check_call(key, num_samples)
        sample_key, noise_key = split_call_key(key)
        distribution = distribution_fn(params)
        base = without_independent(distribution)
        z = draw(distribution, sample_key, num_samples)
        values = evaluate(function, z)
        parameters: list[jax.Array] = []
        estimates: list[jax.Array | None] = []
        for difference in _differences(base, noise_key, z):
            theta = jnp.broadcast_to(difference.parameter, base.batch_shape)
            high = _one_at_a_time(function, z, difference.plus)
            low = _one_at_a_time(function, z, difference.minus)
            parameters.append(theta)
            estimates.append(difference.constant * (high - low).reshape(z.shape))
        if isinstance(base, Weibull):
            parameters.append(jnp.asarray(base.concentration))
            estimates.append(None)
        return attach(values, parameters, estimates, "measure_valued")

    return surrogate


def _one_at_a_time(function: Function, z: jax.Array, changed: jax.Array) -> jax.Array:
    """Returns f with one coordinate of each sample changed, [num_samples, coordinates]."""
    n, shape = z.shape[0], z.shape[1:]
    flat, new = z.reshape(n, -1), changed.reshape(n, -1)
    size = flat.shape[1]
    pick = jnp.eye(size, dtype=bool)[None]
    mixed = jnp.where(pick, new[:, None, :], flat[:, None, :])
    return evaluate(function, mixed.reshape(n * size, *shape)).reshape(n, size)


def _exponential(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
    """Draws standard exponential variables."""
    return -jnp.log(iid(key, shape, (), "uniform", dtype))


def _differences(base: Any, key: jax.Array, z: jax.Array) -> list[_Difference]:
    """Returns the terms of the estimate, one for each parameter that has one; `key` is consumed."""
    shape, dtype = z.shape, z.dtype
    fixed = detach(base)
    if isinstance(base, Normal):
        loc_key, maxwell_key, sign_key, uniform_key = jax.random.split(key, 4)
        loc, scale = fixed.loc, fixed.scale
        rayleigh = jnp.sqrt(2 * _exponential(loc_key, shape, dtype))
        three = iid(maxwell_key, (3, *shape), (), "normal", dtype)
        maxwell = jnp.sqrt(jnp.sum(three**2, axis=0)) * jax.random.rademacher(
            sign_key, shape, dtype
        )
        # The product of a double-sided Maxwell variate and an independent uniform is normal.
        normal = maxwell * iid(uniform_key, shape, (), "uniform", dtype)
        loc, scale = _aligned(loc, z), _aligned(scale, z)
        return [
            _Difference(
                base.loc,
                1 / (scale * jnp.sqrt(jnp.asarray(2 * jnp.pi, dtype))),
                loc + scale * rayleigh,
                loc - scale * rayleigh,
            ),
            _Difference(base.scale, 1 / scale, loc + scale * maxwell, loc + scale * normal),
        ]
    if isinstance(base, Exponential):
        first, second = _exponential(key, (2, *shape), dtype)
        rate = _aligned(fixed.rate, z)
        return [_Difference(base.rate, 1 / rate, first / rate, (first + second) / rate)]
    if isinstance(base, Weibull):
        first, second = _exponential(key, (2, *shape), dtype)
        scale, concentration = _aligned(fixed.scale, z), _aligned(fixed.concentration, z)
        power = 1 / concentration
        return [
            _Difference(
                base.scale,
                concentration / scale,
                scale * (first + second) ** power,
                scale * first**power,
            )
        ]
    if isinstance(base, Poisson):
        return [_Difference(base.rate, jnp.ones((), dtype), z + 1, z)]
    raise NotImplementedError(
        f"measure_valued supports Normal, Exponential, Weibull and Poisson, not "
        f"{type(base).__name__}: use score_function, or pathwise if the distribution has rsample"
    )


def _aligned(parameter: jax.Array, z: jax.Array) -> jax.Array:
    """Returns the parameter with leading axes of length one up to the rank of z."""
    return parameter.reshape((1,) * (z.ndim - parameter.ndim) + parameter.shape)
