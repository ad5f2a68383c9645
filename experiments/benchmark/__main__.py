"""Launches a benchmark: `python -m experiments.benchmark NAME --flags`."""

import sys
from collections.abc import Sequence

from experiments.benchmark.config import NAMES, Config, load
from experiments.benchmark.run import run
from experiments.harness.configuration import launch, read_flags

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> None:
    """Parses the name of a benchmark and its flags, and runs it; a mistake ends in one line.

    Args:
      argv: the arguments after the name of the program; by default those of the command line.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    name = arguments[0] if arguments else None
    if name not in NAMES:
        shown = "nothing" if name is None else repr(name)
        raise SystemExit(f"benchmark: expected one of {', '.join(NAMES)}, got {shown}")
    config_class = load(name).config_class
    launch(
        f"benchmark {name}",
        config_class,
        lambda: run(Config(name, read_flags(config_class))),
        argv=arguments[1:],
    )


if __name__ == "__main__":
    main()
