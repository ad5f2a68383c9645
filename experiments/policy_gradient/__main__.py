"""Launches the experiment: `python -m experiments.policy_gradient --flags`."""

from experiments.harness.configuration import launch, read_flags
from experiments.policy_gradient import Config, NonFiniteReturnError, run

if __name__ == "__main__":
    launch(
        "policy_gradient",
        Config,
        lambda: run(Config(**read_flags(Config))),
        errors=(NonFiniteReturnError,),
    )
