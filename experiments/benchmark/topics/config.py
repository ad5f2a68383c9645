"""The configuration of the topics benchmark, and the record it resolves to."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from experiments.harness.configuration import option, validate
from experiments.topic_model.config import SPLITS
from experiments.topic_model.corpus import Corpus

__all__ = ["Config", "Settings", "resolve"]


@dataclasses.dataclass(frozen=True)
class Config:
    """The flags of the benchmark.

    Example:
      >>> Config(num_seeds=1).iterations
      100
    """

    split: str = option(
        "held_out",
        "documents to evaluate on, as in experiments.topic_model",
        choices=tuple(SPLITS),
    )
    num_topics: int = option(20, "number of topics", low=2)
    concentration: float = option(
        0.1, "concentration of the prior over a document's topics", low=1e-3, high=1
    )
    topic_concentration: float = option(
        0.3, "concentration of the prior over a topic's words", low=1e-3, high=1
    )
    iterations: int = option(100, "iterations of batch variational Bayes", low=1)
    num_seeds: int = option(3, "number of fits, with random_state from 0", low=1)
    num_eval_samples: int = option(1000, "importance samples per document", low=1)
    output: str | None = option(None, "JSON file for the results")


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of the benchmark.

    Attributes:
      split: corpus -> (training documents, documents to evaluate on).
      num_topics: K.
      concentration: of the symmetric Dirichlet prior over a document's topics.
      topic_concentration: of the symmetric Dirichlet prior over a topic's words.
      iterations: iterations of batch variational Bayes.
      num_seeds: the number of fits.
      num_eval_samples: importance samples per document.
      output: the JSON file to write, or None.
    """

    split: Callable[[Corpus], tuple[Corpus, Corpus]]
    num_topics: int
    concentration: float
    topic_concentration: float
    iterations: int
    num_seeds: int
    num_eval_samples: int
    output: Path | None


def resolve(config: Config) -> Settings:
    """Checks a configuration and resolves it to a typed record.

    Args:
      config: the flags.

    Returns:
      The settings.

    Raises:
      ConfigError: a flag is out of range.
    """
    validate(config)
    return Settings(
        split=SPLITS[config.split],
        num_topics=config.num_topics,
        concentration=config.concentration,
        topic_concentration=config.topic_concentration,
        iterations=config.iterations,
        num_seeds=config.num_seeds,
        num_eval_samples=config.num_eval_samples,
        output=None if config.output is None else Path(config.output),
    )
