"""Seconds an epoch of a small VAE, beside a plain in-memory PyTorch loop of the same model.

The setting is that of MNIST: 60,000 images of 28x28, an MLP 784-400-20, batch 128, Adam, dynamic
binarization; or, with --num_samples above 1, the importance-weighted bound of so many samples. The
images are random, as the time does not depend on them. Epochs of the two alternate in one process,
and medians are taken after a warm-up. PyTorch is optional.
"""

import dataclasses
import itertools
import json
import math
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments import vae
from experiments.harness.configuration import option
from experiments.harness.run_directory import write_atomically
from experiments.vae.config import DataFacts, resolve
from experiments.vae.objectives import make_loss
from repara import training

_PIXELS = 784


@dataclasses.dataclass(frozen=True)
class Config:
    """The flags of the benchmark."""

    epochs: int = option(5, "counted epochs of each; the median is reported", low=1)
    num_images: int = option(60_000, "training images", low=128)
    batch_size: int = option(128, "images a step", low=1)
    hidden_sizes: tuple[int, ...] = option(
        (400,), "widths of the encoder's hidden layers, the decoder's in reverse", low=1
    )
    latent_dim: int = option(20, "dimension of the latents", low=1)
    num_samples: int = option(
        1, "samples an image; 1: the ELBO, above: the importance-weighted bound", low=1
    )
    platform: str = option(
        "default", "where jax runs", choices=("default", "cpu", "cuda", "gpu", "tpu")
    )
    output: str | None = option(None, "JSON file for the figures")


def run(config: Config) -> dict[str, Any]:
    """Runs the benchmark and prints its table.

    Args:
      config: the flags.

    Returns:
      The figures: seconds an epoch of each, their ratio, the fraction of the matrix-product ceiling
      that is reached, and the memory of the compiled epoch beside the data and the state.
    """
    if config.platform != "default":
        jax.config.update("jax_platforms", config.platform)
    images = np.random.default_rng(0).integers(
        0, 256, (config.num_images, 28, 28, 1), dtype=np.uint8
    )
    begin = time.perf_counter()
    ours, memory = _our_epoch(config, images)
    ours()
    compile_seconds = time.perf_counter() - begin
    peers: dict[str, Callable[[], None]] = {"repara": ours}
    try:
        peers["torch"] = _torch_epoch(config, images)
    except ImportError:
        print("torch is not installed: its column is left out")
    seconds: dict[str, list[float]] = {name: [] for name in peers}
    for epoch in peers.values():
        epoch()
    for _ in range(config.epochs):
        for name, epoch in peers.items():
            begin = time.perf_counter()
            epoch()
            seconds[name].append(time.perf_counter() - begin)
    medians = {name: float(np.median(values)) for name, values in seconds.items()}
    ceiling = _matrix_product_rate()
    products = _products_per_image(config) * (
        config.num_images // config.batch_size * config.batch_size
    )
    device = jax.devices()[0]
    result: dict[str, Any] = {
        "device": f"{device.device_kind}, {os.cpu_count()} cores",
        "jax": jax.__version__,
        "seconds": seconds,
        "median_seconds": medians,
        "first_call_seconds": compile_seconds,
        "memory_bytes": memory,
        "ceiling_gflops": ceiling / 1e9,
        "floor_seconds": products / ceiling,
        "fraction_of_ceiling": products / medians["repara"] / ceiling,
    }
    print(f"{result['device']}, jax {jax.__version__}")
    print("| | seconds an epoch | images/s |\n|---|---|---|")
    for name, value in medians.items():
        print(f"| {name} | {value:.2f} | {config.num_images / value:,.0f} |")
    if "torch" in medians:
        result["ratio_to_torch"] = medians["repara"] / medians["torch"]
        pairs = np.divide(seconds["repara"], seconds["torch"])
        result["ratios"] = pairs.tolist()
        print(f"ratio {result['ratio_to_torch']:.2f} (pair by pair {pairs.min():.2f} to "
              f"{pairs.max():.2f})")  # fmt: skip
    print(
        f"matrix products reach {ceiling / 1e9:.0f} GFLOP/s here, so the floor is "
        f"{result['floor_seconds']:.2f} s; {100 * result['fraction_of_ceiling']:.0f}% of the "
        f"ceiling is reached; first call {compile_seconds:.1f} s, {memory / 2**20:.0f} MiB beside "
        "data and state"
    )
    if config.output:
        write_atomically(Path(config.output), json.dumps(result, indent=2) + "\n")
    return result


