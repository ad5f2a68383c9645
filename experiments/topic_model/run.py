r"""Learns topics from newspaper articles: latent Dirichlet allocation as a variational autoencoder.

    python -m experiments.topic_model                                # needs the package lda
    python -m experiments.topic_model --gradient=rao_blackwell
    python -m experiments.topic_model --posterior=logistic_normal
    python -m experiments.topic_model --decoder=prodlda

The same command with the same --workdir continues a run that was stopped; with more --epochs it
continues one that was complete.
"""

import dataclasses
import hashlib
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.harness.configuration import ConfigError, option, read_flags, validate
from experiments.harness.epochs import NonFiniteLossError, non_finite_message, run_epochs
from experiments.harness.progress import print_line
from experiments.harness.run_directory import RunDirectory
from experiments.harness.runs import Run, RunKeys, open_run, result_if_complete, run_keys
from experiments.topic_model import bounds
from experiments.topic_model.corpus import (
    Corpus,
    load_reuters,
    npmi_coherence,
    split,
    top_words,
)
from experiments.topic_model.network import DECODERS, GRADIENTS, POSTERIORS, TopicModel, proportions
from repara import training

__all__ = ["Config", "NonFiniteLossError", "run"]

_TOP_WORDS = 10


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that determines a run; the fields are the flags."""

    workdir: str | None = option(
        None, "run directory; by default a fresh dated one under runs/", may_change=True
    )
    split: str = option(
        "held_out",
        "documents that are evaluated: held_out, a fifth of all; validation, a fifth of the "
        "others, to choose flags by; neither is trained on",
        choices=("held_out", "validation"),
    )
    posterior: str = option(
        "dirichlet",
        "family of q(topics | document); logistic_normal has a normal prior, Laplace's "
        "approximation of the Dirichlet one",
        choices=POSTERIORS,
    )
    gradient: str = option(
        "pathwise",
        "through Dirichlet samples: pathwise, the derivative of the transform; rao_blackwell, its "
        "mean given the sample",
        choices=GRADIENTS,
    )
    decoder: str = option(
        "lda",
        "of proportions: lda mixes the topics' probabilities of words, prodlda their logits",
        choices=DECODERS,
    )
    num_topics: int = option(20, "topics", low=2)
    concentration: float = option(
        0.1, "of the symmetric Dirichlet prior over a document's topics", low=1e-3
    )
    topic_concentration: float = option(
        0.3,
        "of the symmetric Dirichlet prior over a topic's words, of which the mode in the logits is "
        "sought; 0: none",
        low=0,
    )
    hidden_sizes: tuple[int, ...] = option((100,), "widths of the encoder's hidden layers", low=1)
    num_samples: int = option(1, "samples of the latents a document in training", low=1)
    batch_size: int = option(64, "documents a step", low=1)
    epochs: int = option(300, "passes over the training documents", low=1)
    learning_rate: float = option(1e-2, "of Adam", low=0)
    seed: int = option(0, "seed of everything but the split", low=0)
    num_eval_samples: int = option(
        1000,
        "importance samples a document for the perplexity of the result",
        low=1,
        may_change=True,
    )
    eval_every: int = option(10, "epochs between evaluations", low=1)
    checkpoint_every: int = option(50, "epochs between checkpoints", low=1, may_change=True)


def run(config: Config) -> dict[str, Any]:
    """Runs an experiment as `python -m experiments.topic_model` does.

    Args:
      config: the configuration. Without `workdir` the run makes a fresh one.

    Returns:
      What `result.json` holds, with "workdir".

    Raises:
      ConfigError: a flag is out of range, or contradicts another or the run that is in `workdir`.
      CorpusError: the corpus is not installed.
      NonFiniteLossError: the loss became infinite or NaN.

    Example:
      from experiments import topic_model
      result = topic_model.run(topic_model.Config(num_topics=10, workdir="runs/mine"))
    """
    validate(config)
    if config.gradient == "rao_blackwell" and config.posterior != "dirichlet":
        raise ConfigError(
            f"--gradient=rao_blackwell: is for --posterior=dirichlet, not {config.posterior}"
        )
    train, evaluated = split(load_reuters(), config.split)
    if config.batch_size > len(train.counts):
        raise ConfigError(
            f"--batch_size={config.batch_size}: there are {len(train.counts)} training documents"
        )
    digest = hashlib.sha256(train.counts.tobytes()).hexdigest()
    opened = open_run("topic_model", config, digest, may_grow=("epochs",))
    keys = run_keys(config.seed)
    model = bounds.build_model(config, train)
    params = jax.jit(model.init)(keys.init, jnp.asarray(train.counts[:1]))
    optimizer = optax.adam(config.learning_rate)
    state = training.init_state(params, optimizer)
    epoch, state = opened.restore(state)
    result = result_if_complete(opened, epoch, config.epochs, "more --epochs continue it")
    if result is not None:
        return result
    epoch_fn = training.make_epoch(
        training.make_train_step(bounds.make_loss(config, model, len(train.counts)), optimizer),
        num_examples=len(train.counts),
        batch_size=config.batch_size,
    )
    state = _train(config, opened, model, epoch_fn, state, epoch, train, evaluated, keys)
    opened.checkpoints.close()
    return _report(config, opened.directory, model, state.params, train, evaluated, keys)


def _train(
    config: Config,
    opened: Run,
    model: TopicModel,
    epoch_fn: Any,
    state: training.TrainState,
    done: int,
    train: Corpus,
    evaluated: Corpus,
    keys: RunKeys,
) -> training.TrainState:
    data = jnp.asarray(train.counts)
    counts = jnp.asarray(evaluated.counts)
    evaluate = bounds.make_evaluate_elbo(config, model)
    documents = len(train.counts) // config.batch_size * config.batch_size

    def report(
        epoch: int, state: training.TrainState, metrics: Any, seconds: float
    ) -> tuple[dict[str, Any], dict[str, str]]:
        values = {k: float(v) for k, v in jax.device_get(metrics).items()}
        bad_step = int(values.pop(training.FIRST_BAD_STEP))
        if bad_step >= 0:
            raise NonFiniteLossError(
                non_finite_message(
                    "loss", bad_step, epoch, opened.checkpoints, "A smaller --learning_rate"
                )
            )
        words = values.pop("words")
        line: dict[str, Any] = {"epoch": epoch, "step": int(state.step)}
        line |= {f"train_{k}": v for k, v in values.items()}
        line["train_perplexity"] = math.exp(-values["elbo"] / words)
        if epoch % config.eval_every == 0 or epoch == config.epochs:
            bound = evaluate(state.params, jax.random.fold_in(keys.evaluate, epoch), counts)
            line["test_elbo"] = float(np.mean(np.asarray(bound.bound, np.float64)))
            line["test_kl"] = float(np.mean(np.asarray(bound.kl, np.float64)))
            line["test_perplexity"] = bounds.perplexity(np.asarray(bound.bound), evaluated.counts)
        names = ("train_perplexity", "test_perplexity")
        shown = {name: f"{line[name]:.0f}" for name in names if name in line}
        return line, {**shown, "documents/s": f"{documents / seconds:.0f}"}

    return run_epochs(
        opened,
        epoch_fn,
        state,
        done=done,
        epochs=config.epochs,
        checkpoint_every=config.checkpoint_every,
        arguments=lambda epoch: (data, keys.train),
        report=report,
    )


def _report(
    config: Config,
    directory: RunDirectory,
    model: TopicModel,
    params: Any,
    train: Corpus,
    evaluated: Corpus,
    keys: RunKeys,
) -> dict[str, Any]:
    counts = jnp.asarray(evaluated.counts)
    elbo_key, importance_key, gradient_key = jax.random.split(keys.evaluate, 3)
    bound = bounds.make_evaluate_elbo(config, model)(params, elbo_key, counts)
    estimate = bounds.make_importance(config, model)(params, importance_key, counts)

    @jax.jit
    def mean_proportions(counts: jax.Array) -> jax.Array:
        """E_q theta, for logistic-normal posteriors theta at the mean of the latents."""
        return proportions(
            config.posterior, bounds.apply(model, params, counts, method="encode").mean
        )

    theta = np.asarray(mean_proportions(jnp.asarray(train.counts)), np.float64)
    order = np.argsort(-np.mean(theta, axis=0), kind="stable")
    share = np.mean(theta, axis=0)[order]
    topics = np.exp(np.asarray(bounds.apply(model, params, method="log_topics"), np.float64))[order]
    tops = top_words(topics, _TOP_WORDS)
    coherence = npmi_coherence(train.counts, tops)
    variances = {}
    batch = jnp.asarray(train.counts[: config.batch_size])
    for name in GRADIENTS if config.posterior == "dirichlet" else ("pathwise",):
        changed = dataclasses.replace(config, gradient=name)
        variances[name] = bounds.gradient_variance(changed, model, params, batch, gradient_key)
    metrics = directory.read_metrics()
    result: dict[str, Any] = {
        "posterior": config.posterior,
        "gradient": config.gradient,
        "decoder": config.decoder,
        "split": config.split,
        "perplexity": bounds.perplexity(np.asarray(estimate.log_likelihood), evaluated.counts),
        "elbo_perplexity": bounds.perplexity(np.asarray(bound.bound), evaluated.counts),
        "effective_samples": float(np.median(np.asarray(estimate.effective_samples))),
        "num_eval_samples": config.num_eval_samples,
        "kl": float(np.mean(np.asarray(bound.kl, np.float64))),
        "coherence": float(np.mean(coherence)),
        # Topics that are the greatest part of one training document at least.
        "used_topics": len(np.unique(np.argmax(theta, axis=1))),
        "topic_diversity": len(np.unique(tops)) / tops.size,
        "gradient_variance": variances,
        "topics": [
            {"share": float(s), "coherence": float(c), "words": [train.words[w] for w in top]}
            for s, c, top in zip(share, coherence, tops, strict=True)
        ],
        "train_documents": len(train.counts),
        "test_documents": len(evaluated.counts),
        "epochs": metrics[-1]["epoch"] if metrics else 0,
        "train_seconds": math.fsum(m["seconds"] for m in metrics),
        "device": jax.devices()[0].device_kind,
    }
    directory.write_result(result)
    if directory.is_writer:
        held_out = np.asarray(mean_proportions(counts))[:, order]
        _draw(directory, metrics, result, topics, tops, held_out)
    for number, topic in enumerate(result["topics"], 1):
        print_line(f"topic {number:2d} {topic['share']:6.1%} {' '.join(topic['words'])}")
    print_line(
        f"perplexity {result['perplexity']:.1f} (K={config.num_eval_samples}), of the ELBO "
        f"{result['elbo_perplexity']:.1f}, coherence {result['coherence']:.3f}, "
        f"{result['used_topics']}/{config.num_topics} topics used, "
        f"{result['train_seconds']:.1f} s of training"
    )
    print_line(f"result.json and plots/ are in {directory.path}")
    return {**result, "workdir": str(directory.path)}


def _draw(
    directory: RunDirectory,
    metrics: list[dict[str, Any]],
    result: dict[str, Any],
    topics: np.ndarray,
    tops: np.ndarray,
    held_out: np.ndarray,
) -> None:
    from repara import plotting  # matplotlib is slow to import

    shown = result["topics"][:20]
    plotting.word_bars(
        directory.plots / "topics.png",
        {
            f"{n}: {topic['share']:.1%}": dict(
                zip(topic["words"], topics[n - 1, tops[n - 1]].tolist(), strict=True)
            )
            for n, topic in enumerate(shown, 1)
        },
        columns=5,
        xlabel="probability",
    )
    # Documents of one topic side by side.
    order = np.lexsort((-np.max(held_out, axis=1), np.argmax(held_out, axis=1)))
    plotting.heat_map(
        directory.plots / "document_topics.png",
        held_out[order].T,
        xlabel="document, sorted by its greatest topic",
        ylabel="topic",
        label="proportion",
        title="topics of documents that were not trained on",
    )
    evaluated = [m for m in metrics if "test_perplexity" in m]
    epochs = [m["epoch"] for m in metrics]
    tested = [m["epoch"] for m in evaluated]
    name = result["split"].replace("_", " ")
    plotting.curves(
        directory.plots / "learning_curves.png",
        {
            "perplexity, of the ELBO": {
                "train": (epochs, [m["train_perplexity"] for m in metrics]),
                name: (tested, [m["test_perplexity"] for m in evaluated]),
            },
            "KL a document [nats]": {
                "train": (epochs, [m["train_kl"] for m in metrics]),
                name: (tested, [m["test_kl"] for m in evaluated]),
            },
        },
        "epoch",
    )


def main() -> None:
    """Reads the flags and runs."""
    run(Config(**read_flags(Config)))
