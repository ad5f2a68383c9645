"""Runs of the gradient studies: their files, and continuing a stopped run."""

import csv
import signal
import subprocess
import sys
import time

import pytest

from experiments import gradient_variance
from experiments.gradient_variance import Config
from experiments.harness.configuration import ConfigError


@pytest.mark.slow
def test_a_study_writes_its_files_and_does_not_run_again(tmp_path):
    workdir = tmp_path / "run"
    config = Config(study="snr", quick=True, workdir=str(workdir))
    result = gradient_variance.run(config)
    assert set(result["snr"]["slopes"]) == {"plain", "dreg"}
    rows = list(csv.DictReader((workdir / "snr.csv").read_text().splitlines()))
    counts = [int(r["num_samples"]) for r in rows if r["gradient"] == "dreg"]
    assert counts == [1, 4, 16, 64, 256]
    picture = workdir / "plots" / "snr.png"
    assert picture.stat().st_size > 5000
    before = picture.stat().st_mtime_ns
    assert gradient_variance.run(config)["snr"] == result["snr"]
    assert picture.stat().st_mtime_ns == before
    with pytest.raises(ConfigError, match="--seed=1"):
        gradient_variance.run(Config(study="snr", quick=True, workdir=str(workdir), seed=1))


@pytest.mark.slow
def test_every_study_runs_and_orders_the_estimators_as_theory_does(tmp_path):
    result = gradient_variance.run(Config(quick=True, num_seeds=1, workdir=str(tmp_path)))
    for name in ("functions", "logistic", "discrete", "snr"):
        assert name in result
        assert (tmp_path / "plots" / f"{name}.png").stat().st_size > 5000
        assert (tmp_path / f"{name}.csv").exists()
    variance = {r["estimator"]: r["variance"] for r in result["discrete"]["table"]}
    assert variance["exact"] < 1e-15  # rounding
    assert variance["DisARM"] < variance["ARM"]
    leave_one_out = variance["score function, leave-one-out"]
    assert leave_one_out < variance["score function"]
    assert variance["REBAR"] < 0.7 * leave_one_out
    assert variance["RELAX"] < 0.7 * leave_one_out


@pytest.mark.slow
def test_a_killed_run_continues_with_the_study_that_was_interrupted(tmp_path, request):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    gradient_variance.run(Config(study="functions", quick=True, workdir=str(whole)))
    process = subprocess.Popen(
        [sys.executable, "-m", "experiments.gradient_variance", "--quick", f"--workdir={killed}"],
        cwd=request.config.rootpath, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.time() + 300
    while not (killed / "result.json").exists():
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.time() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (killed / "logistic.csv").exists()
    written = (killed / "functions.csv").stat().st_mtime_ns
    result = gradient_variance.run(Config(study="snr", quick=True, workdir=str(killed)))
    assert {"functions", "snr"} <= set(result)
    assert (killed / "functions.csv").stat().st_mtime_ns == written
    assert (killed / "functions.csv").read_bytes() == (whole / "functions.csv").read_bytes()


def test_an_unknown_study_is_refused():
    with pytest.raises(ConfigError, match=r"--study=bayes: must be one of all, functions"):
        gradient_variance.run(Config(study="bayes"))
