"""Checkpoints of a run: the newest few states, each with a digest of its content."""

import functools
import hashlib
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.harness import hosts

__all__ = ["Checkpoints", "digest"]

_KEEP_CHECKPOINTS = 3


class Checkpoints:
    """The newest few states of a run, each with a digest of its content.

    A save goes to a temporary directory that is renamed when it is complete, so that a kill leaves
    either the whole checkpoint or none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()

    @functools.cached_property
    def _ocp(self) -> Any:
        # Orbax takes a second to import; a mistake in the flags should not wait for it.
        import orbax.checkpoint

        return orbax.checkpoint

    @functools.cached_property
    def _manager(self) -> Any:
        return self._ocp.CheckpointManager(
            self._path,
            options=self._ocp.CheckpointManagerOptions(
                max_to_keep=_KEEP_CHECKPOINTS,
                cleanup_tmp_directories=True,
                enable_async_checkpointing=False,
            ),
        )

    def save(self, epoch: int, state: Any) -> None:
        """Saves the state after `epoch`.

        Args:
          epoch: the number of epochs that are complete.
          state: a pytree of arrays.
        """
        args = self._ocp.args
        self._manager.save(
            epoch,
            args=args.Composite(
                state=args.StandardSave(state), digest=args.JsonSave({"sha256": digest(state)})
            ),
        )

    def restore(self, like: Any, report: Callable[[str], None]) -> tuple[int, Any] | None:
        """Restores the newest undamaged checkpoint.

        A checkpoint that cannot be read, or whose content differs from what was saved, is reported
        and moved away, and the one before it is tried.

        Args:
          like: a state of the same structure, shapes, dtypes and shardings.
          report: called with one line for each checkpoint that is damaged.

        Returns:
          The number of complete epochs and the state, or None if there is no undamaged checkpoint.
        """
        if not self._path.exists():
            return None
        args = self._ocp.args
        for epoch in sorted(self._manager.all_steps(), reverse=True):
            try:
                restored = self._manager.restore(
                    epoch,
                    args=args.Composite(
                        state=args.StandardRestore(like), digest=args.JsonRestore()
                    ),
                )
                if digest(restored.state) != restored.digest["sha256"]:
                    raise ValueError("its content is not what was saved")
                return epoch, restored.state
            except Exception as error:
                # A damaged file can make the reader raise anything.
                hosts.barrier(f"read {epoch}")  # before one host moves what others may still read
                aside = self._path.with_name(f"{self._path.name}-damaged")
                target = aside / f"{epoch}-{time.strftime('%Y%m%d-%H%M%S')}"
                if jax.process_index() == 0:
                    aside.mkdir(exist_ok=True)
                    shutil.move(self._path / str(epoch), target)
                hosts.barrier(f"moved {epoch}")
                reason = " ".join(str(error).split())[:200]
                report(
                    f"checkpoint of epoch {epoch} is damaged ({type(error).__name__}: {reason}); "
                    f"moved to {target}, using the one before"
                )
                self._manager.reload()
        return None

    def latest(self) -> int | None:
        """Returns the number of complete epochs of the newest checkpoint, or None."""
        return self._manager.latest_step() if self._path.exists() else None

    def after_failure(self) -> str:
        """Returns a clause for error messages that names the last good checkpoint."""
        latest = self.latest()
        if latest is None:
            return "there is no checkpoint yet"
        return f"the last good checkpoint is that of epoch {latest}"

    def close(self) -> None:
        """Waits for unfinished saves and closes the files."""
        if "_manager" in self.__dict__:
            self._manager.close()


def digest(tree: Any) -> str:
    """Returns the SHA-256 of the names, dtypes, shapes and bytes of all leaves of a pytree."""
    total = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        array = np.asarray(leaf)
        total.update(f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape}".encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()
