"""Lists the experiments: `python -m experiments`."""

import importlib
import pkgutil

import experiments


def main() -> None:
    """Prints the name and the first line of the docstring of every experiment."""
    for module in pkgutil.iter_modules(experiments.__path__):
        if module.ispkg and module.name != "harness":
            package = importlib.import_module(f"experiments.{module.name}")
            print(f"{module.name:18s} {(package.__doc__ or '').splitlines()[0]}")
    print("\npython -m experiments.NAME --helpfull shows the flags of one of them.")


if __name__ == "__main__":
    main()
