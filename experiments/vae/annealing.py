"""What `experiments.vae` knows of log p(x) beside importance sampling: annealing, two-sided."""

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.vae.model import ROWS, apply, observed, views
from repara import evaluation
from repara.models import VAE


def evaluate_annealed(
    config: Any, model: VAE, params: Any, images: np.ndarray, key: jax.Array, say: Any
) -> dict[str, Any]:
    """Annealed importance sampling on test images, and its gap on images of the model.

    The first `--ais_images` test images are scored by annealing and, as observed there, by
    importance sampling from the encoder; as many images are drawn from the model, for which
    bidirectional Monte Carlo bounds log p(x) from both sides.

    Args:
      config: the configuration of `experiments.vae`.
      model: the module.
      params: its variables.
      images: uint8 [N, H, W, C], from `prepare_images`.
      key: a typed key; consumed.
      say: called with lines of progress.

    Returns:
      The entries of `result.json` on it; log-likelihoods in nats an image. "ais_nll_mc_stderr" is
      the Monte Carlo error of the mean, "ais_nll_stderr" that with the choice of images.
    """
    begin = time.perf_counter()
    images = images[: config.ais_images]
    count = len(images)
    options = {
        "num_steps": config.ais_steps,
        "num_chains": config.ais_chains,
        "start": config.ais_start,
    }
    # A quarter more are held than are asked for: those that set the step size.
    batch = max(1, min(count, 4 * ROWS // (5 * config.ais_chains)))

    @jax.jit
    def both(params: Any, key: jax.Array, images: jax.Array) -> tuple[jax.Array, ...]:
        data_key, annealing_key, importance_key = jax.random.split(key, 3)
        v = views(model, params, observed(config, data_key, images))
        annealed = evaluation.annealed_log_likelihood(annealing_key, *v, **options)
        importance = evaluation.importance_log_likelihood(
            importance_key,
            *v,
            num_samples=config.num_eval_samples,
            chunk_size=max(1, ROWS // batch),
        )
        return (*annealed[:2], annealed.acceptance, *importance[:2])

    @jax.jit
    def two_sided(params: Any, key: jax.Array, images: jax.Array) -> tuple[jax.Array, ...]:
        latent_key, image_key, annealing_key = jax.random.split(key, 3)
        z = apply(model, params, method="prior").sample(latent_key, (len(images),))
        x = apply(model, params, z, method="decode").sample(image_key)
        # The scale of what the likelihood scores: 1, or 255 where it is grey levels.
        x = x / model.likelihood.observe(jnp.ones_like(x))
        estimate = evaluation.bidirectional_log_likelihood(
            annealing_key, *views(model, params, x), z, **options
        )
        return estimate.lower.log_likelihood, estimate.upper.log_likelihood, estimate.gap

    test_key, model_key = jax.random.split(key)
    annealed, annealed_stderr, acceptance, importance, importance_stderr = evaluation.over_batches(
        lambda k, x: both(params, k, x), test_key, images, batch,
        progress=lambda done: say(f"annealed importance sampling: {done}/{count} test images"),
    )  # fmt: skip
    lower, upper, gap = evaluation.over_batches(
        lambda k, x: two_sided(params, k, x), model_key, images, batch,
        progress=lambda done: say(f"bidirectional Monte Carlo: {done}/{count} simulated images"),
    )  # fmt: skip
    difference = evaluation.mean_and_stderr(annealed - importance)
    result: dict[str, Any] = {
        "ais_minus_importance": difference[0],
        "ais_minus_importance_stderr": difference[1],
        "ais_acceptance": float(np.mean(acceptance)),
    }
    for name, values, errors in [
        ("ais_nll", -annealed, annealed_stderr),
        ("ais_importance_nll", -importance, importance_stderr),
    ]:
        result[name], result[f"{name}_stderr"] = evaluation.mean_and_stderr(values)
        result[f"{name}_mc_stderr"] = float(np.linalg.norm(errors.astype(np.float64))) / count
    for name, values in [("bdmc_lower", lower), ("bdmc_upper", upper), ("bdmc_gap", gap)]:
        result[name], result[f"{name}_stderr"] = evaluation.mean_and_stderr(values)
    result |= {
        "ais_steps": config.ais_steps,
        "ais_chains": config.ais_chains,
        "ais_start": config.ais_start,
        "ais_images": count,
        "ais_seconds": time.perf_counter() - begin,
    }

    def shown(name: str, error: str) -> str:
        return f"{name} {result[name]:.2f} +- {result[error]:.2f}"

    say(
        f"{shown('ais_nll', 'ais_nll_mc_stderr')} nats, "
        f"{shown('ais_importance_nll', 'ais_importance_nll_mc_stderr')}, "
        f"{shown('bdmc_gap', 'bdmc_gap_stderr')} ({count} images, {result['ais_seconds']:.0f} s)"
    )
    return result
