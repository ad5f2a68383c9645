"""Runs that are really killed, and continued to the same end."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from experiments.harness.run_directory import RunDirectory
from tests.experiments.runs import outcome

pytestmark = pytest.mark.slow

_ARGUMENTS = [
    "--epochs=12", "--hidden_sizes=64", "--latent_dim=4", "--num_eval_samples=10",
    "--checkpoint_every=1", "--average_decay=0.9", "--schedule=cosine",
]  # fmt: skip


def _start(workdir, root):
    return subprocess.Popen(
        [sys.executable, "-m", "experiments.vae", f"--workdir={workdir}", *_ARGUMENTS],
        cwd=root, stderr=subprocess.PIPE, text=True, env={**os.environ, "JAX_PLATFORMS": "cpu"},
    )  # fmt: skip


def _finish(workdir, root):
    process = _start(workdir, root)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return errors


def _kill_when(workdir, root, condition):
    process = _start(workdir, root)
    deadline = time.time() + 120
    while not condition():
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.time() < deadline
        time.sleep(0.0005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()


def _epochs(workdir):
    return len(RunDirectory(workdir).read_metrics()) if workdir.exists() else 0


def _saving(workdir):
    return any((workdir / "checkpoints").glob("*tmp*"))


def _parameters(workdir):
    import orbax.checkpoint as ocp

    manager = ocp.CheckpointManager(workdir / "checkpoints")
    state = manager.restore(12, args=ocp.args.Composite(state=ocp.args.StandardRestore()))
    import jax

    return [np.asarray(x) for x in jax.tree.leaves(state["state"])]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, request):
    workdir = tmp_path_factory.mktemp("whole") / "run"
    _finish(workdir, request.config.rootpath)
    return workdir


@pytest.mark.parametrize("moment", ["at_start", "after_epochs", "during_a_save", "repeatedly"])
def test_a_killed_run_ends_as_one_that_was_not(tmp_path, request, uninterrupted, moment):
    root, workdir = request.config.rootpath, tmp_path / "run"
    if moment == "at_start":
        _kill_when(workdir, root, lambda: (workdir / "config.json").exists())
    elif moment == "after_epochs":
        _kill_when(workdir, root, lambda: _epochs(workdir) >= 5)
    elif moment == "during_a_save":
        _kill_when(workdir, root, lambda: _epochs(workdir) >= 3 and _saving(workdir))
        assert _saving(workdir), "the kill came during a save"
    else:
        for epochs in (2, 4, 7):
            _kill_when(workdir, root, lambda epochs=epochs: _epochs(workdir) >= epochs)
    _finish(workdir, root)
    assert outcome(workdir) == outcome(uninterrupted)
    for a, b in zip(_parameters(workdir), _parameters(uninterrupted), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_truncated_newest_checkpoint_costs_one_epoch(tmp_path, request, uninterrupted):
    root, workdir = request.config.rootpath, tmp_path / "run"
    _kill_when(workdir, root, lambda: (workdir / "checkpoints" / "4").exists())
    newest = max(int(p.name) for p in (workdir / "checkpoints").iterdir() if p.name.isdigit())
    files = [p for p in (workdir / "checkpoints" / str(newest)).rglob("*") if p.is_file()]
    largest = max(files, key=lambda p: p.stat().st_size)
    largest.write_bytes(largest.read_bytes()[: largest.stat().st_size // 2])
    errors = _finish(workdir, root)
    assert f"checkpoint of epoch {newest} is damaged" in errors
    assert f"after epoch {newest - 1}" in errors
    assert outcome(workdir) == outcome(uninterrupted)
