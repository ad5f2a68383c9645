"""Launches a benchmark: `python -m experiments.benchmark NAME --flags`."""

import importlib
import sys

from absl import app, flags

from experiments.configuration import ConfigError, define_flags, read_flags, validate

# Each is a module of this package with a `Config` and a `run(config)`.
_NAMES = ("training",)


def main() -> None:
    """Reads the name of the benchmark, then its flags, and runs it."""
    if len(sys.argv) < 2 or sys.argv[1] not in _NAMES:
        given = repr(sys.argv[1]) if len(sys.argv) > 1 else "nothing"
        raise SystemExit(f"benchmark: expected one of {', '.join(_NAMES)}, got {given}")
    name = sys.argv[1]
    module = importlib.import_module(f"experiments.benchmark.{name}")
    define_flags(module.Config)

    def parse(argv: list[str]) -> list[str]:
        try:
            return flags.FLAGS(argv)
        except flags.Error as error:
            raise SystemExit(f"benchmark {name}: {' '.join(str(error).split())}") from None

    def run(argv: list[str]) -> None:
        del argv
        try:
            config = module.Config(**read_flags(module.Config))
            validate(config)
            module.run(config)
        except ConfigError as error:
            raise SystemExit(f"benchmark {name}: {error}") from None

    app.run(run, argv=[f"benchmark {name}", *sys.argv[2:]], flags_parser=parse)


if __name__ == "__main__":
    main()
