r"""Learns to control systems by gradients through sampled actions, or by score functions.

    python -m experiments.policy_gradient                          # SAC on the pendulum, 5 seeds
    python -m experiments.policy_gradient --algorithm=svg --steps=4000
    python -m experiments.policy_gradient --environment=cartpole --steps=40000

The same command with the same --workdir continues a run that was stopped. With more --steps it
continues a run that was complete.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.epochs import non_finite_message, run_epochs
from experiments.harness.progress import print_line
from experiments.harness.run_directory import RunDirectory
from experiments.harness.runs import Run, open_run, result_if_complete, run_keys
from experiments.policy_gradient import actor_critic, evaluation
from experiments.policy_gradient.config import Config, Problem, resolve

__all__ = ["NonFiniteReturnError", "run"]

# Episodes per seed for the learning curve; the result has more.
_CURVE_EPISODES = 50


class NonFiniteReturnError(RuntimeError):
    """A reward or a loss became infinite or NaN; names the step and the last good checkpoint."""


def run(config: Config) -> dict[str, Any]:
    """Runs an experiment as `python -m experiments.policy_gradient` does.

    Args:
      config: the flags. Without `workdir` the run makes a new one.

    Returns:
      The content of `result.json`, and "workdir".

    Raises:
      ConfigError: a flag is out of range, or contradicts another or the run that is in `workdir`.
      NonFiniteReturnError: a reward or a loss became infinite or NaN.

    Example:
      from experiments import policy_gradient
      result = policy_gradient.run(policy_gradient.Config(algorithm="svg", workdir="runs/mine"))
    """
    problem = resolve(config)
    # There is no data; a longer run begins with the shorter one.
    opened = open_run("policy_gradient", config, "", may_grow=("steps",))
    keys = run_keys(config.seed)
    result_key, curve_key = jax.random.split(keys.evaluate)
    init = jax.vmap(lambda k: actor_critic.init(problem.algorithm, problem.environment, k))
    state = jax.jit(init)(jax.random.split(keys.init, config.num_seeds))
    epoch, state = opened.restore(state)
    epochs = config.steps // config.evaluate_every
    result = result_if_complete(opened, epoch, epochs, "more --steps continue it")
    if result is not None:
        return result
    state = _train(config, problem, opened, state, epoch, keys.train, curve_key)
    opened.checkpoints.close()
    return _report(config, problem, opened.directory, state.params["policy"], result_key)


def _train(
    config: Config,
    problem: Problem,
    opened: Run,
    state: actor_critic.State,
    done: int,
    train_key: jax.Array,
    curve_key: jax.Array,
) -> actor_critic.State:
    """Runs the epochs after the first `done` ones."""
    seed_keys = jax.random.split(train_key, config.num_seeds)
    policy, every = problem.algorithm.policy, config.evaluate_every
    returns = evaluation.make_returns(problem.environment, policy, _CURVE_EPISODES)

    def report(
        epoch: int, state: actor_critic.State, metrics: Any, seconds: float
    ) -> tuple[dict[str, Any], dict[str, str]]:
        values = jax.device_get(metrics)
        bad_step = int(values.pop("first_bad_step"))
        # The same first states in every epoch: only the policy changes the curve.
        episodes = np.asarray(returns(state.params["policy"], curve_key), np.float64)
        means = np.mean(episodes, axis=1)
        if bad_step < 0 and not np.all(np.isfinite(means)):
            bad_step = epoch * every
        if bad_step >= 0:
            remedy = "A smaller --learning_rate"
            raise NonFiniteReturnError(
                non_finite_message("return", bad_step, epoch, opened.checkpoints, remedy)
            )
        line: dict[str, Any] = {"epoch": epoch, "step": epoch * every}
        line |= {f"train_{k}": float(np.mean(v)) for k, v in values.items()}
        line |= {"return": float(np.mean(means)), "returns": means.tolist()}
        rate = config.num_seeds * every / seconds
        shown = {"return": f"{line['return']:.1f}", "worst": f"{min(means):.1f}"}
        return line, {**shown, "steps/s": f"{rate:.0f}"}

    return run_epochs(
        opened,
        actor_critic.make_epoch(problem.algorithm, problem.environment, every),
        state,
        done=done,
        epochs=config.steps // every,
        checkpoint_every=config.checkpoint_every,
        arguments=lambda epoch: (jnp.int32((epoch - 1) * every), seed_keys),
        report=report,
    )


def _report(
    config: Config, problem: Problem, directory: RunDirectory, policies: Any, key: jax.Array
) -> dict[str, Any]:
    """Evaluates the policies, writes result.json and the figure, and prints a summary."""
    environment, policy = problem.environment, problem.algorithm.policy
    returns = evaluation.make_returns(environment, policy, config.num_eval_episodes)(policies, key)
    metrics = directory.read_metrics()
    result: dict[str, Any] = {
        "algorithm": config.algorithm,
        "environment": config.environment,
        "steps": config.steps,
        "num_eval_episodes": config.num_eval_episodes,
        **evaluation.summary("return", np.asarray(returns)),
    }
    if environment.optimal_return is not None:
        result["optimal_return"] = environment.optimal_return
    peer_returns = evaluation.gymnasium_returns(
        environment, policy, policies, config.num_eval_episodes, config.seed
    )
    if peer_returns is not None:
        result |= evaluation.summary("gymnasium_return", peer_returns)
    result |= {
        "train_seconds": math.fsum(m["seconds"] for m in metrics),
        "device": jax.devices()[0].device_kind,
    }
    directory.write_result(result)
    if directory.is_writer:
        evaluation.draw_learning_curves(directory.plots / "learning_curves.png", metrics)
    name = "gymnasium_return" if "gymnasium_return" in result else "return"
    shown = ", ".join(f"{x:.1f}" for x in result[name])
    print_line(
        f"{name} {shown} after {config.steps} steps, {result['train_seconds']:.1f} s of training "
        f"for {config.num_seeds} seeds"
    )
    print_line(f"result.json and plots/ are in {directory.path}")
    return {**result, "workdir": str(directory.path)}
