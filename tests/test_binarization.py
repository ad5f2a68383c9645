import jax
import jax.numpy as jnp
import numpy as np
import pytest

from repara import binarization


def test_draw_has_the_gray_level_as_its_probability():
    levels = np.arange(256, dtype=np.uint8)
    n = 20_000
    images = jnp.asarray(np.broadcast_to(levels, (n, 256)))
    mean = np.asarray(jnp.mean(binarization.draw(jax.random.key(0), images), axis=0))
    p = levels / 255
    error = np.sqrt(p * (1 - p) / n)
    assert error.max() < 0.004  # a 2% error of a probability of one half would be seen
    assert np.all(np.abs(mean - p) <= 5 * error)
    assert mean[0] == 0
    assert mean[255] == 1


def test_draws_are_independent_of_one_another():
    images = jnp.full((1, 100_001), 128, jnp.uint8)  # odd: only half of the last word is used
    x = np.asarray(binarization.draw(jax.random.key(1), images))[0]
    centered = x - x.mean()
    for lag in (1, 2, 50_001):  # the last: the two halves of a word
        correlation = np.mean(centered[lag:] * centered[:-lag]) / np.var(x)
        assert abs(correlation) < 5 / np.sqrt(x.size)


def test_draw_depends_on_the_key_alone():
    images = jnp.full((4, 5, 5, 1), 100, jnp.uint8)
    a, b = (binarization.draw(jax.random.key(k), images) for k in (0, 1))
    np.testing.assert_array_equal(a, binarization.draw(jax.random.key(0), images))
    assert not np.array_equal(a, b)
    assert a.shape == images.shape
    assert a.dtype == jnp.float32
    with pytest.raises(TypeError, match=r"jax\.random\.key"):
        binarization.draw(0, images)


def test_draw_once_is_one_draw_stored_as_images():
    images = np.full((3, 4, 4, 1), 90, np.uint8)
    binarized = binarization.draw_once(jax.random.key(2), images)
    assert binarized.dtype == np.uint8
    assert set(np.unique(binarized)) == {0, 255}
    np.testing.assert_array_equal(
        binarization.gray(jnp.asarray(binarized)),
        binarization.draw(jax.random.key(2), jnp.asarray(images)),
    )


def test_threshold_and_gray():
    images = np.array([0, 127, 128, 255], np.uint8)
    np.testing.assert_array_equal(binarization.threshold(images), [0, 0, 255, 255])
    np.testing.assert_allclose(binarization.gray(jnp.asarray(images)), images / 255, rtol=2e-7)
