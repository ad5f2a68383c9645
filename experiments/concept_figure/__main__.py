"""Launches the experiment: `python -m experiments.concept_figure --flags`."""

from collections.abc import Sequence

from experiments.concept_figure import Config, run
from experiments.harness.configuration import launch, read_flags

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> None:
    """Parses the flags and runs the experiment; a mistake ends in one line.

    Args:
      argv: the arguments after the name of the program; by default those of the command line.
    """
    launch("concept_figure", Config, lambda: run(Config(**read_flags(Config))), argv=argv)


if __name__ == "__main__":
    main()
