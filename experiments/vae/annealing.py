"""Annealed importance sampling of log p(x), which bounds it from both sides on simulated images."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.vae.images import Batch
from experiments.vae.model import ROWS_PER_DECODER_CALL, Model
from repara import evaluation

__all__ = ["AnnealingSettings", "evaluate_annealed"]


class AnnealingSettings(NamedTuple):
    """The settings of annealed importance sampling.

    Attributes:
      num_steps: the number of temperatures.
      num_chains: chains per image.
      num_images: the number of test images, and of simulated images.
      start: "prior" or "posterior", the initial distribution of the chains.
      num_importance_samples: samples per image of the importance sampling to compare with.
    """

    num_steps: int
    num_chains: int
    num_images: int
    start: str
    num_importance_samples: int


def evaluate_annealed(
    model: Model,
    params: Any,
    images: np.ndarray,
    key: jax.Array,
    settings: AnnealingSettings,
    print_line: Callable[[str], None],
) -> dict[str, Any]:
    """Estimates log p(x) of test images by annealing, and its gap on images of the model.

    The first `num_images` test images are scored by annealing and, with the same binarization, by
    importance sampling from the encoder. The same number of images is drawn from the model; for
    those, bidirectional Monte Carlo bounds log p(x) from both sides.

    Args:
      model: the model.
      params: its variables.
      images: uint8 [N, H, W, C], as stored by the model's inputs.
      key: a typed key; consumed.
      settings: the settings.
      print_line: called with lines about the progress.

    Returns:
      Entries of `result.json`; log-likelihoods in nats per image. "ais_nll_mc_stderr" is the Monte
      Carlo error of the mean; "ais_nll_stderr" includes the choice of images.
    """
    begin = time.perf_counter()
    images = images[: settings.num_images]
    count = len(images)
    # Memory for a quarter more chains than requested: those that tune the step size.
    batch = max(1, min(count, 4 * ROWS_PER_DECODER_CALL // (5 * settings.num_chains)))
    score_test_images = _make_score_test_images(model, settings, batch)
    bound_simulated_images = _make_bound_simulated_images(model, settings)

    def progress(text: str) -> Callable[[int], None]:
        return lambda done: print_line(f"{text}: {done}/{count} images")

    test_key, model_key = jax.random.split(key)
    annealed, annealed_stderr, acceptance, importance, importance_stderr = evaluation.over_batches(
        lambda k, x: score_test_images(params, k, x), test_key, images, batch,
        progress=progress("annealed importance sampling of test images"),
    )  # fmt: skip
    lower, upper, gap = evaluation.over_batches(
        lambda k, x: bound_simulated_images(params, k, x), model_key, images, batch,
        progress=progress("bidirectional Monte Carlo of simulated images"),
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
        "ais_steps": settings.num_steps,
        "ais_chains": settings.num_chains,
        "ais_start": settings.start,
        "ais_images": count,
        "ais_seconds": time.perf_counter() - begin,
    }
    print_line(_summary(result))
    return result


def _make_score_test_images(model: Model, settings: AnnealingSettings, batch: int) -> Any:
    """`(params, key, images) -> (annealed, its error, acceptance, importance, its error)`, [B]."""

    @jax.jit
    def score_test_images(params: Any, key: jax.Array, images: jax.Array) -> tuple[jax.Array, ...]:
        data_key, annealing_key, importance_key = jax.random.split(key, 3)
        terms = model.bound_terms(params, model.inputs.batch(data_key, images))
        annealed = evaluation.annealed_log_likelihood(
            annealing_key, *terms, **_annealing_options(settings)
        )
        importance = evaluation.importance_log_likelihood(
            importance_key,
            *terms,
            num_samples=settings.num_importance_samples,
            chunk_size=max(1, ROWS_PER_DECODER_CALL // batch),
        )
        return (*annealed[:2], annealed.acceptance, *importance[:2])

    return score_test_images


def _make_bound_simulated_images(model: Model, settings: AnnealingSettings) -> Any:
    """`(params, key, images) -> (lower bound, upper bound, gap)`, [B]; uses only the count B."""

    @jax.jit
    def bound_simulated_images(
        params: Any, key: jax.Array, images: jax.Array
    ) -> tuple[jax.Array, ...]:
        latent_key, image_key, annealing_key = jax.random.split(key, 3)
        z = model.prior(params).sample(latent_key, (len(images),))
        x = model.decode(params, z).sample(image_key)
        # From the scale that the likelihood scores, 1 or 255 for gray levels, to [0, 1].
        x = x / model.module.likelihood.observe(jnp.ones_like(x))
        terms = model.bound_terms(params, Batch(x, None))
        estimate = evaluation.bidirectional_log_likelihood(
            annealing_key, *terms, z, **_annealing_options(settings)
        )
        return estimate.lower.log_likelihood, estimate.upper.log_likelihood, estimate.gap

    return bound_simulated_images


def _annealing_options(settings: AnnealingSettings) -> dict[str, Any]:
    return {
        "num_steps": settings.num_steps,
        "num_chains": settings.num_chains,
        "start": settings.start,
    }


def _summary(result: dict[str, Any]) -> str:
    def with_error(name: str, error: str) -> str:
        return f"{name} {result[name]:.2f} +- {result[error]:.2f}"

    return (
        f"{with_error('ais_nll', 'ais_nll_mc_stderr')} nats, "
        f"{with_error('ais_importance_nll', 'ais_importance_nll_mc_stderr')}, "
        f"{with_error('bdmc_gap', 'bdmc_gap_stderr')} "
        f"({result['ais_images']} images, {result['ais_seconds']:.0f} s)"
    )
