"""What `experiments.vae` reports of a trained model: evaluation, figures, samples."""

import functools
import math
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.vae import latents as vae_latents
from experiments.vae.annealing import evaluate_annealed
from experiments.vae.model import ROWS, apply, objective_name, observed, views
from repara import evaluation
from repara.models import POSTERIORS, VAE, center, posterior_mean, prior_grid

# Samples for the parts of the ELBO; its Monte Carlo error is far below the spread over images.
_ELBO_SAMPLES = 16
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
      A function `(params, key, images) -> (elbo, reconstruction, kl, kl_by_part, means)`, one row
      an image. The parts are latent coordinates, or layers, or the whole where it has no others;
      the means are those of the coordinates that the decoder is given, of both layers of two.
    """

    @jax.jit
    def test_elbo(params: Any, key: jax.Array, images: jax.Array) -> tuple[jax.Array, ...]:
        data_key, noise_key = jax.random.split(key)
        v = views(model, params, observed(config, data_key, images))
        bound = vae_latents.sampled_elbo(config, noise_key, v, num_samples)
        by_part = vae_latents.kl_by_part(config, noise_key, v, num_samples, bound.kl)
        means = POSTERIORS[config.posterior].decoder_inputs(posterior_mean(v.posterior))
        return bound.bound, bound.log_likelihood, bound.kl, by_part, means

    return test_elbo


def make_evaluate(config: Any, model: VAE) -> Any:
    """The evaluation on test images, compiled once for all seeds.

    Args:
      config: the configuration of `experiments.vae`.
      model: the module.

    Returns:
      A function of the module's variables, images uint8 [N, H, W, C] from `prepare_images`, a typed
      key, which is consumed, and a function called with lines of progress. It returns the entries
      of `result.json` that come from the test data; log-likelihoods in nats an image.
    """
    programs = _Programs(
        make_test_elbo(config, model, _ELBO_SAMPLES),
        _make_importance(config, model),
        _make_information(config, model),
    )
    return functools.partial(_evaluate, config, model, programs)


class _Programs(NamedTuple):
    """The compiled functions of an evaluation, each of variables, a key and images."""

    test_elbo: Any
    importance: Any
    information: Any  # None where there is none


def over_seeds(each: list[dict[str, Any]], first_seed: int) -> dict[str, Any]:
    """The results of several seeds as one.

    Args:
      each: what the evaluation returned, seed by seed; at least two.
      first_seed: the number of the first seed.

    Returns:
      The mean of every entry, the standard deviation of `test_nll` between seeds, and under "seeds"
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


