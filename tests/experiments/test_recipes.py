import dataclasses
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

from experiments import vae
from experiments.harness.configuration import validate
from experiments.vae import model as vae_model
from experiments.vae.recipes import RECIPES
from repara import training

# The same experiment on 8x8 scans with a network of some hundred parameters.
_TINY = {
    "hidden_sizes": (8, 8), "latent_dim": 2, "batch_size": 100, "epochs": 1, "num_eval_samples": 3,
    "num_devices": 1, "num_samples": 2, "top_latent_dim": 2, "top_hidden_sizes": (4, 4),
}  # fmt: skip


def _tiny(name, **changes):
    config = vae.Config(**RECIPES[name].flags)
    return dataclasses.replace(config, dataset="digits", **_TINY, **changes)


@pytest.mark.parametrize("name", list(RECIPES))
def test_a_recipe_is_a_setting_that_trains(name):
    config = vae.Config(**RECIPES[name].flags)
    validate(config)
    vae_model.check_combinations(config)
    assert RECIPES[name].source
    # The whole step is traced, at the size of the recipe; nothing is computed.
    shape = (28, 20, 1) if config.dataset == "frey_faces" else (28, 28, 1)
    model = vae_model.build_model(config, jnp.full(shape, 0.3))
    optimizer = vae_model.make_optimizer(config, 10)
    step = training.make_train_step(vae_model.make_loss(config, model, 1), optimizer)

    def first(key):
        state = training.init_state(vae_model.init_params(model, shape, key), optimizer)
        return step(state, jnp.zeros((config.batch_size, *shape), jnp.uint8), key)

    state, metrics = jax.eval_shape(first, jax.random.key(0))
    assert metrics["loss"].shape == ()
    sizes = [x.size for x in jax.tree.leaves(state.params)]
    if name == "vae_mnist_k1":
        assert sum(sizes) == 425_284  # the network of Burda et al.


@pytest.mark.slow
@pytest.mark.parametrize("name", list(RECIPES))
def test_a_recipe_runs_at_tiny_size(name, tmp_path):
    result = vae.run(_tiny(name, workdir=str(tmp_path / "run")))
    assert result["epochs"] == 1
    assert result["test_nll"] == result["test_nll"]
    assert result["test_elbo"] <= -result["test_nll"] + 5 * result["test_elbo_stderr"]


def test_flags_win_over_a_recipe_and_an_unknown_one_is_refused(tmp_path):
    def launch(*arguments):
        command = [sys.executable, "-m", "experiments.vae", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    flags = [f"--workdir={tmp_path / 'run'}", "--dataset=digits", "--batch_size=10000"]
    refused = launch("--recipe=vae_mnist_k1", *flags)
    assert refused.returncode != 0
    assert "--batch_size=10000: digits has" in refused.stderr
    unknown = launch("--recipe=vae_mnist_k2")
    assert unknown.returncode != 0
    assert re.fullmatch(
        r"vae: --recipe=vae_mnist_k2: must be one of vae_mnist_k1, .*\n", unknown.stderr
    )
