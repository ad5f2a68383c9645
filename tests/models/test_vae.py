import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from repara.models import (
    ACTIVATIONS,
    LIKELIHOODS,
    VAE,
    ConvDecoder,
    ConvEncoder,
    MLPDecoder,
    MLPEncoder,
    PosteriorHead,
)

_MEAN = np.linspace(0.1, 0.9, 7 * 6).reshape(7, 6, 1)


@functools.cache
def _build(likelihood="bernoulli", architecture="mlp", family="normal", latent_dim=3):
    kind = LIKELIHOODS[likelihood]
    bias = kind.output_bias(_MEAN)
    if architecture == "mlp":
        encoder, decoder = MLPEncoder((9, 8)), MLPDecoder((8, 9), _MEAN.shape, bias)
    else:
        encoder, decoder = ConvEncoder(4, 8), ConvDecoder(_MEAN.shape, bias, 4, 8)
    model = VAE(encoder, PosteriorHead(latent_dim, family), decoder, kind)
    params = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, *_MEAN.shape)))
    return model, params


@pytest.mark.parametrize(
    ("likelihood", "architecture", "family"),
    [
        *((name, "mlp", "normal") for name in LIKELIHOODS),
        ("bernoulli", "conv", "normal"),
        ("bernoulli", "mlp", "multivariate_normal"),
    ],
)
def test_shapes_and_gradients(likelihood, architecture, family):
    model, params = _build(likelihood, architecture, family)
    images = jnp.asarray(
        np.random.default_rng(0).integers(0, 256, (5, *_MEAN.shape)), jnp.float32
    ) / 255  # fmt: skip
    if LIKELIHOODS[likelihood].binary:
        images = jnp.round(images)

    @jax.jit
    def log_likelihood(params, images):
        q = model.apply(params, images, method="encode")
        z = q.rsample(jax.random.key(1), (2,))
        p = model.apply(params, z, method="decode")
        return p.log_prob(model.likelihood.observe(images)[None]), z, q.mean

    value, z, mean = log_likelihood(params, images)
    assert value.shape == (2, 5)
    assert z.shape == (2, 5, 3)
    assert mean.shape == (5, 3)
    assert bool(jnp.all(jnp.isfinite(value)))
    gradient = jax.jit(jax.grad(lambda p: jnp.sum(log_likelihood(p, images)[0])))(params)
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        assert bool(jnp.all(jnp.isfinite(leaf))), path
        assert bool(jnp.any(leaf != 0)), f"no gradient reaches {jax.tree_util.keystr(path)}"


@pytest.mark.parametrize(
    ("likelihood", "architecture"),
    [
        ("bernoulli", "mlp"),
        ("bernoulli", "conv"),
        ("gaussian", "mlp"),
        ("discretized_logistic", "mlp"),
    ],
)
def test_the_first_picture_is_the_mean_image(likelihood, architecture):
    model, params = _build(likelihood, architecture)
    # Before training, hidden layers of a zero latent with zero biases are zero.
    picture = model.apply(params, jnp.zeros((1, 3)), method="picture")
    np.testing.assert_allclose(picture[0], _MEAN, atol=1e-5)


def test_extreme_means_give_finite_biases():
    for likelihood in LIKELIHOODS.values():
        assert np.all(np.isfinite(likelihood.output_bias(np.array([0.0, 1.0]))))


def test_number_of_parameters_of_the_network_of_burda_et_al():
    encoder = MLPEncoder((200, 200))
    decoder = MLPDecoder((200, 200), (28, 28, 1), np.zeros((28, 28, 1)))
    model = VAE(encoder, PosteriorHead(50), decoder, LIKELIHOODS["bernoulli"])
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 28, 28, 1)))
    assert sum(x.size for x in jax.tree.leaves(shapes)) == 425_284


def test_bernoulli_rejects_gray_data_and_discretized_logistic_sums_to_one():
    model, params = _build("bernoulli")
    p = model.apply(params, jnp.zeros((1, 3)), method="decode")
    assert float(p.log_prob(jnp.full((1, *_MEAN.shape), 0.5))[0]) == -jnp.inf
    model, params = _build("discretized_logistic")
    p = model.apply(params, jnp.zeros((1, 3)), method="decode")
    levels = jnp.broadcast_to(jnp.arange(256.0).reshape(256, 1, 1, 1), (256, *_MEAN.shape))
    total = jnp.sum(jnp.exp(p.base.log_prob(levels)), axis=0)
    np.testing.assert_allclose(total, 1.0, rtol=1e-5)


def test_scales_are_learned():
    for likelihood in ("gaussian", "discretized_logistic"):
        _, params = _build(likelihood)
        assert params["params"]["log_scale"].shape == ()


def test_modules_hold_no_noise_and_no_state():
    model, params = _build()
    x = jnp.ones((2, *_MEAN.shape))
    a = model.apply(params, x, method="encode").mean
    b = model.apply(params, x, method="encode").mean
    np.testing.assert_array_equal(a, b)
    assert set(params) == {"params"}


def test_full_covariance_starts_as_independent_coordinates():
    model, params = _build(family="multivariate_normal")
    q = model.apply(params, jnp.ones((2, *_MEAN.shape)), method="encode")
    off_diagonal = q.scale_tril * (1 - jnp.eye(3)[None])
    np.testing.assert_array_equal(off_diagonal, 0)
    with pytest.raises(ValueError, match='got "laplace"'):
        PosteriorHead(2, "laplace").init(jax.random.key(0), jnp.zeros((1, 4)))


def test_prior_is_standard_normal():
    for family in ("normal", "multivariate_normal"):
        model, params = _build(family=family)
        prior = model.apply(params, method="prior")
        np.testing.assert_array_equal(prior.mean, np.zeros(3))
        np.testing.assert_array_equal(prior.variance, np.ones(3))


@pytest.mark.parametrize("name", list(ACTIVATIONS))
def test_activations_are_elementwise(name):
    assert ACTIVATIONS[name](jnp.zeros((2, 3))).shape == (2, 3)
