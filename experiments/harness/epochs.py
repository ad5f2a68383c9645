"""The loop over epochs that experiments share: compiles, times, logs, saves and shows each."""

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import jax

from experiments.harness.checkpoints import Checkpoints
from experiments.harness.progress import Progress, event_writer, print_line, write_scalars
from experiments.harness.runs import Run

__all__ = ["NonFiniteLossError", "non_finite_message", "run_epochs"]

State = TypeVar("State")
Metrics = Any
Report = Callable[[int, State, Metrics, float], tuple[dict[str, Any], Mapping[str, str]]]
"""`(epoch, state, metrics, seconds) -> (line of metrics.jsonl, what is shown)`."""


class NonFiniteLossError(RuntimeError):
    """The loss became infinite or NaN; names the step and the last good checkpoint."""


def non_finite_message(
    what: str, step: int, epoch: int, checkpoints: Checkpoints, remedy: str
) -> str:
    """Returns the error line of a run that stops because a number is not finite.

    Args:
      what: the name of the number, for example "loss".
      step: the first step at which it was not finite.
      epoch: the epoch of that step.
      checkpoints: the checkpoints of the run.
      remedy: a clause that names changes that may help.

    Returns:
      One line.
    """
    return (
        f"the {what} is not finite at step {step} (epoch {epoch}); {checkpoints.after_failure()}. "
        f"{remedy} may help"
    )


def run_epochs(
    run: Run,
    epoch_fn: Any,
    state: State,
    *,
    done: int,
    epochs: int,
    checkpoint_every: int,
    arguments: Callable[[int], tuple[Any, ...]],
    report: Report[State],
) -> State:
    """Runs the remaining epochs: compiles, times, logs, saves and shows each.

    Args:
      run: the run; lines of `metrics.jsonl` about epochs after `done` are dropped.
      epoch_fn: a jit-compiled `(state, *arguments) -> (state, metrics)`; the state is donated.
      state: the state after `done` epochs.
      done: the number of complete epochs.
      epochs: the total number of epochs.
      checkpoint_every: epochs between checkpoints; the last epoch always has one.
      arguments: maps the number of an epoch, from 1, to its arguments; arrays on the device.
      report: returns the metrics of a finished epoch to log and to show; the seconds are added. If
        it raises, the run stops and nothing of that epoch is saved.

    Returns:
      The state after the last epoch.
    """
    run.directory.truncate_metrics(done)
    begin = time.perf_counter()
    compiled = epoch_fn.lower(state, *arguments(done + 1)).compile()
    print_line(f"compiled in {time.perf_counter() - begin:.1f} s")
    progress = Progress(epochs, done, "epoch")
    events = None
    try:
        for epoch in range(done + 1, epochs + 1):
            epoch_arguments = arguments(epoch)
            begin = time.perf_counter()
            # Nothing crosses between host and device inside an epoch.
            with jax.transfer_guard("disallow"):
                state, metrics = compiled(state, *epoch_arguments)
                jax.block_until_ready(metrics)
            seconds = time.perf_counter() - begin
            line, shown = report(epoch, state, metrics, seconds)
            line["seconds"] = seconds
            # Metrics first: every epoch in a checkpoint is then in the metrics.
            run.directory.append_metrics(line)
            events = events or event_writer(run.directory, done)
            write_scalars(events, line, epoch)
            if epoch % checkpoint_every == 0 or epoch == epochs:
                run.checkpoints.save(epoch, state)
            progress.update(1, shown)
    finally:
        progress.close()
    if events is not None:
        events.close()
    return state
