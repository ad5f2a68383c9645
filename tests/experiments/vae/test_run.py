"""Runs of the VAE: results, files, modes, continuing, mistakes and the command line."""

import dataclasses
import json
import math
import re
import subprocess
import sys

import jax
import numpy as np
import pytest

from experiments import vae
from experiments.harness.configuration import ConfigError
from experiments.harness.run_directory import RunDirectory
from experiments.vae.__main__ import main
from tests.experiments.runs import outcome
from tests.experiments.vae.small import (
    objective_name,
    run_small,
    small,
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The directory and the result of one whole run, which several tests read."""
    path = tmp_path_factory.mktemp("runs")
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        return path / "run", run_small(path / "run")


def test_the_result_is_stored(trained):
    path, result = trained
    stored = json.loads((path / "result.json").read_text())
    assert {**stored, "workdir": str(path)} == result
    keys = {"test_nll", "test_nll_stderr", "test_elbo", "num_parameters", "train_seconds"}
    assert keys <= result.keys()
    assert result["epochs"] == 2
    # 64*16+16 + 2*(16*2+2) in the encoder, 2*16+16 + 16*64+64 in the decoder.
    assert result["num_parameters"] == 1040 + 68 + 48 + 1088


def test_reported_numbers_are_consistent(trained):
    _, result = trained
    # Importance weighting tightens the bound: log p(x) >= ELBO up to the error of the estimates.
    assert -result["test_nll"] >= result["test_elbo"] - 5 * result["test_elbo_stderr"]
    np.testing.assert_allclose(
        result["test_elbo"], result["test_reconstruction"] - result["test_kl"], rtol=1e-5
    )
    np.testing.assert_allclose(sum(result["kl_per_dimension"]), result["test_kl"], rtol=1e-4)


def test_mutual_information_and_marginal_kl_sum_to_the_kl(trained):
    _, result = trained
    parts = result["mutual_information"], result["marginal_kl"]
    errors = result["mutual_information_stderr"], result["marginal_kl_stderr"]
    assert abs(sum(parts) - result["test_kl"]) < 5 * sum(errors)
    assert 0 < parts[0] < math.log(result["num_test_images"])


def test_a_run_draws_its_figures(trained):
    path, _ = trained
    plots = {p.stem for p in (path / "plots").iterdir()}
    assert plots == {
        "interpolation", "kl_per_dimension", "latent_scatter", "learning_curves", "manifold",
        "reconstructions", "samples", "traversals",
    }  # fmt: skip
    for file in (path / "plots").iterdir():
        assert file.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_a_run_records_metrics_per_epoch(trained):
    metrics = RunDirectory(trained[0]).read_metrics()
    assert [m["epoch"] for m in metrics] == [1, 2]
    assert {"train_elbo", "train_kl", "test_elbo", "seconds", "step"} <= metrics[0].keys()


def test_tensorboard_reads_the_events(trained):
    path, result = trained
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(path))
    events.Reload()
    tags = events.Tags()
    assert {"train/elbo", "test/elbo", "train/loss", "result/test_nll"} <= set(tags["scalars"])
    assert set(tags["images"]) == {"reconstructions", "samples", "manifold", "traversals"}
    assert [e.step for e in events.Scalars("train/elbo")] == [1, 2]
    np.testing.assert_allclose(
        events.Scalars("result/test_nll")[0].value, result["test_nll"], rtol=1e-6
    )


def test_the_same_command_again_returns_the_result(trained):
    path, result = trained
    assert run_small(path) == result


def test_evaluate_and_sample_from_the_checkpoint(trained):
    path, result = trained
    again = run_small(
        path, mode="evaluate", num_eval_samples=200, ais_steps=60, ais_chains=4, ais_images=10
    )
    assert again["num_eval_samples"] == 200
    assert again["test_elbo"] == result["test_elbo"]  # the same draws
    assert not any(k.startswith(("ais", "bdmc")) for k in result)
    # On the same ten images the two agree within their errors, and the two sides of the annealing.
    error = math.hypot(again["ais_nll_mc_stderr"], again["ais_importance_nll_mc_stderr"])
    assert 0 < error < 0.5
    assert abs(again["ais_nll"] - again["ais_importance_nll"]) < 5 * error
    np.testing.assert_allclose(
        again["ais_minus_importance"], again["ais_importance_nll"] - again["ais_nll"], atol=1e-4
    )
    assert -5 * again["bdmc_gap_stderr"] < again["bdmc_gap"] < 1
    assert 0.5 < again["ais_acceptance"] < 0.8
    made = run_small(path, mode="sample", num_images=6)
    archive = np.load(made["samples"])
    assert archive["latents"].shape == (6, 2)
    assert archive["images"].shape == (6, 8, 8, 1)
    assert archive["images"].dtype == np.uint8


def test_contradicting_flags_are_refused(trained):
    path, _ = trained
    for change, message in [
        ({"learning_rate": 0.1}, "--learning_rate=0.1: the run in .* has --learning_rate=0.001"),
        ({"hidden_sizes": (8,)}, "--hidden_sizes=8: the run in .* has --hidden_sizes=16"),
        ({"epochs": 1}, "--epochs=1: .* has --epochs=2"),
    ]:
        with pytest.raises(ConfigError, match=message):
            run_small(path, **change)


def test_several_seeds_are_the_runs_of_each(tmp_path, trained):
    both = run_small(tmp_path / "run", num_seeds=2)
    assert [r["seed"] for r in both["seeds"]] == [0, 1]
    # The first is the run of that seed alone, up to the order of sums in batched products.
    for name in ("test_nll", "test_elbo", "test_kl"):
        np.testing.assert_allclose(both["seeds"][0][name], trained[1][name], rtol=1e-4)
        np.testing.assert_allclose(both[name], np.mean([r[name] for r in both["seeds"]]), rtol=1e-6)
    nll = [r["test_nll"] for r in both["seeds"]]
    assert nll[0] != nll[1]
    np.testing.assert_allclose(both["test_nll_spread"], np.std(nll, ddof=1), rtol=1e-6)
    last = RunDirectory(tmp_path / "run").read_metrics()[-1]
    np.testing.assert_allclose(last["test_elbo"], np.mean(last["test_elbo_of_seeds"]), rtol=1e-6)
    assert last["step"] == RunDirectory(trained[0]).read_metrics()[-1]["step"]
    assert run_small(tmp_path / "run", num_seeds=2) == both


def test_a_longer_run_continues_the_shorter_one(tmp_path):
    run_small(tmp_path / "whole", epochs=3)
    run_small(tmp_path / "parts", epochs=1)
    run_small(tmp_path / "parts", epochs=3)
    assert outcome(tmp_path / "whole") == outcome(tmp_path / "parts")


@pytest.mark.parametrize(
    "changes",
    [
        {"likelihood": "gaussian", "binarization": "none", "optimizer": "adamw"},
        {"likelihood": "discretized_logistic", "binarization": "none", "schedule": "cosine"},
        {"likelihood": "continuous_bernoulli", "binarization": "none", "average_decay": 0.9},
        {"architecture": "conv", "channels": 4, "binarization": "static", "clip_norm": 1.0},
        {"posterior": "multivariate_normal", "binarization": "threshold", "latent_dim": 3},
        {"objective": "iwae", "gradient": "dreg", "num_samples": 3, "optimizer": "rmsprop",
         "warmup_steps": 5},
        {"objective": "elbo_monte_carlo", "beta": 2.0, "beta_warmup_epochs": 1.0,
         "optimizer": "sgd", "learning_rate": 1e-3, "schedule": "linear"},
        {"objective": "piwae", "gradient": "stl", "num_samples": 2, "num_outer": 2},
    ],
    ids=lambda c: next(iter(c.values())),
)  # fmt: skip
def test_every_axis_trains(tmp_path, changes):
    result = run_small(tmp_path / "run", epochs=3, **changes)
    metrics = RunDirectory(tmp_path / "run").read_metrics()
    name = f"train_{objective_name(**changes)}"
    assert np.isfinite(result["test_nll"])
    assert metrics[-1]["train_reconstruction"] > metrics[0]["train_reconstruction"]
    assert name in metrics[0]
    assert ("test_bits_per_dim" in result) == (changes.get("likelihood") == "discretized_logistic")
    assert (tmp_path / "run" / "plots" / "manifold.png").exists() == (
        changes.get("latent_dim", 2) == 2
    )


def test_averaged_weights_are_the_ones_evaluated(tmp_path):
    plain = run_small(tmp_path / "plain")
    averaged = run_small(tmp_path / "averaged", average_decay=0.99)
    assert plain["test_elbo"] != averaged["test_elbo"]


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_step(tmp_path):
    with pytest.raises(
        vae.NonFiniteLossError, match=r"not finite at step \d+ \(epoch \d+\); .*checkpoint"
    ):
        run_small(tmp_path / "run", optimizer="sgd", learning_rate=1e8, epochs=5)
    metrics = RunDirectory(tmp_path / "run").read_metrics()
    assert all(m["train_loss"] is not None for m in metrics)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 5000}, "--batch_size=5000: digits has 1437 training images"),
        ({"binarization": "none"}, "--likelihood=bernoulli needs binarized data"),
        ({"likelihood": "gaussian"}, "--likelihood=gaussian needs gray levels"),
        ({"objective": "iwae", "beta": 2.0}, "--objective=iwae has no KL term"),
        ({"objective": "elbo_monte_carlo", "gradient": "dreg"},
         "does not have it; give --objective=iwae or ciwae or miwae or piwae or renyi, or "
         "--gradient=plain or stl"),
        ({"objective": "renyi", "num_samples": 2, "beta": 2.0}, "--objective=renyi has no KL term"),
        ({"alpha": 0.1}, "--alpha=0.1: --objective=elbo does not have it; give --objective=renyi, "
         "or leave it at 0.5"),
        ({"objective": "iwae", "num_outer": 4},
         "--num_outer=4: --objective=iwae does not have it; give --objective=miwae or piwae"),
        ({"objective": "vimco"}, "--objective=vimco compares samples with one another: give "
         "--num_samples=2 or more, got 1"),
        ({"objective": "vimco", "num_samples": 2, "gradient": "dreg"}, "or --gradient=plain"),
        ({"objective": "iwae", "free_bits": 0.1}, "--objective=iwae does not have it"),
        ({"posterior": "multivariate_normal", "free_bits": 0.1}, "give --posterior=normal"),
        ({"posterior": "beta", "ais_steps": 10}, "--ais_steps=10 needs latents with support R^D"),
        ({"conditional": True, "ais_steps": 10},
         "no labels: give --posterior=normal and --conditional=false, or --ais_steps=0"),
        ({"mode": "evaluate"}, "holds no run"),
        ({"num_devices": 100}, "--num_devices=100: this machine has"),
        ({"num_devices": 3}, "--batch_size=128: must be a multiple of the 3 devices"),
        ({"latent_dim": 0}, "--latent_dim=0: must be an integer from 1"),
    ],
)  # fmt: skip
def test_mistakes_are_named_and_leave_nothing_behind(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        run_small(tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()


def test_modes_other_than_train_need_a_workdir():
    with pytest.raises(ConfigError, match="--mode=sample needs the --workdir"):
        vae.run(small(mode="sample"))


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--epochs=zero", "flag --epochs=zero"),
        ("--epochs=0", "--epochs=0: must be an integer from 1"),
        ("--likelihood=poisson", "poisson"),
        ("--lerning_rate=1", "Did you mean: learning_rate"),
        ("train", "unexpected argument 'train'"),
        ("--recipe=vae_mnist_k2", "--recipe=vae_mnist_k2: must be one of vae_mnist_k1, "),
    ],
)
def test_the_command_line_reports_a_mistake_in_one_line(argument, message):
    with pytest.raises(SystemExit) as stop:
        main([argument])
    assert stop.value.code.startswith("vae: ")
    assert message in stop.value.code
    assert "\n" not in stop.value.code


def test_flags_override_a_recipe(tmp_path):
    flags = [f"--workdir={tmp_path / 'run'}", "--dataset=digits", "--batch_size=10000"]
    with pytest.raises(SystemExit, match="--batch_size=10000: digits has"):
        main(["--recipe=vae_mnist_k1", *flags])


def test_the_process_ends_with_an_error_code_and_one_line(request):
    done = subprocess.run(
        [sys.executable, "-m", "experiments.vae", "--dataset=minst", "--data_dir=/nowhere"],
        capture_output=True, text=True, cwd=request.config.rootpath, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 1
    assert re.fullmatch(r"vae: .*minst.*\n", done.stderr), done.stderr


@pytest.mark.parametrize("flag", ["--help", "--helpfull"])
def test_help_lists_every_flag(capsys, flag):
    with pytest.raises(SystemExit):
        main([flag])
    shown = capsys.readouterr().out
    for name in ("recipe", *(field.name for field in dataclasses.fields(vae.Config))):
        assert re.search(rf"--(\[no\])?{name}:", shown), name
