r"""Learns topics from news articles: latent Dirichlet allocation as a variational autoencoder.

    python -m experiments.topic_model                                # needs the package lda
    python -m experiments.topic_model --gradient=rao_blackwell
    python -m experiments.topic_model --posterior=logistic_normal
    python -m experiments.topic_model --decoder=prodlda

The same command with the same --workdir continues a run that was stopped. With more --epochs it
continues a run that was complete.
"""

import hashlib
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.epochs import NonFiniteLossError, non_finite_message, run_epochs
from experiments.harness.progress import print_line
from experiments.harness.run_directory import RunDirectory
from experiments.harness.runs import Run, open_run, result_if_complete, run_keys
from experiments.topic_model import bounds
from experiments.topic_model.config import Config, Problem, check, resolve
from experiments.topic_model.corpus import Corpus, load_reuters
from experiments.topic_model.report import (
    draw_figures,
    mean_proportions,
    measure_likelihood,
    measure_topics,
)
from repara import training

__all__ = ["run", "run_on_corpus"]


def run(config: Config) -> dict[str, Any]:
    """Runs an experiment as `python -m experiments.topic_model` does.

    Args:
      config: the flags. Without `workdir` the run makes a new one.

    Returns:
      The content of `result.json`, and "workdir".

    Raises:
      ConfigError: a flag is out of range, or contradicts another or the run that is in `workdir`.
      CorpusError: the corpus is not installed.
      NonFiniteLossError: the loss became infinite or NaN.

    Example:
      from experiments import topic_model
      result = topic_model.run(topic_model.Config(num_topics=10, workdir="runs/mine"))
    """
    check(config)
    return run_on_corpus(config, load_reuters())


def run_on_corpus(config: Config, corpus: Corpus) -> dict[str, Any]:
    """Runs an experiment on documents of one's own.

    Args:
      config: the flags.
      corpus: all documents; those to train on and to evaluate on are chosen from them.

    Returns:
      As `run`.

    Raises:
      ConfigError: as `run`.
      NonFiniteLossError: as `run`.
    """
    problem = resolve(config, corpus)
    digest = hashlib.sha256(problem.train.counts.tobytes()).hexdigest()
    opened = open_run("topic_model", config, digest, may_grow=("epochs",))
    keys = run_keys(config.seed)
    *result_keys, curve_key = jax.random.split(keys.evaluate, 4)

    example = jnp.asarray(problem.train.counts[:1])
    params = jax.jit(problem.objective.model.init)(keys.init, example)
    state = training.init_state(params, problem.optimizer)
    epoch, state = opened.restore(state)
    result = result_if_complete(opened, epoch, config.epochs, "more --epochs continue it")
    if result is not None:
        return result
    state = _train(config, problem, opened, state, epoch, keys.train, curve_key)
    opened.checkpoints.close()
    return _report(config, problem, opened.directory, state.params, result_keys)


