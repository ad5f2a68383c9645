"""The directory of a run: a complete record of it, written so that a kill loses nothing.

config.json      the flags, the versions, the commit, the device, the digest of the data
metrics.jsonl    one line per epoch
checkpoints/     the newest few states
events.out.*     the same metrics, and images, for TensorBoard
plots/           figures
result.json      the outcome
"""

import dataclasses
import importlib.metadata
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from experiments.harness.configuration import ConfigError, Configuration, changeable_fields

__all__ = ["RunDirectory", "fresh_workdir", "write_atomically"]


def fresh_workdir(name: str, root: str | os.PathLike = "runs") -> Path:
    """Makes a new directory `root/name-YYYYmmdd-HHMMSS`, with a number appended if it exists.

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
    """Writes a file so that a reader sees either the old or the new content, even after a kill.

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
        """The directory of the figures."""
        return self.path / "plots"

    # config.json

    @staticmethod
    def read_config(path: str | os.PathLike) -> dict[str, Any]:
        """Returns the content of `config.json`.

        Args:
          path: the run directory.

        Returns:
          {"flags": ..., "environment": ..., "data_sha256": ...}.

        Raises:
          ConfigError: the file is missing or damaged.
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
            raise ConfigError(f"{file}: is damaged; delete it or give another --workdir") from None

    def write_or_check_config(
        self, config: Configuration, data_sha256: str, *, may_grow: Sequence[str] = ()
    ) -> None:
        """Writes `config.json`; if there is one, first checks that it is of the same run.

        Args:
          config: the configuration, a dataclass of `option` fields. Those declared with
            `may_change` may differ from the run that is there.
          data_sha256: the digest of the training data.
          may_grow: numeric fields that may be larger now than before.

        Raises:
          ConfigError: a field contradicts the run that is there; both values are named.
        """
        fields = dataclasses.asdict(config) | {"workdir": str(self.path)}
        flags = json.loads(json.dumps(fields))  # tuples become lists, as in the file
        free = changeable_fields(config)
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
        """Appends one line to `metrics.jsonl` and flushes it to disk."""
        if not self.is_writer:
            return
        with open(self.path / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(_finite(line)) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def read_metrics(self) -> list[dict[str, Any]]:
        """Returns the lines of `metrics.jsonl`, without one that a kill cut short."""
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
        """Drops the lines of `metrics.jsonl` about epochs after `epoch`, which will run again."""
        file = self.path / "metrics.jsonl"
        if self.is_writer and file.exists():
            kept = [line for line in self.read_metrics() if line["epoch"] <= epoch]
            write_atomically(file, "".join(json.dumps(line) + "\n" for line in kept))

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Writes `result.json`."""
        if self.is_writer:
            write_atomically(self.path / "result.json", _json(_finite(result)))

    def read_result(self) -> dict[str, Any] | None:
        """Returns the content of `result.json`, or None if there is none."""
        file = self.path / "result.json"
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None


def _json(content: Any) -> str:
    return json.dumps(content, indent=2) + "\n"


def _finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """Replaces NaN and infinity by None, because JSON has neither."""
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
    """Returns the commit of the code, with "+changes" if files differ; None outside git."""
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
