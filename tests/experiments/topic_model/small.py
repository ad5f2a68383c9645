"""A small corpus and a small configuration, which the tests of the topic model share."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from experiments import topic_model
from experiments.topic_model.config import Problem, resolve
from experiments.topic_model.corpus import Corpus, load_reuters
from experiments.topic_model.run import run_on_corpus

SMALL = topic_model.Config(
    num_topics=3, hidden_sizes=(4,), batch_size=16, epochs=4, eval_every=2, checkpoint_every=2,
    num_eval_samples=30,
)  # fmt: skip


def small_corpus():
    """The first 300 words of 60 articles."""
    whole = load_reuters()
    return Corpus(whole.counts[:60, :300], whole.words[:300], whole.titles[:60])


def run_small(workdir, **changes):
    """Runs the small configuration on the small corpus."""
    config = dataclasses.replace(SMALL, workdir=str(workdir), **changes)
    return run_on_corpus(config, small_corpus())


def toy_problem(**changes):
    """A problem with six training documents of five words, its parameters, and the counts."""
    counts = np.random.default_rng(0).integers(0, 4, (8, 5)).astype(np.int32)
    config = dataclasses.replace(SMALL, batch_size=1, **changes)
    problem: Problem = resolve(config, Corpus(counts, tuple("abcde"), ("",) * 8))
    data = jnp.asarray(problem.train.counts)
    return problem, problem.objective.model.init(jax.random.key(0), data), data
