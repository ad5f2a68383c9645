import dataclasses
import gc
import io
import json
import time

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.harness.checkpoints import Checkpoints, digest
from experiments.harness.configuration import ConfigError, option
from experiments.harness.progress import Progress
from experiments.harness.run_directory import RunDirectory, fresh_workdir, write_atomically


@dataclasses.dataclass(frozen=True)
class Config:
    workdir: str | None = option(None, "a directory", may_change=True)
    rate: float = option(0.1, "a rate")
    sizes: tuple[int, ...] = option((3, 4), "sizes")
    epochs: int = option(5, "epochs")
    mode: str = option("train", "a mode", may_change=True)


def _settle(directory, config, data="d" * 64, **keywords):
    directory.write_or_check_config(config, data, **keywords)


def test_config_is_written_and_checked(tmp_path):
    directory = RunDirectory(tmp_path / "run")
    _settle(directory, Config())
    stored = RunDirectory.read_config(directory.path)
    assert stored["flags"] == {
        "workdir": str(directory.path),
        "rate": 0.1,
        "sizes": [3, 4],
        "epochs": 5,
        "mode": "train",
    }
    assert {"jax", "git_commit", "device", "python"} <= stored["environment"].keys()
    _settle(directory, Config(mode="evaluate"))
    with pytest.raises(ConfigError, match=r"--rate=0.2: the run in .* has --rate=0.1"):
        _settle(directory, Config(rate=0.2))
    with pytest.raises(ConfigError, match=r"--sizes=3: the run in .* has --sizes=3,4"):
        _settle(directory, Config(sizes=(3,)))
    with pytest.raises(ConfigError, match="other data"):
        _settle(directory, Config(), data="e" * 64)


def test_what_may_grow_may_not_shrink(tmp_path):
    directory = RunDirectory(tmp_path)
    _settle(directory, Config())
    with pytest.raises(ConfigError, match="--epochs=9"):
        _settle(directory, Config(epochs=9))
    _settle(directory, Config(epochs=9), may_grow=("epochs",))
    with pytest.raises(ConfigError, match=r"--epochs=5: .* has --epochs=9"):
        _settle(directory, Config(epochs=5), may_grow=("epochs",))


def test_a_directory_without_a_run_or_with_a_broken_one(tmp_path):
    with pytest.raises(ConfigError, match="holds no run"):
        RunDirectory.read_config(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ConfigError, match="is damaged"):
        RunDirectory.read_config(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is a file"):
        RunDirectory(tmp_path / "file")


def test_metrics_are_appended_and_truncated(tmp_path):
    directory = RunDirectory(tmp_path)
    assert directory.read_metrics() == []
    for epoch in (1, 2, 3):
        directory.append_metrics({"epoch": epoch, "loss": float("nan") if epoch == 2 else 0.5})
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"epoch": 4, "lo')  # a kill in the middle of a line
    assert [m["epoch"] for m in directory.read_metrics()] == [1, 2, 3]
    assert directory.read_metrics()[1]["loss"] is None
    directory.truncate_metrics(2)
    assert (tmp_path / "metrics.jsonl").read_text().count("\n") == 2
    assert [m["epoch"] for m in directory.read_metrics()] == [1, 2]


def test_result(tmp_path):
    directory = RunDirectory(tmp_path)
    assert directory.read_result() is None
    directory.write_result({"nll": 1.5, "bad": float("inf")})
    assert directory.read_result() == {"nll": 1.5, "bad": None}


def test_atomic_write_leaves_no_temporary_file(tmp_path):
    file = tmp_path / "a.json"
    write_atomically(file, "one")
    write_atomically(file, "two")
    assert file.read_text() == "two"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_fresh_directories_differ(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "strftime", lambda _: "20260101-000000")
    a, b = (fresh_workdir("vae", tmp_path) for _ in range(2))
    assert a.name == "vae-20260101-000000"
    assert b.name == "vae-20260101-000000-1"


def _state(scale):
    return {"w": scale * jnp.arange(3000.0), "step": jnp.int32(scale)}


def test_checkpoints_round_trip_and_keep_the_newest(tmp_path):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    assert checkpoints.restore(_state(0), print) is None
    assert checkpoints.latest() is None
    for epoch in (1, 2, 3, 4):
        checkpoints.save(epoch, _state(epoch))
    assert checkpoints.latest() == 4
    epoch, state = Checkpoints(tmp_path / "checkpoints").restore(_state(0), print)
    assert epoch == 4
    np.testing.assert_array_equal(state["w"], _state(4)["w"])
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["2", "3", "4"]


def _files(directory):
    return sorted((p for p in directory.rglob("*") if p.is_file()), key=lambda p: -p.stat().st_size)


# A read that fails leaves unfinished coroutines behind in orbax, which Python then tells of.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("damage", ["truncate", "flip", "delete", "empty_digest"])
def test_a_damaged_checkpoint_is_reported_and_the_one_before_is_used(tmp_path, damage):
    path = tmp_path / "checkpoints"
    checkpoints = Checkpoints(path)
    for epoch in (1, 2):
        checkpoints.save(epoch, _state(epoch))
    checkpoints.close()
    if damage == "empty_digest":
        target = path / "2" / "digest" / "metadata"
        assert "sha256" in target.read_text()
        target.write_bytes(b"")
    else:
        target = _files(path / "2" / "state")[0]
        content = target.read_bytes()
        if damage == "truncate":
            target.write_bytes(content[: len(content) // 2])
        elif damage == "flip":
            middle = len(content) // 2
            flipped = bytes([content[middle] ^ 0x10])
            target.write_bytes(content[:middle] + flipped + content[middle + 1 :])
        else:
            target.unlink()
    said = []
    restored = Checkpoints(path).restore(_state(0), said.append)
    assert restored is not None
    assert restored[0] == 1
    np.testing.assert_array_equal(restored[1]["w"], _state(1)["w"])
    (line,) = said
    assert line.startswith("checkpoint of epoch 2 is damaged")
    assert "\n" not in line
    assert len(list((tmp_path / "checkpoints-damaged").iterdir())) == 1  # nothing is lost
    gc.collect()  # here, not in a test that knows nothing of it


def test_digest_sees_names_types_and_values():
    digests = {
        digest(tree)
        for tree in (
            {"a": np.zeros(2, "float32")},
            {"b": np.zeros(2, "float32")},
            {"a": np.zeros(2, "int32")},
            {"a": np.zeros((1, 2), "float32")},
            {"a": np.array([0, 1], "float32")},
        )
    }
    assert len(digests) == 5


class _Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_is_plain_lines_off_a_terminal_and_a_bar_on_one():
    plain = io.StringIO()
    progress = Progress(10, 0, "epoch", plain)
    progress.update(1, {"loss": "2.00", "images/s": "300"})
    progress.print_line("a line")
    progress.close()
    assert plain.getvalue() == "epoch  1/10 loss=2.00 images/s=300\na line\n"
    terminal = _Terminal()
    progress = Progress(10, 4, "epoch", terminal)
    progress.update(1, {"loss": "2.00", "images/s": "300"})
    progress.close()
    shown = terminal.getvalue()
    assert "\r" in shown
    assert "5/10" in shown
    assert "images/s=300" in shown


def test_json_files_end_with_a_newline(tmp_path):
    directory = RunDirectory(tmp_path)
    directory.write_result({"a": 1})
    text = (tmp_path / "result.json").read_text()
    assert text.endswith("}\n")
    assert json.loads(text) == {"a": 1}