def _our_epoch(config: Config, images: np.ndarray) -> tuple[Callable[[], None], int]:
    """The epoch that `experiments.vae` trains with, and the bytes it needs beside its arguments."""
    flags = vae.Config(
        objective="elbo" if config.num_samples == 1 else "iwae",
        num_samples=config.num_samples,
        hidden_sizes=config.hidden_sizes,
        latent_dim=config.latent_dim,
        batch_size=config.batch_size,
        epochs=1,
    )
    experiment = resolve(flags, DataFacts(images.mean(axis=0) / 255, len(images)))
    model, optimizer = experiment.model, experiment.optimizer
    mesh = training.data_mesh(1)
    params = model.init(jax.random.key(0), images.shape[1:])
    state = training.replicate(training.init_state(params, optimizer), mesh)
    data, key = (training.replicate(x, mesh) for x in (images, jax.random.key(1)))
    epoch = training.make_epoch(
        training.make_train_step(make_loss(model, experiment.objective), optimizer),
        num_examples=len(images),
        batch_size=config.batch_size,
        mesh=mesh,
    )
    compiled = epoch.lower(state, data, key).compile()  # type: ignore[attr-defined]

    def run_epoch() -> None:
        nonlocal state
        state, metrics = compiled(state, data, key)
        jax.block_until_ready(metrics)

    return run_epoch, compiled.memory_analysis().temp_size_in_bytes


def _torch_epoch(config: Config, images: np.ndarray) -> Callable[[], None]:
    """The same model and data in PyTorch as it is commonly written, data held in memory."""
    import torch
    from torch import nn
    from torch.nn import functional

    device = "cuda" if torch.cuda.is_available() and config.platform != "cpu" else "cpu"
    data = torch.from_numpy(images.reshape(len(images), -1)).to(device)

    def layers(sizes: list[int]) -> list[Any]:
        pairs = itertools.pairwise(sizes)
        return [m for a, b in pairs for m in (nn.Linear(a, b), nn.Tanh())]

    sizes, latent_dim, k = list(config.hidden_sizes), config.latent_dim, config.num_samples
    encoder = nn.Sequential(*layers([_PIXELS, *sizes])).to(device)
    loc, log_scale = (nn.Linear(sizes[-1], latent_dim).to(device) for _ in range(2))
    decoder = nn.Sequential(*layers([latent_dim, *sizes[::-1]]), nn.Linear(sizes[0], _PIXELS)).to(
        device
    )
    parameters = [p for m in (encoder, loc, log_scale, decoder) for p in m.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=1e-3)
    steps = len(images) // config.batch_size

    def run_epoch() -> None:
        order = torch.randperm(len(data), device=device)[: steps * config.batch_size]
        for indices in order.reshape(steps, config.batch_size):
            x = torch.bernoulli(data[indices].float() / 255)
            h = encoder(x)
            mean, log_sigma = loc(h), log_scale(h)
            if k == 1:
                z = mean + log_sigma.exp() * torch.randn_like(mean)
                reconstruction = functional.binary_cross_entropy_with_logits(
                    decoder(z), x, reduction="sum"
                )
                kl = 0.5 * (mean**2 + (2 * log_sigma).exp() - 1 - 2 * log_sigma).sum()
                loss = (reconstruction + kl) / config.batch_size
            else:
                eps = torch.randn(k, *mean.shape, device=device)
                z = mean + log_sigma.exp() * eps
                score = functional.binary_cross_entropy_with_logits(
                    decoder(z), x.expand(k, *x.shape), reduction="none"
                ).sum(-1)
                # log p(z) - log q(z | x): the constants cancel
                excess = (log_sigma + 0.5 * (eps**2 - z**2)).sum(-1)
                loss = -(torch.logsumexp(excess - score, 0) - math.log(k)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()

    return run_epoch


def _products_per_image(config: Config) -> float:
    """Floating-point operations in matrix products, forward and backward, for one image."""

    def forward(sizes: Iterable[int]) -> int:
        return sum(2 * a * b for a, b in itertools.pairwise(sizes))

    hidden = config.hidden_sizes
    encoder = forward([_PIXELS, *hidden, 2 * config.latent_dim])
    decoder = forward([config.latent_dim, *hidden[::-1], _PIXELS]) * config.num_samples
    # Backward has two products a layer, but for the gradient of the images, which is not needed.
    return 3 * (encoder + decoder) - 2 * _PIXELS * hidden[0]


def _matrix_product_rate() -> float:
    """Floating-point operations a second in a large matrix product."""
    n, repeats = 2048, 5
    a = jnp.ones((n, n))
    product = jax.jit(jnp.matmul)
    product(a, a).block_until_ready()
    best = 0.0
    for _ in range(repeats):
        begin = time.perf_counter()
        product(a, a).block_until_ready()
        best = max(best, 2 * n**3 / (time.perf_counter() - begin))
    return best
