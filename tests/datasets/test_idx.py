"""Directories of IDX files: the usual layouts, and each way in which a file can be wrong."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from repara import datasets
from repara.datasets import idx, load
from tests.datasets.files import (
    STEMS,
    assert_is_four,
    bytes_of,
    fails,
    four_arrays,
    idx_bytes,
    other_arrays,
    write_idx,
)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("layout", ["", "raw", "MNIST/raw", "mnist"])
def test_mnist_from_the_usual_layouts(layout, compress, tmp_path, small_sets):
    write_idx(tmp_path / layout, four_arrays(), compress=compress)
    assert_is_four(load("mnist", tmp_path), "mnist", four_arrays())


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("fashion_mnist", "fashion-mnist"),
        ("fashion_mnist", "FashionMNIST/raw"),
        ("kmnist", "KMNIST/raw"),
    ],
)
def test_the_kin_of_mnist_from_their_layouts(name, layout, tmp_path, small_sets, monkeypatch):
    arrays = other_arrays()
    if name == "fashion_mnist":
        digests = tuple(hashlib.sha256(idx_bytes(array)).hexdigest() for array in arrays)
        monkeypatch.setitem(idx.SETS, name, idx.SETS[name]._replace(sha256=digests))
    write_idx(tmp_path / layout, arrays)
    assert_is_four(load(name, tmp_path), name, arrays)


@pytest.mark.parametrize("layout", ["", "EMNIST/raw", "gzip"])
@pytest.mark.parametrize("config", ["balanced", "letters"])
def test_emnist_is_turned_upright(config, layout, tmp_path, small_sets):
    name = f"emnist/{config}"
    arrays = other_arrays()
    write_idx(tmp_path / layout, arrays, idx.SETS[name].stems, compress=True)
    upright = [array.swapaxes(1, 2) if array.ndim == 3 else array for array in arrays]
    dataset = load(name, tmp_path)
    assert_is_four(dataset, name, upright)
    assert dataset.train_images.flags.c_contiguous


def test_emnist_alone_is_balanced(tmp_path, small_sets):
    write_idx(tmp_path, other_arrays(), idx.SETS["emnist/balanced"].stems)
    dataset = load("emnist", str(tmp_path))
    assert dataset.name == "emnist/balanced"
    np.testing.assert_array_equal(
        dataset.train_images, load("emnist/balanced", tmp_path).train_images
    )


def test_files_may_be_spelt_with_a_dot_or_be_unpacked_under_a_packed_name(tmp_path, small_sets):
    arrays = four_arrays()
    write_idx(tmp_path, arrays, [stem.replace("-idx", ".idx") for stem in STEMS])
    (tmp_path / "t10k-labels.idx1-ubyte").rename(tmp_path / "t10k-labels-idx1-ubyte.gz")
    assert_is_four(load("mnist", tmp_path), "mnist", arrays)


def test_the_home_directory_may_be_a_tilde(tmp_path, small_sets, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_idx(tmp_path / "data", four_arrays())
    assert_is_four(load("mnist", "~/data"), "mnist", four_arrays())


def test_a_set_of_ones_own_is_read_whatever_its_size(tmp_path):
    arrays = four_arrays(3, 2, shape=(5, 9))
    arrays[1][:] = 255
    write_idx(tmp_path, arrays)
    assert_is_four(load("idx", tmp_path), "idx", arrays)


def test_a_set_of_ones_own_is_checked_for_its_format(tmp_path):
    arrays = four_arrays(3, 2, shape=(5, 9))
    arrays[2] = bytes_of(2, 9, 5)
    write_idx(tmp_path, arrays)
    fails("idx", tmp_path, tmp_path / STEMS[2], "9x5", "expected 5x9")
    write_idx(tmp_path, four_arrays(0, 2))
    fails("idx", tmp_path, tmp_path / STEMS[0], "(0, 28, 28)", "expected images")


@pytest.mark.parametrize("i", range(4))
def test_a_missing_file_is_named(i, tmp_path, small_sets):
    write_idx(tmp_path, four_arrays())
    (tmp_path / STEMS[i]).unlink()
    fails("mnist", tmp_path, tmp_path / STEMS[i], "is missing", f"{STEMS[i]}.gz")


@pytest.mark.parametrize("i", range(4))
def test_other_content_than_the_checksums_say_is_refused(i, tmp_path, small_sets):
    arrays = four_arrays()
    expected = hashlib.sha256(idx_bytes(arrays[i])).hexdigest()
    arrays[i].flat[-1] ^= 1
    found = hashlib.sha256(idx_bytes(arrays[i])).hexdigest()
    write_idx(tmp_path, arrays, compress=True)
    path = tmp_path / f"{STEMS[i]}.gz"
    fails("mnist", tmp_path, path, f"is {found}, expected {expected}", "'idx'")
    # The remedy that the message names.
    assert_is_four(load("idx", tmp_path), "idx", arrays)


def test_the_files_of_another_set_are_recognised(tmp_path, small_sets):
    write_idx(tmp_path, four_arrays())
    for name in ("kmnist", "fashion_mnist"):
        fails(name, tmp_path, tmp_path / STEMS[0], "as in 'mnist', expected", f"for {name!r}")


def test_the_pinned_checksums_are_eight_different_ones():
    pinned = [digest for spec in idx.SETS.values() for digest in spec.sha256 or ()]
    assert len(pinned) == len(set(pinned)) == 8
    assert all(len(bytes.fromhex(digest)) == 32 for digest in pinned)


@pytest.mark.parametrize("i", range(4))
def test_wrong_magic_numbers(i, tmp_path):
    write_idx(tmp_path, four_arrays())
    path = tmp_path / STEMS[i]
    magic = "00000801" if i % 2 else "00000803"
    for content, found in ((b"", "is empty"), (b"<htm", "3c68746d"), (b"\x00\x00", "0000,")):
        path.write_bytes(content)
        fails("idx", tmp_path, path, found, f"expected the magic number {magic}")
    # Images where labels should be and labels where images should be, and floats.
    path.write_bytes(idx_bytes(four_arrays()[(i + 1) % 4]))
    fails("idx", tmp_path, path, f"magic number {magic}")
    path.write_bytes(bytes([0, 0, 0x0D]) + idx_bytes(four_arrays()[i])[3:])
    fails("idx", tmp_path, path, "00000d0", f"magic number {magic}")


def test_truncated_and_overlong_files(tmp_path):
    write_idx(tmp_path, four_arrays())
    path = tmp_path / STEMS[0]
    whole = path.read_bytes()
    size = 16 + 6 * 28 * 28
    assert len(whole) == size
    for length in (17, size - 1):
        path.write_bytes(whole[:length])
        fails("idx", tmp_path, path, f"truncated: {length} bytes, expected {size}", "[6, 28, 28]")
    path.write_bytes(whole[:15])
    fails("idx", tmp_path, path, "truncated: 15 bytes, expected 16")
    path.write_bytes(whole + b"\x00")
    fails("idx", tmp_path, path, f"too long: {size + 1} bytes, expected {size}")
    # Sizes whose product overflows 64 bits must not come out as a small number.
    path.write_bytes(whole[:4] + b"\xff\xff\xff\xff" * 3 + whole[16:])
    fails("idx", tmp_path, path, "truncated")


def test_damaged_gzip_files(tmp_path):
    write_idx(tmp_path, four_arrays(), compress=True)
    path = tmp_path / f"{STEMS[0]}.gz"
    whole = path.read_bytes()
    middle = len(whole) // 2
    damaged = {
        "truncated": whole[:-20],
        "header alone": whole[:5],
        "wrong CRC": whole[:-8] + bytes([whole[-8] ^ 1]) + whole[-7:],
        "flipped bits": whole[:middle] + bytes(b ^ 0xFF for b in whole[middle:-8]) + whole[-8:],
        "garbage after it": whole + b"garbage",
    }
    for content in damaged.values():
        path.write_bytes(content)
        fails("idx", tmp_path, path, "damaged gzip file", "expected")


@pytest.mark.parametrize(("labels", "images"), [(1, 0), (3, 2)])
def test_images_and_labels_of_different_length(labels, images, tmp_path):
    arrays = four_arrays()
    arrays[labels] = arrays[labels][:-1].copy()
    write_idx(tmp_path, arrays)
    n = len(arrays[images])
    fails(
        "idx",
        tmp_path,
        tmp_path / STEMS[labels],
        f"has {n - 1} labels",
        f"{n} images",
        tmp_path / STEMS[images],
    )


def test_a_known_set_has_its_sizes_and_labels(tmp_path, small_sets):
    # KMNIST, since the checksums would stop MNIST before.
    train_images, train_labels, test_images, test_labels = other_arrays()
    write_idx(tmp_path, [train_images, train_labels, test_images[:3], test_labels[:3]])
    fails("kmnist", tmp_path, "6 and 3 images", "expected 6 and 4", "'kmnist'")
    narrow = [np.ascontiguousarray(images[:, :, :20]) for images in (train_images, test_images)]
    write_idx(tmp_path, [narrow[0], train_labels, narrow[1], test_labels])
    fails("kmnist", tmp_path, tmp_path / STEMS[0], "28x20", "28x28")
    train_labels[2] = 10
    write_idx(tmp_path, [train_images, train_labels, test_images, test_labels])
    fails("kmnist", tmp_path, tmp_path / STEMS[1], "label 10", "at most 9")


def test_a_file_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    write_idx(tmp_path, four_arrays())

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    fails("idx", tmp_path, "'idx'", tmp_path / STEMS[0], "Permission denied")


@pytest.mark.parametrize("name", ["mnist", "idx", "cifar10"])
def test_a_directory_that_is_none(name, tmp_path):
    fails(name, tmp_path / "no", tmp_path / "no", "does not exist", repr(name))
    (tmp_path / "file").write_text("")
    fails(name, tmp_path / "file", tmp_path / "file", "not a directory", repr(name))


def test_an_empty_directory_says_what_was_looked_for(tmp_path):
    fails("mnist", tmp_path, tmp_path, STEMS[0], "MNIST/raw", f"{tmp_path}/mnist/<version>")
    fails("idx", tmp_path, tmp_path, ", ".join(STEMS))
    fails("cifar10", tmp_path, tmp_path, f"{tmp_path}/cifar10/<version>", ", ".join(datasets.NAMES))
