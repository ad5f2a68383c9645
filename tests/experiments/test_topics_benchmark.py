import json

import numpy as np
from sklearn.decomposition import LatentDirichletAllocation

from experiments.benchmark import topics
from experiments.topic_model.corpus import Corpus, load_reuters


def test_figures_hang_together(tmp_path, monkeypatch):
    whole = load_reuters()
    part = Corpus(whole.counts[:60, :300], whole.words[:300], whole.titles[:60])
    monkeypatch.setattr(topics, "load_reuters", lambda: part)
    output = tmp_path / "figures.json"
    config = topics.Config(
        num_topics=3, iterations=3, num_seeds=1, num_eval_samples=50, output=str(output)
    )
    (figures,) = topics.run(config)
    assert json.loads(output.read_text()) == [figures]
    # Better than words drawn evenly; the bound lies above; that with the topics' part far above.
    assert 50 < figures["perplexity"] <= figures["elbo_perplexity"] < 300
    assert figures["own_perplexity"] > figures["elbo_perplexity"]


def test_posteriors_have_the_concentrations_that_were_fitted():
    counts = np.random.default_rng(0).integers(0, 3, (8, 12)).astype(np.float64)
    model = LatentDirichletAllocation(3, doc_topic_prior=0.2, random_state=0).fit(counts)
    total = 3 * 0.2 + counts.sum(axis=1, keepdims=True)
    fitted = model._unnormalized_transform(counts)
    np.testing.assert_allclose(model.transform(counts) * total, fitted, rtol=1e-6)
