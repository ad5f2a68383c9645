"""Runs of the topic model: the result, the files, continuing, and mistakes."""

import json
import re

import jax
import numpy as np
import pytest

from experiments import topic_model
from experiments.harness import epochs
from experiments.harness.configuration import ConfigError
from experiments.harness.run_directory import RunDirectory
from experiments.topic_model import bounds
from experiments.topic_model.__main__ import main
from tests.experiments.runs import timeless_metrics
from tests.experiments.topic_model.small import run_small, small_corpus


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The directory and the result of one whole run, which several tests read."""
    path = tmp_path_factory.mktemp("runs") / "run"
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        return path, run_small(path)


def test_the_result_is_stored(trained):
    path, result = trained
    stored = json.loads((path / "result.json").read_text())
    assert {**stored, "workdir": str(path)} == result


def test_reported_numbers_are_consistent(trained):
    _, result = trained
    # Better than uniform words, and in the order that the bounds imply.
    assert 50 < result["perplexity"] <= result["elbo_perplexity"] < 300
    assert set(result["gradient_variance"]) == {"pathwise", "rao_blackwell"}
    assert all(v > 0 for v in result["gradient_variance"].values())
    assert 1 <= result["used_topics"] <= 3


def test_topics_are_listed_with_shares_and_words(trained):
    topics = trained[1]["topics"]
    assert [len(t["words"]) for t in topics] == [10, 10, 10]
    assert {w for t in topics for w in t["words"]} <= set(small_corpus().words)
    shares = [t["share"] for t in topics]
    assert shares == sorted(shares, reverse=True)
    np.testing.assert_allclose(sum(shares), 1, rtol=1e-6)


def test_a_run_writes_metrics_figures_and_events(trained):
    path, _ = trained
    metrics = RunDirectory(path).read_metrics()
    assert [m["step"] for m in metrics] == [3, 6, 9, 12]
    assert ["test_perplexity" in m for m in metrics] == [False, True, False, True]
    for name in ("topics", "document_topics", "learning_curves"):
        assert (path / "plots" / f"{name}.png").read_bytes()[:4] == b"\x89PNG"
    assert list(path.glob("events.out.*"))


def test_a_run_that_was_stopped_ends_like_an_uninterrupted_one(trained, tmp_path, monkeypatch):
    path, whole = trained
    numbers = iter(range(1, 5))

    def stop_in_epoch_3(self, count, values):
        if next(numbers) == 3:  # one epoch after the last checkpoint
            raise KeyboardInterrupt

    # It takes long to compile, and depends only on the parameters.
    monkeypatch.setattr(bounds, "gradient_variance", lambda *args: 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(epochs.Progress, "update", stop_in_epoch_3)
        with pytest.raises(KeyboardInterrupt):
            run_small(tmp_path / "run")
    assert len(timeless_metrics(tmp_path / "run")) == 3
    assert not (tmp_path / "run" / "result.json").exists()
    parts = run_small(tmp_path / "run")
    assert timeless_metrics(tmp_path / "run") == timeless_metrics(path)
    for name in parts.keys() - {"train_seconds", "workdir", "gradient_variance"}:
        assert parts[name] == whole[name]


def test_the_same_command_again_returns_the_result(trained):
    path, result = trained
    assert run_small(path) == result


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"posterior": "logistic_normal", "gradient": "rao_blackwell"},
            "--gradient=rao_blackwell: needs --posterior=dirichlet, not logistic_normal",
        ),
        ({"decoder": "plsa"}, "--decoder=plsa: must be one of lda, prodlda"),
        ({"num_topics": 1}, "--num_topics=1: must be an integer from 2"),
        ({"batch_size": 49}, "--batch_size=49: must be at most 48, the number of training"),
    ],
)
def test_mistakes_are_named_and_leave_nothing_behind(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        run_small(tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_topics": 4}, "--num_topics=4: the run in .* has --num_topics=3"),
        ({"epochs": 3}, "--epochs=3: the run in .* has --epochs=4"),
    ],
)
def test_flags_that_contradict_the_run_are_refused(trained, changes, message):
    with pytest.raises(ConfigError, match=message):
        run_small(trained[0], **changes)


def test_the_command_line_reports_mistakes_in_one_line():
    with pytest.raises(SystemExit) as exit_info:
        main(["--posterior=logistic_normal", "--gradient=rao_blackwell"])
    message = exit_info.value.code
    assert message.startswith("topic_model: --gradient=rao_blackwell")
    assert "\n" not in message


def test_a_run_on_the_whole_corpus_checks_its_flags_first(tmp_path):
    with pytest.raises(ConfigError, match="--num_topics=1"):
        topic_model.run(topic_model.Config(num_topics=1, workdir=str(tmp_path / "run")))
    assert not (tmp_path / "run").exists()
