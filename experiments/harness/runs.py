"""Opens a run, new or continued: its directory, its checkpoints, its keys."""

from typing import Any, NamedTuple, TypeVar

import jax

from experiments.harness.checkpoints import Checkpoints
from experiments.harness.progress import print_line
from experiments.harness.run_directory import RunDirectory, fresh_workdir

__all__ = ["Run", "RunKeys", "open_run", "result_if_complete", "run_keys"]

State = TypeVar("State")


class Run(NamedTuple):
    """A run that is open: where its files go and what it saved so far.

    Attributes:
      directory: the run directory.
      checkpoints: the checkpoints in it.
    """

    directory: RunDirectory
    checkpoints: Checkpoints

    def restore(self, initial_state: State) -> tuple[int, State]:
        """Restores the newest undamaged checkpoint, if there is one.

        Args:
          initial_state: the state of a new run, with the structure of the saved ones.

        Returns:
          The number of complete epochs, 0 for a new run, and the state after them.
        """
        return self.checkpoints.restore(initial_state, print_line) or (0, initial_state)


def open_run(name: str, config: Any, data_sha256: str, *, may_grow: tuple[str, ...] = ()) -> Run:
    """Opens the run directory of a configuration and records the configuration in it.

    Call it after all other checks, so that a mistake leaves no empty directory behind.

    Args:
      name: the name of the experiment, which begins the name of a fresh directory.
      config: the configuration, a dataclass of `option` fields with a `workdir`; if that is None,
        a fresh directory is made.
      data_sha256: the digest of the training data; "" if there is none.
      may_grow: numeric fields that may be larger than in the run that is continued, besides the
        fields declared with `may_change`.

    Returns:
      The run.

    Raises:
      ConfigError: the directory cannot be written, or it has a run with another configuration.

    Example:
      run = open_run("topic_model", config, digest, may_grow=("epochs",))
      epoch, state = run.restore(initial_state)
      if (result := result_if_complete(run, epoch, config.epochs, "more --epochs continue it")):
          return result
    """
    directory = RunDirectory(config.workdir or fresh_workdir(name))
    directory.write_or_check_config(config, data_sha256, may_grow=may_grow)
    return Run(directory, Checkpoints(directory.path / "checkpoints"))


def result_if_complete(run: Run, done: int, total: int, advice: str) -> dict[str, Any] | None:
    """Returns the result of a complete run; prints how any other run continues.

    Args:
      run: the run.
      done: the number of complete epochs.
      total: the number of epochs that the configuration asks for.
      advice: a clause that tells the user how to go on, printed if the run is complete.

    Returns:
      The content of `result.json` with "workdir", or None if there is more to do.
    """
    path, result = run.directory.path, run.directory.read_result()
    if result is not None and done >= total:
        print_line(f"{path} is complete; {advice}")
        return {**result, "workdir": str(path)}
    if done:
        print_line(f"continuing {path} after epoch {done}")
    return None


class RunKeys(NamedTuple):
    """The keys of a run, one for each purpose.

    Attributes:
      init: for the initial parameters.
      train: for training; the key of a step is `fold_in(train, step)`.
      evaluate: for evaluation.
      draw: for figures and samples.
    """

    init: jax.Array
    train: jax.Array
    evaluate: jax.Array
    draw: jax.Array


def run_keys(seed: int | jax.Array) -> RunKeys:
    """Returns the keys of a run.

    Args:
      seed: the seed; an array of seeds is mapped over with `jax.vmap`.
    """
    return RunKeys(*jax.random.split(jax.random.key(seed), len(RunKeys._fields)))
