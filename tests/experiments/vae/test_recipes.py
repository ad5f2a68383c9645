"""Recipes: every setting resolves, and trains at a tiny size."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import vae
from experiments.vae.config import DataFacts, resolve, validate_config
from experiments.vae.objectives import make_loss
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
    validate_config(config)
    assert RECIPES[name].source
    # The whole step is traced at the size of the recipe; nothing is computed.
    shape = (28, 20, 1) if config.dataset == "frey_faces" else (28, 28, 1)
    experiment = resolve(config, DataFacts(np.full(shape, 0.3), 10 * config.batch_size))
    loss = make_loss(experiment.model, experiment.objective)
    step = training.make_train_step(loss, experiment.optimizer)

    def first(key):
        state = training.init_state(experiment.model.init(key, shape), experiment.optimizer)
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
