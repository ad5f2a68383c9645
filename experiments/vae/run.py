r"""Trains, evaluates and samples a variational autoencoder on images.

    python -m experiments.vae                                   # digits, needs no network
    python -m experiments.vae --dataset=mnist --data_dir=DIR    # MNIST as IDX files in DIR
    python -m experiments.vae --workdir=RUN --mode=evaluate     # again, from the last checkpoint
    python -m experiments.vae --recipe=vae_mnist_k1 --data_dir=DIR  # a setting of recipes.py
    python -m experiments.vae --workdir=SHARED --coordinator_address=HOST:PORT \
        --num_processes=2 --process_id=0                        # on the first of two hosts

The same command with the same --workdir continues a run that was stopped.
"""

import dataclasses
import functools
import hashlib
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from experiments.harness import hosts
from experiments.harness.configuration import ConfigError, option, read_flags, validate
from experiments.harness.epochs import NonFiniteLossError, non_finite_message, run_epochs
from experiments.harness.progress import event_writer, print_line
from experiments.harness.run_directory import RunDirectory
from experiments.harness.runs import Run, open_run, result_if_complete
from experiments.vae import latents as vae_latents
from experiments.vae import model as vae_model
from experiments.vae.recipes import RECIPES
from repara import datasets, evaluation, training
from repara.models import ACTIVATIONS, LIKELIHOODS, VAE

