"""The model and its training as commonly written in PyTorch, with the data in memory."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from experiments.benchmark.training.config import Setting
from experiments.benchmark.training.matrix_products import PIXELS

__all__ = ["make_torch_epoch"]


def make_torch_epoch(setting: Setting, images: np.ndarray, *, on_cpu: bool) -> Callable[[], None]:
    """Builds the model in PyTorch.

    Args:
      setting: the model and its training.
      images: uint8 [N, 28, 28, 1].
      on_cpu: whether to use the CPU even if there is a GPU.

    Returns:
      A function that trains for one epoch and waits for its end.

    Raises:
      ImportError: PyTorch is not installed.
    """
    import torch

    device = "cuda" if torch.cuda.is_available() and not on_cpu else "cpu"
    data = torch.from_numpy(images.reshape(len(images), -1)).to(device)
    encoder, loc, log_scale, decoder = (m.to(device) for m in _modules(setting))
    parameters = [p for m in (encoder, loc, log_scale, decoder) for p in m.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=1e-3)
    loss_function = _elbo_loss if setting.num_samples == 1 else _importance_weighted_loss
    size, steps = setting.batch_size, setting.num_steps

    def run_epoch() -> None:
        order = torch.randperm(len(data), device=device)[: steps * size]
        for indices in order.reshape(steps, size):
            x = torch.bernoulli(data[indices].float() / 255)
            h = encoder(x)
            loss = loss_function(decoder, x, loc(h), log_scale(h), setting.num_samples)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()

    return run_epoch


def _modules(setting: Setting) -> tuple[Any, Any, Any, Any]:
    """Returns the encoder's trunk, its two outputs (loc and log scale), and the decoder."""
    from torch import nn

    def layers(sizes: list[int]) -> list[Any]:
        pairs = itertools.pairwise(sizes)
        return [m for a, b in pairs for m in (nn.Linear(a, b), nn.Tanh())]

    sizes, latent_dim = list(setting.hidden_sizes), setting.latent_dim
    encoder = nn.Sequential(*layers([PIXELS, *sizes]))
    loc, log_scale = (nn.Linear(sizes[-1], latent_dim) for _ in range(2))
    decoder = nn.Sequential(*layers([latent_dim, *sizes[::-1]]), nn.Linear(sizes[0], PIXELS))
    return encoder, loc, log_scale, decoder


def _elbo_loss(decoder: Any, x: Any, loc: Any, log_scale: Any, num_samples: int) -> Any:
    import torch
    from torch.nn import functional

    del num_samples  # 1
    z = loc + log_scale.exp() * torch.randn_like(loc)
    reconstruction = functional.binary_cross_entropy_with_logits(decoder(z), x, reduction="sum")
    kl = 0.5 * (loc**2 + (2 * log_scale).exp() - 1 - 2 * log_scale).sum()
    return (reconstruction + kl) / len(x)


def _importance_weighted_loss(
    decoder: Any, x: Any, loc: Any, log_scale: Any, num_samples: int
) -> Any:
    import torch
    from torch.nn import functional

    eps = torch.randn(num_samples, *loc.shape, device=loc.device)
    z = loc + log_scale.exp() * eps
    cross_entropy = functional.binary_cross_entropy_with_logits(
        decoder(z), x.expand(num_samples, *x.shape), reduction="none"
    ).sum(-1)
    # log p(z) - log q(z | x); the constants cancel.
    log_ratio = (log_scale + 0.5 * (eps**2 - z**2)).sum(-1)
    return -(torch.logsumexp(log_ratio - cross_entropy, 0) - math.log(num_samples)).mean()
