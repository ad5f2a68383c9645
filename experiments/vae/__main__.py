r"""Launches the experiment with flags.

    python -m experiments.vae                                       # digits, needs no network
    python -m experiments.vae --dataset=mnist --data_dir=DIR        # MNIST as IDX files in DIR
    python -m experiments.vae --workdir=RUN --mode=evaluate         # the last checkpoint again
    python -m experiments.vae --recipe=vae_mnist_k1 --data_dir=DIR  # a setting of recipes.py
    python -m experiments.vae --workdir=SHARED --coordinator_address=HOST:PORT \
        --num_processes=2 --process_id=0                            # on the first of two hosts

The same command with the same --workdir continues a run that was stopped.
"""

import dataclasses
from collections.abc import Sequence

from absl import flags

from experiments.harness.configuration import ConfigError, launch, read_flags
from experiments.harness.epochs import NonFiniteLossError
from experiments.harness.run_directory import RunDirectory
from experiments.vae.config import Config
from experiments.vae.recipes import RECIPES
from experiments.vae.run import run
from repara.datasets import DatasetError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> None:
    """Parses the flags and runs the experiment; exits with one line if that is not possible.

    Args:
      argv: the arguments after the name of the program; by default those of the command line.
    """
    launch(
        "vae",
        Config,
        lambda: run(_read_config()),
        errors=(DatasetError, NonFiniteLossError),
        argv=argv,
        define_more=_define_recipe,
    )


def _define_recipe() -> None:
    flags.DEFINE_string(
        "recipe",
        None,
        "name of a setting in experiments/vae/recipes.py; other flags on the command line override "
        "the values of the recipe",
    )


def _read_config() -> Config:
    """Combines the defaults, the recipe, the stored run and the flags on the command line."""
    values = read_flags(Config)
    on_command_line = read_flags(Config, only_given=True)
    if (name := flags.FLAGS.recipe) is not None:
        if name not in RECIPES:
            raise ConfigError(f"--recipe={name}: must be one of {', '.join(RECIPES)}")
        values |= {**RECIPES[name].flags, **on_command_line}
    if values["mode"] != "train" and values["workdir"]:
        # The run directory knows how it was trained.
        stored = RunDirectory.read_config(values["workdir"])["flags"]
        trained = {k: tuple(v) if isinstance(v, list) else v for k, v in stored.items()}
        known = {f.name for f in dataclasses.fields(Config)} - on_command_line.keys()
        values |= {k: v for k, v in trained.items() if k in known}
    return Config(**values)


if __name__ == "__main__":
    main()
