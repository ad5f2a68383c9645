"""Launches the experiment: `python -m experiments.gradient_variance --flags`."""

from collections.abc import Sequence

from experiments.gradient_variance import Config, run
from experiments.harness.configuration import launch, read_flags

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> None:
    """Parses the flags and runs the experiment; a mistake ends in one line.

    Args:
      argv: the arguments after the name of the program; by default those of the command line.
    """
    launch("gradient_variance", Config, lambda: run(Config(**read_flags(Config))), argv=argv)


if __name__ == "__main__":
    main()
