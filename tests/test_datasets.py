"""Every source of images on small files written here; the only network is the loopback device."""

import contextlib
import gzip
import hashlib
import http.server
import io
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from repara import _idx, datasets
from repara.datasets import Dataset, DatasetError, load

STEMS = _idx.STEMS


@pytest.fixture(autouse=True)
def _own_directories(tmp_path, monkeypatch):
    """Whatever a test does without naming a directory happens below its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds_home"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def bytes_of(*shape):
    """Bytes no two rows or images of which are alike."""
    return (np.arange(np.prod(shape)) * 7 % 251).astype(np.uint8).reshape(shape)


def idx_bytes(array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return header + array.tobytes()


def four_arrays(num_train=6, num_test=4, shape=(28, 28)):
    """Training images and labels, test images and labels."""
    return [
        bytes_of(num_train, *shape),
        np.arange(num_train, dtype=np.uint8),
        bytes_of(num_test, *shape)[::-1].copy(),
        np.arange(num_test, dtype=np.uint8)[::-1].copy(),
    ]


def other_arrays():
    """As many and as large as `four_arrays()`, but not one file of them the same."""
    return [255 - array if array.ndim == 3 else (array + 1) % 10 for array in four_arrays()]


def write_idx(folder, arrays, stems=STEMS, compress=False):
    folder.mkdir(parents=True, exist_ok=True)
    for stem, array in zip(stems, arrays, strict=True):
        if compress:
            (folder / f"{stem}.gz").write_bytes(gzip.compress(idx_bytes(array)))
        else:
            (folder / stem).write_bytes(idx_bytes(array))


@pytest.fixture
def small_sets(monkeypatch):
    """Makes the known sets small: the arrays of `four_arrays()` are the true MNIST."""
    digests = tuple(hashlib.sha256(idx_bytes(array)).hexdigest() for array in four_arrays())
    for name, spec in _idx.SETS.items():
        sha256 = digests if name == "mnist" else spec.sha256
        small = spec._replace(counts=((6, 4),), sha256=sha256)
        monkeypatch.setitem(_idx.SETS, name, small)


def assert_is(dataset, name, train_images, train_labels, test_images, test_labels):
    """The dataset has exactly these arrays, of the promised types."""
    assert isinstance(dataset, Dataset)
    assert dataset.name == name
    for found, expected in (
        (dataset.train_images, train_images),
        (dataset.test_images, test_images),
    ):
        assert found.dtype == np.uint8
        assert found.flags.writeable
        np.testing.assert_array_equal(found, expected, strict=True)
    for found, expected in (
        (dataset.train_labels, train_labels),
        (dataset.test_labels, test_labels),
    ):
        if expected is None:
            assert found is None
        else:
            assert found.dtype == np.int32
            np.testing.assert_array_equal(found, expected)


def assert_is_four(dataset, name, arrays):
    a, b, c, d = arrays
    assert_is(dataset, name, a[..., np.newaxis], b, c[..., np.newaxis], d)


def fails(name, data_dir, *parts):
    """`load` raises a DatasetError of one line with all of `parts` in it; returns the line."""
    with pytest.raises(DatasetError) as info:
        load(name, data_dir)
    message = str(info.value)
    assert "\n" not in message
    for part in parts:
        assert str(part) in message
    return message


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


# IDX directories.


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
        monkeypatch.setitem(_idx.SETS, name, _idx.SETS[name]._replace(sha256=digests))
    write_idx(tmp_path / layout, arrays)
    assert_is_four(load(name, tmp_path), name, arrays)


@pytest.mark.parametrize("layout", ["", "EMNIST/raw", "gzip"])
@pytest.mark.parametrize("config", ["balanced", "letters"])
def test_emnist_is_turned_upright(config, layout, tmp_path, small_sets):
    name = f"emnist/{config}"
    arrays = other_arrays()
    write_idx(tmp_path / layout, arrays, _idx.SETS[name].stems, compress=True)
    upright = [array.swapaxes(1, 2) if array.ndim == 3 else array for array in arrays]
    dataset = load(name, tmp_path)
    assert_is_four(dataset, name, upright)
    assert dataset.train_images.flags.c_contiguous


def test_emnist_alone_is_balanced(tmp_path, small_sets):
    write_idx(tmp_path, other_arrays(), _idx.SETS["emnist/balanced"].stems)
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
    # What the message says to do.
    assert_is_four(load("idx", tmp_path), "idx", arrays)


def test_the_files_of_another_set_are_recognised(tmp_path, small_sets):
    write_idx(tmp_path, four_arrays())
    for name in ("kmnist", "fashion_mnist"):
        fails(name, tmp_path, tmp_path / STEMS[0], "as in 'mnist', expected", f"for {name!r}")


def test_the_pinned_checksums_are_eight_different_ones():
    pinned = [digest for spec in _idx.SETS.values() for digest in spec.sha256 or ()]
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


# Downloads, from a server on the loopback device.


@contextlib.contextmanager
def serving(files):
    """Serves {path: content}; yields the address and the list of the paths asked for."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            content = files.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            # The request that only asks whether the host is there reads no body.
            with contextlib.suppress(ConnectionError):
                self.wfile.write(content or b"")

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def register(monkeypatch, address, files):
    """Registers files of a server with their checksums, as tensorflow_datasets does its own."""
    from tensorflow_datasets.core import utils
    from tensorflow_datasets.core.download import checksums

    infos = {
        f"{address}{path}": checksums.UrlInfo(
            size=utils.Size(len(content)),
            checksum=hashlib.sha256(content).hexdigest(),
            filename=path.rsplit("/", 1)[-1],
        )
        for path, content in files.items()
    }
    monkeypatch.setattr(datasets, "_url_infos", lambda name: infos)


