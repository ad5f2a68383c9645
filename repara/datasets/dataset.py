"""The record of a dataset, and its errors."""

import zipfile
import zlib
from typing import NamedTuple

import numpy as np

__all__ = ["ARCHIVE_ERRORS", "Dataset", "DatasetError", "one_line"]

ARCHIVE_ERRORS = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)
"""The exceptions of numpy and zipfile for a damaged archive, depending on the place of damage."""


class Dataset(NamedTuple):
    """Images and labels with their split into training and test data.

    Attributes:
      name: the name of the dataset, with its configuration if it has one: `"emnist/balanced"`.
      train_images: uint8 `[N, H, W, C]`, 0 to 255; C is 1 for gray images, 3 for color.
      train_labels: int32 `[N]`, or None if the dataset has no labels.
      test_images: uint8 `[M, H, W, C]`.
      test_labels: int32 `[M]`, or None if the dataset has no labels.
    """

    name: str
    train_images: np.ndarray
    train_labels: np.ndarray | None
    test_images: np.ndarray
    test_labels: np.ndarray | None


class DatasetError(Exception):
    """A dataset cannot be loaded; one line says what was found, what was expected, what to do."""


def one_line(error: BaseException) -> str:
    r"""Returns the message of an exception on one line of at most 1,000 characters.

    Args:
      error: any exception.

    Returns:
      Its message, without line breaks; the name of its type if the message is empty.

    Example:
      >>> one_line(ValueError("two\n lines"))
      'two lines'
    """
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    text = " ".join(text.split()) or type(error).__name__
    return text if len(text) <= 1000 else f"{text[:997]}..."
