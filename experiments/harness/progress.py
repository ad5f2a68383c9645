"""Output of a run while it works: a progress bar, lines on the terminal, TensorBoard events."""

import sys
from collections.abc import Mapping
from typing import Any

import jax

from experiments.harness.run_directory import RunDirectory

__all__ = ["Progress", "event_writer", "print_line", "write_scalars"]


class Progress:
    """A progress bar on a terminal, plain lines otherwise, with the latest metrics."""

    def __init__(self, total: int, done: int, unit: str, stream: Any = None) -> None:
        self._stream = stream or sys.stderr
        self._total, self._done, self._unit = total, done, unit
        self._bar: Any = None
        if self._stream.isatty() and jax.process_index() == 0:
            import tqdm

            self._bar = tqdm.tqdm(
                total=total, initial=done, unit=unit, file=self._stream, dynamic_ncols=True
            )

    def update(self, count: int, values: Mapping[str, str]) -> None:
        """Reports that `count` more are done, with the latest values."""
        self._done += count
        text = " ".join(f"{k}={v}" for k, v in values.items())
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.update(count)
        elif jax.process_index() == 0:
            width = len(str(self._total))
            print(f"{self._unit} {self._done:{width}d}/{self._total} {text}", file=self._stream)

    def print_line(self, text: str) -> None:
        """Writes a line without disturbing the bar."""
        if self._bar is not None:
            self._bar.write(text, file=self._stream)
        elif jax.process_index() == 0:
            print(text, file=self._stream)

    def close(self) -> None:
        """Closes the bar and leaves it on the terminal."""
        if self._bar is not None:
            self._bar.close()


def event_writer(directory: RunDirectory, done: int) -> Any:
    """Returns a writer of TensorBoard events, or None if this process writes no files.

    Args:
      directory: the run.
      done: the epochs that are complete; what was logged of later ones is hidden.
    """
    if not directory.is_writer:
        return None
    import tensorboardX

    return tensorboardX.SummaryWriter(str(directory.path), purge_step=done + 1 if done else None)


def write_scalars(events: Any, line: Mapping[str, Any], epoch: int) -> None:
    """Writes the numbers of a line of metrics as TensorBoard scalars, `a_b` as `a/b`.

    Args:
      events: what `event_writer` returned.
      line: name -> number; entries that are no single number are left out.
      epoch: where on the horizontal axis.
    """
    if events is None:
        return
    for name, value in line.items():
        if name not in ("epoch", "step") and isinstance(value, int | float):
            group, _, rest = name.partition("_")
            events.add_scalar(f"{group}/{rest}" if rest else name, value, epoch)
    events.flush()


def print_line(text: str) -> None:
    """Writes a line to the terminal of the first host."""
    if jax.process_index() == 0:
        print(text, file=sys.stderr, flush=True)
