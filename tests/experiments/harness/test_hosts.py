"""Several hosts: processes of this machine that know of each other only by address."""

import os
import socket
import subprocess
import sys

import pytest

from experiments import vae
from experiments.harness.configuration import ConfigError
from tests.experiments.runs import timeless_metrics

_ARGUMENTS = [
    "--hidden_sizes=16", "--latent_dim=2", "--num_eval_samples=10", "--checkpoint_every=1",
    "--num_devices=2",
]  # fmt: skip


def _start(root, workdir, *flags, devices=1):
    return subprocess.Popen(
        [sys.executable, "-m", "experiments.vae", f"--workdir={workdir}", *_ARGUMENTS, *flags],
        cwd=root, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(devices)},
    )  # fmt: skip


def _finish(process):
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return errors


def _two_hosts(root, workdir, *flags):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    processes = [
        _start(
            root, workdir, f"--coordinator_address=localhost:{port}", "--num_processes=2",
            f"--process_id={i}", *flags,
        )
        for i in range(2)
    ]  # fmt: skip
    return [_finish(p) for p in processes]


@pytest.mark.slow
def test_two_hosts_are_two_devices(tmp_path, request):
    root = request.config.rootpath
    together, alone = tmp_path / "together", tmp_path / "alone"
    _two_hosts(root, together, "--epochs=2")
    # The newest checkpoint is damaged: one host moves it aside, both go back to the one before.
    weights = max((together / "checkpoints" / "2").rglob("*"), key=lambda p: p.stat().st_size)
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 0xFF
    weights.write_bytes(bytes(content))
    errors = _two_hosts(root, together, "--epochs=3")
    assert "epoch 2 is damaged" in errors[0]
    assert "after epoch 1" in errors[0]
    assert "damaged" not in errors[1]  # only the first host reports
    _finish(_start(root, alone, "--epochs=3", devices=2))
    assert timeless_metrics(together) == timeless_metrics(alone)
    assert len(timeless_metrics(alone)) == 3


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"num_processes": 2}, "need --coordinator_address"),
        ({"process_id": 1}, "need --coordinator_address"),
        ({"coordinator_address": "here:1"}, "give one --workdir"),
        ({"coordinator_address": "here", "workdir": "w"}, "must be host:port"),
        (
            {"coordinator_address": "here:1", "workdir": "w", "process_id": 2, "num_processes": 2},
            "must be below --num_processes=2",
        ),
    ],
)
def test_flags_that_contradict_each_other(flags, message):
    with pytest.raises(ConfigError, match=message):
        vae.run(vae.Config(**flags))