def packed(arrays, stems=STEMS, prefix="/data/"):
    return {
        f"{prefix}{stem}.gz": gzip.compress(idx_bytes(array), mtime=0)
        for stem, array in zip(stems, arrays, strict=True)
    }


def test_mnist_is_downloaded_once_and_then_needs_no_network(tmp_path, small_sets, monkeypatch):
    files = packed(four_arrays())
    with serving(files) as (address, asked):
        register(monkeypatch, address, files)
        assert_is_four(load("mnist"), "mnist", four_arrays())
        assert set(asked) == set(files)
        del asked[:]
        assert_is_four(load("mnist"), "mnist", four_arrays())
        assert asked == []
    assert_is_four(load("mnist"), "mnist", four_arrays())
    names = {path.name for path in (tmp_path / "tfds_home/downloads/mnist").iterdir()}
    assert len([name for name in names if not name.endswith(".INFO")]) == 4


def test_emnist_is_read_from_its_archive(small_sets, monkeypatch):
    name = "emnist/letters"
    arrays = other_arrays()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, content in packed(arrays, _idx.SETS[name].stems, prefix="gzip/").items():
            archive.writestr(path, content)
    files = {"/EMNIST/gzip.zip": buffer.getvalue()}
    upright = [array.swapaxes(1, 2) if array.ndim == 3 else array for array in arrays]
    with serving(files) as (address, _):
        register(monkeypatch, address, files)
        assert_is_four(load(name), name, upright)
        # Another configuration comes from the same archive, or is missing there.
        message = fails("emnist/digits", None, "gzip/emnist-digits-train-images-idx3-ubyte.gz")
    assert "delete it" in message


def test_a_download_with_another_checksum_is_refused(small_sets, monkeypatch):
    files = packed(four_arrays())
    path = f"/data/{STEMS[3]}.gz"
    expected = b"what it should be"
    with serving(files) as (address, _):
        register(monkeypatch, address, {**files, path: expected})
        fails(
            "mnist",
            None,
            "download of 'mnist'",
            address + path,
            "wrong checksum",
            "give data_dir",
            "'digits'",
            hashlib.sha256(expected).hexdigest(),
            hashlib.sha256(files[path]).hexdigest(),
        )


def test_a_server_that_refuses_is_named_with_its_answer(monkeypatch):
    with serving({}) as (address, _):
        register(monkeypatch, address, packed(four_arrays()))
        host = address.removeprefix("http://")
        fails("mnist", None, host, "HTTP status 404", "give data_dir", "'digits'")


