"""Loading a dataset by name."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from repara.datasets import idx
from repara.datasets.dataset import ARCHIVE_ERRORS, Dataset, DatasetError, one_line
from repara.datasets.downloads import downloaded_files
from repara.datasets.prepared import load_prepared, prepared_folder

__all__ = ["NAMES", "load"]

_ALIASES = {"emnist": "emnist/balanced"}

NAMES = ("digits", *idx.SETS, *_ALIASES, "idx", "frey_faces")
"""The names that `load` knows; it looks for other names among datasets prepared by TFDS."""


def load(
    name: str,
    data_dir: str | os.PathLike[str] | None = None,
    *,
    cache_dir: str | os.PathLike[str] | None = None,
) -> Dataset:
    """Loads an image dataset by name, from `data_dir` or from the source of that name.

    - `digits`: the 1,797 scans of 8x8 pixels in scikit-learn, with 17 gray levels scaled to 0 to
      255. The first 1,437 in the order of the file are the training data, the last 360 the test
      data. It reads no `data_dir`.
    - `mnist`, `fashion_mnist`, `kmnist`, `emnist/balanced` (short: `emnist`), `emnist/byclass`,
      `emnist/bymerge`, `emnist/digits`, `emnist/letters`, `emnist/mnist`: with `data_dir`, IDX
      files (gzipped or not) in that folder, in the layout of torchvision or of Debian's package
      dataset-fashion-mnist, or prepared by TFDS. Without it they are downloaded into the download
      cache of tensorflow_datasets (`$TFDS_DATA_DIR/downloads`, by default
      `~/tensorflow_datasets/downloads`); the next call needs no network. The images of EMNIST,
      which are stored transposed, are turned upright.
    - `idx`: your own data in `data_dir`, in four files named like those of MNIST, with images of
      any number and size. Use it also for a modified MNIST, which the checksums would refuse.
    - `frey_faces`: 1,965 frames of 28x20 pixels without labels, from `data_dir`: `frey_faces.npz`
      or its folder. Every fifth frame, starting with the fifth, is test data (393 frames).
      Neighboring frames of this video are very similar, so the test result measures interpolation.
    - any other name: an image dataset that tensorflow_datasets has prepared as array_record, in
      `data_dir/name/version` (the newest version), or in `data_dir` itself. It must have an image
      feature of type uint8, images of one shape, and splits `train` and `test`. The decoded images
      are stored in `cache_dir`, and decoded again when a file of the source has changed.

    Args:
      name: one of `NAMES`, or the name of a prepared TFDS dataset, `"name"` or `"name/config"`.
      data_dir: the folder to read from; for `frey_faces` also the file itself. May be read-only.
      cache_dir: the folder for decoded TFDS datasets, by default `$XDG_CACHE_HOME/repara` or
        `~/.cache/repara`. If it is not writable, every call decodes again.

    Returns:
      A `Dataset`: images uint8 `[N, H, W, C]` in 0 to 255, labels int32 `[N]` or None.

    Raises:
      DatasetError: the dataset cannot be loaded as requested: an unknown name, a missing or damaged
        file, content that differs from what the name promises, or no network (after at most 10
        seconds).

    Example:
      >>> from repara import datasets
      >>> digits = datasets.load("digits")
      >>> digits.train_images.shape, digits.test_images.shape
      ((1437, 8, 8, 1), (360, 8, 8, 1))
    """
    name = _ALIASES.get(name, name)
    # Other names become part of a path below, so they must not lead out of the folder.
    if name not in NAMES and not re.fullmatch(r"[a-z0-9_]+(/[A-Za-z0-9_][A-Za-z0-9_.-]*)?", name):
        raise DatasetError(f"unknown dataset {name!r}: expected one of {', '.join(NAMES)}")
    root = None if data_dir is None else Path(data_dir).expanduser()
    try:
        return _load_known(name) if root is None else _load_from(root, name, cache_dir)
    except OSError as error:
        # A full disk, a permission, a lost network share: all reported the same way.
        where = f"{error.filename}: " if error.filename else ""
        raise DatasetError(f"dataset {name!r} cannot be read: {where}{one_line(error)}") from error


def _load_known(name: str) -> Dataset:
    """Loads a dataset without `data_dir`."""
    if name == "digits":
        return _load_digits()
    if name in idx.SETS:
        return _from_idx(name, downloaded_files(name))
    if name in NAMES:
        files = "frey_faces.npz" if name == "frey_faces" else ", ".join(idx.STEMS)
        raise DatasetError(f"dataset {name!r} has no download: give the data_dir of {files}")
    raise DatasetError(
        f"unknown dataset {name!r}: expected one of {', '.join(NAMES)}, or with data_dir the name "
        "of a dataset that tensorflow_datasets has prepared there as array_record"
    )


def _load_from(root: Path, name: str, cache_dir: str | os.PathLike[str] | None) -> Dataset:
    """Loads a dataset from `data_dir`."""
    if name == "digits":
        raise DatasetError(
            f"dataset 'digits' is part of scikit-learn and reads no data_dir, but {root} was given"
        )
    if name == "frey_faces":
        return _load_frey_faces(root)
    if not root.is_dir():
        found = "is not a directory" if root.exists() else "does not exist"
        raise DatasetError(f"data_dir {root} {found}: expected a directory with dataset {name!r}")
    if (name in idx.SETS or name == "idx") and (folder := idx.find_folder(root, name)):
        return _from_idx(name, idx.read_files(folder, name))
    if name != "idx" and (folder := prepared_folder(root, name)):
        return load_prepared(name, folder, cache_dir)
    raise _not_found(root, name)


def _load_digits() -> Dataset:
    """Loads the digits of scikit-learn."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]
    labels = digits.target.astype(np.int32)
    n = 1437  # four fifths of 1,797
    return Dataset("digits", images[:n], labels[:n], images[n:], labels[n:])


