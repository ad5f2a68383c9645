"""The directory of a run: all that it was and did, written so that a kill loses nothing.

config.json      the flags, the versions, the commit, the device, the digest of the data
metrics.jsonl    a line an epoch
checkpoints/     the newest few states
events.out.*     the same metrics, and images, for TensorBoard
plots/           figures
result.json      the outcome
"""

import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.harness import hosts
from experiments.harness.configuration import ConfigError

__all__ = [
    "Checkpoints",
    "Progress",
    "RunDirectory",
    "event_writer",
    "fresh_workdir",
    "say",
    "write_atomically",
    "write_scalars",
]

_KEEP_CHECKPOINTS = 3


def fresh_workdir(name: str, root: str | os.PathLike = "runs") -> Path:
    """Makes a new directory `root/name-YYYYmmdd-HHMMSS`, numbered further where it exists.

    Args:
      name: the name of the experiment.
      root: where runs are kept.

    Returns:
      The path of the new, empty directory.
    """
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for suffix in ("", *(f"-{i}" for i in range(1, 1000))):
        path = Path(root) / f"{name}-{stamp}{suffix}"
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        return path
    raise ConfigError(f"could not make a fresh directory under {root}")


def write_atomically(path: Path, text: str) -> None:
    """Writes a file so that a reader, also after a kill, sees the old content or the new.

    Args:
      path: the file; its directory exists.
      text: its content.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


class RunDirectory:
    """Reads and writes the files of a run.

    Attributes:
      path: the directory.
      is_writer: whether this process writes files; only the first of several hosts does.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        self.is_writer = jax.process_index() == 0
        if self.path.exists() and not self.path.is_dir():
            raise ConfigError(f"--workdir={path}: is a file; give a directory")
        try:
            (self.path / "plots").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"--workdir={path}: cannot be written: {error.strerror}") from None

    @property
    def plots(self) -> Path:
        """Where figures go."""
        return self.path / "plots"

    # config.json

    @staticmethod
    def read_config(path: str | os.PathLike) -> dict[str, Any]:
        """The content of `config.json`.

        Args:
          path: the run directory.

        Returns:
          {"flags": ..., "environment": ..., "data_sha256": ...}.

        Raises:
          ConfigError: there is none, or it is not what was written.
        """
        file = Path(path) / "config.json"
        try:
            stored = json.loads(file.read_text(encoding="utf-8"))
            if not isinstance(stored, dict) or not isinstance(stored.get("flags"), dict):
                raise ValueError
            return stored
        except FileNotFoundError:
            raise ConfigError(
                f"--workdir={path}: holds no run (no config.json); train there first"
            ) from None
        except ValueError:
            raise ConfigError(f"{file}: is not a configuration that a run wrote") from None

    def settle_config(
        self, config: Any, data_sha256: str, *, free: Sequence[str], may_grow: Sequence[str] = ()
    ) -> None:
        """Writes `config.json`, or checks that the run that is there is the same.

        Args:
          config: the configuration, a dataclass.
          data_sha256: the digest of the training data.
          free: fields that do not change the course of training and may differ.
          may_grow: numeric fields that may be larger now than before.

        Raises:
          ConfigError: a field contradicts the run that is there; both values are named.
        """
        flags = dataclasses.asdict(config)
        flags = json.loads(json.dumps(flags))  # tuples become lists, as in the file
        if (self.path / "config.json").exists():
            stored = self.read_config(self.path)
            for name, now in flags.items():
                before = stored["flags"].get(name, now)
                grows = name in may_grow and now > before
                if name not in free and now != before and not grows:
                    raise ConfigError(
                        f"--{name}={_shown(now)}: the run in {self.path} has "
                        f"--{name}={_shown(before)}; give that, or another --workdir"
                    )
            if stored.get("data_sha256") != data_sha256:
                raise ConfigError(
                    f"the run in {self.path} was trained on other data (SHA-256 "
                    f"{str(stored.get('data_sha256'))[:12]}..., now {data_sha256[:12]}...); "
                    "give the same --data_dir, or another --workdir"
                )
        if self.is_writer:
            content = {
                "flags": flags,
                "data_sha256": data_sha256,
                "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
                "environment": _environment(),
            }
            write_atomically(self.path / "config.json", _json(content))

    # metrics.jsonl and result.json

    def append_metrics(self, line: Mapping[str, Any]) -> None:
        """Appends one line to `metrics.jsonl` and sees it onto the disk."""
        if not self.is_writer:
            return
        with open(self.path / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(_finite(line)) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def read_metrics(self) -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl`; one that a kill cut short is left out."""
        file = self.path / "metrics.jsonl"
        if not file.exists():
            return []
        lines = []
        for text in file.read_text(encoding="utf-8").splitlines():
            try:
                lines.append(json.loads(text))
            except ValueError:
                break
        return lines

    def truncate_metrics(self, epoch: int) -> None:
        """Drops what `metrics.jsonl` says of epochs after `epoch`, which will be run again."""
        file = self.path / "metrics.jsonl"
        if self.is_writer and file.exists():
            kept = [line for line in self.read_metrics() if line["epoch"] <= epoch]
            write_atomically(file, "".join(json.dumps(line) + "\n" for line in kept))

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Writes `result.json`."""
        if self.is_writer:
            write_atomically(self.path / "result.json", _json(_finite(result)))

    def read_result(self) -> dict[str, Any] | None:
        """The content of `result.json`, None where there is none."""
        file = self.path / "result.json"
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None


class Checkpoints:
    """The newest few states of a run, each with a digest of its content.

    A save goes to a temporary directory that is renamed when it is complete, so that a kill leaves
    either the whole checkpoint or none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()

    @functools.cached_property
    def _ocp(self) -> Any:
        # Orbax takes a second to import: a first step, or a bad flag, does not wait for it.
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
        """Restores the newest checkpoint that is whole.

        One that cannot be read, or whose content is not what was saved, is reported and moved
        aside, and the one before it is tried.

        Args:
          like: a state of the same structure, shapes, dtypes and shardings.
          report: called with one line for each checkpoint that is damaged.

        Returns:
          The number of complete epochs and the state, or None where no checkpoint is whole.
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
                # Whatever a damaged file makes the reader raise: it is reported, and kept aside.
                hosts.barrier(f"read {epoch}")  # before one host takes it from the others' hands
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
        """The number of complete epochs of the newest checkpoint, None where there is none."""
        return self._manager.latest_step() if self._path.exists() else None

    def after_failure(self) -> str:
        """Half a sentence: which state is the last good one."""
        latest = self.latest()
        if latest is None:
            return "there is no checkpoint yet"
        return f"the last good checkpoint is that of epoch {latest}"

    def close(self) -> None:
        """Waits for what is under way."""
        if "_manager" in self.__dict__:
            self._manager.close()


def digest(tree: Any) -> str:
    """SHA-256 of the names, dtypes, shapes and bytes of all leaves of a pytree."""
    total = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        array = np.asarray(leaf)
        total.update(f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape}".encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


class Progress:
    """A bar with loss and images/s on a terminal, plain lines elsewhere."""

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

    def say(self, text: str) -> None:
        """Writes a line without disturbing the bar."""
        if self._bar is not None:
            self._bar.write(text, file=self._stream)
        elif jax.process_index() == 0:
            print(text, file=self._stream)

    def close(self) -> None:
        """Leaves the bar as it stands."""
        if self._bar is not None:
            self._bar.close()


def event_writer(directory: RunDirectory, done: int) -> Any:
    """A writer of TensorBoard events, None where this process writes no files.

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


def say(text: str) -> None:
    """Writes a line to the terminal of the first host."""
    if jax.process_index() == 0:
        print(text, file=sys.stderr, flush=True)


def _json(content: Any) -> str:
    return json.dumps(content, indent=2) + "\n"


def _finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON knows no NaN and no infinity: they become null."""
    return {
        k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()
    }


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _environment() -> dict[str, Any]:
    packages = ["jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy"]
    device = jax.devices()[0]
    return {
        "python": sys.version.split()[0],
        **{name: importlib.metadata.version(name) for name in packages},
        "git_commit": _git_commit(),
        "platform": device.platform,
        "device": device.device_kind,
        "num_devices": jax.device_count(),
        "num_processes": jax.process_count(),
        "cpu_count": os.cpu_count(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def _git_commit() -> str | None:
    """The commit of the code, with "+changes" where files differ from it; None outside git."""
    here = Path(__file__).parent
    try:
        commit = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True
        ).stdout.strip()
        changes = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"],
            cwd=here, capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+changes" if changes else "")
