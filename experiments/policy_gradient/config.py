"""The configuration of the experiment, and the records it resolves to."""

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple

from experiments.harness.configuration import ConfigError, option, validate
from experiments.policy_gradient.actor_critic import Algorithm
from experiments.policy_gradient.environments.cartpole import cartpole
from experiments.policy_gradient.environments.environment import Environment
from experiments.policy_gradient.environments.lqr import lqr
from experiments.policy_gradient.environments.pendulum import pendulum
from experiments.policy_gradient.networks import Policy, TwinCritic
from experiments.policy_gradient.objectives import (
    PolicyObjective,
    reinforce_objective,
    sac_objective,
    svg_objective,
)
from repara import estimators

__all__ = ["Config", "Problem", "resolve"]

_ENVIRONMENTS: dict[str, Callable[[], Environment]] = {
    "pendulum": pendulum,
    "cartpole": cartpole,
    "lqr": lqr,
}
# The estimators of REINFORCE. The baseline "value" is subtracted by the objective itself.
_SCORE_FUNCTIONS: dict[str, Callable[..., estimators.Surrogate]] = {
    "leave_one_out": functools.partial(estimators.score_function, baseline="leave_one_out"),
    "moving_average": functools.partial(estimators.score_function, baseline="moving_average"),
    "value": estimators.score_function,
    "none": estimators.score_function,
}


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that determines a run; the fields are the flags.

    Example:
      >>> Config(environment="lqr").algorithm
      'sac'
    """

    algorithm: str = option(
        "sac",
        "gradient of the policy: sac, through a learned critic; svg, through the environment; "
        "reinforce, by the score function of the same return as svg",
        choices=("sac", "svg", "reinforce"),
    )
    environment: str = option("pendulum", "system to control", choices=tuple(_ENVIRONMENTS))
    workdir: str | None = option(
        None, "run directory; by default a new dated one under runs/", may_change=True
    )
    steps: int = option(12_000, "environment steps per seed", low=1)
    num_seeds: int = option(5, "independent training runs, computed together by vmap", low=1)
    hidden_sizes: tuple[int, ...] = option(
        (64, 64), "widths of the hidden layers of policy and critics", low=1
    )
    learning_rate: float = option(7e-4, "learning rate of Adam", low=0)
    batch_size: int = option(
        128, "replay rows per gradient step; there is one gradient step per environment step", low=2
    )
    discount: float = option(0.99, "discount factor per step", low=0, high=1)
    target_rate: float = option(0.005, "rate of the moving average of the critics", low=0, high=1)
    learning_starts: int = option(100, "steps with random actions before the first gradient", low=1)
    replay_size: int = option(20_000, "steps that the replay holds", low=1)
    lookahead: int = option(16, "environment steps per return, for svg and reinforce", low=1)
    baseline: str = option(
        "value",
        "baseline of reinforce: value, the critic's value of the first state; leave_one_out or "
        "moving_average, from the returns of the batch; none",
        choices=("value", "leave_one_out", "moving_average", "none"),
    )
    seed: int = option(0, "seed of all random numbers", low=0)
    num_eval_episodes: int = option(
        100, "episodes per seed for the returns in the result", low=2, may_change=True
    )
    evaluate_every: int = option(500, "steps between evaluations; this is an epoch", low=1)
    checkpoint_every: int = option(4, "epochs between checkpoints", low=1, may_change=True)


class Problem(NamedTuple):
    """The records that a configuration resolves to.

    Attributes:
      environment: the system to control.
      algorithm: the networks and how they are trained.
    """

    environment: Environment
    algorithm: Algorithm


def resolve(config: Config) -> Problem:
    """Checks a configuration and resolves it to typed records.

    Args:
      config: the flags.

    Returns:
      The problem.

    Raises:
      ConfigError: a flag is out of range or contradicts another.

    Example:
      >>> resolve(Config(environment="lqr")).environment.horizon
      50
    """
    validate(config)
    if config.steps % config.evaluate_every:
        raise ConfigError(
            f"--steps={config.steps}: must be a multiple of --evaluate_every="
            f"{config.evaluate_every}"
        )
    environment = _ENVIRONMENTS[config.environment]()
    policy = Policy(config.hidden_sizes, environment.action_size)
    algorithm = Algorithm(
        policy=policy,
        critic=TwinCritic(config.hidden_sizes),
        objective=_policy_objective(config, environment, policy),
        learning_rate=config.learning_rate,
        batch_size=config.batch_size,
        discount=config.discount,
        target_rate=config.target_rate,
        learning_starts=config.learning_starts,
        replay_size=config.replay_size,
    )
    return Problem(environment, algorithm)


def _policy_objective(config: Config, environment: Environment, policy: Policy) -> PolicyObjective:
    """Returns the objective of the policy, the only difference between the algorithms."""
    lookahead, discount = config.lookahead, config.discount
    if config.algorithm == "sac":
        return sac_objective(environment, policy)
    if config.algorithm == "svg":
        return svg_objective(environment, policy, lookahead=lookahead, discount=discount)
    return reinforce_objective(
        environment,
        policy,
        lookahead=lookahead,
        discount=discount,
        estimator=_SCORE_FUNCTIONS[config.baseline],
        value_baseline=config.baseline == "value",
    )
