"""The topic model: likelihood, bound, corpus, what it writes, and that a stop loses nothing."""

import dataclasses
import importlib.util
import json
import math
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import repara as rp
from experiments import topic_model
from experiments.harness import epochs as epoch_loop
from experiments.harness.configuration import ConfigError
from experiments.harness.run_directory import RunDirectory
from experiments.topic_model import bounds
from experiments.topic_model.corpus import (
    Corpus,
    CorpusError,
    load_reuters,
    npmi_coherence,
    split,
    top_words,
)
from experiments.topic_model.network import on_log_scale
from tests.experiments.runs import timeless_metrics

_SMALL = topic_model.Config(
    num_topics=3, hidden_sizes=(4,), batch_size=16, epochs=4, eval_every=2, checkpoint_every=2,
    num_eval_samples=30,
)  # fmt: skip


def _run(tmp_path, name="run", **changes):
    """A run on a part of the corpus."""
    config = dataclasses.replace(_SMALL, workdir=str(tmp_path / name), **changes)
    whole = load_reuters()
    part = Corpus(whole.counts[:60, :300], whole.words[:300], whole.titles[:60])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(topic_model, "load_reuters", lambda: part)
        return topic_model.run(config)


@pytest.fixture(scope="module")
def corpus():
    return load_reuters()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """One whole run, which several tests read."""
    path = tmp_path_factory.mktemp("runs")
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        return path, _run(path)


def _toy(**changes):
    """Six documents of five words, a network for them, and its parameters."""
    counts = np.random.default_rng(0).integers(0, 4, (6, 5)).astype(np.int32)
    config = dataclasses.replace(_SMALL, **changes)
    model = bounds.build_model(config, Corpus(counts, tuple("abcde"), ("",) * 6))
    return config, model, model.init(jax.random.key(0), jnp.asarray(counts)), jnp.asarray(counts)


def test_the_corpus_is_that_of_the_package(corpus):
    from lda.utils import ldac2dtm

    folder = importlib.util.find_spec("lda").submodule_search_locations[0]
    with open(f"{folder}/tests/reuters.ldac", encoding="utf-8") as file:
        np.testing.assert_array_equal(corpus.counts, ldac2dtm(file, offset=0))
    assert corpus.counts.shape == (395, 4258) == (len(corpus.titles), len(corpus.words))
    assert np.sum(corpus.counts) == 84_010
    assert corpus.words[:2] == ("church", "pope")
    assert corpus.titles[0].endswith("LONDON 1996-08-20")


def test_a_missing_corpus_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CorpusError, match=r"pip install lda$"):
        load_reuters()


def test_held_out_documents_are_in_neither_part_of_the_validation_split(corpus):
    train, held_out = split(corpus, "held_out")
    shorter, validation = split(corpus, "validation")
    assert [len(x.counts) for x in (train, held_out, shorter, validation)] == [316, 79, 253, 63]
    assert set(held_out.titles).isdisjoint(train.titles)
    assert set(shorter.titles) | set(validation.titles) == set(train.titles)
    assert set(shorter.titles).isdisjoint(validation.titles)
    np.testing.assert_array_equal(
        held_out.counts[0], corpus.counts[corpus.titles.index(held_out.titles[0])]
    )


def test_top_words():
    topics = np.array([[0.1, 0.6, 0.3], [0.5, 0.2, 0.3]])
    assert top_words(topics, 2).tolist() == [[1, 2], [0, 2]]


def test_coherence_is_that_computed_by_hand():
    # Words a, b, c in five documents; a and b meet in two of them, c is in all, d in none.
    counts = np.array([[1, 1, 1, 0], [3, 1, 2, 0], [1, 0, 1, 0], [0, 1, 1, 0], [0, 0, 1, 0]])
    together = math.log(0.4 / (0.6 * 0.6)) / -math.log(0.4)
    np.testing.assert_allclose(npmi_coherence(counts, [[0, 1]]), [together], rtol=1e-12)
    # Independent of a word that is everywhere; never with one that is nowhere; two everywhere.
    both = npmi_coherence(
        np.concatenate([counts, counts[:, 2:3]], axis=1), [[0, 2], [0, 3], [2, 4]]
    )
    np.testing.assert_allclose(both, [0, -1, 1], atol=1e-12)
    mean = npmi_coherence(counts, [[0, 1, 3]])
    np.testing.assert_allclose(mean, [(together - 2) / 3], rtol=1e-12)


