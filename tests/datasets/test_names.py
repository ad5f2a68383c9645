"""Names, and the sets that are one file or none: digits and Frey faces."""

import subprocess
import sys

import numpy as np
import pytest

from repara import datasets
from repara.datasets import load
from tests.datasets.files import assert_is, bytes_of, fails

# Names.


@pytest.mark.parametrize(
    "name", ["", "MNIST", "mnist ", "../mnist", "mnist/../..", "/etc", "a/b/c"]
)
@pytest.mark.parametrize("with_dir", [False, True])
def test_a_name_that_cannot_be_is_refused_with_the_known_names(name, with_dir, tmp_path):
    fails(
        name, tmp_path if with_dir else None, f"unknown dataset {name!r}", ", ".join(datasets.NAMES)
    )


def test_an_unknown_name_without_data_dir_lists_the_known_names():
    fails("cifar10", None, "unknown dataset 'cifar10'", ", ".join(datasets.NAMES), "data_dir")


def test_the_names_are_those_documented():
    assert set(datasets.NAMES) == {
        "digits", "mnist", "fashion_mnist", "kmnist", "emnist", "emnist/balanced",
        "emnist/byclass", "emnist/bymerge", "emnist/digits", "emnist/letters", "emnist/mnist",
        "idx", "frey_faces",
    }  # fmt: skip
    for name in datasets.NAMES:
        assert f"`{name}`" in load.__doc__


@pytest.mark.parametrize("name", ["idx", "frey_faces"])
def test_what_has_no_download_asks_for_data_dir(name):
    fails(name, None, repr(name), "no download", "data_dir")


def test_heavy_packages_are_not_imported_before_they_are_needed():
    heavy = {"tensorflow", "tensorflow_datasets", "sklearn", "requests", "PIL", "array_record"}
    code = f"import sys, repara.datasets; print(sorted({heavy!r} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


# digits and Frey faces.


def test_digits_are_scikit_learns_in_its_order():
    from sklearn.datasets import load_digits

    source = load_digits()
    digits = load("digits")
    images = np.concatenate([digits.train_images, digits.test_images])
    assert digits.train_images.shape == (1437, 8, 8, 1)
    assert digits.test_images.shape == (360, 8, 8, 1)
    # 255/16 times the level, rounded, worked out by hand.
    levels = [0, 16, 32, 48, 64, 80, 96, 112, 128, 143, 159, 175, 191, 207, 223, 239, 255]
    expected = np.array(levels)[source.images.astype(int)]
    np.testing.assert_array_equal(images[..., 0], expected)
    assert images.dtype == np.uint8
    labels = np.concatenate([digits.train_labels, digits.test_labels])
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, source.target)


def test_digits_read_no_directory(tmp_path):
    fails("digits", tmp_path, "'digits'", "reads no data_dir", tmp_path)


@pytest.mark.parametrize("as_file", [False, True])
def test_frey_faces_test_on_every_fifth_frame(as_file, tmp_path):
    frames = bytes_of(1965, 28, 20)
    path = tmp_path / "frey_faces.npz"
    np.savez(path, images=frames)
    faces = load("frey_faces", path if as_file else tmp_path)
    of_test = [i for i in range(1965) if i % 5 == 4]
    of_train = [i for i in range(1965) if i % 5 != 4]
    assert (len(of_train), len(of_test)) == (1572, 393)
    expected = frames[..., np.newaxis]
    assert_is(faces, "frey_faces", expected[of_train], None, expected[of_test], None)


@pytest.mark.parametrize(
    ("arrays", "part"),
    [
        ({"faces": bytes_of(1965, 28, 20)}, "has faces"),
        ({}, "has nothing"),
        ({"images": bytes_of(1965, 28, 20).astype(np.float32)}, "float32 [1965, 28, 20]"),
        ({"images": bytes_of(1965, 560)}, "uint8 [1965, 560]"),
        ({"images": np.array([{}], object)}, "cannot be read"),
    ],
)
def test_frey_faces_say_what_the_file_has_instead(arrays, part, tmp_path):
    path = tmp_path / "frey_faces.npz"
    np.savez(path, **arrays)
    expected = "expected an .npz file with 'images', uint8 [1965, 28, 20]"
    fails("frey_faces", tmp_path, path, part, expected)


def test_frey_faces_from_what_is_no_archive(tmp_path):
    path = tmp_path / "frey_faces.npz"
    fails("frey_faces", tmp_path, path, "does not exist")
    fails("frey_faces", tmp_path / "no", tmp_path / "no", "does not exist")
    with open(path, "wb") as file:
        np.save(file, bytes_of(1965, 28, 20))
    fails("frey_faces", path, path, "single array")
    for content in (b"", b"neither numpy nor zip"):
        path.write_bytes(content)
        fails("frey_faces", path, path, "cannot be read")
    np.savez(path, images=bytes_of(1965, 28, 20))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    fails("frey_faces", path, path, "cannot be read")
    path.write_bytes(whole[:500_000] + bytes([whole[500_000] ^ 1]) + whole[500_001:])
    fails("frey_faces", path, path, "cannot be read", "CRC")
