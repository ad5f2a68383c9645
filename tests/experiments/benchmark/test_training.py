"""The benchmark of training a VAE."""

import json
import sys

import pytest

from experiments.benchmark import training
from experiments.benchmark.training.config import Setting
from experiments.benchmark.training.matrix_products import operations_per_image


def test_reported_numbers_are_consistent(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # as if it were not installed
    output = tmp_path / "results.json"
    result = training.run(
        training.Config(epochs=1, num_images=512, platform="cpu", output=str(output))
    )
    assert json.loads(output.read_text()) == result
    assert result["median_seconds"].keys() == {"repara"}
    # 3 * 644,800 - 2 * 784 * 400 multiply-adds, twice, for 512 images.
    operations = 2 * (3 * (784 * 400 + 400 * 40 + 20 * 400 + 400 * 784) - 784 * 400) * 512
    assert result["floor_seconds"] == pytest.approx(operations / result["ceiling_gflops"] / 1e9)
    assert result["fraction_of_ceiling"] == pytest.approx(
        result["floor_seconds"] / result["median_seconds"]["repara"]
    )


def test_the_importance_weighted_bound_has_one_decoder_pass_per_sample():
    setting = Setting(
        num_images=60_000, batch_size=128, hidden_sizes=(200, 200), latent_dim=50, num_samples=50
    )
    decoder = 50 * 200 + 200 * 200 + 200 * 784
    encoder = 784 * 200 + 200 * 200 + 200 * 100
    expected = 2 * (3 * (encoder + 50 * decoder) - 784 * 200)
    assert operations_per_image(setting) == expected


def test_the_importance_weighted_bound_runs():
    config = training.Config(
        epochs=1, num_images=256, platform="cpu", hidden_sizes=(20, 10), latent_dim=5,
        num_samples=3,
    )  # fmt: skip
    assert training.run(config)["memory_bytes"] > 0
