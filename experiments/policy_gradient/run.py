r"""Learns to control by gradients that pass, or do not pass, through sampled actions.

    python -m experiments.policy_gradient                          # SAC on the pendulum, 5 seeds
    python -m experiments.policy_gradient --algorithm=svg --steps=4000
    python -m experiments.policy_gradient --environment=cartpole --steps=40000

The same command with the same --workdir continues a run that was stopped; with more --steps it
continues one that was complete.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.configuration import ConfigError, option, read_flags, validate
from experiments.harness.epochs import non_finite_message, run_epochs
from experiments.harness.progress import print_line
from experiments.harness.run_directory import RunDirectory
from experiments.harness.runs import Run, RunKeys, open_run, result_if_complete, run_keys
from experiments.policy_gradient import actor_critic, surrogates
from experiments.policy_gradient.environments import gymnasium_adapter
from experiments.policy_gradient.environments.cartpole import cartpole
from experiments.policy_gradient.environments.environment import Environment, episode_returns
from experiments.policy_gradient.environments.lqr import lqr, optimal_return
from experiments.policy_gradient.environments.pendulum import pendulum
from experiments.policy_gradient.networks import Policy, act

__all__ = ["Config", "NonFiniteReturnError", "run"]

ENVIRONMENTS: dict[str, Callable[[], Environment]] = {
    "pendulum": pendulum,
    "cartpole": cartpole,
    "lqr": lqr,
}

# Episodes a seed for the curve; the result has more.
_CURVE_EPISODES = 50


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that determines a run; the fields are the flags."""

    algorithm: str = option(
        "sac",
        "gradient of the policy: sac through a learnt critic; svg through the environment; "
        "reinforce by the score function, for the same return",
        choices=surrogates.ALGORITHMS,
    )
    environment: str = option("pendulum", "what is controlled", choices=tuple(ENVIRONMENTS))
    workdir: str | None = option(
        None, "run directory; by default a fresh dated one under runs/", may_change=True
    )
    steps: int = option(12_000, "steps in the environment of each seed", low=1)
    num_seeds: int = option(5, "independent runs, at once", low=1)
    hidden_sizes: tuple[int, ...] = option(
        (64, 64), "widths of the hidden layers of policy and critics", low=1
    )
    learning_rate: float = option(7e-4, "of Adam", low=0)
    batch_size: int = option(128, "rows of the replay a gradient step, one of these a step", low=2)
    discount: float = option(0.99, "of a reward one step later", low=0, high=1)
    target_rate: float = option(0.005, "of the moving average of the critics", low=0, high=1)
    learning_starts: int = option(100, "steps of random actions before the first gradient", low=1)
    replay_size: int = option(20_000, "steps that are remembered", low=1)
    lookahead: int = option(
        16, "steps of the environment in a return, for svg and reinforce", low=1
    )
    baseline: str = option(
        "value", "of reinforce: the critic's value of the first state, or that of the batch",
        choices=surrogates.BASELINES,
    )  # fmt: skip
    seed: int = option(0, "seed of everything", low=0)
    num_eval_episodes: int = option(100, "episodes a seed of the result", low=2, may_change=True)
    evaluate_every: int = option(500, "steps between evaluations, an epoch", low=1)
    checkpoint_every: int = option(4, "epochs between checkpoints", low=1, may_change=True)


class NonFiniteReturnError(RuntimeError):
    """A reward or a loss became infinite or NaN; names the step and the last good checkpoint."""


