import json
import sys

import pytest

from experiments.benchmark import __main__ as launcher
from experiments.benchmark import training


def test_figures_hang_together(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # as where it is not installed
    output = tmp_path / "figures.json"
    result = training.run(
        training.Config(epochs=1, num_images=512, platform="cpu", output=str(output))
    )
    assert json.loads(output.read_text()) == result
    assert result["median_seconds"].keys() == {"repara"}
    # 3 * 644,800 - 2 * 784 * 400 multiply-adds, twice, for 512 images.
    products = 2 * (3 * (784 * 400 + 400 * 40 + 20 * 400 + 400 * 784) - 784 * 400) * 512
    assert result["floor_seconds"] == pytest.approx(products / result["ceiling_gflops"] / 1e9)
    assert result["fraction_of_ceiling"] == pytest.approx(
        result["floor_seconds"] / result["median_seconds"]["repara"]
    )


def test_importance_weighted_bound_has_one_decoder_pass_a_sample():
    config = training.Config(hidden_sizes=(200, 200), latent_dim=50, num_samples=50)
    decoder = 50 * 200 + 200 * 200 + 200 * 784
    encoder = 784 * 200 + 200 * 200 + 200 * 100
    expected = 2 * (3 * (encoder + 50 * decoder) - 784 * 200)
    assert training._products_per_image(config) == expected
    small = training.run(
        training.Config(
            epochs=1, num_images=256, platform="cpu", hidden_sizes=(20, 10), latent_dim=5,
            num_samples=3,
        )
    )  # fmt: skip
    assert small["memory_bytes"] > 0


def test_an_unknown_benchmark_is_named(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["benchmark", "speed"])
    with pytest.raises(
        SystemExit, match="expected one of policy, sampling, topics, training, got 'speed'"
    ):
        launcher.main()
