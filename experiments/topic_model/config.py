"""The configuration of the experiment, and the records it resolves to."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import optax

from experiments.harness.configuration import ConfigError, option, validate
from experiments.topic_model.bounds import Objective
from experiments.topic_model.corpus import Corpus, held_out_split, validation_split
from experiments.topic_model.network import (
    DIRICHLET,
    LDA,
    LOGISTIC_NORMAL,
    PRODLDA,
    Decoder,
    ElboEstimator,
    LatentFamily,
    TopicModel,
    rao_blackwell_elbo,
)
from repara import objectives

__all__ = ["SPLITS", "Config", "Problem", "check", "resolve"]

SPLITS: dict[str, Callable[[Corpus], tuple[Corpus, Corpus]]] = {
    "held_out": held_out_split,
    "validation": validation_split,
}
_FAMILIES: dict[str, LatentFamily] = {"dirichlet": DIRICHLET, "logistic_normal": LOGISTIC_NORMAL}
_DECODERS: dict[str, Decoder] = {"lda": LDA, "prodlda": PRODLDA}
# The estimators of the bound for each family of posteriors.
_GRADIENTS: dict[str, dict[str, ElboEstimator]] = {
    "dirichlet": {"pathwise": objectives.elbo, "rao_blackwell": rao_blackwell_elbo},
    "logistic_normal": {"pathwise": objectives.elbo},
}


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that determines a run; the fields are the flags.

    Example:
      >>> Config(num_topics=10).posterior
      'dirichlet'
    """

    workdir: str | None = option(
        None, "run directory; by default a new dated one under runs/", may_change=True
    )
    split: str = option(
        "held_out",
        "documents to evaluate on: held_out, a fifth of all documents; validation, a fifth of the "
        "remaining ones, for choosing flags. Training uses neither",
        choices=tuple(SPLITS),
    )
    posterior: str = option(
        "dirichlet",
        "family of q(topics | document); logistic_normal has a normal prior, a Laplace "
        "approximation of the Dirichlet prior",
        choices=tuple(_FAMILIES),
    )
    gradient: str = option(
        "pathwise",
        "gradient through Dirichlet samples: pathwise, the derivative of the transform; "
        "rao_blackwell, the mean of this derivative given the sample",
        choices=("pathwise", "rao_blackwell"),
    )
    decoder: str = option(
        "lda",
        "how a document mixes its topics: lda mixes their word probabilities, prodlda their word "
        "logits",
        choices=tuple(_DECODERS),
    )
    num_topics: int = option(20, "number of topics", low=2)
    concentration: float = option(
        0.1, "concentration of the symmetric Dirichlet prior over a document's topics", low=1e-3
    )
    topic_concentration: float = option(
        0.3,
        "concentration of the symmetric Dirichlet prior over a topic's words, for the mode in the "
        "logits; 0 for no prior",
        low=0,
    )
    hidden_sizes: tuple[int, ...] = option((100,), "widths of the encoder's hidden layers", low=1)
    num_samples: int = option(1, "samples of the latents per document in training", low=1)
    batch_size: int = option(64, "documents per step", low=1)
    epochs: int = option(300, "passes over the training documents", low=1)
    learning_rate: float = option(1e-2, "learning rate of Adam", low=0)
    seed: int = option(0, "seed of all random numbers except the split of the corpus", low=0)
    num_eval_samples: int = option(
        1000,
        "importance samples per document for the perplexity in the result",
        low=1,
        may_change=True,
    )
    eval_every: int = option(10, "epochs between evaluations", low=1)
    checkpoint_every: int = option(50, "epochs between checkpoints", low=1, may_change=True)


class Problem(NamedTuple):
    """The records that a configuration resolves to.

    Attributes:
      train: the documents to train on.
      evaluated: the documents to evaluate on.
      objective: the quantity to maximize, with the network.
      objectives: every objective of the same family, by the name of its gradient.
      optimizer: the optimizer of all parameters.
    """

    train: Corpus
    evaluated: Corpus
    objective: Objective
    objectives: Mapping[str, Objective]
    optimizer: optax.GradientTransformation


def check(config: Config) -> None:
    """Checks everything about a configuration that does not depend on the corpus.

    Args:
      config: the flags.

    Raises:
      ConfigError: a flag is out of range or contradicts another.

    Example:
      >>> check(Config(num_topics=1))
      Traceback (most recent call last):
        ...
      experiments.harness.configuration.ConfigError: --num_topics=1: must be an integer from 2
    """
    validate(config)
    if config.gradient not in _GRADIENTS[config.posterior]:
        raise ConfigError(
            f"--gradient={config.gradient}: needs --posterior=dirichlet, not {config.posterior}"
        )


def resolve(config: Config, corpus: Corpus) -> Problem:
    """Checks a configuration and resolves it to typed records.

    Args:
      config: the flags.
      corpus: all documents.

    Returns:
      The problem.

    Raises:
      ConfigError: a flag is out of range or contradicts another or the corpus.
    """
    check(config)
    train, evaluated = SPLITS[config.split](corpus)
    if config.batch_size > len(train.counts):
        raise ConfigError(
            f"--batch_size={config.batch_size}: must be at most {len(train.counts)}, the number of "
            "training documents"
        )
    model = TopicModel(
        num_topics=config.num_topics,
        frequencies=tuple(np.sum(train.counts, axis=0).tolist()),
        hidden_sizes=config.hidden_sizes,
        family=_FAMILIES[config.posterior],
        decoder=_DECODERS[config.decoder],
        concentration=config.concentration,
    )
    by_gradient = {
        name: Objective(model, elbo, config.num_samples, config.topic_concentration)
        for name, elbo in _GRADIENTS[config.posterior].items()
    }
    optimizer = optax.adam(config.learning_rate)
    return Problem(train, evaluated, by_gradient[config.gradient], by_gradient, optimizer)