def _load_frey_faces(path: Path) -> Dataset:
    """Loads Frey faces from an `.npz` file or its folder."""
    if path.is_dir():
        path = path / "frey_faces.npz"
    shape = (1965, 28, 20)
    expected = f"expected an .npz file with 'images', uint8 {list(shape)}"
    try:
        # Opened here, since np.load does not close a damaged file.
        with open(path, "rb") as handle:
            file = np.load(handle, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise DatasetError(f"{path} is a single array: {expected}")
            if "images" not in file:
                raise DatasetError(f"{path} has {', '.join(file) or 'nothing'}: {expected}")
            images = file["images"]
    except FileNotFoundError:
        raise DatasetError(f"{path} does not exist: {expected}") from None
    except ARCHIVE_ERRORS as error:
        raise DatasetError(f"{path} cannot be read ({one_line(error)}): {expected}") from error
    if images.dtype != np.uint8 or images.shape != shape:
        raise DatasetError(f"{path} has images {images.dtype} {list(images.shape)}: {expected}")
    images = images[..., np.newaxis]
    test = np.arange(len(images)) % 5 == 4
    return Dataset("frey_faces", images[~test], None, images[test], None)


def _from_idx(name: str, files: Iterator[tuple[str, bytes]]) -> Dataset:
    """Loads a dataset from the paths and contents of its four IDX files."""
    train_images, train_labels, test_images, test_labels = idx.parse_files(name, files)
    return Dataset(
        name, train_images[..., np.newaxis], train_labels, test_images[..., np.newaxis], test_labels
    )


def _not_found(root: Path, name: str) -> DatasetError:
    """Returns the error for a folder without the dataset: what was expected, what is there."""
    expected = [f"array_record files prepared by TFDS in {root / name}/<version>"]
    if name in idx.SETS:
        place = f"there or in {idx.SETS[name].folder}/raw"
        expected.insert(0, f"{', '.join(idx.stems(name))} (or .gz) {place}")
    elif name == "idx":
        expected = [f"{', '.join(idx.STEMS)} (or .gz)"]
    prepared = {
        path.parent.parent.relative_to(root).as_posix()
        for pattern in ("*/*/dataset_info.json", "*/*/*/dataset_info.json")
        for path in root.glob(pattern)
    }
    others = f"; prepared there: {', '.join(sorted(prepared))}" if prepared else ""
    known = "" if name in NAMES else f"; known names: {', '.join(NAMES)}"
    return DatasetError(
        f"no dataset {name!r} in {root}: expected {', or '.join(expected)}{others}{known}"
    )
