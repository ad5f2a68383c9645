"""A model whose log-likelihood is known: z ~ N(0, 1), x | z ~ N(z, s^2), so x ~ N(0, 1 + s^2)."""

import jax
import jax.numpy as jnp

import repara as rp

SCALE = 0.7
X = jnp.array([-1.5, 0.2, 2.0])


def prior() -> rp.Normal:
    return rp.Normal(0.0, 1.0)


def log_likelihood(z: jax.Array) -> jax.Array:
    return rp.Normal(z, SCALE).log_prob(X[None])


def exact_posterior() -> rp.Normal:
    precision = 1 + SCALE**-2
    return rp.Normal(X / SCALE**2 / precision, precision**-0.5)


def wrong_posterior() -> rp.Normal:
    return rp.Normal(0.6 * X, 0.8)


def log_evidence() -> jax.Array:
    return rp.Normal(0.0, (1 + SCALE**2) ** 0.5).log_prob(X)
