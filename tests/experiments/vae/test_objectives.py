"""Objectives, latents and estimators: their names, flags, gradients, and whole runs of each."""

import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import vae
from experiments.harness.configuration import ConfigError
from experiments.harness.run_directory import RunDirectory
from experiments.vae.latents import temperature_schedule
from experiments.vae.objectives import make_loss
from repara import kl_divergence
from tests.distributions.programs import compiled
from tests.experiments.vae.small import (
    objective_name,
    resolved,
    run_small,
    small,
    training_images,
)

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
    "learned_flow": {"prior": "flow", "posterior": "multivariate_normal", **_MC},
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
    config = small(workdir=str(tmp_path / "run"), **_RUNS[name])
    result = vae.run(config)
    experiment = resolved(**_RUNS[name])
    metrics = RunDirectory(tmp_path / "run").read_metrics()
    assert metrics[-1]["test_elbo"] > metrics[0]["test_elbo"]
    assert np.isfinite(result["test_nll"])
    assert f"train_{experiment.objective.name}" in metrics[0]
    # Importance weighting tightens the bound, up to the error of the estimates.
    slack = 5 * (result["test_elbo_stderr"] + result["test_nll_mc_stderr"])
    assert -result["test_nll"] >= result["test_elbo"] - slack
    np.testing.assert_allclose(
        result["test_elbo"], result["test_reconstruction"] - result["test_kl"], rtol=1e-5
    )
    if (parts := experiment.model.latents.kl_parts) is not None:
        np.testing.assert_allclose(sum(result[parts.name]), result["test_kl"], rtol=1e-3)
    plots = {p.stem for p in (tmp_path / "run" / "plots").iterdir()}
    assert {"interpolation", "latent_scatter", "samples", "reconstructions"} <= plots
    flat = config.latent_dim == 2 and not config.conditional and config.stochastic_layers == 1
    assert ("manifold" in plots) == (flat and config.posterior not in ("bernoulli", "categorical"))
    made = run_small(tmp_path / "run", mode="sample", **_RUNS[name])
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
        ({"posterior": "gamma", "flow": "planar"}, "--flow=planar needs latents with"),
        ({"posterior": "beta", "prior": "mixture"}, "--prior=mixture needs latents with"),
        ({"posterior": "mixture", "prior": "vamp"}, "--prior=vamp is a mixture of normals"),
        ({"flow": "spline", "latent_dim": 1, **_MC}, "--flow=spline needs --latent_dim=2"),
        ({"posterior": "bernoulli"}, "--estimator=pathwise: --posterior=bernoulli has no repara"),
        ({"estimator": "rebar"}, "--estimator=rebar: --posterior=normal needs no estimator"),
        ({"posterior": "categorical", "estimator": "disarm"}, "needs --posterior=bernoulli"),
        ({"posterior": "bernoulli", "estimator": "leave_one_out"}, "needs --num_samples=2"),
        ({"posterior": "bernoulli", "estimator": "rebar", "objective": "iwae"},
         "--posterior=bernoulli needs --objective=elbo"),
        ({"stochastic_layers": 2, "posterior": "gamma"}, "supports only normals"),
        ({"stochastic_layers": 2, "prior": "flow"}, "--prior=flow supports one stochastic layer"),
        ({"prior": "autoregressive"}, "give --stochastic_layers=2"),
        ({"conditional": True, "prior": "vamp", **_MC}, "--prior=vamp cannot use labels"),
    ],
)  # fmt: skip
def test_contradictions_are_refused(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        run_small(tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()


def test_temperature_falls_from_one():
    temperature = temperature_schedule(0.25, num_steps=20)
    at = [float(temperature(jnp.int32(step))) for step in (0, 10, 20, 50)]
    np.testing.assert_allclose(at, [1, 0.5, 0.25, 0.25], rtol=1e-6)
    assert float(temperature_schedule(0.5, num_steps=0)(jnp.int32(3))) == 0.5


def test_the_objective_is_logged_under_its_own_name():
    assert objective_name() == "elbo"
    assert objective_name(objective="iwae", num_samples=5) == "iwae_k5"
    assert objective_name(beta=4.0, beta_warmup_epochs=10.0) == "elbo_beta4_warmup10"
    assert objective_name(free_bits=0.1) == "elbo_free0.1"
    ciwae = objective_name(objective="ciwae", num_samples=5, elbo_weight=0.2)
    assert ciwae == "ciwae_k5_elbo0.2"
    assert objective_name(objective="miwae", num_samples=5, num_outer=8) == "miwae_k5_m8"
    assert objective_name(objective="renyi", num_samples=5, alpha=0.0) == "renyi_k5_alpha0"
    assert objective_name(objective="vimco", num_samples=5) == "vimco_k5"


def test_the_objective_of_relaxed_latents_is_logged_as_relaxed():
    assert objective_name(posterior="relaxed_bernoulli", **_MC) == "relaxed_elbo_monte_carlo"
    assert objective_name(posterior="bernoulli", estimator="gumbel_softmax") == "relaxed_elbo"
    assert objective_name(posterior="bernoulli", estimator="rebar") == "elbo"


def _loss_of(images, **changes):
    """Returns the loss of each image, and the metrics, at the first step."""
    experiment = resolved(images.mean(axis=0, dtype=np.float64) / 255, **changes)
    params = experiment.model.init(jax.random.key(0), images.shape[1:])
    loss = make_loss(experiment.model, experiment.objective)
    return loss(params, images, jax.random.key(1), np.int32(0))


@pytest.mark.parametrize(
    ("reference", "changes"),
    [
        # Settings in which a bound is another one, so that its flags must have reached it.
        ("iwae", {"objective": "ciwae", "elbo_weight": 0.0}),
        ("iwae", {"objective": "miwae", "num_outer": 1}),
        ("iwae", {"objective": "piwae", "num_outer": 1}),
        ("iwae", {"objective": "renyi", "alpha": 0.0}),
        ("iwae", {"objective": "vimco"}),
        ("elbo_monte_carlo", {"objective": "ciwae", "elbo_weight": 1.0}),
        ("elbo_monte_carlo", {"objective": "renyi", "alpha": 1.0}),
        ("elbo_monte_carlo", {"objective": "miwae", "num_samples": 1, "num_outer": 4}),
    ],
)
def test_flags_of_an_objective_reach_it(reference, changes):
    images = training_images(8)
    loss, _ = _loss_of(images, **{"num_samples": 4, **changes})
    expected, _ = _loss_of(images, objective=reference, num_samples=4)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_free_bits_reach_the_loss():
    loss, parts = _loss_of(training_images(8), free_bits=50.0)
    assert set(parts) == {"elbo_free50", "reconstruction", "kl"}
    np.testing.assert_allclose(-loss, parts["reconstruction"] - 2 * 50.0, rtol=1e-5)


@pytest.mark.parametrize("estimator", ["disarm", "leave_one_out", "rebar"])
def test_estimated_gradients_are_unbiased(estimator):
    """Against the exact gradient, by enumeration, in the encoder and in the decoder."""
    experiment = resolved(
        np.full((4, 4, 1), 0.4),
        posterior="bernoulli", estimator=estimator, num_samples=2, hidden_sizes=(3,),
    )  # fmt: skip
    model = experiment.model
    # Parameters for which the latents matter to the decoder.
    params = jax.tree.map(lambda p: 2.0 * p, model.init(jax.random.key(0), (4, 4, 1)))
    batch = model.inputs.batch(jax.random.key(1), training_images(2)[:, 2:6, 2:6])

    def exact(params):
        terms = model.bound_terms(params, batch)
        z = jnp.stack(jnp.meshgrid(jnp.arange(2.0), jnp.arange(2.0)), axis=-1).reshape(4, 1, 2)
        z = jnp.broadcast_to(z, (4, 2, 2))
        weighted = jnp.exp(terms.posterior.log_prob(z)) * terms.log_likelihood(z)
        kl = kl_divergence(terms.posterior, terms.prior)
        return jnp.mean(jnp.sum(weighted, axis=0) - kl)

    def estimate(params, key):
        return jnp.mean(experiment.objective.bound(key, model, params, batch, jnp.int32(0)).bound)

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
