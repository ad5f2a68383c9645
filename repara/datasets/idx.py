"""Parses and checks IDX files, the format of MNIST and similar datasets.

A file is a magic number (two zero bytes, the type of the elements, the number of dimensions), the
sizes as big-endian int32, then the elements (http://yann.lecun.com/exdb/mnist/). A dataset has four
files, always in this order: training images, training labels, test images, test labels.
"""

import gzip
import hashlib
import math
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from repara.datasets.dataset import DatasetError

__all__ = [
    "IMAGE_SHAPE",
    "SETS",
    "STEMS",
    "IdxSet",
    "find_folder",
    "parse_files",
    "read_files",
    "stems",
    "upright",
]


class IdxSet(NamedTuple):
    """The properties of a known dataset in four IDX files.

    Attributes:
      folder: its folder in the layout of torchvision.
      stems: the names of the files without `.gz`.
      counts: the valid pairs of a number of training images and a number of test images.
      num_classes: the upper bound of the labels, exclusive.
      sha256: the hashes of the decompressed content of the four files; None if there are none.
      transposed: whether the images are stored column by column.
    """

    folder: str
    stems: tuple[str, str, str, str]
    counts: tuple[tuple[int, int], ...]
    num_classes: int
    sha256: tuple[str, str, str, str] | None = None
    transposed: bool = False


STEMS = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
"""The names of the four files of MNIST without `.gz`."""

IMAGE_SHAPE = (28, 28)
"""Height and width of the images of every set in `SETS`."""


def _emnist(config: str, num_classes: int, *counts: tuple[int, int]) -> IdxSet:
    """Returns the properties of one configuration of EMNIST."""
    kinds = ("train-images-idx3", "train-labels-idx1", "test-images-idx3", "test-labels-idx1")
    a, b, c, d = (f"emnist-{config}-{kind}-ubyte" for kind in kinds)
    return IdxSet("EMNIST", (a, b, c, d), counts, num_classes, transposed=True)