@pytest.mark.parametrize("decoder", ["lda", "prodlda"])
def test_likelihood_is_the_sum_over_words(decoder):
    config, model, params, counts = _toy(decoder=decoder)
    del config
    theta = np.array([0.2, 0.5, 0.3], np.float32)
    got = model.apply(params, counts, jnp.asarray(theta), method="log_likelihood")
    beta = np.asarray(params["params"]["beta"], np.float64)
    expected = np.zeros(len(counts))
    for d, document in enumerate(np.asarray(counts)):
        for w, count in enumerate(document):
            if decoder == "lda":
                p = sum(
                    t * math.exp(b[w]) / np.sum(np.exp(b)) for t, b in zip(theta, beta, strict=True)
                )
            else:
                logits = theta @ beta + np.asarray(params["params"]["background"])
                p = math.exp(logits[w]) / np.sum(np.exp(logits))
            expected[d] += count * math.log(p)
    np.testing.assert_allclose(got, expected, rtol=1e-5)


@pytest.mark.parametrize("posterior", ["dirichlet", "logistic_normal"])
def test_shapes(posterior):
    config, model, params, counts = _toy(posterior=posterior)
    q, p = model.apply(params, counts, method="encode"), model.prior()
    assert (q.batch_shape, q.event_shape, p.batch_shape, p.event_shape) == ((6,), (3,), (), (3,))
    bound = bounds.make_evaluate_elbo(config, model)(params, jax.random.key(1), counts)
    estimate = bounds.make_importance(config, model)(params, jax.random.key(2), counts)
    assert bound.bound.shape == estimate.log_likelihood.shape == (6,)
    # The bound of 20 samples lies below log p(x), here known within a few hundredths of a nat.
    assert np.all(bound.bound < estimate.log_likelihood + 5 * estimate.stderr + 0.1)
    topics = np.exp(model.apply(params, method="log_topics"))
    np.testing.assert_allclose(np.sum(topics, axis=1), np.ones(3), rtol=1e-5)


def test_no_concentration_lies_below_the_prior():
    _, model, params, counts = _toy()
    q = model.apply(params, counts, method="encode")
    assert np.all(q.concentration > model.concentration)


def test_the_normal_prior_is_the_laplace_approximation():
    _, model, _, _ = _toy(posterior="logistic_normal", concentration=0.5)
    # Srivastava & Sutton (2017), equation 3: 1/a_k (1 - 2/K) + 1/K^2 sum_i 1/a_i.
    variance = (1 - 2 / 3) / 0.5 + 3 / 0.5 / 9
    np.testing.assert_allclose(model.prior().variance, np.full(3, variance), rtol=1e-6)
    np.testing.assert_array_equal(model.prior().mean, np.zeros(3))


@pytest.mark.parametrize("posterior", ["dirichlet", "logistic_normal"])
def test_bound_at_the_prior_is_the_reconstruction(posterior):
    config, model, params, counts = _toy(posterior=posterior)
    weights = params["params"]
    # A layer without weights, whose biases make the prior of every document.
    if posterior == "dirichlet":
        bias = jnp.full(3, -200.0)  # softplus is 0
    else:
        bias = jnp.concatenate([jnp.zeros(3), jnp.log(model.prior().stddev)])
    head = {"kernel": jnp.zeros_like(weights["head"]["kernel"]), "bias": bias}
    params = {"params": {**weights, "head": head}}
    bound = bounds.make_evaluate_elbo(config, model)(params, jax.random.key(1), counts)
    np.testing.assert_allclose(bound.kl, np.zeros(6), atol=1e-5)
    np.testing.assert_allclose(bound.bound, bound.log_likelihood, atol=1e-5)


