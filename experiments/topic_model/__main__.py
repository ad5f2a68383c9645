"""Launches the experiment: `python -m experiments.topic_model --flags`."""

from experiments.harness.configuration import launch, read_flags
from experiments.topic_model import Config, CorpusError, NonFiniteLossError, run

if __name__ == "__main__":
    launch(
        "topic_model",
        Config,
        lambda: run(Config(**read_flags(Config))),
        errors=(CorpusError, NonFiniteLossError),
    )
