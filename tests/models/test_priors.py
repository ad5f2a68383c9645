"""Learned priors and the hierarchy: densities, gradients, parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import repara as rp
from repara import objectives
from repara.models import (
    LIKELIHOODS,
    VAE,
    CouplingFlow,
    FlowPrior,
    MixturePrior,
    MLPDecoder,
    MLPEncoder,
    PosteriorHead,
    TwoLayerHead,
    VampPrior,
    center,
)
from tests.distributions.programs import compiled

_SHAPE = (4, 3, 1)


def _model(prior_net=None, head=None, num_classes=0):
    encoder, decoder = MLPEncoder((6,)), MLPDecoder((6,), _SHAPE, np.zeros(_SHAPE))
    model = VAE(
        encoder, head or PosteriorHead(2), decoder, LIKELIHOODS["bernoulli"], prior_net, num_classes
    )
    x = (jax.random.uniform(jax.random.key(1), (5, *_SHAPE)) < 0.5).astype(jnp.float32)
    return model, model.init(jax.random.key(0), x), x


def _mass(prior):
    """The integral of a density of two coordinates on a grid that reaches far enough."""
    line = np.linspace(-9, 9, 181, dtype="f")
    z = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    return np.sum(np.exp(np.asarray(prior.log_prob(z), "float64"))) * (line[1] - line[0]) ** 2


def test_learned_priors_are_densities_and_learn():
    for net in (
        MixturePrior(2, 3),
        VampPrior(_SHAPE, 4, 0.3),
        FlowPrior(2, CouplingFlow(2, 2, (5,))),
    ):
        model, variables, x = _model(net)
        prior = model.apply(variables, method="prior")
        assert prior.batch_shape == ()
        assert prior.event_shape == (2,)
        np.testing.assert_allclose(_mass(prior), 1, rtol=2e-3)

        def loss(variables, model=model, x=x):
            q = model.apply(variables, x, method="encode")
            p = model.apply(variables, method="prior")
            z, log_q = q.rsample_and_log_prob(jax.random.key(0), (3,))
            return jnp.sum(log_q - p.log_prob(z))

        slopes = compiled(jax.grad(loss))(variables)["params"]["prior_net"]
        for path, leaf in jax.tree_util.tree_leaves_with_path(slopes):
            assert bool(jnp.all(jnp.isfinite(leaf))), path
            flat = "kernel_0" in str(path) or "kernel_1" in str(path) or "bias_0" in str(path)
            # Layers before a last layer that is still zero have no gradient.
            assert bool(jnp.any(leaf != 0)) or flat, path


def test_vamp_prior_is_the_mixture_of_encoded_pseudo_inputs():
    model, variables, _ = _model(VampPrior(_SHAPE, 4, 0.3))
    pseudo = variables["params"]["prior_net"]["pseudo_inputs"]
    q = model.apply(variables, jnp.clip(pseudo, 0, 1), method="encode")
    z = np.float32([[0.3, -0.7], [1.0, 2.0]])
    each = np.stack([np.asarray(q.log_prob(np.tile(v, (4, 1)))) for v in z])
    expected = np.log(np.mean(np.exp(each), axis=1))
    prior = model.apply(variables, method="prior")
    np.testing.assert_allclose(prior.log_prob(z), expected, rtol=1e-5)


@pytest.mark.parametrize("flow_layers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_two_layers(flow_layers):
    head = TwoLayerHead(3, 2, (6, 5), flow_layers=flow_layers, flow_hidden_sizes=(4,))
    model, variables, x = _model(head=head)
    # Perturbed, since the last layers of flows start at zero.
    variables = jax.tree.map(lambda v: v + 0.1, variables)

    @compiled
    def program(variables, x):
        q = model.apply(variables, x, method="encode")
        p = model.apply(variables, method="prior")
        z, log_q = q.rsample_and_log_prob(jax.random.key(0), (7,))
        eps = q.noise(jax.random.key(0), (7,))
        parts = q.log_prob_parts(z), p.log_prob_parts(z)
        likelihood = model.apply(variables, z, method="decode").log_prob(x[None])
        return {
            "z": z,
            "log_q": log_q,
            "again": q.log_prob(z),
            "log_p": p.log_prob(z),
            "inverse": q.inverse(z) - eps,
            "parts": parts,
            "likelihood": likelihood,
            "prior": p.rsample_and_log_prob(jax.random.key(1), (4,)),
            "prior_again": p.log_prob(p.sample(jax.random.key(1), (4,))),
            "center": center(q),
        }

    out = program(variables, x)
    assert out["z"].shape == (7, 5, 5)
    assert out["prior"][0].shape == (4, 5)
    np.testing.assert_allclose(out["prior"][1], out["prior_again"], rtol=1e-4, atol=1e-4)
    assert out["center"].shape == (5, 5)
    assert out["likelihood"].shape == (7, 5)
    np.testing.assert_allclose(out["log_q"], out["again"], rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(out["inverse"], 0, atol=1e-5)
    for name, parts in zip(("log_q", "log_p"), out["parts"], strict=True):
        np.testing.assert_allclose(parts[0] + parts[1], out[name], rtol=1e-5, atol=1e-4)
    # The parts are in the order of the latents: h2 has two coordinates and a standard prior.
    top = rp.Normal(0.0, 1.0).log_prob(out["z"][..., 3:]).sum(-1)
    np.testing.assert_allclose(out["parts"][1][1], top, rtol=1e-5)

    def bound(variables):
        q = model.apply(variables, x, method="encode")
        p = model.apply(variables, method="prior")
        score = lambda z: model.apply(variables, z, method="decode").log_prob(x[None])  # noqa: E731
        b = objectives.iwae(jax.random.key(0), q, p, score, num_samples=3, gradient="dreg")
        return jnp.sum(b.bound)

    for path, leaf in jax.tree_util.tree_leaves_with_path(compiled(jax.grad(bound))(variables)):
        assert bool(jnp.all(jnp.isfinite(leaf))), path
        assert bool(jnp.any(leaf != 0)), path


def test_number_of_parameters_of_two_layers_of_burda_et_al():
    encoder = MLPEncoder((200, 200))
    decoder = MLPDecoder((200, 200), (28, 28, 1), np.zeros((28, 28, 1)))
    model = VAE(encoder, TwoLayerHead(100, 50, (100, 100)), decoder, LIKELIHOODS["bernoulli"])
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 28, 28, 1)))
    # 784-200-200, 100-200-200-784, 200-(100, 100), 100-100-100-(50, 50), 50-100-100-(100, 100).
    encode, decode = 785 * 200 + 201 * 200, 101 * 200 + 201 * 200 + 201 * 784
    between = 2 * 101 * 100 + 101 * 100 + 51 * 100 + 101 * 100 + 101 * 200
    assert sum(x.size for x in jax.tree.leaves(shapes)) == encode + decode + 201 * 200 + between


def test_labels_reach_encoder_and_decoder():
    encoder, decoder = MLPEncoder((6,)), MLPDecoder((6,), _SHAPE, np.zeros(_SHAPE))
    model = VAE(encoder, PosteriorHead(2), decoder, LIKELIHOODS["bernoulli"], num_classes=3)
    x, y = jnp.ones((5, *_SHAPE)), jax.nn.one_hot(jnp.arange(5) % 3, 3)
    variables = model.init(jax.random.key(0), x, y)
    mean = np.asarray(model.apply(variables, x, y, method="encode").mean)
    np.testing.assert_array_equal(mean[0], mean[3])
    assert np.all(mean[0] != mean[1])
    z = jnp.zeros((2, 5, 2))
    picture = np.asarray(model.apply(variables, z, y, method="picture"))
    assert picture.shape == (2, 5, *_SHAPE)
    np.testing.assert_array_equal(picture[:, 0], picture[:, 3])
    assert np.any(picture[:, 0] != picture[:, 1])