def _train(
    config: Config,
    problem: Problem,
    opened: Run,
    state: training.TrainState,
    done: int,
    train_key: jax.Array,
    curve_key: jax.Array,
) -> training.TrainState:
    """Runs the epochs after the first `done` ones."""
    data = jnp.asarray(problem.train.counts)
    counts = jnp.asarray(problem.evaluated.counts)
    evaluate = bounds.make_evaluate_elbo(problem.objective)
    documents = len(data) // config.batch_size * config.batch_size

    def evaluation_line(epoch: int, params: Any) -> dict[str, float]:
        bound = evaluate(params, jax.random.fold_in(curve_key, epoch), counts)
        log_likelihoods = np.asarray(bound.bound)
        return {
            "test_elbo": float(np.mean(log_likelihoods, dtype=np.float64)),
            "test_kl": float(np.mean(np.asarray(bound.kl, np.float64))),
            "test_perplexity": bounds.perplexity(log_likelihoods, problem.evaluated.counts),
        }

    def report(
        epoch: int, state: training.TrainState, metrics: Any, seconds: float
    ) -> tuple[dict[str, Any], dict[str, str]]:
        values = {k: float(v) for k, v in jax.device_get(metrics).items()}
        bad_step = int(values.pop(training.FIRST_BAD_STEP))
        if bad_step >= 0:
            remedy = "A smaller --learning_rate"
            raise NonFiniteLossError(
                non_finite_message("loss", bad_step, epoch, opened.checkpoints, remedy)
            )
        words = values.pop("words")
        line: dict[str, Any] = {"epoch": epoch, "step": int(state.step)}
        line |= {f"train_{k}": v for k, v in values.items()}
        line["train_perplexity"] = math.exp(-values["elbo"] / words)
        if epoch % config.eval_every == 0 or epoch == config.epochs:
            line |= evaluation_line(epoch, state.params)
        names = ("train_perplexity", "test_perplexity")
        shown = {name: f"{line[name]:.0f}" for name in names if name in line}
        return line, {**shown, "documents/s": f"{documents / seconds:.0f}"}

    loss = bounds.make_loss(problem.objective, len(data))
    return run_epochs(
        opened,
        training.make_epoch(
            training.make_train_step(loss, problem.optimizer),
            num_examples=len(data),
            batch_size=config.batch_size,
        ),
        state,
        done=done,
        epochs=config.epochs,
        checkpoint_every=config.checkpoint_every,
        arguments=lambda epoch: (data, train_key),
        report=report,
    )


def _report(
    config: Config,
    problem: Problem,
    directory: RunDirectory,
    params: Any,
    keys: list[jax.Array],
) -> dict[str, Any]:
    """Measures the trained model, writes result.json and figures, and prints a summary."""
    train, evaluated, model = problem.train, problem.evaluated, problem.objective.model
    elbo_key, importance_key, gradient_key = keys
    topics = measure_topics(model, params, train)
    metrics = directory.read_metrics()
    batch = jnp.asarray(train.counts[: config.batch_size])
    result: dict[str, Any] = {
        "posterior": config.posterior,
        "gradient": config.gradient,
        "decoder": config.decoder,
        "split": config.split,
        **measure_likelihood(
            problem.objective, params, evaluated.counts, (elbo_key, importance_key),
            config.num_eval_samples,
        ),
        "num_eval_samples": config.num_eval_samples,
        "coherence": float(np.mean(topics.coherence)),
        "used_topics": topics.num_used,
        "topic_diversity": len(np.unique(topics.top_words)) / topics.top_words.size,
        "gradient_variance": {
            # The same key: the gradients are compared at the same samples.
            name: bounds.gradient_variance(objective, params, batch, gradient_key)
            for name, objective in problem.objectives.items()
        },
        "topics": topics.rows(train.words),
        "train_documents": len(train.counts),
        "test_documents": len(evaluated.counts),
        "epochs": metrics[-1]["epoch"] if metrics else 0,
        "train_seconds": math.fsum(m["seconds"] for m in metrics),
        "device": jax.devices()[0].device_kind,
    }  # fmt: skip
    directory.write_result(result)
    if directory.is_writer:
        proportions = mean_proportions(model, params, evaluated.counts)[:, topics.order]
        draw_figures(
            directory.plots, topics=topics, words=train.words, proportions=proportions,
            metrics=metrics, split=config.split,
        )  # fmt: skip
    _print_summary(result)
    print_line(f"result.json and plots/ are in {directory.path}")
    return {**result, "workdir": str(directory.path)}


def _print_summary(result: dict[str, Any]) -> None:
    for number, topic in enumerate(result["topics"], 1):
        print_line(f"topic {number:2d} {topic['share']:6.1%} {' '.join(topic['words'])}")
    print_line(
        f"perplexity {result['perplexity']:.1f} ({result['num_eval_samples']} importance samples), "
        f"from the ELBO {result['elbo_perplexity']:.1f}, coherence {result['coherence']:.3f}, "
        f"{result['used_topics']} of {len(result['topics'])} topics used, "
        f"{result['train_seconds']:.1f} s of training"
    )
