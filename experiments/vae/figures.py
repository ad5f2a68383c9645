"""Figures of a run: reconstructions, samples, interpolations, latent space, learning curves."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.vae.images import Batch
from experiments.vae.model import Model
from repara.distributions import Distribution
from repara.models import center, posterior_mean, prior_grid

__all__ = ["draw_figures", "draw_learning_curves", "draw_samples"]

_COLUMNS = 10
_MANIFOLD_SIDE = 20
_SCATTERED_IMAGES = 5000
# The latents in the figure of traversals, and the probability of each tail of the prior that the
# figure leaves out.
_TRAVERSED_LATENTS = 10
_TAIL = 1e-3

Pictures = dict[str, np.ndarray]
"""Name -> one image [H, W, C] in [0, 1], for TensorBoard."""


def draw_samples(
    model: Model, params: Any, key: jax.Array, count: int, columns: int = _COLUMNS
) -> tuple[np.ndarray, np.ndarray]:
    """Draws latents from the prior and decodes them.

    Args:
      model: the model.
      params: its variables.
      key: a typed key; consumed.
      count: the number of images.
      columns: the columns of the figure; if the model has labels, each row has one label.

    Returns:
      The latents [count, *event] and the mean images [count, H, W, C] in [0, 1].
    """
    z = model.prior(params).sample(key, (count,))
    labels = None
    if num_classes := model.inputs.num_classes:
        labels = jax.nn.one_hot(np.arange(count) // columns % num_classes, num_classes)
    return np.asarray(z), _mean_images(model, params, z, labels)


def draw_figures(
    model: Model,
    params: Any,
    images: np.ndarray,
    labels: np.ndarray | None,
    result: dict[str, Any],
    plots: Path,
    key: jax.Array,
) -> Pictures:
    """Draws every figure of a trained model.

    Args:
      model: the model.
      params: its variables.
      images: uint8 test images [N, H, W, C], as stored by the model's inputs.
      labels: integers [N], or None.
      result: the result of the evaluation.
      plots: the directory for the PNG files.
      key: a typed key; consumed.

    Returns:
      The figures that are grids of images.
    """
    data_key, sample_key, scatter_key, traversal_key = jax.random.split(key, 4)
    encode = jax.jit(model.encode)
    batch = model.inputs.batch(data_key, jnp.asarray(images[: 3 * _COLUMNS]))
    centers = center(encode(params, batch))
    pictures = _draw_reconstructions(model, params, batch, centers, plots)
    pictures |= _draw_prior_samples(model, params, sample_key, plots)
    _draw_interpolation(model, params, batch, centers, plots)
    pictures |= _draw_manifold(model, params, plots)

    scattered = model.inputs.batch(scatter_key, jnp.asarray(images[:_SCATTERED_IMAGES]))
    posterior = encode(params, scattered)
    _draw_scatter(model, posterior, labels, result, plots)
    if kl_per_dimension := result.get("kl_per_dimension"):
        _draw_kl_per_dimension(result, plots)
        if posterior.has_rsample:  # each coordinate can move alone and continuously
            pictures |= _draw_traversals(
                model, params, images[:1], kl_per_dimension, plots, traversal_key
            )
    return pictures


def draw_learning_curves(objective_name: str, metrics: list[dict[str, Any]], plots: Path) -> None:
    """Draws the objective, the reconstruction and the KL over epochs, of training and test images.

    Args:
      objective_name: the logged name of the objective.
      metrics: the lines of `metrics.jsonl`.
      plots: the directory for the PNG file.
    """
    from repara import plotting  # matplotlib is slow to import

    def curve(name: str) -> tuple[list[float], list[float]]:
        points = [(m["epoch"], m[name]) for m in metrics if m.get(name) is not None]
        return [p[0] for p in points], [p[1] for p in points]

    panels = {
        "bound [nats]": {
            f"train {objective_name}": curve(f"train_{objective_name}"),
            "test elbo": curve("test_elbo"),
        },
        "reconstruction [nats]": {
            "train": curve("train_reconstruction"),
            "test": curve("test_reconstruction"),
        },
        "KL [nats]": {"train": curve("train_kl"), "test": curve("test_kl")},
    }
    if any(any(len(x) for x, _ in lines.values()) for lines in panels.values()):
        plotting.curves(plots / "learning_curves.png", panels, "epoch")


def _mean_images(model: Model, params: Any, z: jax.Array, labels: jax.Array | None) -> np.ndarray:
    decode = jax.jit(model.mean_images)
    return np.asarray(decode(params, z) if labels is None else decode(params, z, labels))


def _draw_reconstructions(
    model: Model, params: Any, batch: Batch, centers: jax.Array, plots: Path
) -> Pictures:
    """Test images and, below each, the image decoded from the center of its posterior."""
    from repara import plotting

    images = np.asarray(batch.images)
    reconstructions = _mean_images(model, params, centers, batch.labels)
    rows = [
        _fill_row(row)
        for start in range(0, len(images), _COLUMNS)
        for row in (
            images[start : start + _COLUMNS],
            reconstructions[start : start + _COLUMNS],
        )
    ]
    pairs = np.concatenate(rows)
    plotting.image_grid(
        plots / "reconstructions.png", pairs, _COLUMNS, "test images and their reconstructions",
        row_labels=("data", "model"),
    )  # fmt: skip
    return {"reconstructions": plotting.tile(pairs, _COLUMNS)}


def _fill_row(row: np.ndarray) -> np.ndarray:
    """Appends white images to an incomplete row."""
    missing = _COLUMNS - len(row)
    return np.concatenate([row, np.ones((missing, *row.shape[1:]), row.dtype)])


def _draw_prior_samples(model: Model, params: Any, key: jax.Array, plots: Path) -> Pictures:
    from repara import plotting

    count = _COLUMNS * (model.inputs.num_classes or _COLUMNS)
    _, samples = draw_samples(model, params, key, count)
    plotting.image_grid(
        plots / "samples.png", samples, _COLUMNS, "mean images of samples from the prior"
    )
    return {"samples": plotting.tile(samples, _COLUMNS)}


def _draw_interpolation(
    model: Model, params: Any, batch: Batch, centers: jax.Array, plots: Path
) -> None:
    """Images along the shortest path of the family from one center to another, with one label."""
    from repara import plotting

    count = 2 * min(8, len(batch.images) // 2)
    event_shape = centers.shape[1:]
    ends = centers[:count].reshape(-1, 2, 1, *event_shape)
    weights = np.linspace(0, 1, _COLUMNS).reshape(_COLUMNS, *(1,) * len(event_shape))
    path = model.latents.family.interpolate(
        ends[:, 0], ends[:, 1], jnp.asarray(weights, jnp.float32)[None]
    )
    labels = batch.labels
    if labels is not None:
        labels = jnp.repeat(labels[:count:2], _COLUMNS, axis=0)
    plotting.image_grid(
        plots / "interpolation.png",
        _mean_images(model, params, path.reshape(-1, *event_shape), labels),
        _COLUMNS,
        "interpolation between posterior centers",
    )


def _draw_manifold(model: Model, params: Any, plots: Path) -> Pictures:
    """Images of a grid in two latents on which every cell has the same prior probability."""
    from repara import plotting

    grid = prior_grid(model.latents.family, model.prior(params), _MANIFOLD_SIDE)
    if grid is None or model.inputs.num_classes:
        return {}
    manifold = _mean_images(model, params, grid, None)
    plotting.image_grid(
        plots / "manifold.png",
        manifold,
        _MANIFOLD_SIDE,
        "images of latents on a grid of equal prior probability",
    )
    return {"manifold": plotting.tile(manifold, _MANIFOLD_SIDE)}


def _draw_scatter(
    model: Model,
    posterior: Distribution,
    labels: np.ndarray | None,
    result: dict[str, Any],
    plots: Path,
) -> None:
    """Posterior means in the two coordinates of largest KL, or of largest variance."""
    from repara import plotting

    means = np.asarray(model.latents.family.decoder_inputs(posterior_mean(posterior)))
    kl_per_dimension = np.asarray(result.get("kl_per_dimension", ()))
    has_kl = kl_per_dimension.shape == means.shape[1:]
    size = kl_per_dimension if has_kl else np.var(means, axis=0)
    first, second = np.argsort(-size)[:2] if len(size) > 1 else (0, 0)
    plotting.latent_scatter(
        plots / "latent_scatter.png",
        means[:, [first, second]],
        None if labels is None else labels[: len(means)],
        xlabel=f"posterior mean of coordinate {first + 1}",
        ylabel=f"posterior mean of coordinate {second + 1}",
        title=f"test images in the two coordinates of largest {'KL' if has_kl else 'variance'}",
    )


def _draw_kl_per_dimension(result: dict[str, Any], plots: Path) -> None:
    from repara import plotting

    plotting.bars(
        plots / "kl_per_dimension.png",
        result["kl_per_dimension"],
        xlabel="latents, sorted by KL",
        ylabel="KL [nats]",
        title=f"{result['active_units']} of {result['num_units']} latents are active",
    )


def _draw_traversals(
    model: Model,
    params: Any,
    image: np.ndarray,
    kl_per_dimension: list[float],
    plots: Path,
    key: jax.Array,
) -> Pictures:
    """The effect of each latent on one test image, [1, H, W, C]; rows by decreasing mean KL.

    In each row one latent runs through its prior; the others stay at the center of the posterior.
    """
    from repara import plotting

    data_key, prior_key = jax.random.split(key)
    batch = model.inputs.batch(data_key, jnp.asarray(image))
    middle = np.asarray(center(model.encode(params, batch)))
    draws = np.asarray(model.prior(params).sample(prior_key, (20_000,)))
    low, high = np.quantile(draws, [_TAIL, 1 - _TAIL], axis=0)
    chosen = np.argsort(-np.asarray(kl_per_dimension))[:_TRAVERSED_LATENTS]
    z = np.tile(middle[None], (len(chosen), _COLUMNS, 1))
    for row, latent in enumerate(chosen):
        z[row, :, latent] = np.linspace(low[latent], high[latent], _COLUMNS)
    labels = batch.labels
    if labels is not None:
        labels = jnp.repeat(labels, len(chosen) * _COLUMNS, axis=0)
    images = _mean_images(model, params, jnp.asarray(z.reshape(-1, z.shape[-1])), labels)
    plotting.image_grid(
        plots / "traversals.png",
        images,
        _COLUMNS,
        f"one latent per row, over {1 - 2 * _TAIL:.1%} of its prior",
        row_labels=[f"{d + 1}: {kl_per_dimension[d]:.2f} nats" for d in chosen],
    )
    return {"traversals": plotting.tile(images, _COLUMNS)}
