"""The cache of decoded datasets: one `.npz` file per source."""

import hashlib
import json
import logging
import os
import time
import uuid
from pathlib import Path

import numpy as np

from repara.datasets.dataset import ARCHIVE_ERRORS, Dataset, one_line

__all__ = ["cache_path", "fingerprint", "read_cache", "write_cache"]

_log = logging.getLogger(__name__)

# Increase it when the decoding changes, so that older cache files are not used.
_FORMAT_VERSION = 1
# A temporary file of this age was left by a process that was killed.
_LEFTOVER_SECONDS = 3600


def cache_path(name: str, folder: Path, cache_dir: str | os.PathLike[str] | None) -> Path:
    """Returns the cache file of a source.

    Args:
      name: the name of the dataset.
      folder: the folder that it is decoded from.
      cache_dir: the folder of the cache; None for `$XDG_CACHE_HOME/repara` or `~/.cache/repara`.

    Returns:
      A path made of the name and a hash of the folder, so that sources do not share a file.

    Example:
      >>> cache_path("emnist/letters", Path("/data"), "/cache").name[:15]
      'emnist-letters-'
    """
    if cache_dir is None:
        cache_dir = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "repara"
    source = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    return Path(cache_dir).expanduser() / f"{name.replace('/', '-')}-{source}.npz"


def fingerprint(folder: Path) -> str:
    """Returns a hash that changes when the source changes.

    Args:
      folder: the folder of a prepared dataset.

    Returns:
      The SHA-256 of the sizes and times of its files and of the content of its JSON descriptions.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     len(fingerprint(Path(folder)))
      64
    """
    files = sorted(path for path in folder.iterdir() if path.is_file())
    stats = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    texts = [path.read_bytes().hex() for path in files if path.suffix == ".json"]
    return hashlib.sha256(json.dumps([_FORMAT_VERSION, stats, texts]).encode()).hexdigest()


def read_cache(path: Path, name: str, expected_fingerprint: str) -> Dataset | None:
    """Reads a dataset from the cache.

    Args:
      path: the result of `cache_path`.
      name: the name of the dataset.
      expected_fingerprint: the `fingerprint` of its source.

    Returns:
      The dataset; None if there is no cache file, or an outdated or damaged one.

    Example:
      >>> read_cache(Path("/no/such/file.npz"), "mine", "") is None
      True
    """
    try:
        # The archive has a CRC of each array, so damage is noticed here.
        with open(path, "rb") as handle, np.load(handle, allow_pickle=False) as file:
            if file["fingerprint"].item() != expected_fingerprint:
                return None
            arrays = {key: file[key] for key in file if key != "fingerprint"}
            return Dataset(name, **{"train_labels": None, "test_labels": None, **arrays})
    except FileNotFoundError:
        return None
    except (*ARCHIVE_ERRORS, TypeError, AttributeError) as error:
        _log.warning("cache %s is damaged (%s): decoding the dataset again", path, one_line(error))
        return None


def write_cache(path: Path, dataset: Dataset, source_fingerprint: str) -> None:
    """Writes a dataset to the cache, completely or not at all; failure is logged as a warning.

    Args:
      path: the result of `cache_path`.
      dataset: the dataset.
      source_fingerprint: the `fingerprint` of its source.

    Example:
      >>> import tempfile
      >>> images = np.zeros((1, 2, 2, 1), np.uint8)
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     path = Path(folder) / "mine.npz"
      ...     write_cache(path, Dataset("mine", images, None, images, None), "1")
      ...     read_cache(path, "mine", "1").name
      'mine'
    """
    arrays = {key: value for key, value in dataset._asdict().items() if value is not None}
    del arrays["name"]
    # In the same folder, so that the replacement is a rename, which is atomic.
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path)
        try:
            with open(temporary, "xb") as file:
                np.savez(file, fingerprint=np.array(source_fingerprint), **arrays)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        _log.warning("cache %s cannot be written: %s", path, one_line(error))


def _remove_leftovers(path: Path) -> None:
    """Removes the old temporary files of processes that were killed while writing this cache."""
    for leftover in path.parent.glob(f"{path.name}.*.tmp"):
        if time.time() - leftover.stat().st_mtime > _LEFTOVER_SECONDS:
            leftover.unlink()
