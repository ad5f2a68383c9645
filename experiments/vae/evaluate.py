"""The evaluation of a trained model on test images."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.vae.annealing import AnnealingSettings, evaluate_annealed
from experiments.vae.latents import evaluation_elbo, kl_by_part
from experiments.vae.model import ROWS_PER_DECODER_CALL, Model
from repara import evaluation
from repara.models import posterior_mean

__all__ = ["EvaluationSettings", "make_evaluate", "make_test_elbo", "mean_over_seeds"]

# Samples for the parts of the ELBO; its Monte Carlo error is far below the spread over images.
_ELBO_SAMPLES = 16
_BATCH = 100
# Latents whose density is evaluated under the posteriors of all test images, for the mutual
# information.
_INFORMATION_SAMPLES = 1000

Evaluate = Callable[
    [Any, np.ndarray, jax.Array, Callable[[str], None]],
    dict[str, Any],
]
"""`(params, images, key, print_line) -> entries of result.json`."""


class EvaluationSettings(NamedTuple):
    """The settings of an evaluation.

    Attributes:
      num_samples: importance samples per image for the test log-likelihood.
      annealing: the settings of annealed importance sampling; None for none.
      bits_per_dimension: whether the log-likelihood, of 8-bit images, is also reported in bits per
        pixel and channel.
    """

    num_samples: int
    annealing: AnnealingSettings | None
    bits_per_dimension: bool


class _Programs(NamedTuple):
    """The compiled functions of an evaluation, each of `(params, key, images)`."""

    test_elbo: Callable[..., Any]
    importance: Callable[..., Any]
    information: Callable[..., Any] | None


def make_test_elbo(model: Model, num_samples: int = 1) -> Callable[..., Any]:
    """Returns a compiled function for the parts of the ELBO of a batch.

    Args:
      model: the model.
      num_samples: samples per image.

    Returns:
      A function `(params, key, images) -> (elbo, reconstruction, kl, kl_by_part, means)`, one row
      per image. The parts of the KL are latent coordinates or layers, or one part, the whole. The
      means are those of the coordinates that the decoder receives; of both layers if there are two.
    """
    latents = model.latents

    @jax.jit
    def test_elbo(params: Any, key: jax.Array, images: jax.Array) -> tuple[jax.Array, ...]:
        data_key, noise_key = jax.random.split(key)
        terms = model.bound_terms(params, model.inputs.batch(data_key, images))
        bound = evaluation_elbo(noise_key, terms, num_samples, latents.closed_kl)
        by_part = kl_by_part(noise_key, terms, num_samples, bound.kl, latents.kl_parts)
        means = latents.family.decoder_inputs(posterior_mean(terms.posterior))
        return bound.bound, bound.log_likelihood, bound.kl, by_part, means

    return test_elbo


def make_evaluate(model: Model, settings: EvaluationSettings) -> Evaluate:
    """Returns the evaluation on test images, compiled once for all seeds.

    Args:
      model: the model.
      settings: the settings.

    Returns:
      A function of the variables of the module, the images uint8 [N, H, W, C] as stored by the
      model's inputs, a typed key, which is consumed, and a function called with lines about the
      progress. It returns the entries of `result.json` that come from the test data;
      log-likelihoods in nats per image.
    """
    programs = _Programs(
        make_test_elbo(model, _ELBO_SAMPLES),
        _make_importance(model, settings.num_samples),
        _make_information(model),
    )
    return functools.partial(_evaluate, model, settings, programs)


def mean_over_seeds(each: list[dict[str, Any]], first_seed: int) -> dict[str, Any]:
    """Combines the results of several seeds.

    Args:
      each: the results, seed by seed; at least two.
      first_seed: the number of the first seed.

    Returns:
      The mean of every entry, the standard deviation of `test_nll` over seeds, and under "seeds"
      the entries of each.
    """
    means: dict[str, Any] = {}
    for name, value in each[0].items():
        same = all(r[name] == value for r in each)
        means[name] = value if same else np.mean([r[name] for r in each], axis=0).tolist()
    spread = float(np.std([r["test_nll"] for r in each], ddof=1))
    return {
        **means,
        "test_nll_spread": spread,
        "seeds": [{"seed": first_seed + i, **r} for i, r in enumerate(each)],
    }


def _make_importance(model: Model, num_samples: int) -> Callable[..., Any]:
    @jax.jit
    def importance(params: Any, key: jax.Array, images: jax.Array) -> Any:
        data_key, noise_key = jax.random.split(key)
        terms = model.bound_terms(params, model.inputs.batch(data_key, images))
        return evaluation.importance_log_likelihood(
            noise_key,
            *terms,
            num_samples=num_samples,
            chunk_size=max(1, ROWS_PER_DECODER_CALL // _BATCH),
        )

    return importance


def _make_information(model: Model) -> Callable[..., Any] | None:
    """The mutual information of latents and images, and KL(aggregate posterior || prior)."""
    if not model.latents.informative:
        return None

    @jax.jit
    def information(params: Any, key: jax.Array, images: jax.Array) -> Any:
        data_key, noise_key = jax.random.split(key)
        batch = model.inputs.batch(data_key, images)
        return evaluation.aggregate_information(
            noise_key,
            model.encode(params, batch),
            model.prior(params),
            num_samples=min(_INFORMATION_SAMPLES, len(images)),
        )

    return information


def _evaluate(
    model: Model,
    settings: EvaluationSettings,
    programs: _Programs,
    params: Any,
    images: np.ndarray,
    key: jax.Array,
    print_line: Callable[[str], None],
) -> dict[str, Any]:
    elbo_key, nll_key, information_key, annealing_key = jax.random.split(key, 4)
    result = _elbo_entries(model, programs, params, images, elbo_key)
    result |= _nll_entries(settings, programs, params, images, nll_key, print_line)
    if settings.bits_per_dimension:
        num_dimensions = math.prod(model.inputs.pixels(images).shape[1:])
        result["test_bits_per_dim"] = result["test_nll"] / (num_dimensions * math.log(2))
    if programs.information is not None:
        values = programs.information(params, information_key, images)
        result |= {k: float(v) for k, v in values._asdict().items()}
    if settings.annealing is not None:
        result |= evaluate_annealed(
            model, params, images, annealing_key, settings.annealing, print_line
        )
    return result


def _elbo_entries(
    model: Model, programs: _Programs, params: Any, images: np.ndarray, key: jax.Array
) -> dict[str, Any]:
    elbo, reconstruction, kl, by_part, means = evaluation.over_batches(
        lambda k, x: programs.test_elbo(params, k, x), key, images, min(_BATCH, len(images))
    )
    mean_elbo, elbo_stderr = evaluation.mean_and_stderr(elbo)
    result = {
        "test_elbo": mean_elbo,
        "test_elbo_stderr": elbo_stderr,
        "test_reconstruction": float(np.mean(reconstruction, dtype=np.float64)),
        "test_kl": float(np.mean(kl, dtype=np.float64)),
        "active_units": evaluation.active_units(means),
        "num_units": means.shape[1],
        "num_test_images": len(images),
    }
    if model.latents.kl_parts is not None:
        means_of_parts = np.mean(by_part, axis=0, dtype=np.float64).tolist()
        result[model.latents.kl_parts.name] = means_of_parts
    return result


def _nll_entries(
    settings: EvaluationSettings,
    programs: _Programs,
    params: Any,
    images: np.ndarray,
    key: jax.Array,
    print_line: Callable[[str], None],
) -> dict[str, Any]:
    batch = min(_BATCH, len(images))

    def progress(done: int) -> None:
        if done == len(images) or done % (10 * batch) == 0:
            print_line(f"test log-likelihood: {done}/{len(images)} images")

    log_likelihood, mc_stderr, effective = evaluation.over_batches(
        lambda k, x: programs.importance(params, k, x), key, images, batch, progress=progress
    )
    nll, nll_stderr = evaluation.mean_and_stderr(-log_likelihood)
    total_variance = np.sum(mc_stderr.astype(np.float64) ** 2)
    return {
        "test_nll": nll,
        "test_nll_stderr": nll_stderr,
        "test_nll_mc_stderr": float(np.sqrt(total_variance)) / len(images),
        "num_eval_samples": settings.num_samples,
        "effective_samples": float(np.mean(effective)),
    }
