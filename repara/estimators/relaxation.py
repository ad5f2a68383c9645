"""Logits with noise behind hard samples: the relaxations that several estimators share."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from repara.estimators.surrogate import holds
from repara.special.elementary import sigmoid, softplus

__all__: list[str] = []


def conditional_logits(
    key: jax.Array, logits: jax.Array, hard: jax.Array, binary: bool
) -> tuple[jax.Array, jax.Array]:
    """Noisy logits behind hard samples, reparameterized in two ways.

    The latent of a binary variable is l + log u - log(1 - u), and the sample is whether it is
    positive; that of a one-hot variable is log p_k - log(-log u_k), and the sample is its largest.

    Args:
      key: a typed key; consumed.
      logits: those of `logits_of`, `batch_shape (+ (K,))`.
      hard: samples, `shape + logits.shape`.
      binary: whether they are zeros and ones.

    Returns:
      One draw of p(latent | hard), of the shape of `hard`, twice: the first depends on the logits
      as the unconditional latent does, the second through the conditional distribution, each with
      its noise held fixed. That both have one value couples the two terms of REBAR (Tucker et al.
      2017, appendix B), which takes most of their variance away.
    """
    aligned = logits.reshape((1,) * (hard.ndim - logits.ndim) + logits.shape)
    conditional = (_binary if binary else _one_hot)(key, aligned, hard)
    fixed = jax.lax.stop_gradient(conditional)
    # Not (fixed - aligned) + aligned: the value is then the same to the last bit.
    return fixed + (aligned - jax.lax.stop_gradient(aligned)), conditional


def _binary(key: jax.Array, logits: jax.Array, hard: jax.Array) -> jax.Array:
    # Tucker et al. (2017), appendix B: log(v / ((1 - v) (1 - p)) + 1) for a one, and
    # -log(v / ((1 - v) p) + 1) for a zero.
    noise = jax.random.logistic(key, hard.shape, logits.dtype)
    one, zero = softplus(noise + softplus(logits)), -softplus(noise + softplus(-logits))
    return jnp.where(hard == 1, one, zero)


def _one_hot(key: jax.Array, log_probs: jax.Array, hard: jax.Array) -> jax.Array:
    # Tucker et al. (2017), appendix C: the largest is -log(-log v_k), for normalized log p, the
    # others are -log(-log v_i / p_i - log v_k).
    gumbel = jax.random.gumbel(key, hard.shape, log_probs.dtype)
    top = jnp.sum(jnp.where(hard == 1, gumbel, 0), axis=-1, keepdims=True)
    others = -jnp.logaddexp(-gumbel - log_probs, -top)
    return jnp.where(hard == 1, top, others)


def relax_logits(latent: jax.Array, temperature: ArrayLike, binary: bool) -> jax.Array:
    """The soft sample: sigmoid or softmax of the latent over the temperature, which is checked."""
    t = jnp.asarray(temperature, latent.dtype)
    positive = t > 0
    if holds(positive) is False:
        raise ValueError(f"the temperature must be positive, got {temperature}")
    scaled = latent / jnp.where(positive, t, jnp.nan)
    return sigmoid(scaled) if binary else jax.nn.softmax(scaled, axis=-1)
