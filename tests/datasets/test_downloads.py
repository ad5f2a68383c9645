"""Downloads, from a server on the loopback device; there is no other network."""

import contextlib
import gzip
import hashlib
import http.server
import io
import socket
import threading
import time
import zipfile

import pytest

from repara.datasets import DatasetError, downloads, idx, load
from tests.datasets.files import STEMS, assert_is_four, fails, four_arrays, idx_bytes, other_arrays


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
    monkeypatch.setattr(downloads, "url_infos", lambda name: infos)


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
        for path, content in packed(arrays, idx.SETS[name].stems, prefix="gzip/").items():
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
    assert downloads.PROBE_SECONDS <= 7
    monkeypatch.setattr(downloads, "PROBE_SECONDS", 0.2)
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

    monkeypatch.setattr(downloads, "PROBE_SECONDS", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", no_answer)
    register(monkeypatch, "http://somewhere.invalid", packed(four_arrays()))
    start = time.monotonic()
    try:
        fails("mnist", None, "cannot reach somewhere.invalid", "no answer in 0.2 seconds")
        assert time.monotonic() - start < 5
    finally:
        released.set()


@pytest.mark.parametrize("name", idx.SETS)
def test_tensorflow_datasets_registers_the_files_that_are_asked_for(name, monkeypatch):
    asked = {}

    def record(name, infos):
        asked.update(infos)
        raise DatasetError("that is enough")

    monkeypatch.setattr(downloads, "download", record)
    fails(name, None, "that is enough")
    files = [url.rsplit("/", 1)[-1] for url in asked]
    expected = ["gzip.zip"] if name.startswith("emnist") else [f"{stem}.gz" for stem in STEMS]
    assert files == expected
    assert all(len(bytes.fromhex(info.checksum)) == 32 for info in asked.values())


def test_a_url_that_is_no_longer_registered(monkeypatch):
    monkeypatch.setattr(downloads, "url_infos", lambda name: {})
    fails("mnist", None, f"no URL of {STEMS[0]}.gz", "'mnist'", "give data_dir")
