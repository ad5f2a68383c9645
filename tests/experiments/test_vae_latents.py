"""Posteriors, flows, priors, hierarchy, estimators and labels through the whole experiment."""

import dataclasses
import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import vae
from experiments.harness.configuration import ConfigError
from experiments.harness.run_directory import RunDirectory
from experiments.vae import latents as vae_latents
from experiments.vae import model as vae_model
from repara import datasets
from tests.distributions.programs import compiled

_SMALL = vae.Config(
    epochs=2, hidden_sizes=(16,), latent_dim=2, num_eval_samples=10, num_devices=1, num_images=6,
    flow_layers=2, flow_hidden_sizes=(8,), prior_components=5, num_components=3,
    top_latent_dim=2, top_hidden_sizes=(8,),
)  # fmt: skip
_MC = {"objective": "elbo_monte_carlo"}
_RUNS = {
    "von_mises_fisher": {"posterior": "von_mises_fisher"},
    "labels": {"conditional": True},
    "discrete": {"posterior": "bernoulli", "latent_dim": 8, "estimator": "disarm"},
    "relaxed": {"posterior": "relaxed_bernoulli", "latent_dim": 8,
                "temperature_epochs": 1.0, **_MC},
    "circle": {"posterior": "von_mises"},
    "simplex": {"posterior": "dirichlet"},
    "half_line": {"posterior": "gamma"},
    "mixture": {"posterior": "mixture", **_MC},
    "flow": {"flow": "iaf", "objective": "iwae", "num_samples": 2},
    "vamp": {"prior": "vamp", **_MC},
    "learnt_flow": {"prior": "flow", "posterior": "multivariate_normal", **_MC},
    "two_layers": {"stochastic_layers": 2, "objective": "iwae", "num_samples": 2},
    "autoregressive": {"stochastic_layers": 2, "prior": "autoregressive", **_MC},
    # Two epochs of these, at the default rate, learn less than the noise of one evaluation.
    "vimco": {"posterior": "bernoulli", "latent_dim": 8, "objective": "vimco", "num_samples": 4,
              "learning_rate": 1e-2, "epochs": 10},
    "categorical": {"posterior": "categorical", "estimator": "rebar", "architecture": "conv",
                    "channels": 2, "learning_rate": 1e-2, "epochs": 10},
}  # fmt: skip
_FAST = ("labels", "two_layers")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in _FAST else pytest.mark.slow) for n in _RUNS]
)
def test_trains_evaluates_and_draws(tmp_path, name):
    config = dataclasses.replace(_SMALL, workdir=str(tmp_path / "run"), **_RUNS[name])
    result = vae.run(config)
    metrics = RunDirectory(tmp_path / "run").read_metrics()
    assert metrics[-1]["test_elbo"] > metrics[0]["test_elbo"]
    assert np.isfinite(result["test_nll"])
    assert f"train_{vae_model.objective_name(config)}" in metrics[0]
    # Importance weighting tightens the bound, up to the error of the estimates.
    slack = 5 * (result["test_elbo_stderr"] + result["test_nll_mc_stderr"])
    assert -result["test_nll"] >= result["test_elbo"] - slack
    np.testing.assert_allclose(
        result["test_elbo"], result["test_reconstruction"] - result["test_kl"], rtol=1e-5
    )
    if (parts := vae_latents.parts_name(config)) is not None:
        np.testing.assert_allclose(sum(result[parts]), result["test_kl"], rtol=1e-3)
    plots = {p.stem for p in (tmp_path / "run" / "plots").iterdir()}
    assert {"interpolation", "latent_scatter", "samples", "reconstructions"} <= plots
    flat = config.latent_dim == 2 and not config.conditional and config.stochastic_layers == 1
    assert ("manifold" in plots) == (flat and not vae_latents.is_discrete(config))
    made = vae.run(dataclasses.replace(config, mode="sample"))
    assert np.load(made["samples"])["images"].shape == (6, 8, 8, 1)
    assert json.loads((tmp_path / "run" / "result.json").read_text())["num_units"] > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"posterior": "mixture"}, "--objective=elbo: --posterior=mixture has no KL in closed form;"
         " give --objective=elbo_monte_carlo or iwae"),
        ({"flow": "iaf"}, "--objective=elbo: --flow=iaf has no KL"),
        ({"prior": "vamp"}, "--objective=elbo: --prior=vamp has no KL"),
        ({"stochastic_layers": 2}, "--objective=elbo: --stochastic_layers=2 has no KL"),
        ({"posterior": "relaxed_bernoulli"}, "--objective=elbo: --posterior=relaxed_bernoulli"),
        ({"posterior": "gamma", "flow": "planar"}, "--flow=planar needs latents that fill space"),
        ({"posterior": "beta", "prior": "mixture"}, "--prior=mixture needs latents that fill"),
        ({"posterior": "mixture", "prior": "vamp"}, "--prior=vamp mixes normals"),
        ({"flow": "spline", "latent_dim": 1, **_MC}, "--flow=spline needs --latent_dim=2"),
        ({"posterior": "bernoulli"}, "--estimator=pathwise: --posterior=bernoulli has no repara"),
        ({"estimator": "rebar"}, "--estimator=rebar: --posterior=normal needs none"),
        ({"posterior": "categorical", "estimator": "disarm"}, "needs --posterior=bernoulli"),
        ({"posterior": "bernoulli", "estimator": "leave_one_out"}, "needs --num_samples=2"),
        ({"posterior": "bernoulli", "estimator": "rebar", "objective": "iwae"},
         "--posterior=bernoulli needs --objective=elbo"),
        ({"stochastic_layers": 2, "posterior": "gamma"}, "--stochastic_layers=2 is of normals"),
        ({"stochastic_layers": 2, "prior": "flow"}, "--prior=flow is of one stochastic layer"),
        ({"prior": "autoregressive"}, "give --stochastic_layers=2"),
        ({"conditional": True, "prior": "vamp", **_MC}, "--prior=vamp has no labels"),
    ],
)  # fmt: skip
def test_contradictions_are_refused(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        vae.run(dataclasses.replace(_SMALL, workdir=str(tmp_path / "run"), **changes))
    assert not (tmp_path / "run").exists()


def test_a_dataset_without_labels_is_refused():
    data = datasets.load("digits")._replace(train_labels=None, test_labels=None)
    config = dataclasses.replace(_SMALL, conditional=True)
    with pytest.raises(ConfigError, match="--conditional: digits has no labels"):
        vae_latents.count_classes(config, data)
    assert vae_latents.count_classes(config, datasets.load("digits")) == 10
    assert vae_latents.count_classes(_SMALL, data) == 0


def test_labels_travel_with_the_images():
    data = datasets.load("digits")
    joined = vae_latents.with_labels(data.test_images, data.test_labels)
    config = dataclasses.replace(_SMALL, conditional=True)
    x, y = vae_latents.split_labels(10, vae_model.observed(config, jax.random.key(0), joined[:50]))
    assert set(np.unique(x)) == {0, 1}
    np.testing.assert_array_equal(np.argmax(y, axis=1), data.test_labels[:50])
    # The labels change nothing of what is drawn of the pixels.
    plain = vae_model.observed(_SMALL, jax.random.key(0), data.test_images[:50])
    np.testing.assert_array_equal(x, plain)


def test_temperature_falls_from_one():
    config = dataclasses.replace(_SMALL, temperature=0.25, temperature_epochs=2.0)
    at = [float(vae_latents.temperature(config, jnp.int32(s), 10)) for s in (0, 10, 20, 50)]
    np.testing.assert_allclose(at, [1, 0.5, 0.25, 0.25], rtol=1e-6)
    assert float(vae_latents.temperature(_SMALL, jnp.int32(3), 10)) == 0.5


def test_objectives_of_relaxed_latents_say_so():
    def name(**changes):
        return vae_model.objective_name(dataclasses.replace(_SMALL, **changes))

    assert name(posterior="relaxed_bernoulli", **_MC) == "relaxed_elbo_monte_carlo"
    assert name(posterior="bernoulli", estimator="gumbel_softmax") == "relaxed_elbo"
    assert name(posterior="bernoulli", estimator="rebar") == "elbo"


@pytest.mark.parametrize("estimator", ["disarm", "leave_one_out", "rebar"])
def test_estimated_gradients_are_unbiased(estimator):
    """Against the exact gradient, by enumeration, in the encoder and in the decoder."""
    config = dataclasses.replace(
        _SMALL, posterior="bernoulli", estimator=estimator, num_samples=2, hidden_sizes=(3,)
    )
    images = datasets.load("digits").train_images[:2, 2:6, 2:6]
    model = vae_model.build_model(config, np.full((4, 4, 1), 0.4))
    params = vae_model.init_params(model, (4, 4, 1), jax.random.key(0))
    # A decoder to which latents matter.
    params = jax.tree.map(lambda p: 2.0 * p, params)
    x = vae_model.observed(config, jax.random.key(1), images)

    def exact(params):
        v = vae_model.views(model, params, x)
        z = jnp.stack(jnp.meshgrid(jnp.arange(2.0), jnp.arange(2.0)), axis=-1).reshape(4, 1, 2)
        z = jnp.broadcast_to(z, (4, 2, 2))
        weighted = jnp.exp(v.posterior.log_prob(z)) * v.log_likelihood(z)
        return jnp.mean(jnp.sum(weighted, axis=0) - vae_latents.kl_divergence(v.posterior, v.prior))

    def estimate(params, key):
        v = vae_model.views(model, params, x)
        bound = vae_latents.estimated_elbo(
            config, key, v.posterior, v.prior, lambda x: vae_model.scorer(model, params, x), x,
            beta=1.0, temperature=0.5,
        )  # fmt: skip
        return jnp.mean(bound.bound)

    n = 4000

    @compiled
    def program(params):
        keys = jax.random.split(jax.random.key(2), n)
        slopes = jax.lax.map(lambda k: jax.grad(estimate)(params, k), keys, batch_size=500)
        mean = jax.tree.map(lambda g: jnp.mean(g, axis=0), slopes)
        error = jax.tree.map(lambda g: jnp.std(g, axis=0) / np.sqrt(n), slopes)
        return jax.grad(exact)(params), mean, error

    truth, mean, error = program(params)
    flat = jax.tree_util.tree_leaves_with_path(truth)
    for (path, t), m, e in zip(flat, jax.tree.leaves(mean), jax.tree.leaves(error), strict=True):
        assert np.all(np.abs(m - t) <= 5 * e + 1e-5), path
    # Enough samples to see a bias in the encoder.
    slopes, errors = (tree["params"]["head"] for tree in (truth, error))
    largest = [max(float(np.max(np.abs(x))) for x in jax.tree.leaves(t)) for t in (slopes, errors)]
    assert largest[1] < 0.2 * largest[0]
