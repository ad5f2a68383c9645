"""Images as the model receives them: binarization and labels."""

import jax
import numpy as np
import pytest

from experiments.harness.configuration import ConfigError
from experiments.vae.images import BINARIZATIONS, Inputs, count_classes
from repara import datasets


def test_static_binarization_is_one_draw():
    inputs = Inputs(BINARIZATIONS["static"], num_classes=0)
    stored = inputs.store(jax.random.key(0), datasets.load("digits").test_images, None)
    assert set(np.unique(stored)) == {0, 255}
    first, second = (inputs.batch(jax.random.key(k), stored).images for k in (0, 1))
    np.testing.assert_array_equal(first, second)


def test_dynamic_binarization_is_drawn_at_each_use():
    inputs = Inputs(BINARIZATIONS["dynamic"], num_classes=0)
    stored = inputs.store(jax.random.key(0), datasets.load("digits").test_images, None)
    first, second = (inputs.batch(jax.random.key(k), stored).images for k in (0, 1))
    assert set(np.unique(first)) == {0, 1}
    assert np.any(np.asarray(first) != np.asarray(second))


def test_labels_travel_with_their_images():
    data = datasets.load("digits")
    key = jax.random.key(0)
    with_labels = Inputs(BINARIZATIONS["dynamic"], num_classes=10)
    stored = with_labels.store(key, data.test_images, data.test_labels)
    batch = with_labels.batch(key, stored[:50])
    np.testing.assert_array_equal(np.argmax(batch.labels, axis=1), data.test_labels[:50])
    np.testing.assert_array_equal(with_labels.pixels(stored), data.test_images)
    # Labels do not change the pixels that are drawn.
    plain = Inputs(BINARIZATIONS["dynamic"], num_classes=0).batch(key, data.test_images[:50])
    np.testing.assert_array_equal(batch.images, plain.images)


def test_classes_are_counted_from_the_labels():
    assert count_classes("digits", datasets.load("digits")) == 10


def test_a_dataset_without_labels_is_refused():
    data = datasets.load("digits")._replace(train_labels=None, test_labels=None)
    with pytest.raises(ConfigError, match="--conditional: digits has no labels"):
        count_classes("digits", data)
