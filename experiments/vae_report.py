"""What `experiments.vae` reports of a trained model: evaluation, figures, samples."""

import math
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.vae_annealing import evaluate_annealed
from experiments.vae_model import apply, objective_name, observed, views
from repara import evaluation, objectives
from repara.models import VAE

# Samples for the parts of the ELBO; its Monte Carlo error is far below the spread over images.
_ELBO_SAMPLES = 16
# Rows of one decoder call in evaluation: large enough for the matrix products, small enough that
# the activations stay in a core's cache.
_ROWS = 5000
_BATCH = 100
# Latents that are held against all test images, for the mutual information.
_INFORMATION_SAMPLES = 1000


def make_test_elbo(config: Any, model: VAE, num_samples: int = 1) -> Any:
    """A compiled function for the parts of the ELBO of a batch.

    Args:
      config: the configuration of `experiments.vae`.
      model: the module.
      num_samples: samples an image.

    Returns:
      A function `(params, key, images) -> (elbo, reconstruction, kl, kl_per_dimension, means)`,
      one row an image.
    """

    @jax.jit
    def test_elbo(params: Any, key: jax.Array, images: jax.Array) -> tuple[jax.Array, ...]:
        data_key, noise_key = jax.random.split(key)
        v = views(model, params, observed(config, data_key, images))
        bound = objectives.elbo(
            noise_key, v.posterior, v.prior, v.log_likelihood, num_samples=num_samples
        )
        per_dimension = evaluation.kl_per_dimension(v.posterior, v.prior)
        return bound.bound, bound.log_likelihood, bound.kl, per_dimension, v.posterior.mean

    return test_elbo


