"""The pathwise estimator: the gradient of the sample itself."""

import jax

from repara import noise
from repara.estimators.surrogate import (
    DistributionFunction,
    Function,
    Params,
    Surrogate,
    check_call,
    evaluate,
)

__all__ = ["pathwise"]


def pathwise(
    function: Function,
    distribution_fn: DistributionFunction,
    *,
    source: noise.Source = noise.iid,
) -> Surrogate:
    """The pathwise (reparameterization) estimator; unbiased for differentiable f.

        d/dtheta E[f(z)] = E[ f'(z) dz/dtheta ],   z = transform(eps, theta)

    A jump of f is not seen, and makes it biased. All derivatives are right to all orders to which
    f and the transform have them.

    Args:
      function: f, maps one sample to a scalar.
      distribution_fn: maps parameters to a distribution with `rsample`.
      source: where the noise comes from: `noise.antithetic`, `noise.stratified` and `noise.sobol`
        lower the variance of a mean over samples that are smooth or monotone in the noise.

    Returns:
      The surrogate `(params, key, num_samples) -> [num_samples]`.

    Raises:
      TypeError: a source is given for an object that is not of this library.
      ValueError: the distribution has no reparameterization, or f does not return a finite scalar.

    Source:
      Kingma & Welling (2013), "Auto-encoding variational Bayes", section 2.4; Mohamed et al.
      (2020), "Monte Carlo gradient estimation in machine learning", section 5.

    Example:
      >>> import repara as rp
      >>> surrogate = pathwise(lambda z: 3.0 * z, lambda loc: rp.Normal(loc, 1.0))
      >>> loss = lambda loc: surrogate(loc, jax.random.key(0), 8).mean()
      >>> round(float(jax.grad(loss)(0.5)), 4)
      3.0
    """

    def surrogate(params: Params, key: jax.Array, num_samples: int) -> jax.Array:
        check_call(key, num_samples)
        distribution = distribution_fn(params)
        has_rsample = hasattr(distribution, "rsample")
        if not getattr(distribution, "has_rsample", has_rsample):
            raise ValueError(
                f"pathwise needs a distribution with rsample, {type(distribution).__name__} has "
                "none: use score_function, or for binary and one-hot variables disarm, rebar or "
                "gumbel_softmax"
            )
        if source is not noise.iid and not hasattr(distribution, "noise"):
            raise TypeError(
                f"a noise source drives the distributions of this library, "
                f"{type(distribution).__name__} draws its own noise: leave source out"
            )
        options = {} if source is noise.iid else {"source": source}
        return evaluate(function, distribution.rsample(key, (num_samples,), **options))

    return surrogate
