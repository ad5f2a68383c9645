"""The cache of decoded datasets: when it is used, replaced, damaged or not written at all."""

import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from repara.datasets import load
from tests.datasets.files import assert_is, write_small


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
