"""Optimizers and learning-rate schedules, by the names that the flags give them."""

from collections.abc import Callable

import jax
import optax

__all__ = ["OPTIMIZERS", "SCHEDULES", "learning_rate_schedule", "with_clipping"]

Rate = float | Callable[[jax.Array], jax.Array]
"""A constant learning rate, or an Optax schedule."""


def _trapezoid(rate: float, num_steps: int) -> optax.Schedule:
    """Constant, then linear to 0 over the last three fifths.

    Hagele et al. (2024), "Scaling laws and compute-optimal training beyond fixed training
    durations".
    """
    constant_steps = 2 * num_steps // 5
    return optax.linear_schedule(rate, 0.0, num_steps - constant_steps, constant_steps)


SCHEDULES: dict[str, Callable[[float, int], Rate]] = {
    "constant": lambda rate, num_steps: rate,  # a number: nothing to compute in each step
    "cosine": lambda rate, num_steps: optax.cosine_decay_schedule(rate, num_steps),
    "linear": lambda rate, num_steps: optax.linear_schedule(rate, 0.0, num_steps),
    "trapezoid": _trapezoid,
}
"""`(peak rate, number of steps) -> rate`, by name."""

OPTIMIZERS: dict[str, Callable[[Rate, float], optax.GradientTransformation]] = {
    "adam": lambda rate, weight_decay: optax.adam(rate),
    "adamw": lambda rate, weight_decay: optax.adamw(rate, weight_decay=weight_decay),
    # Muon for matrices and Adam for the other parameters, scaled so that the rate means the same to
    # both (Liu et al. 2025, "Muon is scalable for LLM training", section 2.2). Three steps of the
    # iteration instead of five train these models as well in three fifths of the time; scaling the
    # rows first starts the iteration closer to its limit and trains better at no cost.
    "muon": lambda rate, weight_decay: optax.contrib.muon(
        rate, ns_steps=3, preconditioning="aol", consistent_rms=0.2
    ),
    "rmsprop": lambda rate, weight_decay: optax.rmsprop(rate),
    "sgd": lambda rate, weight_decay: optax.sgd(rate, momentum=0.9),
}
"""`(rate, weight decay) -> optimizer`, by name; only adamw uses the weight decay."""


def learning_rate_schedule(
    schedule: Callable[[float, int], Rate], rate: float, num_steps: int, warmup_steps: int
) -> Rate:
    """Returns the learning rate over a whole run.

    Args:
      schedule: one of `SCHEDULES`.
      rate: the peak rate.
      num_steps: the number of steps of the run.
      warmup_steps: the steps over which the rate first grows linearly from 0; 0 for none.

    Returns:
      A number, or a function of the step.
    """
    after_warmup = schedule(rate, max(1, num_steps - warmup_steps))
    if not warmup_steps:
        return after_warmup
    if not callable(after_warmup):
        after_warmup = optax.constant_schedule(after_warmup)
    warmup = optax.linear_schedule(0.0, rate, warmup_steps)
    return optax.join_schedules([warmup, after_warmup], [warmup_steps])


def with_clipping(
    optimizer: optax.GradientTransformation, largest_norm: float
) -> optax.GradientTransformation:
    """Returns the optimizer behind a clipping of the gradient's global norm.

    Args:
      optimizer: the optimizer.
      largest_norm: the norm to clip at; 0 for no clipping.
    """
    if not largest_norm:
        return optimizer
    return optax.chain(optax.clip_by_global_norm(largest_norm), optimizer)
