"""Noisy logits given their hard samples, and soft samples; shared by several estimators."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from repara.distributions.introspection import concrete_all
from repara.special.elementary import sigmoid, softplus

__all__ = ["conditional_logits", "relax_logits"]


def conditional_logits(
    key: jax.Array, logits: jax.Array, hard: jax.Array, binary: bool
) -> tuple[jax.Array, jax.Array]:
    """Draws noisy logits given hard samples, reparameterized in two ways.

        binary    z = l + log u - log(1 - u),      b = 1[z > 0]
        one-hot   z_k = log p_k - log(-log u_k),   b = one_hot(argmax_k z_k)

    Args:
      key: a typed key; consumed.
      logits: the result of `logits_of`, `batch_shape (+ (K,))`.
      hard: samples b, `shape + logits.shape`.
      binary: whether the samples are zeros and ones.

    Returns:
      One draw of p(z | b), of the shape of `hard`, twice: the first depends on the logits as the
      unconditional z does, the second through the conditional distribution, each at fixed noise.
      Since both have the same value, the two terms of REBAR are coupled, which removes most of
      their variance.

    References:
      Tucker et al. (2017), "REBAR", appendix B, https://arxiv.org/abs/1703.07370

    Example:
      >>> hard = jnp.array([[0.0, 1.0]])
      >>> z, _ = conditional_logits(jax.random.key(0), jnp.zeros(2), hard, binary=True)
      >>> bool(z[0, 0] < 0 < z[0, 1])
      True
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
    # Tucker et al. (2017), appendix C: the largest is -log(-log v_k), for normalized log p; the
    # others are -log(-log v_i / p_i - log v_k).
    gumbel = jax.random.gumbel(key, hard.shape, log_probs.dtype)
    largest = jnp.sum(jnp.where(hard == 1, gumbel, 0), axis=-1, keepdims=True)
    others = -jnp.logaddexp(-gumbel - log_probs, -largest)
    return jnp.where(hard == 1, largest, others)


def relax_logits(latent: jax.Array, temperature: ArrayLike, binary: bool) -> jax.Array:
    """Returns the soft sample.

        sigmoid(z / t), or softmax(z / t)

    Args:
      latent: z, noisy logits, `[..., (K)]`.
      temperature: t, positive.
      binary: whether the variables are binary rather than one-hot.

    Returns:
      Values between 0 and 1, of the shape of `latent`; NaN if a traced temperature is not positive.

    Raises:
      ValueError: the temperature is not positive.

    Example:
      >>> [float(v) for v in relax_logits(jnp.array([0.0, jnp.inf]), 0.5, binary=True)]
      [0.5, 1.0]
    """
    t = jnp.asarray(temperature, latent.dtype)
    positive = t > 0
    if concrete_all(positive) is False:
        raise ValueError(f"temperature must be positive, got {temperature}")
    scaled = latent / jnp.where(positive, t, jnp.nan)
    return sigmoid(scaled) if binary else jax.nn.softmax(scaled, axis=-1)
