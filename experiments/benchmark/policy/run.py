"""Times soft actor-critic on the pendulum, compared with Stable-Baselines3.

Both take the same number of environment steps with one gradient step per environment step, on
networks of the same sizes with the same minibatches and rates, one seed, in one process. Parts of
the two runs alternate. Stable-Baselines3 steps Gymnasium's Pendulum-v1; repara steps the same
equations in jax. If Stable-Baselines3 is not installed, its column is left out.
"""

import json
import os
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments import policy_gradient
from experiments.benchmark import machine
from experiments.benchmark.policy.config import Config, resolve
from experiments.harness.run_directory import write_atomically
from experiments.policy_gradient import actor_critic
from experiments.policy_gradient.config import resolve as resolve_policy_gradient

__all__ = ["run"]


def run(config: Config) -> dict[str, Any]:
    """Runs the benchmark and prints its table.

    Args:
      config: the flags.

    Returns:
      The seconds of each part and of the compilation. If Stable-Baselines3 is installed, also the
      ratios of repara's seconds to its seconds: with and without compilation, and part by part.

    Raises:
      ConfigError: a flag is out of range, or --steps is no multiple of --parts.
    """
    settings = resolve(config)
    machine.use_platform(settings.platform)
    begin = time.perf_counter()
    programs = {"repara": _repara_program(settings.policy_gradient)}
    compile_seconds = time.perf_counter() - begin
    try:
        programs["stable-baselines3"] = _stable_baselines3_program(settings.policy_gradient)
    except ImportError:
        print("stable-baselines3 is not installed: its column is left out")
    seconds = _time_parts(programs, settings.parts)
    result: dict[str, Any] = {
        "machine": f"{machine.describe()}, {os.cpu_count()} cores",
        "steps": settings.policy_gradient.steps,
        "compile_seconds": compile_seconds,
        "seconds": seconds,
    }
    if "stable-baselines3" in seconds:
        result |= _ratios(seconds["repara"], seconds["stable-baselines3"], compile_seconds)
    _print_table(result)
    if settings.output is not None:
        write_atomically(settings.output, json.dumps(result, indent=2) + "\n")
    return result


def _time_parts(programs: dict[str, Callable[[int], None]], parts: int) -> dict[str, list[float]]:
    """Runs the parts of all programs in turn and returns the seconds of each."""
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for part in range(parts):
        for name, program in programs.items():
            begin = time.perf_counter()
            program(part)
            seconds[name].append(time.perf_counter() - begin)
    return seconds


def _ratios(
    repara: list[float], stable_baselines3: list[float], compile_seconds: float
) -> dict[str, Any]:
    total = sum(stable_baselines3)
    return {
        "ratio": sum(repara) / total,
        "ratio_with_compilation": (sum(repara) + compile_seconds) / total,
        "ratios": np.divide(repara, stable_baselines3).tolist(),
    }


def _print_table(result: dict[str, Any]) -> None:
    steps = result["steps"]
    print(f"{result['machine']}; {steps} steps, each with a gradient step\n")
    print("| | seconds | steps/s |\n|---|---|---|")
    for name, values in result["seconds"].items():
        print(f"| {name} | {sum(values):.1f} | {steps / sum(values):,.0f} |")
    print(f"compiled in {result['compile_seconds']:.1f} s")
    if "ratio" in result:
        ratios = result["ratios"]
        print(
            f"ratio {result['ratio']:.3f} (part by part {min(ratios):.3f} to {max(ratios):.3f}), "
            f"{result['ratio_with_compilation']:.3f} with compilation"
        )


def _repara_program(flags: policy_gradient.Config) -> Callable[[int], None]:
    """Compiles the epoch of `experiments.policy_gradient`; the program runs one part."""
    environment, algorithm = resolve_policy_gradient(flags)
    keys = jax.random.split(jax.random.key(flags.seed), 1)
    init = jax.vmap(lambda k: actor_critic.init(algorithm, environment, k))
    state = jax.jit(init)(keys)
    epoch = actor_critic.make_epoch(algorithm, environment, flags.evaluate_every)
    compiled = epoch.lower(state, jnp.int32(0), keys).compile()

    def run_part(index: int) -> None:
        nonlocal state
        state, metrics = compiled(state, jnp.int32(index * flags.evaluate_every), keys)
        jax.block_until_ready(metrics)

    return run_part


def _stable_baselines3_program(flags: policy_gradient.Config) -> Callable[[int], None]:
    """Builds Stable-Baselines3's learner with the same settings; the program runs one part."""
    import torch
    from stable_baselines3 import SAC

    # The fastest setting for such small matrices; with more threads, they wait for each other.
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

    def run_part(index: int) -> None:
        model.learn(flags.evaluate_every, reset_num_timesteps=index == 0)

    return run_part
