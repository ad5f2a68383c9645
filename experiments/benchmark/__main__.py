"""Launches a benchmark: `python -m experiments.benchmark NAME --flags`."""

import importlib
import sys

from experiments.harness.configuration import launch, read_flags, validate

# Each is a module of this package with a `Config` and a `run(config)`.
_NAMES = ("policy", "sampling", "topics", "training")


def main() -> None:
    """Reads the name of the benchmark, then its flags, and runs it."""
    if len(sys.argv) < 2 or sys.argv[1] not in _NAMES:
        given = repr(sys.argv[1]) if len(sys.argv) > 1 else "nothing"
        raise SystemExit(f"benchmark: expected one of {', '.join(_NAMES)}, got {given}")
    name = sys.argv[1]
    module = importlib.import_module(f"experiments.benchmark.{name}")

    def run() -> None:
        config = module.Config(**read_flags(module.Config))
        validate(config)
        module.run(config)

    launch(f"benchmark {name}", module.Config, run, argv=sys.argv[2:])


if __name__ == "__main__":
    main()
