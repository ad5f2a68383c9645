"""The run of an experiment: prepares the data, trains, evaluates, draws figures and samples."""

import functools
import hashlib
import math
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.harness import hosts
from experiments.harness.configuration import ConfigError
from experiments.harness.epochs import NonFiniteLossError, non_finite_message, run_epochs
from experiments.harness.progress import event_writer, print_line
from experiments.harness.run_directory import RunDirectory
from experiments.harness.runs import Run, RunKeys, open_run, result_if_complete
from experiments.vae.config import (
    Config,
    DataFacts,
    Experiment,
    resolve,
    resolve_inputs,
    validate_config,
)
from experiments.vae.evaluate import make_evaluate, make_test_elbo, mean_over_seeds
from experiments.vae.figures import draw_figures, draw_learning_curves, draw_samples
from experiments.vae.images import Inputs, count_classes
from experiments.vae.model import Model
from experiments.vae.objectives import make_loss
from experiments.vae.seeds import Seeds
from repara import datasets, evaluation, training

__all__ = ["run"]


class _Images(NamedTuple):
    """The stored images, uint8 [N, H, W, C], and the labels of the test images, [N] or None."""

    train: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray | None


def run(config: Config) -> dict[str, Any]:
    """Runs an experiment as `python -m experiments.vae` does.

    Args:
      config: the configuration. Without `workdir` a run in mode "train" makes a new directory.

    Returns:
      The content of `result.json`, with "workdir".

    Raises:
      ConfigError: a flag is out of range, or contradicts another flag or the run in `workdir`.
      DatasetError: the data cannot be read.
      NonFiniteLossError: the loss became infinite or NaN.

    Example:
      from experiments import vae
      result = vae.run(vae.Config(dataset="digits", epochs=10, workdir="runs/mine"))
    """
    validate_config(config)
    hosts.join(config)
    _check_trained_workdir(config)
    mesh = _make_mesh(config.num_devices)
    data = datasets.load(config.dataset, config.data_dir)
    _check_batch_size(config, len(data.train_images), mesh.shape["data"])
    num_classes = count_classes(config.dataset, data) if config.conditional else 0
    # With a constant learning rate, the first epochs of a longer run are those of a shorter one.
    may_grow = ("epochs",) if config.schedule == "constant" else ()
    opened = open_run("vae", config, _digest(data, config.conditional), may_grow=may_grow)

    inputs = resolve_inputs(config, num_classes)
    images = _store_images(inputs, data, config.binarization_seed)
    mean_image = inputs.pixels(images.train).mean(axis=0, dtype=np.float64) / 255
    experiment = resolve(config, DataFacts(mean_image, len(images.train), num_classes))

    seeds = Seeds(config.seed, config.num_seeds)
    keys = seeds.keys()
    init = functools.partial(_init_state, experiment, images.train.shape[1:])
    state = training.replicate(seeds.map(init)(seeds.argument(keys.init)), mesh)
    epoch, state = opened.restore(state)
    if config.mode == "train":
        advice = "--mode=evaluate evaluates it again"
        if (finished := result_if_complete(opened, epoch, config.epochs, advice)) is not None:
            return finished
        state = _train(config, experiment, opened, images, state, epoch, keys, mesh=mesh)
    elif epoch == 0:
        raise ConfigError(f"--workdir={config.workdir}: has no readable checkpoint; train it first")
    opened.checkpoints.close()
    params = seeds.separate(jax.device_get(state.eval_params))
    if config.mode == "sample":
        return _sample(
            config.num_images, opened.directory, experiment.model, params[0], keys.draw[0]
        )
    return _evaluate_and_draw(config, experiment, opened.directory, images, params, keys)


def _check_trained_workdir(config: Config) -> None:
    if config.mode == "train":
        return
    if config.workdir is None:
        raise ConfigError(f"--mode={config.mode} needs the --workdir of a trained run")
    RunDirectory.read_config(config.workdir)  # refuses a directory without a run


def _make_mesh(num_devices: int) -> jax.sharding.Mesh:
    if num_devices > jax.device_count():
        raise ConfigError(
            f"--num_devices={num_devices}: this machine has {jax.device_count()}; give at most that"
        )
    return training.data_mesh(num_devices or None)


