"""The pathwise estimator: the gradient through the sample itself."""

import jax

from repara import noise
from repara.estimators.surrogate import (
    DistributionFunction,
    Function,
    Params,
    Surrogate,
    check_call,
    evaluate,
    split_call_key,
)

__all__ = ["pathwise"]


def pathwise(
    function: Function,
    distribution_fn: DistributionFunction,
    *,
    source: noise.Source = noise.iid,
) -> Surrogate:
    """Returns the pathwise (reparameterization) estimator; unbiased for differentiable f.

        d/dtheta E[f(z)] = E[ f'(z) dz/dtheta ],   z = transform(eps, theta)

    It is biased if f jumps, since it does not see the jump. Derivatives are right to every order
    to which f and the transform have them.

    Args:
      function: f, maps one sample to a scalar.
      distribution_fn: maps parameters to a distribution with `rsample`.
      source: the noise source: `noise.antithetic`, `noise.stratified` and `noise.sobol` lower the
        variance of a mean over samples if f is smooth or monotone in the noise.

    Returns:
      The surrogate `(params, key, num_samples) -> [num_samples]`.

    Raises:
      TypeError: a source is given, but the distribution is not one of this library.
      ValueError: the distribution has no reparameterization, or f does not return a finite scalar.

    References:
      Kingma and Welling (2013), "Auto-Encoding Variational Bayes", section 2.4,
      https://arxiv.org/abs/1312.6114

      Rezende, Mohamed and Wierstra (2014), "Stochastic Backpropagation and Approximate Inference
      in Deep Generative Models", https://arxiv.org/abs/1401.4082

      Mohamed et al. (2020), "Monte Carlo Gradient Estimation in Machine Learning", section 5,
      https://arxiv.org/abs/1906.10652

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
                f"a noise source works with the distributions of this library only, "
                f"{type(distribution).__name__} draws its own noise: leave source out"
            )
        options = {} if source is noise.iid else {"source": source}
        sample_key, _ = split_call_key(key)
        return evaluate(function, distribution.rsample(sample_key, (num_samples,), **options))

    return surrogate
