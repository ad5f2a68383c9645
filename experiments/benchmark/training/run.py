"""Times epochs of a small VAE, compared with a plain PyTorch loop of the same model.

The setting is that of MNIST: 60,000 images of 28x28, an MLP 784-400-20, batches of 128, Adam,
dynamic binarization, and the ELBO; or, with --num_samples above 1, the importance-weighted bound.
The images are random, because the time does not depend on them. Epochs of both libraries alternate
in one process, and the medians after a warm-up are reported. If PyTorch is not installed, its
column is left out.
"""

import json
import os
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from experiments import vae
from experiments.benchmark import machine
from experiments.benchmark.training.config import Config, Setting, resolve
from experiments.benchmark.training.matrix_products import (
    operations_per_image,
    operations_per_second,
)
from experiments.benchmark.training.torch_epoch import make_torch_epoch
from experiments.harness.run_directory import write_atomically
from experiments.vae.config import DataFacts
from experiments.vae.config import resolve as resolve_vae
from experiments.vae.objectives import make_loss
from repara import training

__all__ = ["run"]


def run(config: Config) -> dict[str, Any]:
    """Runs the benchmark and prints its table.

    Args:
      config: the flags.

    Returns:
      Seconds per epoch of each library, the fraction of the machine's matrix-product speed that
      training reaches, and the memory of the compiled epoch without the data and the state. If
      PyTorch is installed, also the ratio of repara's seconds to its seconds.

    Raises:
      ConfigError: a flag is out of range.
    """
    settings = resolve(config)
    setting = settings.setting
    machine.use_platform(settings.platform)
    images = np.random.default_rng(0).integers(
        0, 256, (setting.num_images, 28, 28, 1), dtype=np.uint8
    )
    begin = time.perf_counter()
    repara_epoch, memory = _make_repara_epoch(setting, images)
    repara_epoch()
    first_call_seconds = time.perf_counter() - begin
    epochs = {"repara": repara_epoch}
    try:
        epochs["torch"] = make_torch_epoch(setting, images, on_cpu=settings.on_cpu)
    except ImportError:
        print("torch is not installed: its column is left out")
    seconds = _time_epochs(epochs, settings.epochs)
    result = {
        **_machine(),
        **_compare(setting, seconds),
        "first_call_seconds": first_call_seconds,
        "memory_bytes": memory,
    }
    _print_table(result, setting.num_images)
    if settings.output is not None:
        write_atomically(settings.output, json.dumps(result, indent=2) + "\n")
    return result


def _machine() -> dict[str, str]:
    return {
        "device": f"{jax.devices()[0].device_kind}, {os.cpu_count()} cores",
        "jax": jax.__version__,
    }


def _time_epochs(epochs: dict[str, Callable[[], None]], count: int) -> dict[str, list[float]]:
    """Runs epochs in turn, after one warm-up each, and returns the seconds of each."""
    for run_epoch in epochs.values():
        run_epoch()
    seconds: dict[str, list[float]] = {name: [] for name in epochs}
    for _ in range(count):
        for name, run_epoch in epochs.items():
            begin = time.perf_counter()
            run_epoch()
            seconds[name].append(time.perf_counter() - begin)
    return seconds


def _compare(setting: Setting, seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Returns medians, ratios, and the comparison with the speed of matrix products."""
    medians = {name: float(np.median(values)) for name, values in seconds.items()}
    ceiling = operations_per_second()
    operations = operations_per_image(setting) * setting.num_steps * setting.batch_size
    result: dict[str, Any] = {
        "seconds": seconds,
        "median_seconds": medians,
        "ceiling_gflops": ceiling / 1e9,
        "floor_seconds": operations / ceiling,
        "fraction_of_ceiling": operations / medians["repara"] / ceiling,
    }
    if "torch" in medians:
        result["ratio_to_torch"] = medians["repara"] / medians["torch"]
        result["ratios"] = np.divide(seconds["repara"], seconds["torch"]).tolist()
    return result


def _print_table(result: dict[str, Any], num_images: int) -> None:
    print(f"{result['device']}, jax {result['jax']}")
    print("| | seconds per epoch | images/s |\n|---|---|---|")
    for name, value in result["median_seconds"].items():
        print(f"| {name} | {value:.2f} | {num_images / value:,.0f} |")
    if "ratios" in result:
        ratios = result["ratios"]
        print(
            f"ratio {result['ratio_to_torch']:.2f} (epoch by epoch {min(ratios):.2f} to "
            f"{max(ratios):.2f})"
        )
    print(
        f"matrix products reach {result['ceiling_gflops']:.0f} GFLOP/s on this machine, so an "
        f"epoch takes at least {result['floor_seconds']:.2f} s; training reaches "
        f"{100 * result['fraction_of_ceiling']:.0f}% of that speed; the first call took "
        f"{result['first_call_seconds']:.1f} s; the epoch needs "
        f"{result['memory_bytes'] / 2**20:.0f} MiB in addition to data and state"
    )


def _make_repara_epoch(setting: Setting, images: np.ndarray) -> tuple[Callable[[], None], int]:
    """Compiles the epoch of `experiments.vae`; also returns its memory without its arguments."""
    flags = vae.Config(
        objective="elbo" if setting.num_samples == 1 else "iwae",
        num_samples=setting.num_samples,
        hidden_sizes=setting.hidden_sizes,
        latent_dim=setting.latent_dim,
        batch_size=setting.batch_size,
        epochs=1,
    )
    experiment = resolve_vae(flags, DataFacts(images.mean(axis=0) / 255, len(images)))
    model, optimizer = experiment.model, experiment.optimizer
    mesh = training.data_mesh(1)
    params = model.init(jax.random.key(0), images.shape[1:])
    state = training.replicate(training.init_state(params, optimizer), mesh)
    data, key = (training.replicate(x, mesh) for x in (images, jax.random.key(1)))
    epoch = training.make_epoch(
        training.make_train_step(make_loss(model, experiment.objective), optimizer),
        num_examples=len(images),
        batch_size=setting.batch_size,
        mesh=mesh,
    )
    compiled = epoch.lower(state, data, key).compile()  # type: ignore[attr-defined]

    def run_epoch() -> None:
        nonlocal state
        state, metrics = compiled(state, data, key)
        jax.block_until_ready(metrics)

    return run_epoch, compiled.memory_analysis().temp_size_in_bytes
