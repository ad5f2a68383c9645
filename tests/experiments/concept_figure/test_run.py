"""The figure of the reparameterization trick."""

import jax
import numpy as np

from experiments import concept_figure
from experiments.concept_figure.panels import gradients


def test_a_run_writes_the_figure_and_prints_its_path(tmp_path, capsys):
    output = tmp_path / "concept.png"
    config = concept_figure.Config(output=str(output), num_samples=100)
    assert concept_figure.run(config) == output
    assert output.read_bytes()[:4] == b"\x89PNG"
    assert capsys.readouterr().out == f"{output}\n"


def test_both_estimates_have_the_exact_mean_and_pathwise_ones_vary_less():
    pathwise, score_function = gradients(jax.random.key(0), 40_000)
    for estimates in (pathwise, score_function):
        error = np.std(estimates) / len(estimates) ** 0.5
        assert 5 * error < 0.2  # a tenth of the gradient would be noticed
        assert abs(np.mean(estimates) - 2.4) < 5 * error
    assert np.var(pathwise) < np.var(score_function) / 5
