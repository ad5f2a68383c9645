"""Images for the model: how pixels are binarized, and labels that travel with their images."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.configuration import ConfigError
from repara import binarization, datasets

__all__ = ["BINARIZATIONS", "Batch", "Binarization", "Inputs", "count_classes"]


class Batch(NamedTuple):
    """A batch as the model receives it.

    Attributes:
      images: float32 [B, H, W, C], values in [0, 1].
      labels: one-hot [B, num_classes]; None for a model without labels.
    """

    images: jax.Array
    labels: jax.Array | None

    @property
    def conditions(self) -> tuple[jax.Array, ...]:
        """The labels as positional arguments: one array, or none."""
        return () if self.labels is None else (self.labels,)


class Binarization(NamedTuple):
    """A way to turn 8-bit images into model inputs, in two steps.

    Attributes:
      once: `(key, uint8 images) -> uint8 images`, applied before training to the whole dataset.
      each_use: `(key, uint8 images) -> float32 images in [0, 1]`, applied to each batch.
    """

    once: Callable[[jax.Array, np.ndarray], np.ndarray]
    each_use: Callable[[jax.Array, jax.Array], jax.Array]


def _unchanged(key: jax.Array, images: np.ndarray) -> np.ndarray:
    del key
    return images


def _thresholded(key: jax.Array, images: np.ndarray) -> np.ndarray:
    del key
    return binarization.threshold(images)


def _scaled(key: jax.Array, images: jax.Array) -> jax.Array:
    del key
    return binarization.gray(images)


BINARIZATIONS = {
    "dynamic": Binarization(_unchanged, binarization.draw),
    "static": Binarization(binarization.draw_once, _scaled),
    "threshold": Binarization(_thresholded, _scaled),
    "none": Binarization(_unchanged, _scaled),
}
"""The ways to binarize, by name."""


@dataclasses.dataclass(frozen=True)
class Inputs:
    """Conversion of a dataset to the array on the device, and of a batch to a model input.

    Attributes:
      binarization: how pixels are binarized.
      num_classes: the number of labels that the model is conditioned on; 0 for none.
    """

    binarization: Binarization
    num_classes: int

    def store(self, key: jax.Array, images: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        """Returns a dataset as one uint8 array; a label becomes one more channel of its image.

        Args:
          key: a typed key; consumed.
          images: uint8 [N, H, W, C].
          labels: integers [N], below 256; unused by a model without labels.

        Returns:
          uint8 [N, H, W, C], or [N, H, W, C + 1] for a model with labels.
        """
        stored = self.binarization.once(key, images)
        if not self.num_classes:
            return stored
        assert labels is not None
        plane = labels.astype(np.uint8)[:, None, None, None]
        return np.concatenate([stored, np.broadcast_to(plane, (*stored.shape[:-1], 1))], axis=-1)

    def pixels(self, stored: np.ndarray) -> np.ndarray:
        """Returns stored images without the channel of labels, uint8 [N, H, W, C]."""
        return stored[..., :-1] if self.num_classes else stored

    def batch(self, key: jax.Array, stored: jax.Array) -> Batch:
        """Returns stored images as the model receives them.

        Args:
          key: a typed key; consumed.
          stored: uint8 [B, H, W, C], from `store`.

        Returns:
          The images, drawn anew if the binarization is dynamic, and their labels.
        """
        if not self.num_classes:
            return Batch(self.binarization.each_use(key, stored), None)
        labels = jax.nn.one_hot(stored[..., 0, 0, -1].astype(jnp.int32), self.num_classes)
        return Batch(self.binarization.each_use(key, stored[..., :-1]), labels)


def count_classes(dataset_name: str, data: datasets.Dataset) -> int:
    """Returns the number of classes of a dataset: one more than its largest label.

    Args:
      dataset_name: the name of the dataset, for the error message.
      data: the dataset.

    Raises:
      ConfigError: the dataset has no labels, or more classes than a byte can hold.
    """
    if data.train_labels is None or data.test_labels is None:
        raise ConfigError(f"--conditional: {dataset_name} has no labels; give another --dataset")
    count = 1 + int(max(data.train_labels.max(), data.test_labels.max()))
    if count > 256:
        raise ConfigError(
            f"--conditional: {dataset_name} has {count} classes; at most 256 are supported"
        )
    return count