def _check_batch_size(config: Config, num_examples: int, num_devices: int) -> None:
    if config.batch_size > num_examples:
        raise ConfigError(
            f"--batch_size={config.batch_size}: {config.dataset} has {num_examples} training "
            "images; give at most that"
        )
    if config.batch_size % num_devices:
        raise ConfigError(
            f"--batch_size={config.batch_size}: must be a multiple of the {num_devices} devices"
        )


def _digest(data: datasets.Dataset, with_labels: bool) -> str:
    """The SHA-256 of the training images and, if the model uses them, of their labels."""
    digest = hashlib.sha256(np.ascontiguousarray(data.train_images).tobytes())
    if with_labels and data.train_labels is not None:
        digest.update(np.ascontiguousarray(data.train_labels).tobytes())
    return digest.hexdigest()


def _store_images(inputs: Inputs, data: datasets.Dataset, seed: int) -> _Images:
    train_key, test_key = jax.random.split(jax.random.key(seed))
    return _Images(
        inputs.store(train_key, data.train_images, data.train_labels),
        inputs.store(test_key, data.test_images, data.test_labels),
        data.test_labels,
    )


def _init_state(
    experiment: Experiment, image_shape: tuple[int, ...], key: jax.Array
) -> training.TrainState:
    params = experiment.model.init(key, image_shape)
    return training.init_state(
        params, experiment.optimizer, average=experiment.average_decay is not None
    )


def _train(
    config: Config,
    experiment: Experiment,
    opened: Run,
    images: _Images,
    state: training.TrainState,
    done: int,
    keys: RunKeys,
    *,
    mesh: jax.sharding.Mesh,
) -> training.TrainState:
    seeds = Seeds(config.seed, config.num_seeds)
    name = experiment.objective.name
    test_elbo = make_test_elbo(experiment.model)
    epoch_fn = training.make_epoch(
        training.make_train_step(
            make_loss(experiment.model, experiment.objective),
            experiment.optimizer,
            average_decay=experiment.average_decay,
        ),
        num_examples=len(images.train),
        batch_size=config.batch_size,
        mesh=mesh,
    )
    data = training.replicate(images.train, mesh)
    train_key = training.replicate(seeds.argument(keys.train), mesh)
    images_per_epoch = len(images.train) // config.batch_size * config.batch_size

    def report(
        epoch: int, state: training.TrainState, metrics: Any, seconds: float
    ) -> tuple[dict[str, Any], dict[str, str]]:
        values = {k: np.atleast_1d(v) for k, v in jax.device_get(metrics).items()}
        _check_finite(values.pop(training.FIRST_BAD_STEP), epoch, opened)
        line: dict[str, Any] = {"epoch": epoch, "step": int(np.max(jax.device_get(state.step)))}
        line |= {f"train_{k}": float(np.mean(v)) for k, v in values.items()}
        if epoch % config.eval_every == 0 or epoch == config.epochs:
            params = seeds.separate(jax.device_get(state.eval_params))
            line |= _test_entries(test_elbo, params, images.test, keys.evaluate, epoch)
        shown = {name: f"{line[f'train_{name}']:.2f}"}
        if "test_elbo" in line:
            shown["test_elbo"] = f"{line['test_elbo']:.2f}"
        return line, {**shown, "images/s": f"{seeds.count * images_per_epoch / seconds:.0f}"}

    return run_epochs(
        opened,
        seeds.map_epoch(epoch_fn),
        state,
        done=done,
        epochs=config.epochs,
        checkpoint_every=config.checkpoint_every,
        arguments=lambda epoch: (data, train_key),
        report=report,
    )


def _check_finite(first_bad_steps: np.ndarray, epoch: int, opened: Run) -> None:
    """Raises if the loss of a seed was not finite; step -1 means that it always was."""
    if np.all(first_bad_steps < 0):
        return
    step = int(np.min(first_bad_steps[first_bad_steps >= 0]))
    remedy = "A smaller --learning_rate, --clip_norm or a --beta_warmup_epochs"
    raise NonFiniteLossError(non_finite_message("loss", step, epoch, opened.checkpoints, remedy))