def evaluate(
    config: Any, model: VAE, params: Any, images: np.ndarray, key: jax.Array, say: Any
) -> dict[str, Any]:
    """Evaluates on test images.

    Args:
      config: the configuration of `experiments.vae`.
      model: the module.
      params: its variables.
      images: uint8 [N, H, W, C], from `prepare_images`.
      key: a typed key; consumed.
      say: called with lines of progress.

    Returns:
      The entries of `result.json` that come from the test data; log-likelihoods in nats an image.
    """
    elbo_key, nll_key = jax.random.split(key)
    batch = min(_BATCH, len(images))
    test_elbo = make_test_elbo(config, model, _ELBO_SAMPLES)
    elbo, reconstruction, kl, per_dimension, means = evaluation.over_batches(
        lambda k, x: test_elbo(params, k, x), elbo_key, images, batch
    )
    chunk = max(1, _ROWS // batch)

    @jax.jit
    def importance(params: Any, key: jax.Array, images: jax.Array) -> Any:
        data_key, noise_key = jax.random.split(key)
        v = views(model, params, observed(config, data_key, images))
        return evaluation.importance_log_likelihood(
            noise_key,
            v.posterior,
            v.prior,
            v.log_likelihood,
            num_samples=config.num_eval_samples,
            chunk_size=chunk,
        )

    def progress(done: int) -> None:
        if done == len(images) or done % (10 * batch) == 0:
            say(f"test log-likelihood: {done}/{len(images)} images")

    log_likelihood, mc_stderr, effective = evaluation.over_batches(
        lambda k, x: importance(params, k, x), nll_key, images, batch, progress=progress
    )
    nll, nll_stderr = evaluation.mean_and_stderr(-log_likelihood)
    mean_elbo, elbo_stderr = evaluation.mean_and_stderr(elbo)
    result = {
        "test_nll": nll,
        "test_nll_stderr": nll_stderr,
        "test_nll_mc_stderr": float(np.sqrt(np.sum(mc_stderr.astype(np.float64) ** 2)))
        / len(images),
        "num_eval_samples": config.num_eval_samples,
        "effective_samples": float(np.mean(effective)),
        "test_elbo": mean_elbo,
        "test_elbo_stderr": elbo_stderr,
        "test_reconstruction": float(np.mean(reconstruction, dtype=np.float64)),
        "test_kl": float(np.mean(kl, dtype=np.float64)),
        "kl_per_dimension": np.mean(per_dimension, axis=0, dtype=np.float64).tolist(),
        "active_units": evaluation.active_units(means),
        "num_test_images": len(images),
    }
    if config.likelihood == "discretized_logistic":
        result["test_bits_per_dim"] = nll / (math.prod(images.shape[1:]) * math.log(2))
    # Third and fourth of what the key splits into, the two above being the first.
    information_key, annealing_key = (jax.random.fold_in(key, i) for i in (2, 3))
    result |= _information(config, model, params, images, information_key)
    if config.ais_steps:
        result |= evaluate_annealed(config, model, params, images, annealing_key, say)
    return result


def _information(
    config: Any, model: VAE, params: Any, images: np.ndarray, key: jax.Array
) -> dict[str, float]:
    """What the latents tell of the images, where every density is a closed form of few terms."""
    if config.posterior not in ("normal", "multivariate_normal"):
        return {}

    @jax.jit
    def information(params: Any, key: jax.Array, images: jax.Array) -> Any:
        data_key, noise_key = jax.random.split(key)
        v = views(model, params, observed(config, data_key, images))
        return evaluation.aggregate_information(
            noise_key, v.posterior, v.prior, num_samples=min(_INFORMATION_SAMPLES, len(images))
        )

    return {k: float(v) for k, v in information(params, key, images)._asdict().items()}


def draw_samples(
    model: VAE, params: Any, key: jax.Array, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draws from the prior and decodes.

    Args:
      model: the module.
      params: its variables.
      key: a typed key; consumed.
      count: how many.

    Returns:
      The latents [count, D] and the mean images [count, H, W, C] in [0, 1].
    """
    z = apply(model, params, method="prior").sample(key, (count,))
    return np.asarray(z), np.asarray(_pictures(model, params, z))


def _pictures(model: VAE, params: Any, z: jax.Array) -> np.ndarray:
    return np.asarray(jax.jit(lambda p, z: apply(model, p, z, method="picture"))(params, z))


def draw_figures(
    config: Any,
    model: VAE,
    params: Any,
    images: np.ndarray,
    labels: np.ndarray | None,
    result: dict[str, Any],
    metrics: list[dict[str, Any]],
    plots: Path,
    key: jax.Array,
) -> dict[str, np.ndarray]:
    """Draws every figure of a run.

    Args:
      config: the configuration of `experiments.vae`.
      model: the module.
      params: its variables.
      images: uint8 test images [N, H, W, C], from `prepare_images`.
      labels: integers [N], or None.
      result: what `evaluate` returned.
      metrics: the lines of `metrics.jsonl`.
      plots: the directory for the PNG files.
      key: a typed key; consumed.

    Returns:
      Name -> one image [H, W, C] in [0, 1], for TensorBoard.
    """
    from repara import plotting  # matplotlib is slow to import

    data_key, sample_key, path_key = jax.random.split(key, 3)
    columns = 10
    shown = images[: 3 * columns]
    x = observed(config, data_key, jnp.asarray(shown))
    encode = jax.jit(lambda p, x: apply(model, p, x, method="encode").mean)
    rebuilt = _pictures(model, params, encode(params, x))
    rows = [
        row
        for i in range(0, len(shown), columns)
        for row in (np.asarray(x)[i : i + columns], rebuilt[i : i + columns])
    ]
    pairs = np.concatenate([_fill(row, columns) for row in rows])
    plotting.image_grid(
        plots / "reconstructions.png", pairs, columns, "test images and their reconstructions",
        row_labels=("data", "model"),
    )  # fmt: skip

    _, samples = draw_samples(model, params, sample_key, columns * columns)
    plotting.image_grid(plots / "samples.png", samples, columns, "means of samples from the prior")

    # Along straight lines between the posterior means of test images.
    ends = np.asarray(encode(params, x))[: 2 * (len(x) // 2)].reshape(-1, 2, config.latent_dim)[:8]
    weights = np.linspace(0, 1, columns)[None, :, None]
    line = (1 - weights) * ends[:, :1] + weights * ends[:, 1:]
    between = _pictures(
        model, params, jnp.asarray(line.reshape(-1, config.latent_dim), jnp.float32)
    )
    plotting.image_grid(
        plots / "interpolation.png", between, columns, "interpolation between posterior means"
    )
    pictures = {"reconstructions": plotting.tile(pairs, columns),
                "samples": plotting.tile(samples, columns)}  # fmt: skip

    if config.latent_dim == 2:
        # Quantiles of the prior, so that every tile stands for the same prior probability.
        side = 20
        grid = jax.scipy.stats.norm.ppf((np.arange(side) + 0.5) / side)
        z = jnp.stack(jnp.meshgrid(grid, grid[::-1]), axis=-1).reshape(-1, 2)
        manifold = _pictures(model, params, z)
        plotting.image_grid(
            plots / "manifold.png", manifold, side, "decoded quantiles of the two latents"
        )
        pictures["manifold"] = plotting.tile(manifold, side)

    some = images[:5000]
    means = np.asarray(encode(params, observed(config, path_key, jnp.asarray(some))))
    per_dimension = np.asarray(result["kl_per_dimension"])
    first, second = np.argsort(-per_dimension)[:2] if config.latent_dim > 1 else (0, 0)
    plotting.latent_scatter(
        plots / "latent_scatter.png",
        means[:, [first, second]],
        None if labels is None else labels[: len(some)],
        xlabel=f"posterior mean of latent {first + 1}",
        ylabel=f"posterior mean of latent {second + 1}",
        title="test images in the two latents of largest KL",
    )
    plotting.bars(
        plots / "kl_per_dimension.png",
        result["kl_per_dimension"],
        xlabel="latent, by decreasing KL",
        ylabel="KL [nats]",
        title=f"{result['active_units']} of {config.latent_dim} latents active",
    )
    pictures |= draw_traversals(
        config, model, params, images[:1], result["kl_per_dimension"], plots,
        jax.random.fold_in(key, 3),  # what the key splits into after the three above
    )  # fmt: skip
    draw_learning_curves(config, metrics, plots)
    return pictures


# Latents of a figure of traversals, and how far into the tails of the prior it goes.
_TRAVERSED = 10
_TAIL = 1e-3


def draw_traversals(
    config: Any,
    model: VAE,
    params: Any,
    image: np.ndarray,
    kl_per_dimension: list[float],
    plots: Path,
    key: jax.Array,
) -> dict[str, np.ndarray]:
    """Draws what each latent does to a test image, those of largest KL first.

    Args:
      config: the configuration of `experiments.vae`.
      model: the module.
      params: its variables.
      image: uint8 [1, H, W, C], from `prepare_images`; the other latents keep its posterior mean.
      kl_per_dimension: the mean KL of each latent, [D].
      plots: the directory for the PNG file.
      key: a typed key; consumed.

    Returns:
      "traversals" -> one image [H, W, C] in [0, 1].
    """
    from repara import plotting

    columns = 10
    data_key, prior_key = jax.random.split(key)
    v = views(model, params, observed(config, data_key, jnp.asarray(image)))
    mean = np.asarray(v.posterior.mean)
    draws = np.asarray(v.prior.sample(prior_key, (20_000,)))
    low, high = np.quantile(draws, [_TAIL, 1 - _TAIL], axis=0)
    chosen = np.argsort(-np.asarray(kl_per_dimension))[:_TRAVERSED]
    z = np.tile(mean[None], (len(chosen), columns, 1))
    for row, latent in enumerate(chosen):
        z[row, :, latent] = np.linspace(low[latent], high[latent], columns)
    pictures = _pictures(model, params, jnp.asarray(z.reshape(-1, z.shape[-1])))
    plotting.image_grid(
        plots / "traversals.png", pictures, columns,
        f"one latent a row, over all but {2 * _TAIL:.1%} of its prior",
        row_labels=[f"{d + 1}: {kl_per_dimension[d]:.2f} nats" for d in chosen],
    )  # fmt: skip
    return {"traversals": plotting.tile(pictures, columns)}


def _fill(row: np.ndarray, columns: int) -> np.ndarray:
    """Fills an incomplete row up with white images."""
    missing = columns - len(row)
    return np.concatenate([row, np.ones((missing, *row.shape[1:]), row.dtype)])


def draw_learning_curves(config: Any, metrics: list[dict[str, Any]], plots: Path) -> None:
    """Draws the objective, the reconstruction and the KL over epochs, train beside test.

    Args:
      config: the configuration of `experiments.vae`.
      metrics: the lines of `metrics.jsonl`.
      plots: the directory for the PNG file.
    """
    from repara import plotting

    def curve(name: str) -> tuple[list[float], list[float]]:
        points = [(m["epoch"], m[name]) for m in metrics if m.get(name) is not None]
        return [p[0] for p in points], [p[1] for p in points]

    name = objective_name(config)
    panels = {
        "bound [nats]": {f"train {name}": curve(f"train_{name}"), "test elbo": curve("test_elbo")},
        "reconstruction [nats]": {
            "train": curve("train_reconstruction"),
            "test": curve("test_reconstruction"),
        },
        "KL [nats]": {"train": curve("train_kl"), "test": curve("test_kl")},
    }
    if any(any(len(x) for x, _ in lines.values()) for lines in panels.values()):
        plotting.curves(plots / "learning_curves.png", panels, "epoch")
