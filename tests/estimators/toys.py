"""Small problems that several tests of estimators share."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import repara as rp
from repara.estimators.surrogate import split_call_key

KEY = jax.random.key(0)


def toy(b):
    """Tucker et al. (2017): barely better at 0 than at 1."""
    return jnp.sum((b - 0.499) ** 2)


def coin(logits):
    return rp.Bernoulli(logits=logits)


def die(logits):
    return rp.OneHotCategorical(logits=logits)


def unit_normal(loc):
    return rp.Normal(loc, 1.0)


def samples(distribution, key, num_samples):
    """The samples that every estimator draws at a key."""
    return distribution.sample(split_call_key(key)[0], (num_samples,))


def gradients(surrogate, params, num_samples, repeats, key=KEY):
    """Independent estimates, [repeats, *params.shape], in float64."""

    @jax.jit
    def all_gradients(keys):
        return jax.lax.map(
            lambda k: jax.grad(lambda p: jnp.mean(surrogate(p, k, num_samples)))(params),
            keys,
            batch_size=min(500, repeats),
        )

    return np.asarray(all_gradients(jax.random.split(key, repeats)), np.float64)


class ForeignNormal(NamedTuple):
    """A normal distribution of another library: an object with two methods."""

    loc: jax.Array

    def rsample(self, key, shape):
        return self.loc[None] + jax.random.normal(key, (*shape, *self.loc.shape))

    def log_prob(self, z):
        return -0.5 * (z - self.loc[None]) ** 2
