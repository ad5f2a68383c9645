"""Launches the experiment: `python -m experiments.topic_model --flags`."""

from collections.abc import Sequence

from experiments.harness.configuration import launch, read_flags
from experiments.topic_model import Config, CorpusError, NonFiniteLossError, run

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> None:
    """Parses the flags and runs the experiment; a mistake ends in one line.

    Args:
      argv: the arguments after the name of the program; by default those of the command line.
    """
    launch(
        "topic_model",
        Config,
        lambda: run(Config(**read_flags(Config))),
        errors=(CorpusError, NonFiniteLossError),
        argv=argv,
    )


if __name__ == "__main__":
    main()
