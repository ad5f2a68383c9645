"""The study of gradient estimators, small."""

import csv
import itertools
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from experiments.gradient_variance import Config, discrete, functions, run, signal_to_noise
from experiments.harness.configuration import ConfigError


@pytest.mark.parametrize("estimator", list(functions.ESTIMATORS))
@pytest.mark.parametrize("function", list(functions.FUNCTIONS))
def test_measured_variances_match_the_exact_integrals(function, estimator):
    k = 0.7
    exact = functions.exact_variance(function, estimator, k)
    measured, stderr = functions.measured_variance(
        function, estimator, np.array([k]), jax.random.key(0), 400_000
    )
    # The 5% that are allowed would be seen at two standard errors and more.
    assert np.all(stderr[0] < 0.025 * exact)
    np.testing.assert_allclose(measured[0], exact, rtol=0.05)


def test_exact_variances_in_closed_form():
    # f = (x - k)^2, loc 1, scale 1: f' = 2 (x - k), variance 4; in scale 2 (1 - k + e) e,
    # variance 4 ((1 - k)^2 + 2).
    k = 0.25
    pathwise = functions.exact_variance("(x - k)^2", "pathwise", k)
    np.testing.assert_allclose(pathwise, [4.0, 4 * (0.75**2 + 2)], rtol=1e-9)
    # Measure-valued in loc: 4 (1 - k) W / sqrt(2 pi), W Rayleigh with variance 2 - pi / 2.
    measure = functions.exact_variance("(x - k)^2", "measure-valued", k)
    np.testing.assert_allclose(measure[0], 16 * 0.75**2 / (2 * np.pi) * (2 - np.pi / 2), rtol=1e-9)


@pytest.mark.slow
def test_slopes_of_the_signal_to_noise_ratio():
    rows = signal_to_noise.study(jax.random.key(1), 5, 5000, lambda label: None)
    slopes = signal_to_noise.slopes(rows)
    assert abs(slopes["plain"] + 0.5) < 0.1
    assert abs(slopes["dreg"] - 0.5) < 0.1


@pytest.mark.slow
def test_a_study_leaves_its_files_and_is_not_run_again(tmp_path):
    workdir = tmp_path / "run"
    config = Config(study="snr", quick=True, workdir=str(workdir))
    result = run(config)
    assert set(result["snr"]["slopes"]) == {"plain", "dreg"}
    rows = list(csv.DictReader((workdir / "snr.csv").read_text().splitlines()))
    assert [int(r["num_samples"]) for r in rows if r["gradient"] == "dreg"] == [
        4**i for i in range(5)
    ]
    picture = workdir / "plots" / "snr.png"
    assert picture.stat().st_size > 5000
    before = picture.stat().st_mtime_ns
    assert run(config)["snr"] == result["snr"]
    assert picture.stat().st_mtime_ns == before
    with pytest.raises(ConfigError, match="--seed=1"):
        run(Config(study="snr", quick=True, workdir=str(workdir), seed=1))


@pytest.mark.slow
def test_every_study(tmp_path):
    result = run(Config(quick=True, num_seeds=1, workdir=str(tmp_path)))
    assert {"functions", "logistic", "discrete", "snr"} <= set(result)
    for name in ("functions", "logistic", "discrete", "snr"):
        assert (tmp_path / "plots" / f"{name}.png").stat().st_size > 5000
        assert (tmp_path / f"{name}.csv").exists()
    table = {r["estimator"]: r for r in result["discrete"]["table"]}
    # What is known without any measurement.
    assert table["exact"]["variance"] < 1e-15  # rounding
    assert table["DisARM"]["variance"] < table["ARM"]["variance"]
    leave_one_out = table["score function, leave-one-out"]["variance"]
    assert leave_one_out < table["score function"]["variance"]
    for name in ("REBAR", "RELAX"):
        assert table[name]["variance"] < 0.7 * leave_one_out


def test_bias_falls_with_the_temperature():
    rows = discrete.temperatures(jax.random.key(0), 3, 600, lambda label: None)
    for name in dict.fromkeys(r["estimator"] for r in rows):
        mine = [r for r in rows if r["estimator"] == name]
        assert [round(r["temperature"], 3) for r in mine] == [0.05, 0.224, 1.0]
        for colder, warmer in itertools.pairwise(mine):
            error = colder["bias_stderr"] + warmer["bias_stderr"]
            assert warmer["bias"] - colder["bias"] > 5 * error
            assert colder["variance"] > warmer["variance"]  # which is the price


@pytest.mark.slow
def test_a_killed_run_goes_on_with_the_study_in_which_it_was(tmp_path, request):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run(Config(study="functions", quick=True, workdir=str(whole)))
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
    result = run(Config(study="snr", quick=True, workdir=str(killed)))
    assert {"functions", "snr"} <= set(result)
    assert (killed / "functions.csv").stat().st_mtime_ns == written
    assert (killed / "functions.csv").read_bytes() == (whole / "functions.csv").read_bytes()


def test_an_unknown_study_is_refused():
    with pytest.raises(ConfigError, match=r"--study=bayes: must be one of all, functions"):
        run(Config(study="bayes"))