def _test_entries(
    test_elbo: Any, params: list[Any], test_images: np.ndarray, keys: jax.Array, epoch: int
) -> dict[str, Any]:
    """The entries of `metrics.jsonl` about the test images, means over images and seeds."""
    means = []
    for params_of_seed, key in zip(params, keys, strict=True):
        parts = evaluation.over_batches(
            functools.partial(test_elbo, params_of_seed),
            jax.random.fold_in(key, epoch),
            test_images,
            min(1000, len(test_images)),
        )
        means.append([float(np.mean(v, dtype=np.float64)) for v in parts[:3]])
    names = ("test_elbo", "test_reconstruction", "test_kl")
    entries: dict[str, Any] = dict(zip(names, np.mean(means, axis=0).tolist(), strict=True))
    if len(params) > 1:
        entries["test_elbo_of_seeds"] = [m[0] for m in means]
    return entries


def _evaluate_and_draw(
    config: Config,
    experiment: Experiment,
    directory: RunDirectory,
    images: _Images,
    params: list[Any],
    keys: RunKeys,
) -> dict[str, Any]:
    evaluate = make_evaluate(experiment.model, experiment.evaluation)
    each = [
        evaluate(params_of_seed, images.test, key, print_line)
        for params_of_seed, key in zip(params, keys.evaluate, strict=True)
    ]
    result = each[0] if len(each) == 1 else mean_over_seeds(each, config.seed)
    metrics = directory.read_metrics()
    result |= {
        "objective": experiment.objective.name,
        "num_parameters": sum(x.size for x in jax.tree.leaves(params[0])),
        "epochs": metrics[-1]["epoch"] if metrics else 0,
        "train_seconds": math.fsum(m["seconds"] for m in metrics),
        "device": jax.devices()[0].device_kind,
    }
    directory.write_result(result)
    if directory.is_writer:
        pictures = draw_figures(
            experiment.model, params[0], images.test, images.test_labels, each[0],
            directory.plots, keys.draw[0],
        )  # fmt: skip
        draw_learning_curves(experiment.objective.name, metrics, directory.plots)
        _write_events(directory, result, pictures)
    _print_summary(result, directory)
    return {**result, "workdir": str(directory.path)}


def _write_events(
    directory: RunDirectory, result: dict[str, Any], pictures: dict[str, np.ndarray]
) -> None:
    events = event_writer(directory, result["epochs"])
    for name, image in pictures.items():
        events.add_image(name, image, result["epochs"], dataformats="HWC")
    for name in ("test_nll", "test_elbo", "active_units"):
        events.add_scalar(f"result/{name}", result[name], result["epochs"])
    events.close()


def _print_summary(result: dict[str, Any], directory: RunDirectory) -> None:
    if "seeds" in result:
        nlls = ", ".join(f"{r['test_nll']:.2f}" for r in result["seeds"])
        spread = result["test_nll_spread"]
        print_line(f"test_nll of each seed: {nlls}; standard deviation {spread:.2f}")
    print_line(
        f"test_nll {result['test_nll']:.2f} +- {result['test_nll_stderr']:.2f} nats "
        f"(K={result['num_eval_samples']}), test_elbo {result['test_elbo']:.2f}, "
        f"{result['active_units']}/{result['num_units']} active units, "
        f"{result['train_seconds']:.1f} s of training"
    )
    print_line(f"result.json and plots/ are in {directory.path}")


def _sample(
    num_images: int, directory: RunDirectory, model: Model, params: Any, key: jax.Array
) -> dict[str, Any]:
    from repara import plotting  # matplotlib is slow to import

    columns = max(1, math.isqrt(num_images))
    z, images = draw_samples(model, params, key, num_images, columns)
    archive = directory.path / "samples.npz"
    temporary = directory.path / ".samples.tmp.npz"
    np.savez(temporary, latents=z, images=np.round(255 * images).astype(np.uint8))
    temporary.replace(archive)
    figure = plotting.image_grid(
        directory.plots / "samples.png", images, columns, "mean images of samples from the prior"
    )
    print_line(f"{num_images} images are in {archive} and {figure}")
    return {"samples": str(archive), "figure": str(figure), "workdir": str(directory.path)}