def _make_importance(config: Any, model: VAE) -> Any:
    chunk = max(1, ROWS // _BATCH)

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

    return importance


def _make_information(config: Any, model: VAE) -> Any:
    """What the latents tell of the images, where every density is a closed form of few terms."""
    simple = (config.flow, config.stochastic_layers) == ("none", 1)
    if config.posterior not in ("normal", "multivariate_normal") or not simple:
        return None

    @jax.jit
    def information(params: Any, key: jax.Array, images: jax.Array) -> Any:
        data_key, noise_key = jax.random.split(key)
        v = views(model, params, observed(config, data_key, images))
        return evaluation.aggregate_information(
            noise_key, v.posterior, v.prior, num_samples=min(_INFORMATION_SAMPLES, len(images))
        )

    return information


def _evaluate(
    config: Any,
    model: VAE,
    programs: _Programs,
    params: Any,
    images: np.ndarray,
    key: jax.Array,
    say: Any,
) -> dict[str, Any]:
    elbo_key, nll_key = jax.random.split(key)
    batch = min(_BATCH, len(images))
    elbo, reconstruction, kl, by_part, means = evaluation.over_batches(
        lambda k, x: programs.test_elbo(params, k, x), elbo_key, images, batch
    )

    def progress(done: int) -> None:
        if done == len(images) or done % (10 * batch) == 0:
            say(f"test log-likelihood: {done}/{len(images)} images")

    log_likelihood, mc_stderr, effective = evaluation.over_batches(
        lambda k, x: programs.importance(params, k, x), nll_key, images, batch, progress=progress
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
        "active_units": evaluation.active_units(means),
        "num_units": means.shape[1],
        "num_test_images": len(images),
    }
    if (name := vae_latents.parts_name(config)) is not None:
        result[name] = np.mean(by_part, axis=0, dtype=np.float64).tolist()
    if config.likelihood == "discretized_logistic":
        pixels = images[..., :-1] if config.conditional else images
        result["test_bits_per_dim"] = nll / (math.prod(pixels.shape[1:]) * math.log(2))
    # Third and fourth of what the key splits into, the two above being the first.
    information_key, annealing_key = (jax.random.fold_in(key, i) for i in (2, 3))
    if programs.information is not None:
        values = programs.information(params, information_key, images)
        result |= {k: float(v) for k, v in values._asdict().items()}
    if config.ais_steps:
        result |= evaluate_annealed(config, model, params, images, annealing_key, say)
    return result


def draw_samples(
    model: VAE, params: Any, key: jax.Array, count: int, columns: int = 10
) -> tuple[np.ndarray, np.ndarray]:
    """Draws from the prior and decodes.

    Args:
      model: the module.
      params: its variables.
      key: a typed key; consumed.
      count: how many.
      columns: of the figure, each row of which has one label where the model is conditional.

    Returns:
      The latents [count, *event] and the mean images [count, H, W, C] in [0, 1].
    """
    z = apply(model, params, method="prior").sample(key, (count,))
    labels = None
    if model.num_classes:
        rows = np.arange(count) // columns % model.num_classes
        labels = jax.nn.one_hot(rows, model.num_classes)
    return np.asarray(z), np.asarray(_pictures(model, params, z, labels))


def _pictures(model: VAE, params: Any, z: jax.Array, y: jax.Array | None = None) -> np.ndarray:
    decode = jax.jit(lambda p, z, y: apply(model, p, z, y, method="picture"))
    return np.asarray(decode(params, z, y))


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
    family = POSTERIORS[config.posterior]
    split = functools.partial(vae_latents.split_labels, model.num_classes)
    encode = jax.jit(lambda p, x: apply(model, p, *split(x), method="encode"))
    given = observed(config, data_key, jnp.asarray(shown))
    centers = center(encode(params, given))
    x, y = split(given)
    rebuilt = _pictures(model, params, centers, y)
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

    count = columns * (model.num_classes or columns)
    _, samples = draw_samples(model, params, sample_key, count, columns)
    plotting.image_grid(plots / "samples.png", samples, columns, "means of samples from the prior")

    # From one posterior's center to another's, along the family's shortest way, under one label.
    pairs_of = 2 * min(8, len(x) // 2)
    ends = centers[:pairs_of].reshape(-1, 2, 1, *centers.shape[1:])
    weights = np.linspace(0, 1, columns).reshape(columns, *(1,) * (centers.ndim - 1))
    line = family.interpolate(ends[:, 0], ends[:, 1], jnp.asarray(weights, jnp.float32)[None])
    label = None if y is None else jnp.repeat(y[:pairs_of:2], columns, axis=0)
    between = _pictures(model, params, line.reshape(-1, *centers.shape[1:]), label)
    plotting.image_grid(
        plots / "interpolation.png", between, columns, "interpolation between posterior centers"
    )
    pictures = {"reconstructions": plotting.tile(pairs, columns),
                "samples": plotting.tile(samples, columns)}  # fmt: skip

    side = 20
    z = prior_grid(family, apply(model, params, method="prior"), side)
    if z is not None and not model.num_classes:
        # Every tile stands for the same prior probability.
        manifold = _pictures(model, params, z)
        plotting.image_grid(
            plots / "manifold.png", manifold, side, "decoded latents of equal prior probability"
        )
        pictures["manifold"] = plotting.tile(manifold, side)

    some = images[:5000]
    q = encode(params, observed(config, path_key, jnp.asarray(some)))
    means = np.asarray(family.decoder_inputs(posterior_mean(q)))
    per_dimension = np.asarray(result.get("kl_per_dimension", ()))
    by_kl = per_dimension.shape == means.shape[1:]
    size = per_dimension if by_kl else np.var(means, axis=0)
    first, second = np.argsort(-size)[:2] if len(size) > 1 else (0, 0)
    plotting.latent_scatter(
        plots / "latent_scatter.png",
        means[:, [first, second]],
        None if labels is None else labels[: len(some)],
        xlabel=f"posterior mean of coordinate {first + 1}",
        ylabel=f"posterior mean of coordinate {second + 1}",
        title=f"test images in the two coordinates of largest {'KL' if by_kl else 'variance'}",
    )
    if len(per_dimension):
        plotting.bars(
            plots / "kl_per_dimension.png",
            result["kl_per_dimension"],
            xlabel="latent, by decreasing KL",
            ylabel="KL [nats]",
            title=f"{result['active_units']} of {result['num_units']} latents active",
        )
    if len(per_dimension) and q.has_rsample:  # coordinates that move alone, and continuously
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
      image: uint8 [1, H, W, C], from `prepare_images`, whose other latents stay as they are.
      kl_per_dimension: the mean KL of each latent, [D].
      plots: the directory for the PNG file.
      key: a typed key; consumed.

    Returns:
      "traversals" -> one image [H, W, C] in [0, 1].
    """
    from repara import plotting

    columns = 10
    data_key, prior_key = jax.random.split(key)
    x = observed(config, data_key, jnp.asarray(image))
    v = views(model, params, x)
    _, label = vae_latents.split_labels(model.num_classes, x)
    mean = np.asarray(center(v.posterior))
    draws = np.asarray(v.prior.sample(prior_key, (20_000,)))
    low, high = np.quantile(draws, [_TAIL, 1 - _TAIL], axis=0)
    chosen = np.argsort(-np.asarray(kl_per_dimension))[:_TRAVERSED]
    z = np.tile(mean[None], (len(chosen), columns, 1))
    for row, latent in enumerate(chosen):
        z[row, :, latent] = np.linspace(low[latent], high[latent], columns)
    labels = None if label is None else jnp.repeat(label, len(chosen) * columns, axis=0)
    pictures = _pictures(model, params, jnp.asarray(z.reshape(-1, z.shape[-1])), labels)
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