__all__ = ["Config", "NonFiniteLossError", "run"]


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that determines a run; the fields are the flags."""

    mode: str = option(
        "train",
        "train: train (or continue), evaluate and draw; evaluate: again from the last checkpoint; "
        "sample: draw images from the prior",
        choices=("train", "evaluate", "sample"),
        may_change=True,
    )
    workdir: str | None = option(
        None, "run directory; by default a fresh dated one under runs/ (train)", may_change=True
    )
    dataset: str = option("digits", "digits, mnist, fashion_mnist, kmnist, emnist, frey_faces, "
                          "idx, or an image dataset that tensorflow_datasets has prepared in "
                          "--data_dir")  # fmt: skip
    data_dir: str | None = option(
        None,
        "where the data is: IDX files (.gz or not), a directory prepared by tensorflow_datasets in "
        "array_record format, or an .npz; by default fetched where that can be done",
        may_change=True,
    )
    binarization: str = option(
        "dynamic",
        "dynamic: a fresh Bernoulli draw at each use; static: one draw, from "
        "--binarization_seed; threshold: at half grey; none: grey data",
        choices=vae_model.BINARIZATIONS,
    )
    binarization_seed: int = option(0, "seed of the one draw of static binarization", low=0)
    likelihood: str = option(
        "bernoulli",
        "of pixels given latents; bernoulli takes binarized data, the others --binarization=none",
        choices=tuple(LIKELIHOODS),
    )
    posterior: str = option(
        "normal",
        "family of q(z|x), with its standard prior; discrete families are trained through "
        "--estimator, relaxed ones as they are, and both are evaluated with discrete samples",
        choices=vae_model.POSTERIORS,
    )
    num_components: int = option(
        5, "of --posterior=mixture; or the values of each categorical variable", low=2
    )
    temperature: float = option(
        0.5,
        "of relaxed latents, for K values best at most 1 / (K - 1), and of estimators that relax",
        low=1e-3,
    )
    temperature_epochs: float = option(
        0.0, "epochs over which the temperature falls geometrically from 1", low=0
    )
    estimator: str = option(
        "pathwise",
        "of the gradient in discrete posteriors; gumbel_softmax reports the relaxed bound",
        choices=vae_latents.ESTIMATORS,
    )
    flow: str = option(
        "none", "through which a posterior over all of space goes", choices=vae_latents.FLOW_NAMES
    )
    flow_layers: int = option(4, "of --flow, and of --prior=flow and autoregressive", low=1)
    flow_hidden_sizes: tuple[int, ...] = option((128,), "of the networks in each layer", low=1)
    prior: str = option(
        "standard",
        "that of the family; or learnt: vamp (posteriors of pseudo-inputs), mixture of normals, "
        "flow (couplings); autoregressive: of h1 given h2, with --stochastic_layers=2",
        choices=vae_latents.PRIORS,
    )
    prior_components: int = option(100, "of --prior=vamp and mixture", low=1)
    stochastic_layers: int = option(
        1, "2: latents h1, given to the decoder, and h2 over them", low=1, high=2
    )
    top_latent_dim: int = option(50, "dimension of h2", low=1)
    top_hidden_sizes: tuple[int, ...] = option(
        (100, 100), "widths of the networks between h1 and h2, in the order from h1", low=1
    )
    conditional: bool = option(False, "whether encoder and decoder are given the label")
    objective: str = option(
        "elbo",
        "bound that is maximised: elbo with the KL in closed form, elbo_monte_carlo with the "
        "KL from the samples, iwae; ciwae (ELBO and iwae), miwae and piwae (several iwae), renyi; "
        "vimco, iwae with a score-function gradient",
        choices=vae_model.OBJECTIVES,
    )
    num_samples: int = option(
        1, "samples of the latents an image in training; of miwae and piwae in each bound", low=1
    )
    num_outer: int = option(1, "bounds of --num_samples each, of miwae and piwae", low=1)
    elbo_weight: float = option(
        0.5, "weight of the ELBO in ciwae, the rest that of iwae", low=0, high=1
    )
    alpha: float = option(0.5, "order of renyi: 0 is iwae, 1 elbo_monte_carlo")
    gradient: str = option(
        "plain",
        "of the bound in the encoder, its value unchanged: plain; stl (sticking the landing), for "
        "all but elbo and vimco; dreg (doubly reparameterized), for those but elbo_monte_carlo",
        choices=vae_model.GRADIENTS,
    )
    beta: float = option(1.0, "weight of the KL; other than 1 it is part of the logged name", low=0)
    beta_warmup_epochs: float = option(
        0.0, "epochs over which the weight of the KL grows linearly from 0", low=0
    )
    free_bits: float = option(
        0.0, "nats that a latent costs at least, on average over a batch, in elbo and "
        "elbo_monte_carlo; 0: none", low=0,
    )  # fmt: skip
    architecture: str = option("mlp", "networks", choices=vae_model.ARCHITECTURES)
    hidden_sizes: tuple[int, ...] = option(
        (400,), "widths of the encoder's hidden layers, the decoder's in reverse; conv uses the "
        "last one for its dense layer", low=1,
    )  # fmt: skip
    channels: int = option(32, "channels of the first convolution of conv", low=1)
    activation: str = option("tanh", "of hidden layers", choices=tuple(ACTIVATIONS))
    latent_dim: int = option(
        20, "dimension of the latents: a sphere or simplex has one coordinate more", low=1,
    )  # fmt: skip
    batch_size: int = option(128, "images a step, a multiple of the number of devices", low=1)
    epochs: int = option(100, "passes over the training data", low=1)
    optimizer: str = option("adam", "Optax optimizer", choices=vae_model.OPTIMIZERS)
    learning_rate: float = option(1e-3, "peak learning rate", low=0)
    schedule: str = option(
        "constant", "of the learning rate, over all steps", choices=vae_model.SCHEDULES
    )
    warmup_steps: int = option(0, "steps over which the learning rate grows from 0", low=0)
    weight_decay: float = option(1e-4, "decoupled weight decay, for adamw alone", low=0)
    clip_norm: float = option(0.0, "largest global norm of the gradient; 0: no clipping", low=0)
    average_decay: float = option(
        0.0, "decay of the average of the weights that is evaluated; 0: none", low=0, high=1
    )
    seed: int = option(0, "seed of everything but static binarization", low=0)
    num_seeds: int = option(
        1, "runs trained at once, from --seed and the numbers after it; what is reported is their "
        "mean, and each of them", low=1
    )  # fmt: skip
    num_eval_samples: int = option(
        5000, "importance samples an image for the test log-likelihood", low=1, may_change=True
    )
    ais_steps: int = option(
        0,
        "temperatures of annealed importance sampling in the evaluation; 0: none",
        low=0,
        may_change=True,
    )
    ais_chains: int = option(16, "chains of it an image", low=1, may_change=True)
    ais_images: int = option(
        100, "test images that it scores, and simulated ones for the gap between its two sides",
        low=2, may_change=True
    )  # fmt: skip
    ais_start: str = option(
        "prior",
        "where its chains start; the posterior is nearer",
        choices=("prior", "posterior"),
        may_change=True,
    )
    num_images: int = option(100, "images to draw with --mode=sample", low=1, may_change=True)
    eval_every: int = option(1, "epochs between evaluations of the test ELBO", low=1)
    checkpoint_every: int = option(5, "epochs between checkpoints", low=1, may_change=True)
    num_devices: int = option(0, "devices of the data mesh; 0: all", low=0, may_change=True)
    coordinator_address: str | None = option(
        None, "host:port of the first of several hosts, the same on each; 'auto' where the cluster "
        "says it; by default one host", may_change=True
    )  # fmt: skip
    num_processes: int = option(
        1, "hosts in all, with --coordinator_address=host:port", low=1, may_change=True
    )
    process_id: int = option(0, "number of this host, from 0", low=0, may_change=True)


class _Keys(NamedTuple):
    init: jax.Array
    train: jax.Array
    evaluate: jax.Array
    draw: jax.Array


def run(config: Config) -> dict[str, Any]:
    """Runs an experiment as `python -m experiments.vae` does.

    Args:
      config: the configuration. Without `workdir` a run in mode "train" makes a fresh one.

    Returns:
      What `result.json` holds, with "workdir".

    Raises:
      ConfigError: a flag is out of range, contradicts another or the run that is in `workdir`.
      DatasetError: the data cannot be read.
      NonFiniteLossError: the loss became infinite or NaN.

    Example:
      from experiments import vae
      result = vae.run(vae.Config(dataset="digits", epochs=10, workdir="runs/mine"))
    """
    validate(config)
    vae_model.check_combinations(config)
    hosts.join(config)
    if config.mode != "train":
        if config.workdir is None:
            raise ConfigError(f"--mode={config.mode} needs the --workdir of a trained run")
        RunDirectory.read_config(config.workdir)  # refuses a directory without a run
    num_devices = config.num_devices or None
    if num_devices is not None and num_devices > jax.device_count():
        raise ConfigError(f"--num_devices={num_devices}: this machine has {jax.device_count()}")
    mesh = training.data_mesh(num_devices)
    data = datasets.load(config.dataset, config.data_dir)
    _check_batch(config, len(data.train_images), mesh.shape["data"])
    num_classes = vae_latents.count_classes(config, data)

    opened = open_run(
        "vae",
        config,
        _digest(config, data),
        # Under a constant schedule a longer run begins with the shorter one.
        may_grow=("epochs",) if config.schedule == "constant" else (),
    )
    # Of each seed its own keys, [S]: those that a run of this seed alone would have.
    keys = _Keys(*jax.vmap(_split, out_axes=1)(config.seed + jnp.arange(config.num_seeds)))
    train_key, test_key = jax.random.split(jax.random.key(config.binarization_seed))
    train_images = vae_model.prepare_images(config, data.train_images, train_key)
    test_images = vae_model.prepare_images(config, data.test_images, test_key)
    mean_image = train_images.mean(axis=0, dtype=np.float64) / 255
    if num_classes:
        train_images = vae_latents.with_labels(train_images, data.train_labels)
        test_images = vae_latents.with_labels(test_images, data.test_labels)
    model = vae_model.build_model(config, mean_image, num_classes)

    steps = len(train_images) // config.batch_size
    optimizer = vae_model.make_optimizer(config, steps * config.epochs)

    def init(key: jax.Array) -> training.TrainState:
        params = vae_model.init_params(model, train_images.shape[1:], key)
        return training.init_state(params, optimizer, average=config.average_decay > 0)

    state = training.replicate(_over_seeds(config, init)(_per_seed(config, keys.init)), mesh)
    directory, checkpoints = opened
    restored = checkpoints.restore(state, print_line)
    hosts.barrier("restored")  # no host saves before all have looked for what was saved
    epoch, state = restored if restored is not None else (0, state)
    if config.mode != "train" and restored is None:
        raise ConfigError(f"--workdir={config.workdir}: holds no checkpoint that can be read")

    if config.mode == "train":
        advice = "--mode=evaluate evaluates it again"
        if (finished := result_if_complete(opened, epoch, config.epochs, advice)) is not None:
            return finished
        epoch_fn = training.make_epoch(
            training.make_train_step(
                vae_model.make_loss(config, model, steps),
                optimizer,
                average_decay=config.average_decay or None,
            ),
            num_examples=len(train_images),
            batch_size=config.batch_size,
            mesh=mesh,
        )
        if config.num_seeds > 1:
            epoch_fn = jax.jit(jax.vmap(epoch_fn, in_axes=(0, None, 0)), donate_argnums=0)
        state = _train(
            config, opened, model, epoch_fn, state, epoch, mesh,
            train_images, test_images, keys,
        )  # fmt: skip
    checkpoints.close()
    params = _of_seeds(config, jax.device_get(state.eval_params))
    if config.mode == "sample":
        return _sample(config, directory, model, params[0], keys.draw[0])
    return _report(config, directory, model, params, test_images, data.test_labels, keys)


def _digest(config: Config, data: datasets.Dataset) -> str:
    """The SHA-256 of what is trained on."""
    digest = hashlib.sha256(np.ascontiguousarray(data.train_images).tobytes())
    if config.conditional and data.train_labels is not None:
        digest.update(np.ascontiguousarray(data.train_labels).tobytes())
    return digest.hexdigest()


def _split(seed: jax.Array) -> jax.Array:
    return jax.random.split(jax.random.key(seed), len(_Keys._fields))


def _over_seeds(config: Config, function: Any) -> Any:
    """A function of one seed as one of all: as it is where there is one."""
    return function if config.num_seeds == 1 else jax.jit(jax.vmap(function))


def _per_seed(config: Config, keys: jax.Array) -> jax.Array:
    """The argument for a function `_over_seeds`."""
    return keys[0] if config.num_seeds == 1 else keys


def _of_seeds(config: Config, tree: Any) -> list[Any]:
    """What a function `_over_seeds` gave, seed by seed."""
    if config.num_seeds == 1:
        return [tree]
    return [jax.tree.map(lambda x, i=i: x[i], tree) for i in range(config.num_seeds)]


def _check_batch(config: Config, num_examples: int, num_devices: int) -> None:
    if config.batch_size > num_examples:
        raise ConfigError(
            f"--batch_size={config.batch_size}: {config.dataset} has {num_examples} training images"
        )
    if config.batch_size % num_devices:
        raise ConfigError(
            f"--batch_size={config.batch_size}: must be a multiple of the {num_devices} devices"
        )


def _train(
    config: Config,
    opened: Run,
    model: VAE,
    epoch_fn: Any,
    state: training.TrainState,
    done: int,
    mesh: jax.sharding.Mesh,
    train_images: np.ndarray,
    test_images: np.ndarray,
    keys: _Keys,
) -> training.TrainState:
    from experiments.vae import evaluate as vae_report

    data = training.replicate(train_images, mesh)
    run_key = training.replicate(_per_seed(config, keys.train), mesh)
    test_elbo = vae_report.make_test_elbo(config, model)
    name = vae_model.objective_name(config)
    images = len(train_images) // config.batch_size * config.batch_size

    def report(
        epoch: int, state: training.TrainState, metrics: Any, seconds: float
    ) -> tuple[dict[str, Any], dict[str, str]]:
        values = {k: np.atleast_1d(v) for k, v in jax.device_get(metrics).items()}
        bad_steps = values.pop(training.FIRST_BAD_STEP)
        if np.any(bad_steps >= 0):
            bad_step = int(np.min(bad_steps[bad_steps >= 0]))
            remedy = "A smaller --learning_rate, --clip_norm or a --beta_warmup_epochs"
            raise NonFiniteLossError(
                non_finite_message("loss", bad_step, epoch, opened.checkpoints, remedy)
            )
        line: dict[str, Any] = {"epoch": epoch, "step": int(np.max(jax.device_get(state.step)))}
        line |= {f"train_{k}": float(np.mean(v)) for k, v in values.items()}
        if epoch % config.eval_every == 0 or epoch == config.epochs:
            means = []
            for i, params in enumerate(_of_seeds(config, jax.device_get(state.eval_params))):
                parts = evaluation.over_batches(
                    functools.partial(test_elbo, params),
                    jax.random.fold_in(keys.evaluate[i], epoch),
                    test_images,
                    min(1000, len(test_images)),
                )
                means.append([float(np.mean(v, dtype=np.float64)) for v in parts[:3]])
            names = ("test_elbo", "test_reconstruction", "test_kl")
            line |= zip(names, np.mean(means, axis=0).tolist(), strict=True)
            if config.num_seeds > 1:
                line["test_elbo_of_seeds"] = [m[0] for m in means]
        shown = {name: f"{line[f'train_{name}']:.2f}"}
        if "test_elbo" in line:
            shown["test_elbo"] = f"{line['test_elbo']:.2f}"
        return line, {**shown, "images/s": f"{config.num_seeds * images / seconds:.0f}"}

    return run_epochs(
        opened,
        epoch_fn,
        state,
        done=done,
        epochs=config.epochs,
        checkpoint_every=config.checkpoint_every,
        arguments=lambda epoch: (data, run_key),
        report=report,
    )


def _report(
    config: Config,
    directory: RunDirectory,
    model: VAE,
    params: list[Any],
    test_images: np.ndarray,
    labels: np.ndarray | None,
    keys: _Keys,
) -> dict[str, Any]:
    from experiments.vae import evaluate as vae_report

    evaluate = vae_report.make_evaluate(config, model)
    each = [
        evaluate(p, test_images, key, print_line)
        for p, key in zip(params, keys.evaluate, strict=True)
    ]
    result = each[0] if len(each) == 1 else vae_report.over_seeds(each, config.seed)
    metrics = directory.read_metrics()
    num_parameters = sum(x.size for x in jax.tree.leaves(params[0]))
    result |= {
        "objective": vae_model.objective_name(config),
        "num_parameters": num_parameters,
        "epochs": metrics[-1]["epoch"] if metrics else 0,
        "train_seconds": math.fsum(m["seconds"] for m in metrics),
        "device": jax.devices()[0].device_kind,
    }
    directory.write_result(result)
    if directory.is_writer:
        pictures = vae_report.draw_figures(
            config,
            model,
            params[0],
            test_images,
            labels,
            each[0],
            metrics,
            directory.plots,
            keys.draw[0],
        )
        events = event_writer(directory, result["epochs"])
        for name, image in pictures.items():
            events.add_image(name, image, result["epochs"], dataformats="HWC")
        for name in ("test_nll", "test_elbo", "active_units"):
            events.add_scalar(f"result/{name}", result[name], result["epochs"])
        events.close()
    if len(each) > 1:
        spread = result["test_nll_spread"]
        shown = ", ".join(f"{r['test_nll']:.2f}" for r in each)
        print_line(f"test_nll of the seeds {shown}: standard deviation {spread:.2f}")
    print_line(
        f"test_nll {result['test_nll']:.2f} +- {result['test_nll_stderr']:.2f} nats "
        f"(K={config.num_eval_samples}), test_elbo {result['test_elbo']:.2f}, "
        f"{result['active_units']}/{result['num_units']} active units, "
        f"{result['train_seconds']:.1f} s of training"
    )
    print_line(f"result.json and plots/ are in {directory.path}")
    return {**result, "workdir": str(directory.path)}


def _sample(
    config: Config, directory: RunDirectory, model: VAE, params: Any, key: jax.Array
) -> dict[str, Any]:
    from experiments.vae import evaluate as vae_report
    from repara import plotting

    columns = max(1, math.isqrt(config.num_images))
    z, images = vae_report.draw_samples(model, params, key, config.num_images, columns)
    archive = directory.path / "samples.npz"
    temporary = directory.path / ".samples.tmp.npz"
    np.savez(temporary, latents=z, images=np.round(255 * images).astype(np.uint8))
    temporary.replace(archive)
    figure = plotting.image_grid(
        directory.plots / "samples.png", images, columns, "means of samples from the prior"
    )
    print_line(f"{config.num_images} images are in {archive} and {figure}")
    return {"samples": str(archive), "figure": str(figure), "workdir": str(directory.path)}


def main() -> None:
    """Reads the flags and runs."""
    values = read_flags(Config)
    if (name := flags.FLAGS.recipe) is not None:
        if name not in RECIPES:
            raise ConfigError(f"--recipe={name}: must be one of {', '.join(RECIPES)}")
        values |= {**RECIPES[name].flags, **read_flags(Config, only_given=True)}
    if values["mode"] != "train" and values["workdir"]:
        # The run says how it was trained; flags given beside that must agree.
        stored = RunDirectory.read_config(values["workdir"])["flags"]
        known = {f.name for f in dataclasses.fields(Config)}
        trained = {k: tuple(v) if isinstance(v, list) else v for k, v in stored.items()}
        given = read_flags(Config, only_given=True)
        values |= {k: v for k, v in trained.items() if k in known and k not in given}
    run(Config(**values))
