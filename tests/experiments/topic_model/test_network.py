"""The network of the topic model: its likelihood, its families of posteriors, their bounds."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import repara as rp
from experiments.topic_model import bounds
from experiments.topic_model.network import DIRICHLET
from tests.experiments.topic_model.small import toy_problem

FAMILIES = ["dirichlet", "logistic_normal"]


def _word_probabilities(decoder, theta, weights):
    beta = np.asarray(weights["beta"], np.float64)
    if decoder == "lda":
        return theta @ (np.exp(beta) / np.sum(np.exp(beta), axis=1, keepdims=True))
    logits = theta @ beta + np.asarray(weights["background"])
    return np.exp(logits) / np.sum(np.exp(logits))


@pytest.mark.parametrize("decoder", ["lda", "prodlda"])
def test_the_likelihood_is_the_product_over_words(decoder):
    problem, params, counts = toy_problem(decoder=decoder)
    theta = np.array([0.2, 0.5, 0.3], np.float32)
    got = bounds.apply(
        problem.objective.model, params, counts, jnp.asarray(theta), method="log_likelihood"
    )
    log_p = np.log(_word_probabilities(decoder, theta, params["params"]))
    np.testing.assert_allclose(got, np.asarray(counts) @ log_p, rtol=1e-5)


@pytest.mark.parametrize("posterior", FAMILIES)
def test_posterior_and_prior_have_one_event_per_document(posterior):
    problem, params, counts = toy_problem(posterior=posterior)
    model = problem.objective.model
    q, p = bounds.apply(model, params, counts, method="encode"), model.prior()
    assert (q.batch_shape, q.event_shape) == ((6,), (3,))
    assert (p.batch_shape, p.event_shape) == ((), (3,))


def test_topics_are_distributions_over_words():
    problem, params, _ = toy_problem()
    topics = np.exp(bounds.apply(problem.objective.model, params, method="log_topics"))
    np.testing.assert_allclose(np.sum(topics, axis=1), np.ones(3), rtol=1e-5)


def test_no_posterior_concentration_is_below_that_of_the_prior():
    problem, params, counts = toy_problem()
    model = problem.objective.model
    q = bounds.apply(model, params, counts, method="encode")
    assert np.all(q.concentration > model.concentration)


def test_the_normal_prior_is_the_laplace_approximation():
    problem, _, _ = toy_problem(posterior="logistic_normal", concentration=0.5)
    prior = problem.objective.model.prior()
    # Srivastava & Sutton (2017), equation 3: 1/a_k (1 - 2/K) + 1/K^2 sum_i 1/a_i.
    variance = (1 - 2 / 3) / 0.5 + 3 / 0.5 / 9
    np.testing.assert_allclose(prior.variance, np.full(3, variance), rtol=1e-6)
    np.testing.assert_array_equal(prior.mean, np.zeros(3))


@pytest.mark.parametrize("posterior", FAMILIES)
def test_the_bound_is_below_the_likelihood(posterior):
    problem, params, counts = toy_problem(posterior=posterior)
    bound = bounds.make_evaluate_elbo(problem.objective)(params, jax.random.key(1), counts)
    importance = bounds.make_importance(problem.objective.model, 30)
    estimate = importance(params, jax.random.key(2), counts)
    assert bound.bound.shape == estimate.log_likelihood.shape == (6,)
    # Both are estimates; the log-likelihood is known within a few hundredths of a nat.
    assert np.all(bound.bound < estimate.log_likelihood + 5 * estimate.stderr + 0.1)


@pytest.mark.parametrize("posterior", FAMILIES)
def test_the_bound_at_the_prior_is_the_reconstruction(posterior):
    problem, params, counts = toy_problem(posterior=posterior)
    weights = params["params"]
    # A head without weights, whose bias makes the posterior of every document the prior.
    biases = {
        "dirichlet": jnp.full(3, -200.0),  # softplus is 0
        "logistic_normal": jnp.append(
            jnp.zeros(3), jnp.log(problem.objective.model.prior().stddev)
        ),
    }
    head = {"kernel": jnp.zeros_like(weights["head"]["kernel"]), "bias": biases[posterior]}
    at_prior = {"params": {**weights, "head": head}}
    bound = bounds.make_evaluate_elbo(problem.objective)(at_prior, jax.random.key(1), counts)
    np.testing.assert_allclose(bound.kl, np.zeros(6), atol=1e-5)
    np.testing.assert_allclose(bound.bound, bound.log_likelihood, atol=1e-5)


def test_both_gradients_have_the_same_value():
    problem, params, counts = toy_problem()
    pathwise, rao_blackwell = (
        bounds.make_evaluate_elbo(problem.objectives[name])(params, jax.random.key(1), counts)
        for name in ("pathwise", "rao_blackwell")
    )
    for a, b in zip(pathwise, rao_blackwell, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_the_loss_contains_the_prior_over_topics():
    losses = []
    for b in (0.0, 0.7):
        problem, params, counts = toy_problem(topic_concentration=b)
        loss = bounds.make_loss(problem.objective, len(counts))
        losses.append(loss(params, counts, jax.random.key(1), jnp.int32(0)))
    (without, metrics), (with_prior, _) = losses
    beta = np.asarray(params["params"]["beta"], np.float64)
    log_topics = beta - np.log(np.sum(np.exp(beta), axis=1, keepdims=True))
    # Over all documents, the loss has the log-density of the topics' logits once.
    np.testing.assert_allclose(np.sum(with_prior - without), -0.7 * np.sum(log_topics), rtol=1e-4)
    np.testing.assert_allclose(without, -metrics["elbo"], rtol=1e-6)
    np.testing.assert_array_equal(metrics["words"], np.sum(counts, axis=1))


@pytest.fixture(scope="module")
def importance_samples():
    """Samples with small concentrations, and their log-ratios log p - log q."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        q = rp.Dirichlet(jnp.array([0.02, 0.05, 3.0]))
        p = rp.Dirichlet(jnp.array([0.01, 0.02, 0.03]))
        log_q, log_p = DIRICHLET.for_importance(q), DIRICHLET.for_importance(p)
        log_z, density = log_q.rsample_and_log_prob(jax.random.key(0), (2000,))
        return q, p, log_z, np.asarray(log_p.log_prob(log_z) - density)


def test_importance_weights_are_finite_even_if_proportions_underflow(importance_samples):
    _, _, log_z, ratio = importance_samples
    assert np.any(DIRICHLET.importance_proportions(log_z) == 0)
    assert np.all(np.isfinite(ratio))


def test_importance_weights_are_ratios_of_dirichlet_densities(importance_samples):
    q, p, log_z, ratio = importance_samples
    representable = np.min(log_z, axis=1) > -50
    assert np.sum(representable) > 100
    log_z = np.asarray(log_z, np.float64)[representable]
    expected = log_z @ np.asarray(p.concentration - q.concentration, np.float64)
    for dist, sign in ((p, 1), (q, -1)):
        a = dist.concentration.tolist()
        expected = expected + sign * (math.lgamma(sum(a)) - sum(map(math.lgamma, a)))
    np.testing.assert_allclose(ratio[representable], expected, rtol=1e-3, atol=1e-3)