def run(config: Config) -> dict[str, Any]:
    """Runs an experiment as `python -m experiments.policy_gradient` does.

    Args:
      config: the configuration. Without `workdir` the run makes a fresh one.

    Returns:
      What `result.json` holds, with "workdir".

    Raises:
      ConfigError: a flag is out of range, or contradicts another or the run that is in `workdir`.
      NonFiniteReturnError: a reward or a loss became infinite or NaN.

    Example:
      from experiments import policy_gradient
      result = policy_gradient.run(policy_gradient.Config(algorithm="svg", workdir="runs/mine"))
    """
    validate(config)
    if config.steps % config.evaluate_every:
        raise ConfigError(
            f"--steps={config.steps}: must be a multiple of --evaluate_every="
            f"{config.evaluate_every}"
        )
    environment = ENVIRONMENTS[config.environment]()
    # There is no data; a longer run begins with the shorter one.
    opened = open_run("policy_gradient", config, "", may_grow=("steps",))
    keys = run_keys(config.seed)
    state = jax.jit(jax.vmap(lambda k: actor_critic.init(config, environment, k)))(
        jax.random.split(keys.init, config.num_seeds)
    )
    epoch, state = opened.restore(state)
    epochs = config.steps // config.evaluate_every
    result = result_if_complete(opened, epoch, epochs, "more --steps continue it")
    if result is not None:
        return result
    state = _train(config, environment, opened, state, epoch, keys)
    opened.checkpoints.close()
    return _report(config, environment, opened.directory, state, keys)


def make_epoch(config: Config, environment: Environment) -> Any:
    """Compiles `evaluate_every` steps of all seeds into one scan.

    The key of a step is `fold_in(key of the seed, step)`: an epoch depends on nothing but the state
    and those keys, and a run continued from a state is bit-for-bit the uninterrupted one.

    Args:
      config: the configuration.
      environment: the problem.

    Returns:
      The compiled epoch `(state, first step, keys [S]) -> (state, metrics)`, whose state argument
      is donated. Metrics are means over the steps, [S]; "first_bad_step" is the first step at which
      one was not finite, -1 for none.
    """
    step = jax.vmap(actor_critic.make_step(config, environment), in_axes=(0, None, 0))
    noise = actor_critic.make_noise(config, environment)

    def epoch(state: Any, first: jax.Array, keys: jax.Array) -> tuple[Any, dict[str, jax.Array]]:
        def draw(t: jax.Array) -> actor_critic.Noise:
            return jax.vmap(lambda key: noise(t, jax.random.fold_in(key, t)))(keys)

        def body(state: Any, now: tuple[jax.Array, Any]) -> tuple[Any, dict[str, jax.Array]]:
            return step(state, *now)

        steps = first + jnp.arange(config.evaluate_every, dtype=jnp.int32)
        state, metrics = jax.lax.scan(body, state, (steps, jax.vmap(draw)(steps)))
        finite = jnp.stack([jnp.all(jnp.isfinite(x), axis=1) for x in metrics.values()])
        fine = jnp.all(finite, axis=0)
        bad = jnp.where(jnp.all(fine), -1, first + jnp.argmin(fine).astype(jnp.int32))
        means = {name: jnp.mean(x, axis=0) for name, x in metrics.items()}
        return state, {**means, "first_bad_step": bad}

    return jax.jit(epoch, donate_argnums=0)


def _make_returns(config: Config, environment: Environment, num_episodes: int) -> Any:
    """`(policies, key) -> [S, num_episodes]`: all seeds begin in the same states."""
    policy = Policy(config.hidden_sizes, environment.action_size)

    @jax.jit
    def returns(policies: Any, key: jax.Array) -> jax.Array:
        return jax.vmap(
            lambda p: episode_returns(environment, lambda o: act(policy, p, o), key, num_episodes)
        )(policies)

    return returns


def _train(
    config: Config,
    environment: Environment,
    opened: Run,
    state: Any,
    done: int,
    keys: RunKeys,
) -> Any:
    run_keys = jax.random.split(keys.train, config.num_seeds)
    returns = _make_returns(config, environment, _CURVE_EPISODES)

    def report(
        epoch: int, state: Any, metrics: Any, seconds: float
    ) -> tuple[dict[str, Any], dict[str, str]]:
        values = jax.device_get(metrics)
        bad = int(values.pop("first_bad_step"))
        # The same first states in every epoch: the curve moves by the policy alone.
        key = jax.random.fold_in(keys.evaluate, 1)
        each = np.mean(np.asarray(returns(state.params["policy"], key), np.float64), axis=1)
        if bad < 0 and not np.all(np.isfinite(each)):
            bad = epoch * config.evaluate_every
        if bad >= 0:
            raise NonFiniteReturnError(
                non_finite_message(
                    "return", bad, epoch, opened.checkpoints, "A smaller --learning_rate"
                )
            )
        line: dict[str, Any] = {"epoch": epoch, "step": epoch * config.evaluate_every}
        line |= {f"train_{k}": float(np.mean(v)) for k, v in values.items()}
        line |= {"return": float(np.mean(each)), "returns": each.tolist()}
        rate = config.num_seeds * config.evaluate_every / seconds
        shown = {"return": f"{line['return']:.1f}", "worst": f"{min(each):.1f}"}
        return line, {**shown, "steps/s": f"{rate:.0f}"}

    return run_epochs(
        opened,
        make_epoch(config, environment),
        state,
        done=done,
        epochs=config.steps // config.evaluate_every,
        checkpoint_every=config.checkpoint_every,
        arguments=lambda epoch: (jnp.int32((epoch - 1) * config.evaluate_every), run_keys),
        report=report,
    )


