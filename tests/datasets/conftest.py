"""Directories of a test's own, small known sets, and a count of what is decoded."""

import hashlib

import pytest

from repara.datasets import idx, prepared
from tests.datasets.files import four_arrays, idx_bytes


@pytest.fixture(autouse=True)
def _own_directories(tmp_path, monkeypatch):
    """Whatever a test does without naming a directory happens below its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds_home"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def small_sets(monkeypatch):
    """Makes the known sets small: the arrays of `four_arrays()` are the true MNIST."""
    digests = tuple(hashlib.sha256(idx_bytes(array)).hexdigest() for array in four_arrays())
    for name, spec in idx.SETS.items():
        sha256 = digests if name == "mnist" else spec.sha256
        small = spec._replace(counts=((6, 4),), sha256=sha256)
        monkeypatch.setitem(idx.SETS, name, small)


@pytest.fixture
def decodings(monkeypatch):
    """The folders that were decoded, in order: a dataset from the cache adds none."""
    folders = []
    decode = prepared.decode

    def counting(name, folder):
        folders.append(folder)
        return decode(name, folder)

    monkeypatch.setattr(prepared, "decode", counting)
    return folders