def unused_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def test_without_a_network_the_failure_is_quick_and_names_the_choices(tmp_path, monkeypatch):
    host = f"127.0.0.1:{unused_port()}"
    register(monkeypatch, f"http://{host}", packed(four_arrays()))
    start = time.monotonic()
    fails(
        "mnist",
        None,
        f"cannot reach {host}",
        "'mnist'",
        "refused",
        "give data_dir",
        "IDX",
        "array_record",
        "'digits'",
    )
    assert time.monotonic() - start < 5
    assert not (tmp_path / "tfds_home").exists()


def test_a_host_that_never_answers_is_given_up_in_time(monkeypatch):
    # Ten seconds are promised; the rest is for importing tensorflow_datasets.
    assert datasets._PROBE_SECONDS <= 7
    monkeypatch.setattr(datasets, "_PROBE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        host = f"127.0.0.1:{server.getsockname()[1]}"
        register(monkeypatch, f"http://{host}", packed(four_arrays()))
        start = time.monotonic()
        fails("mnist", None, f"cannot reach {host}", "give data_dir")
        assert time.monotonic() - start < 5


def test_a_name_server_that_never_answers_is_given_up_in_time(monkeypatch):
    released = threading.Event()

    def no_answer(*args, **kwargs):
        released.wait(20)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(datasets, "_PROBE_SECONDS", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", no_answer)
    register(monkeypatch, "http://somewhere.invalid", packed(four_arrays()))
    start = time.monotonic()
    try:
        fails("mnist", None, "cannot reach somewhere.invalid", "no answer in 0.2 seconds")
        assert time.monotonic() - start < 5
    finally:
        released.set()


@pytest.mark.parametrize("name", _idx.SETS)
def test_tensorflow_datasets_registers_the_files_that_are_asked_for(name, monkeypatch):
    asked = {}

    def record(name, infos):
        asked.update(infos)
        raise DatasetError("that is enough")

    monkeypatch.setattr(datasets, "_download", record)
    fails(name, None, "that is enough")
    files = [url.rsplit("/", 1)[-1] for url in asked]
    expected = ["gzip.zip"] if name.startswith("emnist") else [f"{stem}.gz" for stem in STEMS]
    assert files == expected
    assert all(len(bytes.fromhex(info.checksum)) == 32 for info in asked.values())


def test_a_url_that_is_no_longer_registered(monkeypatch):
    monkeypatch.setattr(datasets, "_url_infos", lambda name: {})
    fails("mnist", None, f"no URL of {STEMS[0]}.gz", "'mnist'", "give data_dir")


# Datasets prepared by TFDS.


def png(image):
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(buffer, "png")
    return buffer.getvalue()


def image_feature(*shape, dtype="uint8"):
    return {
        "pythonClassName": "tensorflow_datasets.core.features.image_feature.Image",
        "image": {
            "dtype": dtype,
            "shape": {"dimensions": [str(-1 if size is None else size) for size in shape]},
            "encodingFormat": "png",
        },
    }


LABEL = {
    "pythonClassName": "tensorflow_datasets.core.features.class_label_feature.ClassLabel",
    "classLabel": {"numClasses": "10"},
}


def write_prepared(
    folder,
    splits,
    features,
    name="small",
    config=None,
    file_format="array_record",
):
    """Writes what TFDS would: {split: list of {feature: image or label}} with its descriptions."""
    from array_record.python.array_record_module import ArrayRecordWriter
    from tensorflow_datasets.proto import tf_example_pb2 as proto

    folder.mkdir(parents=True)
    for split, records in splits.items():
        path = folder / f"{name}-{split}.array_record-00000-of-00001"
        writer = ArrayRecordWriter(str(path), "group_size:1")
        for record in records:
            example = proto.Example()
            for key, value in record.items():
                if isinstance(value, int):
                    example.features.feature[key].int64_list.value.append(value)
                else:
                    example.features.feature[key].bytes_list.value.append(png(value))
            writer.write(example.SerializeToString())
        writer.close()
    info = {
        "name": name,
        "version": folder.name,
        "fileFormat": file_format,
        "splits": [
            {
                "name": split,
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
                "shardLengths": [str(len(records))],
                "numBytes": "1",
            }
            for split, records in splits.items()
        ],
    }
    if config:
        info["configName"] = config
    (folder / "dataset_info.json").write_text(json.dumps(info))
    top = "tensorflow_datasets.core.features.features_dict.FeaturesDict"
    description = {"pythonClassName": top, "featuresDict": {"features": features}}
    (folder / "features.json").write_text(json.dumps(description))


def small_records(channels=3, num_train=5, num_test=2):
    images = bytes_of(num_train + num_test, 4, 6, channels)
    records = [{"image": image, "label": i % 10} for i, image in enumerate(images)]
    return {"train": records[:num_train], "test": records[num_train:]}


def write_small(root, channels=3, version="1.0.0", name="small", **changes):
    """A whole small dataset in TFDS's layout; returns its folder and what it holds."""
    splits = small_records(channels, **changes)
    folder = root / name / version
    features = {"image": image_feature(4, 6, channels), "label": LABEL}
    config = name.split("/")[1] if "/" in name else None
    write_prepared(folder, splits, features, name.split("/")[0], config)
    arrays = []
    for split in ("train", "test"):
        arrays.append(np.stack([record["image"] for record in splits[split]]))
        arrays.append(np.array([record["label"] for record in splits[split]]))
    return folder, arrays


@pytest.fixture
def decodings(monkeypatch):
    """The folders that were decoded, in order: a dataset from the cache adds none."""
    folders = []
    decode = datasets._decode

    def counting(name, folder):
        folders.append(folder)
        return decode(name, folder)

    monkeypatch.setattr(datasets, "_decode", counting)
    return folders


@pytest.mark.parametrize("channels", [1, 3])
def test_a_prepared_dataset_is_decoded_once(channels, tmp_path, decodings):
    folder, arrays = write_small(tmp_path, channels)
    for _ in range(3):
        assert_is(load("small", tmp_path, cache_dir=tmp_path / "cache"), "small", *arrays)
    assert decodings == [folder]
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".npz"]


def test_more_images_than_are_read_at_a_time(tmp_path):
    _, arrays = write_small(tmp_path, channels=1, num_train=1001, num_test=1000)
    assert_is(load("small", tmp_path), "small", *arrays)


def test_the_folder_of_the_dataset_or_of_the_version_will_do(tmp_path, decodings):
    folder, arrays = write_small(tmp_path)
    for data_dir in (folder, folder.parent, folder.parent.parent):
        assert_is(load("small", data_dir), "small", *arrays)
    # It is one source however it was named.
    assert decodings == [folder]


def test_the_newest_version_is_taken(tmp_path):
    write_small(tmp_path, version="9.0.0", num_train=3)
    folder, arrays = write_small(tmp_path, version="10.0.0", num_train=4)
    (folder.parent / "11.0.0").mkdir()  # nothing in it
    (folder.parent / "incomplete.ABC_12.0.0").mkdir()
    assert_is(load("small", tmp_path), "small", *arrays)


def test_a_configuration_is_part_of_the_name(tmp_path):
    folder, arrays = write_small(tmp_path, name="small/tiny")
    assert_is(load("small/tiny", tmp_path), "small/tiny", *arrays)
    fails("small", tmp_path, "no dataset 'small'", "prepared there: small/tiny")
    fails("small", folder, folder, "'small/tiny'", "expected 'small'")


def test_prepared_emnist_is_turned_upright(tmp_path):
    _, (a, b, c, d) = write_small(tmp_path, channels=1, name="emnist/balanced")
    expected = (a.swapaxes(1, 2), b, c.swapaxes(1, 2), d)
    for _ in range(2):  # decoded, then cached
        assert_is(load("emnist", tmp_path), "emnist/balanced", *expected)


def test_known_names_are_found_prepared_and_idx_files_go_first(tmp_path, small_sets):
    _, arrays = write_small(tmp_path, channels=1, name="mnist", version="3.0.1")
    assert_is(load("mnist", tmp_path), "mnist", *arrays)
    write_idx(tmp_path, four_arrays())
    assert_is_four(load("mnist", tmp_path), "mnist", four_arrays())


def test_another_dataset_than_asked_for_is_refused(tmp_path):
    folder, _ = write_small(tmp_path)
    fails("other", folder, folder, "'small'", "expected 'other'")
    fails("other", tmp_path, tmp_path, "'other'", "prepared there: small")


def test_features_of_other_names_are_found_by_their_type(tmp_path):
    images = bytes_of(4, 3, 3, 1)
    records = [{"scan": image, "digit": i, "id": 7} for i, image in enumerate(images)]
    scalar = {
        "pythonClassName": "tensorflow_datasets.core.features.scalar.Scalar",
        "tensor": {"shape": {}, "dtype": "int64", "encoding": "none"},
    }
    write_prepared(
        tmp_path / "small/1.0.0",
        {"train": records[:3], "test": records[3:]},
        {"scan": image_feature(3, 3, 1), "digit": LABEL, "id": scalar},
    )
    expected = (images[:3], np.arange(3), images[3:], np.array([3]))
    assert_is(load("small", tmp_path), "small", *expected)


def test_without_labels_there_are_none(tmp_path):
    images = bytes_of(3, 3, 3, 3)
    records = [{"image": image} for image in images]
    splits = {"train": records[:2], "test": records[2:]}
    write_prepared(tmp_path / "small/1.0.0", splits, {"image": image_feature(3, 3, 3)})
    for _ in range(2):  # decoded, then cached
        assert_is(load("small", tmp_path), "small", images[:2], None, images[2:], None)


def check_prepared(tmp_path, splits, features, *parts, **changes):
    folder = tmp_path / "small/1.0.0"
    write_prepared(folder, splits, features, **changes)
    message = fails("small", tmp_path, folder, *parts)
    assert not (tmp_path / "xdg").exists()  # nothing was cached
    return message


def test_a_dataset_without_an_image(tmp_path):
    splits = {"train": [{"label": 1}], "test": [{"label": 1}]}
    check_prepared(tmp_path, splits, {"label": LABEL}, "the features label", "expected 'image'")


def test_a_dataset_with_two_images_of_unusual_names(tmp_path):
    record = {"left": bytes_of(3, 3, 1), "right": bytes_of(3, 3, 1)}
    features = {"left": image_feature(3, 3, 1), "right": image_feature(3, 3, 1)}
    splits = {"train": [record], "test": [record]}
    check_prepared(tmp_path, splits, features, "features left, right", "expected 'image'")


def test_a_dataset_of_16_bit_images(tmp_path):
    features = {"image": image_feature(4, 6, 1, dtype="uint16"), "label": LABEL}
    check_prepared(tmp_path, small_records(1), features, "of type uint16", "expected uint8")


@pytest.mark.parametrize("present", [("train",), ("test",), ("train", "validation")])
def test_a_dataset_without_its_splits(present, tmp_path):
    splits = {split: small_records()["test"] for split in present}
    features = {"image": image_feature(4, 6, 3), "label": LABEL}
    part = f"the splits {', '.join(present)}: expected train and test"
    check_prepared(tmp_path, splits, features, part)


def test_an_empty_split(tmp_path):
    splits = {**small_records(), "test": []}
    features = {"image": image_feature(4, 6, 3), "label": LABEL}
    check_prepared(tmp_path, splits, features, "'test'", "is empty: expected images")


def test_images_of_different_shapes(tmp_path):
    shape = image_feature(None, None, 3)
    splits = small_records()
    splits["train"][3]["image"] = bytes_of(5, 6, 3)
    part = "image 3 of split 'train'"
    check_prepared(
        tmp_path, splits, {"image": shape, "label": LABEL}, part, "(5, 6, 3)", "(4, 6, 3)"
    )


def test_training_and_test_images_of_different_shapes(tmp_path):
    splits = small_records()
    for record in splits["test"]:
        record["image"] = bytes_of(6, 4, 3)
    features = {"image": image_feature(None, None, 3), "label": LABEL}
    check_prepared(tmp_path, splits, features, "(4, 6, 3)", "(6, 4, 3)", "one shape")


def test_a_dataset_in_another_format(tmp_path):
    features = {"image": image_feature(4, 6, 3), "label": LABEL}
    check_prepared(
        tmp_path, small_records(), features, "as tfrecord", "expected array_record",
        file_format="tfrecord",
    )  # fmt: skip


def test_damaged_descriptions(tmp_path):
    folder, _ = write_small(tmp_path)
    (folder / "features.json").write_text("{")
    fails("small", tmp_path, folder, "cannot be read by tensorflow_datasets")
    for text in ("{", "[]", "{}", "null", '{"name": 3}'):
        (folder / "dataset_info.json").write_text(text)
        fails("small", tmp_path, folder / "dataset_info.json", "damaged")


def test_damaged_records(tmp_path):
    folder, _ = write_small(tmp_path)
    path = folder / "small-test.array_record-00000-of-00001"
    whole = path.read_bytes()
    start = whole.index(b"\x89PNG")
    for content in (b"", whole[:100], whole[:start] + bytes(99) + whole[start + 99 :]):
        path.write_bytes(content)
        fails("small", tmp_path, "'test'", folder, "cannot be read")
    path.unlink()
    fails("small", tmp_path, "'test'", folder, "cannot be read")


WITHOUT_TENSORFLOW = """
import sys

class Finder:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, *rest):
        hidden = name.partition(".")[0] == "tensorflow"
        return None if hidden else self.finder.find_spec(name, *rest)

sys.meta_path[:] = [Finder(finder) for finder in sys.meta_path]
from repara import datasets
print(datasets.load("small", sys.argv[1]).train_images.shape, "tensorflow" in sys.modules)
"""


def test_tensorflow_is_not_needed(tmp_path):
    write_small(tmp_path)
    command = [sys.executable, "-c", WITHOUT_TENSORFLOW, str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "(5, 4, 6, 3) False"


# The cache.


def cache_file(cache):
    (path,) = cache.iterdir()
    return path


@pytest.mark.parametrize("variable", ["XDG_CACHE_HOME", "HOME"])
def test_the_cache_is_where_caches_are_by_default(variable, tmp_path, monkeypatch):
    write_small(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv(variable, str(tmp_path / "there"))
    load("small", tmp_path)
    below = "repara" if variable == "XDG_CACHE_HOME" else ".cache/repara"
    assert cache_file(tmp_path / "there" / below).name.startswith("small-")


@pytest.mark.parametrize("change", ["records", "times", "description", "more files"])
def test_a_changed_source_is_decoded_again(change, tmp_path, decodings):
    folder, arrays = write_small(tmp_path)
    cache = tmp_path / "cache"
    load("small", tmp_path, cache_dir=cache)
    record = folder / "small-test.array_record-00000-of-00001"
    if change == "records":
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
        _, arrays = write_small(tmp_path, num_train=3)
    elif change == "times":
        os.utime(record, ns=(0, 0))
    elif change == "description":
        path = folder / "dataset_info.json"
        times = path.stat().st_atime_ns, path.stat().st_mtime_ns
        path.write_text(path.read_text().replace('"1"', '"2"'))
        os.utime(path, ns=times)  # of the same size and time
    else:
        (folder / "label.labels.txt").write_text("zero")
    assert_is(load("small", tmp_path, cache_dir=cache), "small", *arrays)
    assert len(decodings) == 2
    assert_is(load("small", tmp_path, cache_dir=cache), "small", *arrays)
    assert len(decodings) == 2
    assert cache_file(cache)  # the outdated one was replaced


def test_two_sources_of_a_name_do_not_share_a_cache(tmp_path, decodings):
    _, one = write_small(tmp_path / "one", num_train=3)
    _, two = write_small(tmp_path / "two", num_train=4)
    for _ in range(2):
        assert_is(load("small", tmp_path / "one"), "small", *one)
        assert_is(load("small", tmp_path / "two"), "small", *two)
    assert len(decodings) == 2


@pytest.mark.parametrize(
    "damage",
    ["empty", "truncated", "flipped bit", "not an archive", "other arrays", "fewer arrays"],
)
def test_a_damaged_cache_is_reported_and_replaced(damage, tmp_path, decodings, caplog):
    _, arrays = write_small(tmp_path)
    cache = tmp_path / "cache"
    load("small", tmp_path, cache_dir=cache)
    path = cache_file(cache)
    whole = path.read_bytes()
    position = whole.index(arrays[0].tobytes()) + 5
    if damage == "empty":
        path.write_bytes(b"")
    elif damage == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "flipped bit":
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
    elif damage == "not an archive":
        path.write_bytes(b"neither numpy nor zip")
    else:
        with np.load(path) as file:
            content = dict(file)
        content["surprise"] = content.pop("train_images")
        if damage == "fewer arrays":
            del content["surprise"]
        np.savez(path, **content)
    with caplog.at_level(logging.WARNING):
        assert_is(load("small", tmp_path, cache_dir=cache), "small", *arrays)
    assert f"cache {path} is damaged" in caplog.text
    assert len(decodings) == 2
    assert_is(load("small", tmp_path, cache_dir=cache), "small", *arrays)
    assert len(decodings) == 2


def test_a_cache_that_cannot_be_written_is_reported_and_done_without(tmp_path, caplog):
    _, arrays = write_small(tmp_path)
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING):
        assert_is(load("small", tmp_path, cache_dir=tmp_path / "file/cache"), "small", *arrays)
    assert "cannot be written" in caplog.text


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_cache_and_no_other_file(
    error, tmp_path, caplog, monkeypatch
):
    folder, arrays = write_small(tmp_path)
    cache = tmp_path / "cache"
    load("small", tmp_path, cache_dir=cache)
    path = cache_file(cache)
    before = path.read_bytes()
    os.utime(folder / "features.json", ns=(0, 0))

    def half(file, **arrays):
        file.write(b"half of it")
        raise error

    monkeypatch.setattr(np, "savez", half)
    if isinstance(error, OSError):
        with caplog.at_level(logging.WARNING):
            assert_is(load("small", tmp_path, cache_dir=cache), "small", *arrays)
        assert "No space left" in caplog.text
    else:
        with pytest.raises(KeyboardInterrupt):
            load("small", tmp_path, cache_dir=cache)
    assert cache_file(cache) == path
    assert path.read_bytes() == before


def test_the_cache_appears_by_a_rename_of_what_is_on_the_disk(tmp_path, monkeypatch):
    write_small(tmp_path)
    cache = tmp_path / "cache"
    calls = []
    fsync, replace = os.fsync, os.replace

    def noting_fsync(handle):
        calls.append(("fsync", os.fstat(handle).st_ino))
        fsync(handle)

    def noting_replace(source, target):
        calls.append(("replace", os.stat(source).st_ino))
        assert Path(source).parent == Path(target).parent == cache
        assert not Path(target).exists()
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(os, "replace", noting_replace)
    load("small", tmp_path, cache_dir=cache)
    inode = cache_file(cache).stat().st_ino
    assert calls == [("fsync", inode), ("replace", inode)]


def test_a_process_killed_while_it_writes_leaves_no_cache(tmp_path, decodings):
    _, arrays = write_small(tmp_path)
    cache = tmp_path / "cache"
    code = (
        "import os, signal, numpy as np\n"
        "from repara import datasets\n"
        "def half(file, **arrays):\n"
        "    file.write(b'half of it'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)\n"
        "np.savez = half\n"
        f"datasets.load('small', {str(tmp_path)!r}, cache_dir={str(cache)!r})"
    )
    run = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert run.returncode == -9
    leftover = cache_file(cache)
    assert leftover.suffix == ".tmp"
    assert_is(load("small", tmp_path, cache_dir=cache), "small", *arrays)
    assert len(decodings) == 1
    # It may be another process still at it, so it goes only when it is old.
    assert leftover.exists()
    os.utime(leftover, (time.time() - 7200,) * 2)
    (path,) = set(cache.iterdir()) - {leftover}
    path.unlink()
    load("small", tmp_path, cache_dir=cache)
    assert cache_file(cache) == path
