"""Image datasets as uint8 arrays with their split, whatever they come from and checked on the way.

Four sources, one function:

- files inside scikit-learn (`digits`), so that a fresh machine needs no network;
- IDX files, the format of MNIST: from a directory, or fetched with tensorflow_datasets' download
  manager, its URLs and its checksums. They are parsed here, so TensorFlow is not needed;
- datasets that tensorflow_datasets has prepared as array_record, decoded once and cached;
- an `.npz` file (`frey_faces`).

The heavy imports are inside the functions that need them: `import repara` stays fast.
"""

import hashlib
import json
import logging
import os
import queue
import re
import threading
import time
import urllib.parse
import uuid
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from repara import _idx
from repara._idx import DatasetError

__all__ = ["NAMES", "Dataset", "DatasetError", "load"]

_log = logging.getLogger(__name__)


class Dataset(NamedTuple):
    """Images and labels with their split into training and test data.

    Attributes:
        name: The dataset's name, with its configuration if it has one: `"emnist/balanced"`.
        train_images: uint8 `[N, H, W, C]`, 0 to 255; C is 1 for grey images, 3 for colour.
        train_labels: int32 `[N]`, or None if the dataset has none.
        test_images: uint8 `[M, H, W, C]`.
        test_labels: int32 `[M]`, or None if the dataset has none.
    """

    name: str
    train_images: np.ndarray
    train_labels: np.ndarray | None
    test_images: np.ndarray
    test_labels: np.ndarray | None


_ALIASES = {"emnist": "emnist/balanced"}

NAMES = ("digits", *_idx.SETS, *_ALIASES, "idx", "frey_faces")
"""The names that `load` knows; any other is looked for among prepared TFDS datasets."""

# How an unreadable archive shows, of numpy's or of zip's: any of these, by where it is damaged.
_DAMAGE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


def load(
    name: str,
    data_dir: str | os.PathLike[str] | None = None,
    *,
    cache_dir: str | os.PathLike[str] | None = None,
) -> Dataset:
    """Loads an image dataset by name, from `data_dir` or from where that name comes by itself.

    - `digits`: the 1,797 scans of 8x8 pixels in scikit-learn, 17 grey levels spread over 0 to 255.
      The first 1,437 in the order of the file are the training data, the last 360 the test data.
      Reads no `data_dir`.
    - `mnist`, `fashion_mnist`, `kmnist`, `emnist/balanced` (which `emnist` alone stands for),
      `emnist/byclass`, `emnist/bymerge`, `emnist/digits`, `emnist/letters`, `emnist/mnist`: with
      `data_dir`, IDX files (gzipped or not) in that directory, as torchvision leaves them below
      its root, as Debian's package dataset-fashion-mnist installs them, or prepared by TFDS.
      Without it they are downloaded into the download cache of tensorflow_datasets
      (`$TFDS_DATA_DIR/downloads`, by default `~/tensorflow_datasets/downloads`), and from then on
      need no network. EMNIST's images, stored transposed, are turned upright.
    - `idx`: a set of your own in `data_dir`, in four files named like MNIST's, with images of any
      number and size. It is also the way to read an MNIST that was changed on purpose, which the
      checksums would refuse.
    - `frey_faces`: 1,965 frames of 28x20 pixels without labels, from `data_dir`: `frey_faces.npz`
      or its folder. Every fifth frame, from the fifth on, is test data (393 frames). Neighbouring
      frames of this video are much alike, so the test figure is one of interpolation.
    - any other name: an image dataset that tensorflow_datasets has prepared as array_record, in
      `data_dir/name/version` (the newest), or in `data_dir` itself. It must have an image feature
      of type uint8, images of one shape, and splits `train` and `test`. What was decoded is kept
      in `cache_dir`, and decoded again when a file of the source has changed.

    Args:
        name: One of `NAMES`, or the name of a prepared TFDS dataset, `"name"` or `"name/config"`.
        data_dir: Directory to read from; for `frey_faces` the file itself will do. May be
            read-only.
        cache_dir: Where decoded TFDS datasets are kept, by default `$XDG_CACHE_HOME/repara`, else
            `~/.cache/repara`. One that cannot be written costs time, nothing else.

    Returns:
        A `Dataset`: images uint8 `[N, H, W, C]` in 0 to 255, labels int32 `[N]` or None.

    Raises:
        DatasetError: The dataset cannot be had as asked: an unknown name, a missing or damaged
            file, other content than the name promises, no network (told within 10 seconds).

    Example:
        >>> from repara import datasets
        >>> digits = datasets.load("digits")
        >>> digits.train_images.shape, digits.test_images.shape
        ((1437, 8, 8, 1), (360, 8, 8, 1))
    """
    name = _ALIASES.get(name, name)
    # What else is accepted becomes part of a path below, so nothing that could lead out of it.
    if name not in NAMES and not re.fullmatch(r"[a-z0-9_]+(/[A-Za-z0-9_][A-Za-z0-9_.-]*)?", name):
        raise DatasetError(f"unknown dataset {name!r}: expected one of {', '.join(NAMES)}")
    root = None if data_dir is None else Path(data_dir).expanduser()
    try:
        return _load_own(name) if root is None else _load_from(root, name, cache_dir)
    except OSError as error:
        # A full disk, a permission, a share that went away: wherever it happens, said alike.
        where = f"{error.filename}: " if error.filename else ""
        raise DatasetError(f"dataset {name!r} cannot be read: {where}{_line(error)}") from error


