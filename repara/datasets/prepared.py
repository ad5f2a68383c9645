"""Datasets that tensorflow_datasets has prepared as array_record, decoded once and cached."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from repara.datasets import idx
from repara.datasets.cache import cache_path, fingerprint, read_cache, write_cache
from repara.datasets.dataset import Dataset, DatasetError, one_line

__all__ = ["decode", "load_prepared", "prepared_folder"]

# Reading records in batches of this many is faster than one by one.
_BATCH = 1000


def prepared_folder(root: Path, name: str) -> Path | None:
    """Finds the newest version of a prepared dataset.

    Args:
      root: the folder that the user named: of all datasets, of this one, or of a version.
      name: the name of the dataset, with its configuration.

    Returns:
      The folder of the version; None if there is none.

    Example:
      >>> prepared_folder(Path("/no/such/folder"), "mnist") is None
      True
    """
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


def load_prepared(name: str, folder: Path, cache_dir: str | os.PathLike[str] | None) -> Dataset:
    """Loads a prepared dataset from the cache if it is up to date, otherwise decodes and caches it.

    Args:
      name: the name of the dataset, with its configuration.
      folder: the result of `prepared_folder`.
      cache_dir: the folder of the cache; None for the default.

    Returns:
      The dataset.

    Raises:
      DatasetError: the folder is damaged or has another dataset.

    Example:
      >>> load_prepared("mnist", Path("~/tensorflow_datasets/mnist/3.0.1"), None)  # doctest: +SKIP
      Dataset(...)
    """
    path = folder / "dataset_info.json"
    try:
        info = json.loads(path.read_bytes())
        found = "/".join(filter(None, (info["name"], info.get("configName"))))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(f"{path} is damaged: expected JSON with the dataset's name") from error
    if found != name:
        raise DatasetError(f"{folder} is of dataset {found!r}, expected {name!r}")
    cache = cache_path(name, folder, cache_dir)
    source = fingerprint(folder)
    dataset = read_cache(cache, name, source)
    if dataset is None:
        dataset = decode(name, folder)
        write_cache(cache, dataset, source)
    return dataset


def decode(name: str, folder: Path) -> Dataset:
    """Decodes a prepared dataset, about ten thousand small images per second.

    Args:
      name: the name of the dataset, with its configuration.
      folder: the result of `prepared_folder`.

    Returns:
      The dataset.

    Raises:
      DatasetError: a file is damaged, or the dataset does not have uint8 images of one shape in the
        splits train and test.

    Example:
      >>> decode("mnist", Path("~/tensorflow_datasets/mnist/3.0.1"))  # doctest: +SKIP
      Dataset(...)
    """
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder_from_directory(folder)
        file_format = builder.info.file_format.value if builder.info.file_format else "nothing"
        features, splits = dict(builder.info.features), list(builder.info.splits)
    except Exception as error:  # a damaged description makes TFDS raise many types
        raise DatasetError(
            f"{folder} cannot be read by tensorflow_datasets {tfds.__version__} "
            f"({one_line(error)}): expected a dataset that it has prepared, prepare it again"
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
            f"{folder} has the features {', '.join(sorted(features))}: expected 'image', or "
            "exactly one feature of type Image"
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
        idx.upright(name, train_images),
        train_labels,
        idx.upright(name, test_images),
        test_labels,
    )


def _pick(features: dict[str, Any], kind: type, usual: str) -> str | None:
    """Returns the feature of the usual name if it has that type, or the only one of that type."""
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
            for start in range(0, num, _BATCH):
                batch = source.__getitems__(range(start, min(start + _BATCH, num)))
                yield from enumerate(batch, start)
        except Exception as error:  # array_record, the image library and TFDS each have their own
            raise DatasetError(
                f"split {split!r} of {folder} cannot be read ({one_line(error)}): expected "
                "complete array_record files, prepare the dataset again"
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
