"""The benchmark of scikit-learn's latent Dirichlet allocation."""

import json

import numpy as np
from sklearn.decomposition import LatentDirichletAllocation

from experiments.benchmark import topics
from experiments.benchmark.topics.config import resolve
from experiments.benchmark.topics.run import run_on_corpus
from tests.experiments.topic_model.small import small_corpus


def test_reported_numbers_are_consistent(tmp_path):
    output = tmp_path / "results.json"
    config = topics.Config(
        num_topics=3, iterations=3, num_seeds=1, num_eval_samples=50, output=str(output)
    )
    (row,) = run_on_corpus(resolve(config), small_corpus())
    assert json.loads(output.read_text()) == [row]
    # Better than uniform words, and in the order that the bounds imply.
    assert 50 < row["perplexity"] <= row["elbo_perplexity"] < 300
    assert row["own_perplexity"] > row["elbo_perplexity"]


def test_posterior_means_times_the_total_are_the_fitted_concentrations():
    counts = np.random.default_rng(0).integers(0, 3, (8, 12)).astype(np.float64)
    model = LatentDirichletAllocation(3, doc_topic_prior=0.2, random_state=0).fit(counts)
    total = 3 * 0.2 + counts.sum(axis=1, keepdims=True)
    fitted = model._unnormalized_transform(counts)
    np.testing.assert_allclose(model.transform(counts) * total, fitted, rtol=1e-6)