def _load_own(name: str) -> Dataset:
    """Loads a dataset for which no `data_dir` was given."""
    if name == "digits":
        return _load_digits()
    if name in _idx.SETS:
        return _from_idx(name, _downloaded_files(name))
    if name in NAMES:
        what = "frey_faces.npz" if name == "frey_faces" else f"{', '.join(_idx.STEMS)}"
        raise DatasetError(f"dataset {name!r} has no download: give the data_dir of {what}")
    raise DatasetError(
        f"unknown dataset {name!r}: expected one of {', '.join(NAMES)}, or with data_dir the name "
        "of a dataset that tensorflow_datasets has prepared there as array_record"
    )


def _load_from(root: Path, name: str, cache_dir: str | os.PathLike[str] | None) -> Dataset:
    """Loads a dataset from the `data_dir` given."""
    if name == "digits":
        raise DatasetError(
            f"dataset 'digits' is part of scikit-learn and reads no data_dir, but {root} was given"
        )
    if name == "frey_faces":
        return _load_frey_faces(root)
    if not root.is_dir():
        found = "is not a directory" if root.exists() else "does not exist"
        raise DatasetError(f"data_dir {root} {found}: expected a directory with dataset {name!r}")
    if (name in _idx.SETS or name == "idx") and (folder := _idx.find_folder(root, name)):
        return _from_idx(name, _idx.read_files(folder, name))
    if name != "idx" and (folder := _prepared_folder(root, name)):
        return _load_prepared(name, folder, cache_dir)
    raise _not_found(root, name)


def _load_digits() -> Dataset:
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]
    labels = digits.target.astype(np.int32)
    n = 1437  # four fifths of 1,797
    return Dataset("digits", images[:n], labels[:n], images[n:], labels[n:])