# The hashes are of the decompressed content, since copies differ in their compression; they were
# computed from copies of the original files (for Fashion-MNIST from Debian's package). KMNIST and
# EMNIST have none. Their checks are the format, the size and number of the images, the range of the
# labels, gzip's own CRC, that the files do not belong to another set, and after a download the
# checksum of the archive that tensorflow_datasets has registered.
SETS: dict[str, IdxSet] = {
    "mnist": IdxSet(
        "MNIST",
        STEMS,
        ((60_000, 10_000),),
        10,
        sha256=(
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
    "fashion_mnist": IdxSet(
        "FashionMNIST",
        STEMS,
        ((60_000, 10_000),),
        10,
        sha256=(
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    ),
    "kmnist": IdxSet("KMNIST", STEMS, ((60_000, 10_000),), 10),
    "emnist/balanced": _emnist("balanced", 47, (112_800, 18_800)),
    "emnist/byclass": _emnist("byclass", 62, (697_932, 116_323)),
    "emnist/bymerge": _emnist("bymerge", 47, (697_932, 116_323)),
    "emnist/digits": _emnist("digits", 10, (240_000, 40_000)),
    # Its labels are 1 to 26. NIST's page says 145,600 letters; Cohen et al. (2017), table II,
    # https://arxiv.org/abs/1702.05373, and tensorflow_datasets say 103,600. Both are accepted.
    "emnist/letters": _emnist("letters", 27, (124_800, 20_800), (88_800, 14_800)),
    "emnist/mnist": _emnist("mnist", 10, (60_000, 10_000)),
}
"""The known datasets by name."""


def find_folder(root: Path, name: str) -> Path | None:
    """Finds the first of the usual folders below `root` that has one of a dataset's files.

    Args:
      root: the folder that the user named.
      name: a key of `SETS`, or `"idx"` for any set named like MNIST.

    Returns:
      The first of `root`, `root/raw`, `root/fashion-mnist` (Debian), `root/gzip` (the unpacked
      archive of EMNIST) and `root/MNIST/raw` (torchvision) that has a file; None if none has.

    Example:
      >>> find_folder(Path("/no/such/folder"), "mnist") is None
      True
    """
    places = [root, root / "raw", root / name.split("/")[0].replace("_", "-"), root / "gzip"]
    if name in SETS:
        places.append(root / SETS[name].folder / "raw")
    for folder in places:
        if any(_find_file(folder, stem) for stem in stems(name)):
            return folder
    return None


def stems(name: str) -> tuple[str, str, str, str]:
    """Returns the names, without `.gz`, of a dataset's four files.

    Args:
      name: a key of `SETS`, or `"idx"`.

    Returns:
      Four names.

    Example:
      >>> stems("mnist")[0]
      'train-images-idx3-ubyte'
    """
    return SETS[name].stems if name in SETS else STEMS


def _find_file(folder: Path, stem: str) -> Path | None:
    """Returns the file of that name, gzipped or not; some copies have a dot before `idx`."""
    for base in (stem, stem.replace("-idx", ".idx")):
        for path in (folder / base, folder / f"{base}.gz"):
            if path.is_file():
                return path
    return None


def read_files(folder: Path, name: str) -> Iterator[tuple[str, bytes]]:
    """Yields path and content of a dataset's four files.

    Args:
      folder: the result of `find_folder`.
      name: a key of `SETS`, or `"idx"`.

    Returns:
      An iterator over the path and the content of each file, gzipped or not.

    Raises:
      DatasetError: a file is missing.
      OSError: a file cannot be read.

    Example:
      >>> [path for path, _ in read_files(Path("data"), "mnist")]  # doctest: +SKIP
      ['data/train-images-idx3-ubyte', ...]
    """
    for stem in stems(name):
        path = _find_file(folder, stem)
        if path is None:
            raise DatasetError(f"{folder / stem} is missing: expected it, or {stem}.gz, there")
        yield str(path), path.read_bytes()


def parse_files(name: str, files: Iterable[tuple[str, bytes]]) -> list[np.ndarray]:
    """Parses the four files of a dataset and checks them.

    Args:
      name: a key of `SETS`; or `"idx"` for any set, of which only the format is checked.
      files: the path, for messages, and the content of each file, gzipped or not.

    Returns:
      Training images, training labels, test images, test labels: images uint8 `[N, H, W]`,
      upright, and labels int32 `[N]`.

    Raises:
      DatasetError: a file is damaged, or is not what `name` promises.

    Example:
      >>> labels = bytes([0, 0, 8, 1, 0, 0, 0, 1, 7])
      >>> image = bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 255])
      >>> files = [("a", image), ("b", labels), ("c", image), ("d", labels)]
      >>> [array.shape for array in parse_files("idx", files)]
      [(1, 1, 1), (1,), (1, 1, 1), (1,)]
    """
    arrays: list[np.ndarray] = []
    places: list[str] = []
    for i, (where, content) in enumerate(files):
        content = _decompress(where, content)
        arrays.append(_parse(where, content, ndim=1 if i % 2 else 3))
        places.append(where)
        if name in SETS:
            _check_digest(name, i, where, content)
    for i in (0, 2):
        _check_pair(name, places[i], arrays[i], places[i + 1], arrays[i + 1])
    train, test = arrays[0].shape, arrays[2].shape
    if name in SETS and (train[0], test[0]) not in SETS[name].counts:
        expected = " or ".join(f"{a} and {b}" for a, b in SETS[name].counts)
        raise DatasetError(
            f"{places[0]} and {places[2]} have {train[0]} and {test[0]} images, expected "
            f"{expected} for {name!r}"
        )
    if train[1:] != test[1:]:
        raise DatasetError(
            f"{places[2]} has images of {test[1]}x{test[2]}, expected {train[1]}x{train[2]} as in "
            f"{places[0]}"
        )
    return [array.astype(np.int32) if array.ndim == 1 else upright(name, array) for array in arrays]


def upright(name: str, images: np.ndarray) -> np.ndarray:
    """Returns images with rows as rows, transposed if the dataset stores them column by column.

    Args:
      name: the name of a dataset.
      images: `[N, H, W, ...]`.

    Returns:
      The images.

    Example:
      >>> upright("emnist/mnist", np.zeros((5, 28, 20))).shape
      (5, 20, 28)
    """
    if name in SETS and SETS[name].transposed:
        return np.ascontiguousarray(np.swapaxes(images, 1, 2))
    return images


def _check_digest(name: str, i: int, where: str, content: bytes) -> None:
    """Raises if file number i does not have its pinned hash, or has the hash of another dataset."""
    digest = hashlib.sha256(content).hexdigest()
    pinned = SETS[name].sha256
    # These datasets have the same file names, so a wrong folder is an easy mistake.
    owners = [other for other, spec in SETS.items() if spec.sha256 and digest in spec.sha256]
    if pinned is None and not owners:
        return
    if pinned is None or digest != pinned[i]:
        found = f", as in {owners[0]!r}" if owners else ""
        expected = pinned[i] if pinned else "another"
        raise DatasetError(
            f"{where}: SHA-256 of the decompressed content is {digest}{found}, expected "
            f"{expected} for {name!r}: get another copy of the file, or read a modified dataset "
            "as 'idx'"
        )


def _check_pair(
    name: str, where_images: str, images: np.ndarray, where_labels: str, labels: np.ndarray
) -> None:
    """Raises if images and labels do not fit together or are not those of the dataset."""
    if len(images) != len(labels):
        raise DatasetError(
            f"{where_labels} has {len(labels)} labels, expected one for each of the {len(images)} "
            f"images of {where_images}"
        )
    if images.size == 0:
        raise DatasetError(f"{where_images} has the sizes {images.shape}, expected images")
    if name not in SETS:
        return
    if images.shape[1:] != IMAGE_SHAPE:
        raise DatasetError(
            f"{where_images} has images of {images.shape[1]}x{images.shape[2]}, expected "
            f"{IMAGE_SHAPE[0]}x{IMAGE_SHAPE[1]} for {name!r}"
        )
    if labels.max() >= SETS[name].num_classes:
        raise DatasetError(
            f"{where_labels} has a label {labels.max()}, expected at most "
            f"{SETS[name].num_classes - 1} for {name!r}"
        )


def _decompress(where: str, content: bytes) -> bytes:
    """Returns the content, decompressed if it is gzipped."""
    # Decided by content, not by name: some downloads are unpacked but keep their .gz.
    if content[:2] != b"\x1f\x8b":
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetError(
            f"{where} is a damaged gzip file ({error}): expected a complete one, download it again"
        ) from error


def _parse(where: str, content: bytes, ndim: int) -> np.ndarray:
    """Parses an IDX file of unsigned bytes in `ndim` dimensions."""
    magic = 0x0800 + ndim  # 8: unsigned byte
    if content[:4] != magic.to_bytes(4, "big"):
        kind = "labels" if ndim == 1 else "images"
        found = f"begins with the bytes {content[:4].hex()}" if content else "is empty"
        raise DatasetError(
            f"{where} {found}, expected the magic number {magic:08x} of IDX {kind} or gzip's 1f8b"
        )
    start = 4 + 4 * ndim
    if len(content) < start:
        raise DatasetError(
            f"{where} is truncated: {len(content)} bytes, expected {start} bytes of header"
        )
    shape = [int(size) for size in np.frombuffer(content, ">u4", ndim, offset=4)]
    expected = start + math.prod(shape)
    if len(content) != expected:
        kind = "truncated" if len(content) < expected else "too long"
        raise DatasetError(
            f"{where} is {kind}: {len(content)} bytes, expected {expected} for its sizes {shape}"
        )
    # A copy, since the result of frombuffer is read-only, unlike the arrays of other sources.
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy()