def test_the_two_gradients_have_one_value():
    config, model, params, counts = _toy()
    each = [
        bounds.make_evaluate_elbo(dataclasses.replace(config, gradient=name), model)(
            params, jax.random.key(1), counts
        )
        for name in ("pathwise", "rao_blackwell")
    ]
    for a, b in zip(*each, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_importance_weights_are_right_where_proportions_underflow():
    q = rp.Dirichlet(jnp.array([0.02, 0.05, 3.0]))
    p = rp.Dirichlet(jnp.array([0.01, 0.02, 0.03]))
    (log_q, to_proportions), (log_p, _) = on_log_scale(q), on_log_scale(p)
    log_z, density = log_q.rsample_and_log_prob(jax.random.key(0), (2000,))
    assert np.any(to_proportions(log_z) == 0)  # where rp.Dirichlet.log_prob is infinite
    ratio = np.asarray(log_p.log_prob(log_z) - density)
    assert np.all(np.isfinite(ratio))
    # Where nothing underflows it is the ratio of the distributions of the library.
    fine = np.min(log_z, axis=1) > -50
    assert np.sum(fine) > 100
    z = np.exp(np.asarray(log_z, np.float64)[fine])
    expected = np.log(z) @ np.asarray(p.concentration - q.concentration, np.float64)
    lgamma = math.lgamma
    for dist, sign in ((p, 1), (q, -1)):
        a = dist.concentration.tolist()
        expected = expected + sign * (lgamma(sum(a)) - sum(map(lgamma, a)))
    np.testing.assert_allclose(ratio[fine], expected, rtol=1e-3, atol=1e-3)


def test_loss_has_the_prior_over_topics():
    """Over all documents the loss is the bound's sum and the log-density of the topics' logits."""
    losses = []
    for b in (0.0, 0.7):
        config, model, params, counts = _toy(topic_concentration=b)
        loss = bounds.make_loss(config, model, len(counts))
        losses.append(loss(params, counts, jax.random.key(1), jnp.int32(0)))
    beta = np.asarray(params["params"]["beta"], np.float64)
    log_topics = beta - np.log(np.sum(np.exp(beta), axis=1, keepdims=True))
    difference = np.sum(losses[1][0] - losses[0][0])
    np.testing.assert_allclose(difference, -0.7 * np.sum(log_topics), rtol=1e-4)
    np.testing.assert_allclose(losses[0][0], -losses[0][1]["elbo"], rtol=1e-6)
    np.testing.assert_array_equal(losses[0][1]["words"], np.sum(counts, axis=1))


def test_result_and_files(trained, corpus):
    path, result = trained
    run = path / "run"
    stored = json.loads((run / "result.json").read_text())
    assert {**stored, "workdir": str(run)} == result
    # Neither better than is possible nor worse than words drawn evenly.
    assert 50 < result["perplexity"] <= result["elbo_perplexity"] < 300
    assert set(result["gradient_variance"]) == {"pathwise", "rao_blackwell"}
    assert all(v > 0 for v in result["gradient_variance"].values())
    assert [len(t["words"]) for t in result["topics"]] == [10, 10, 10]
    assert {w for t in result["topics"] for w in t["words"]} <= set(corpus.words)
    np.testing.assert_allclose(sum(t["share"] for t in result["topics"]), 1, rtol=1e-6)
    assert 1 <= result["used_topics"] <= 3
    metrics = RunDirectory(run).read_metrics()
    assert [m["step"] for m in metrics] == [3, 6, 9, 12]
    assert ["test_perplexity" in m for m in metrics] == [False, True, False, True]
    for name in ("topics", "document_topics", "learning_curves"):
        assert (run / "plots" / f"{name}.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert list(run.glob("events.out.*"))


def test_a_run_that_was_stopped_ends_as_one_that_was_not(trained, tmp_path, monkeypatch):
    path, whole = trained

    epochs = iter(range(1, 5))

    def stop(self, count, values):
        if next(epochs) == 3:  # an epoch after the last checkpoint
            raise KeyboardInterrupt

    # Twenty seconds of compilation, of what depends on the parameters alone.
    monkeypatch.setattr(bounds, "gradient_variance", lambda *args: 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(epoch_loop.Progress, "update", stop)
        with pytest.raises(KeyboardInterrupt):
            _run(tmp_path)
    assert len(timeless_metrics(tmp_path / "run")) == 3
    assert not (tmp_path / "run" / "result.json").exists()
    parts = _run(tmp_path)
    assert timeless_metrics(tmp_path / "run") == timeless_metrics(path / "run")
    for name in parts.keys() - {"train_seconds", "workdir", "gradient_variance"}:
        assert parts[name] == whole[name]
    assert _run(tmp_path) == parts


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"posterior": "logistic_normal", "gradient": "rao_blackwell"},
            "--gradient=rao_blackwell: is for --posterior=dirichlet, not logistic_normal",
        ),
        ({"decoder": "plsa"}, "--decoder=plsa: must be one of lda, prodlda"),
        ({"num_topics": 1}, "--num_topics=1: must be an integer from 2"),
        ({"batch_size": 49}, "--batch_size=49: there are 48 training documents"),
    ],
)
def test_mistakes_are_named_and_leave_nothing_behind(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        _run(tmp_path, **changes)
    assert not (tmp_path / "run").exists()


def test_contradicting_flags_are_refused(trained):
    path, _ = trained
    with pytest.raises(ConfigError, match=r"--num_topics=4: the run in .* has --num_topics=3"):
        _run(path, num_topics=4)
    with pytest.raises(ConfigError, match=r"--epochs=3: the run in .* has --epochs=4"):
        _run(path, epochs=3)


def test_the_command_line_reports_mistakes_in_one_line(request):
    done = subprocess.run(
        [sys.executable, "-m", "experiments.topic_model", "--posterior=logistic_normal",
         "--gradient=rao_blackwell"],
        capture_output=True, text=True, cwd=request.config.rootpath, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("topic_model: --gradient=rao_blackwell")
    assert done.stderr.count("\n") == 1, done.stderr
