"""Seconds of soft actor-critic on the pendulum, beside Stable-Baselines3's.

Both run the same number of environment steps with one gradient step each, on networks of the same
sizes with the same minibatches and rates, one seed, in one process. Parts of the two alternate.
Stable-Baselines3 is optional; it steps Gymnasium's Pendulum-v1, ours the same equations in jax.
"""

import dataclasses
import json
import os
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments import policy_gradient
from experiments.benchmark.sampling import machine
from experiments.harness.configuration import option
from experiments.harness.run_directory import write_atomically
from experiments.policy_gradient import actor_critic
from experiments.policy_gradient.environments.pendulum import pendulum

__all__ = ["Config", "run"]


@dataclasses.dataclass(frozen=True)
class Config:
    """The flags of the benchmark."""

    steps: int = option(12_000, "environment steps of each, a multiple of --parts", low=1)
    parts: int = option(6, "pieces into which the steps are cut", low=1)
    batch_size: int = option(128, "rows a gradient step", low=2)
    hidden_sizes: tuple[int, ...] = option((64, 64), "widths of the hidden layers", low=1)
    platform: str = option(
        "default", "where jax runs", choices=("default", "cpu", "cuda", "gpu", "tpu")
    )
    output: str | None = option(None, "JSON file for the figures")


def run(config: Config) -> dict[str, Any]:
    """Runs the benchmark and prints its table.

    Args:
      config: the flags.

    Returns:
      The figures: seconds of each part and in all, with and without compilation, and their ratios.
    """
    if config.platform != "default":
        jax.config.update("jax_platforms", config.platform)
    flags = policy_gradient.Config(
        num_seeds=1,
        batch_size=config.batch_size,
        hidden_sizes=config.hidden_sizes,
        evaluate_every=config.steps // config.parts,
    )
    begin = time.perf_counter()
    ours = _ours(flags)
    compile_seconds = time.perf_counter() - begin
    programs = {"repara": ours}
    try:
        programs["stable-baselines3"] = _theirs(flags)
    except ImportError:
        print("stable-baselines3 is not installed: its column is left out")
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for part in range(config.parts):
        for name, program in programs.items():
            begin = time.perf_counter()
            program(part)
            seconds[name].append(time.perf_counter() - begin)
    steps = flags.evaluate_every * config.parts
    result: dict[str, Any] = {
        "machine": f"{machine()}, {os.cpu_count()} cores",
        "steps": steps,
        "compile_seconds": compile_seconds,
        "seconds": seconds,
    }
    print(f"{result['machine']}; {steps} steps, each with a gradient step\n")
    print("| | seconds | steps/s |\n|---|---|---|")
    for name, values in seconds.items():
        print(f"| {name} | {sum(values):.1f} | {steps / sum(values):,.0f} |")
    print(f"compiled in {compile_seconds:.1f} s")
    if len(seconds) > 1:
        pairs = np.divide(seconds["repara"], seconds["stable-baselines3"])
        theirs = sum(seconds["stable-baselines3"])
        result["ratio"] = sum(seconds["repara"]) / theirs
        result["ratio_with_compilation"] = (sum(seconds["repara"]) + compile_seconds) / theirs
        result["ratios"] = pairs.tolist()
        print(
            f"ratio {result['ratio']:.3f} (part by part {pairs.min():.3f} to {pairs.max():.3f}), "
            f"{result['ratio_with_compilation']:.3f} with compilation"
        )
    if config.output:
        write_atomically(Path(config.output), json.dumps(result, indent=2) + "\n")
    return result


def _ours(flags: policy_gradient.Config) -> Any:
    """The epoch that `experiments.policy_gradient` trains with, compiled."""
    environment = pendulum()
    keys = jax.random.split(jax.random.key(flags.seed), 1)
    state = jax.jit(jax.vmap(lambda k: actor_critic.init(flags, environment, k)))(keys)
    compiled = (
        policy_gradient.make_epoch(flags, environment).lower(state, jnp.int32(0), keys).compile()
    )

    def part(index: int) -> None:
        nonlocal state
        state, metrics = compiled(state, jnp.int32(index * flags.evaluate_every), keys)
        jax.block_until_ready(metrics)

    return part


def _theirs(flags: policy_gradient.Config) -> Any:
    """Stable-Baselines3 with the same settings."""
    import torch
    from stable_baselines3 import SAC

    # Its fastest on matrices as small as these; with more, threads wait for each other.
    torch.set_num_threads(1)
    model = SAC(
        "MlpPolicy",
        "Pendulum-v1",
        learning_rate=flags.learning_rate,
        buffer_size=flags.replay_size,
        learning_starts=flags.learning_starts,
        batch_size=flags.batch_size,
        tau=flags.target_rate,
        gamma=flags.discount,
        policy_kwargs={"net_arch": list(flags.hidden_sizes)},
        device="cpu" if jax.default_backend() == "cpu" else "auto",
        seed=flags.seed,
    )

    def part(index: int) -> None:
        model.learn(flags.evaluate_every, reset_num_timesteps=index == 0)

    return part