def _report(
    config: Config, environment: Environment, directory: RunDirectory, state: Any, keys: RunKeys
) -> dict[str, Any]:
    policies = state.params["policy"]
    key = jax.random.fold_in(keys.evaluate, 0)  # not those of the curve
    each = np.asarray(_make_returns(config, environment, config.num_eval_episodes)(policies, key))
    metrics = directory.read_metrics()
    result: dict[str, Any] = {
        "algorithm": config.algorithm,
        "environment": config.environment,
        "steps": config.steps,
        "num_eval_episodes": config.num_eval_episodes,
        **_summary("return", each),
    }
    if config.environment == "lqr":
        result["optimal_return"] = optimal_return()  # expected, for first states at random
    if environment.gymnasium_id is not None:
        if gymnasium_adapter.is_installed():
            policy = Policy(config.hidden_sizes, environment.action_size)
            result |= _summary(
                "gymnasium_return",
                np.stack(
                    [
                        gymnasium_adapter.evaluate(
                            environment,
                            lambda p, o: act(policy, p, o),
                            jax.tree.map(lambda x, i=i: x[i], policies),
                            config.num_eval_episodes,
                            config.seed,
                        )
                        for i in range(config.num_seeds)
                    ]
                ),
            )
        else:
            print_line("gymnasium is not installed: result.json has no gymnasium_return")
    result |= {
        "train_seconds": math.fsum(m["seconds"] for m in metrics),
        "device": jax.devices()[0].device_kind,
    }
    directory.write_result(result)
    if directory.is_writer:
        _draw(metrics, directory)
    name = "gymnasium_return" if "gymnasium_return" in result else "return"
    shown = ", ".join(f"{x:.1f}" for x in result[name])
    print_line(
        f"{name} {shown} after {config.steps} steps, {result['train_seconds']:.1f} s of training "
        f"for {config.num_seeds} seeds"
    )
    print_line(f"result.json and plots/ are in {directory.path}")
    return {**result, "workdir": str(directory.path)}


def _summary(name: str, returns: np.ndarray) -> dict[str, list[float]]:
    """The mean over episodes of each seed, and its standard error."""
    error = np.std(returns, axis=1, ddof=1) / returns.shape[1] ** 0.5
    return {
        name: np.mean(returns, axis=1, dtype=np.float64).tolist(),
        f"{name}_stderr": error.astype(np.float64).tolist(),
    }


def _draw(metrics: list[dict[str, Any]], directory: RunDirectory) -> None:
    from repara import plotting  # matplotlib is slow to import

    steps = [m["step"] for m in metrics]
    seeds = zip(*(m["returns"] for m in metrics), strict=True)
    lines = {f"seed {i}": (steps, list(returns)) for i, returns in enumerate(seeds)}
    losses = {"": (steps, [m["train_critic_loss"] for m in metrics])}
    entropy = {"": (steps, [m["train_entropy"] for m in metrics])}
    plotting.curves(
        directory.plots / "learning_curves.png",
        {"return": lines, "critic loss": losses, "entropy [nats]": entropy},
        "steps in the environment",
    )


def main() -> None:
    """Reads the flags and runs."""
    run(Config(**read_flags(Config)))
