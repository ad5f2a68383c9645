"""Launches the experiment: `python -m experiments.policy_gradient --flags`."""

from collections.abc import Sequence

from experiments.harness.configuration import launch, read_flags
from experiments.policy_gradient import Config, NonFiniteReturnError, run

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> None:
    """Parses the flags and runs the experiment; a mistake ends in one line.

    Args:
      argv: the arguments after the name of the program; by default those of the command line.
    """
    launch(
        "policy_gradient",
        Config,
        lambda: run(Config(**read_flags(Config))),
        errors=(NonFiniteReturnError,),
        argv=argv,
    )


if __name__ == "__main__":
    main()