def _load_frey_faces(path: Path) -> Dataset:
    if path.is_dir():
        path = path / "frey_faces.npz"
    shape = (1965, 28, 20)
    expected = f"expected an .npz file with 'images', uint8 {list(shape)}"
    try:
        # Opened here: np.load leaves a file open that turns out to be damaged.
        with open(path, "rb") as handle:
            file = np.load(handle, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise DatasetError(f"{path} is a single array: {expected}")
            if "images" not in file:
                raise DatasetError(f"{path} has {', '.join(file) or 'nothing'}: {expected}")
            images = file["images"]
    except FileNotFoundError:
        raise DatasetError(f"{path} does not exist: {expected}") from None
    except _DAMAGE as error:
        raise DatasetError(f"{path} cannot be read ({_line(error)}): {expected}") from error
    if images.dtype != np.uint8 or images.shape != shape:
        raise DatasetError(f"{path} has images {images.dtype} {list(images.shape)}: {expected}")
    images = images[..., np.newaxis]
    test = np.arange(len(images)) % 5 == 4
    return Dataset("frey_faces", images[~test], None, images[test], None)


def _from_idx(name: str, files: Iterator[tuple[str, bytes]]) -> Dataset:
    train_images, train_labels, test_images, test_labels = _idx.load(name, files)
    return Dataset(
        name, train_images[..., np.newaxis], train_labels, test_images[..., np.newaxis], test_labels
    )


# Downloads.

# A host that takes longer than this to answer counts as out of reach. Importing
# tensorflow_datasets takes another second or two of the ten that a user should wait at most.
_PROBE_SECONDS = 6.0

_CHOICES = (
    "give data_dir with its IDX files or with the dataset prepared by TFDS as array_record, or "
    "take dataset 'digits', which needs no network"
)


def _url_infos(name: str) -> dict[str, Any]:
    """The files that tensorflow_datasets has registered for a dataset: {URL: size and SHA-256}."""
    import tensorflow_datasets as tfds

    return tfds.builder_cls(name.split("/")[0]).url_infos or {}


def _downloaded_files(name: str) -> Iterator[tuple[str, bytes]]:
    """Place and content of the dataset's four files, downloaded where that was not done before."""
    infos = _url_infos(name)
    urls = {urllib.parse.urlsplit(url).path.rsplit("/", 1)[-1]: url for url in infos}
    # EMNIST is one archive with the files of all its configurations, the others are four files.
    archived = name.startswith("emnist/")
    wanted = ["gzip.zip"] if archived else [f"{stem}.gz" for stem in _idx.stems(name)]
    if missing := [file for file in wanted if file not in urls]:
        raise DatasetError(
            f"tensorflow_datasets has no URL of {missing[0]} for {name!r}, expected one: {_CHOICES}"
        )
    paths = _download(name, {urls[file]: infos[urls[file]] for file in wanted})
    if not archived:
        for path in paths:
            yield str(path), path.read_bytes()
        return
    for stem in _idx.stems(name):
        member = f"gzip/{stem}.gz"
        try:
            with zipfile.ZipFile(paths[0]) as archive:
                content = archive.read(member)
        except _DAMAGE as error:
            raise DatasetError(
                f"{paths[0]} cannot be read ({_line(error)}): expected a zip archive with "
                f"{member}, delete it to have it downloaded again"
            ) from error
        yield f"{paths[0]}/{member}", content


def _download(name: str, infos: dict[str, Any]) -> list[Path]:
    """Downloads the URLs into the download cache of tensorflow_datasets, or finds them there."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download import resource

    dataset = name.split("/")[0]
    data_dir = Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()
    downloads = data_dir / "downloads"
    found = {}
    for url, info in infos.items():
        for folder in (downloads / dataset, downloads):  # today's and an older layout
            path = folder / resource.get_dl_fname(url, info.checksum)
            if resource.is_locally_cached(path):
                found[url] = path
    absent = [url for url in infos if url not in found]
    if not absent:
        return [found[url] for url in infos]
    # The download manager tries eleven times with growing pauses, minutes in all, and sets no
    # timeout; there is no option for either. So one short request goes ahead of it.
    if reason := _unreachable(absent[0]):
        host = urllib.parse.urlsplit(absent[0]).netloc
        raise DatasetError(f"cannot reach {host} to download {name!r} ({reason}): {_CHOICES}")
    try:
        manager = tfds.download.DownloadManager(
            download_dir=downloads, dataset_name=dataset, url_infos=infos
        )
        paths = manager.download(list(infos))
    except Exception as error:  # requests, promise and tensorflow_datasets each have their own
        raise DatasetError(
            f"the download of {name!r} into {downloads} failed ({_line(error)}): try again, or "
            f"{_CHOICES}"
        ) from error
    return [Path(path) for path in paths]


def _unreachable(url: str) -> str | None:
    """Why `url` cannot be had, within `_PROBE_SECONDS`; None if it can."""
    import requests  # what tensorflow_datasets downloads with: the same proxies and certificates

    answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def ask() -> None:
        try:
            with requests.get(url, stream=True, timeout=_PROBE_SECONDS) as response:
                answers.put(None if response.ok else f"HTTP status {response.status_code}")
        except OSError as error:  # which requests' own exceptions are
            cause: BaseException = error
            while cause.__context__ is not None:  # the innermost says it in the fewest words
                cause = cause.__context__
            answers.put(_line(cause))

    # A thread, since no timeout of requests covers the look-up of the host's name.
    threading.Thread(target=ask, daemon=True).start()
    try:
        return answers.get(timeout=_PROBE_SECONDS)
    except queue.Empty:
        return f"no answer in {_PROBE_SECONDS:g} seconds"


# Prepared TFDS datasets.


def _prepared_folder(root: Path, name: str) -> Path | None:
    """The folder with the newest version of a prepared dataset, below `root` or `root` itself."""
    for folder in (root / name, root):
        if (folder / "dataset_info.json").is_file():
            return folder
        versions = [
            (tuple(int(number) for number in path.name.split(".")), path)
            for path in (folder.iterdir() if folder.is_dir() else ())
            if re.fullmatch(r"\d+\.\d+\.\d+", path.name) and (path / "dataset_info.json").is_file()
        ]
        if versions:
            return max(versions)[1]
    return None


def _not_found(root: Path, name: str) -> DatasetError:
    expected = [f"array_record files prepared by TFDS in {root / name}/<version>"]
    if name in _idx.SETS:
        place = f"there or in {_idx.SETS[name].folder}/raw"
        expected.insert(0, f"{', '.join(_idx.stems(name))} (or .gz) {place}")
    elif name == "idx":
        expected = [f"{', '.join(_idx.STEMS)} (or .gz)"]
    prepared = {
        path.parent.parent.relative_to(root).as_posix()
        for pattern in ("*/*/dataset_info.json", "*/*/*/dataset_info.json")
        for path in root.glob(pattern)
    }
    others = f"; prepared there: {', '.join(sorted(prepared))}" if prepared else ""
    known = "" if name in NAMES else f"; names with a source of their own: {', '.join(NAMES)}"
    return DatasetError(
        f"no dataset {name!r} in {root}: expected {', or '.join(expected)}{others}{known}"
    )


def _load_prepared(name: str, folder: Path, cache_dir: str | os.PathLike[str] | None) -> Dataset:
    """Loads a prepared TFDS dataset from the cache if that is fresh, else decodes and caches it."""
    path = folder / "dataset_info.json"
    try:
        info = json.loads(path.read_bytes())
        found = "/".join(filter(None, (info["name"], info.get("configName"))))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(f"{path} is damaged: expected JSON with the dataset's name") from error
    if found != name:
        raise DatasetError(f"{folder} holds dataset {found!r}, expected {name!r}")
    cache = _cache_path(name, folder, cache_dir)
    fingerprint = _fingerprint(folder)
    dataset = _read_cache(cache, name, fingerprint)
    if dataset is None:
        dataset = _decode(name, folder)
        _write_cache(cache, dataset, fingerprint)
    return dataset


def _decode(name: str, folder: Path) -> Dataset:
    """Decodes a prepared dataset: some ten thousand small images a second, hence the cache."""
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder_from_directory(folder)
        file_format = builder.info.file_format.value if builder.info.file_format else "nothing"
        features, splits = dict(builder.info.features), list(builder.info.splits)
    except Exception as error:  # whatever a damaged description makes TFDS raise
        raise DatasetError(
            f"{folder} cannot be read by tensorflow_datasets {tfds.__version__} ({_line(error)}): "
            "expected a dataset that it has prepared, prepare it again"
        ) from error
    if file_format != "array_record":
        raise DatasetError(
            f"{folder} is prepared as {file_format}, expected array_record: prepare it with "
            "file_format='array_record'"
        )
    if not {"train", "test"} <= set(splits):
        raise DatasetError(
            f"{folder} has the splits {', '.join(splits) or '(none)'}: expected train and test"
        )
    image_key = _pick(features, tfds.features.Image, "image")
    if image_key is None:
        raise DatasetError(
            f"{folder} has the features {', '.join(sorted(features))}: expected 'image', or just "
            "one of the type Image"
        )
    dtype = np.dtype(features[image_key].np_dtype)
    if dtype != np.uint8:
        raise DatasetError(f"{folder} has images of type {dtype}, expected uint8")
    label_key = _pick(features, tfds.features.ClassLabel, "label")
    train_images, train_labels = _decode_split(builder, folder, "train", image_key, label_key)
    test_images, test_labels = _decode_split(builder, folder, "test", image_key, label_key)
    if train_images.shape[1:] != test_images.shape[1:]:
        raise DatasetError(
            f"{folder} has training images of shape {train_images.shape[1:]} and test images of "
            f"shape {test_images.shape[1:]}: expected images of one shape"
        )
    return Dataset(
        name,
        _idx.upright(name, train_images),
        train_labels,
        _idx.upright(name, test_images),
        test_labels,
    )


def _pick(features: dict[str, Any], kind: type, usual: str) -> str | None:
    """The feature of the usual name if it is of that kind, else the only one that is, else None."""
    keys = [key for key, feature in features.items() if isinstance(feature, kind)]
    if usual in keys:
        return usual
    return keys[0] if len(keys) == 1 else None


def _decode_split(
    builder: Any, folder: Path, split: str, image_key: str, label_key: str | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Decodes the images `[N, H, W, C]` and the labels `[N]` of one split."""

    def records() -> Iterator[tuple[int, dict[str, Any]]]:
        try:
            source = builder.as_data_source(split=split)
            for start in range(0, num, 1000):  # by the thousand: faster than one by one
                batch = source.__getitems__(range(start, min(start + 1000, num)))
                yield from enumerate(batch, start)
        except Exception as error:  # array_record, the image library and TFDS each have their own
            raise DatasetError(
                f"split {split!r} of {folder} cannot be read ({_line(error)}): expected whole "
                "array_record files, prepare the dataset again"
            ) from error

    num = builder.info.splits[split].num_examples
    if num == 0:
        raise DatasetError(f"split {split!r} of {folder} is empty: expected images")
    images = np.empty(0, np.uint8)
    labels = None if label_key is None else np.empty(num, np.int32)
    for i, record in records():
        image = record[image_key]
        if i == 0:
            images = np.empty((num, *image.shape), np.uint8)
        if image.shape != images.shape[1:]:
            raise DatasetError(
                f"image {i} of split {split!r} of {folder} has shape {image.shape}, the first "
                f"{images.shape[1:]}: expected images of one shape"
            )
        images[i] = image
        if labels is not None and label_key is not None:
            labels[i] = record[label_key]
    return images, labels


# The cache of decoded datasets.


def _cache_path(name: str, folder: Path, cache_dir: str | os.PathLike[str] | None) -> Path:
    """One file for each source: its name tells the dataset and, hashed, the folder."""
    if cache_dir is None:
        cache_dir = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "repara"
    source = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    return Path(cache_dir).expanduser() / f"{name.replace('/', '-')}-{source}.npz"


def _fingerprint(folder: Path) -> str:
    """What changes when the source does: its files' sizes and times, and the JSON descriptions."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    stats = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    texts = [path.read_bytes().hex() for path in files if path.suffix == ".json"]
    # To be raised when the decoding changes, so that what was cached before is not used.
    version = 1
    return hashlib.sha256(json.dumps([version, stats, texts]).encode()).hexdigest()


def _read_cache(path: Path, name: str, fingerprint: str) -> Dataset | None:
    """The cached dataset, or None if there is none, an outdated or a damaged one."""
    try:
        # The archive has a CRC of each array, so damage is noticed here.
        with open(path, "rb") as handle, np.load(handle, allow_pickle=False) as file:
            if file["fingerprint"].item() != fingerprint:
                return None
            arrays = {key: file[key] for key in file if key != "fingerprint"}
            return Dataset(name, **{"train_labels": None, "test_labels": None, **arrays})
    except FileNotFoundError:
        return None
    except (*_DAMAGE, TypeError, AttributeError) as error:
        _log.warning("cache %s is damaged (%s): decoding the dataset again", path, _line(error))
        return None


def _write_cache(path: Path, dataset: Dataset, fingerprint: str) -> None:
    """Writes the cache whole or not at all; that it cannot be written is only worth a warning."""
    arrays = {key: value for key, value in dataset._asdict().items() if value is not None}
    del arrays["name"]
    # In the same directory, so that the replacement is a rename, which is atomic.
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path)
        try:
            with open(temporary, "xb") as file:
                np.savez(file, fingerprint=np.array(fingerprint), **arrays)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        _log.warning("cache %s cannot be written: %s", path, _line(error))


def _remove_leftovers(path: Path) -> None:
    """Removes, an hour later, what a process that was killed while writing this cache has left."""
    for leftover in path.parent.glob(f"{path.name}.*.tmp"):
        if time.time() - leftover.stat().st_mtime > 3600:
            leftover.unlink()


def _line(error: BaseException) -> str:
    """An exception's message on one line of at most 1,000 characters."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    text = " ".join(text.split()) or type(error).__name__
    return text if len(text) <= 1000 else f"{text[:997]}..."
