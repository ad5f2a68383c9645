"""Evaluation of latent-variable models: test log-likelihood, and information in the latents."""

from repara.evaluation.annealed import (
    BidirectionalEstimate,
    annealed_log_likelihood,
    bidirectional_log_likelihood,
)
from repara.evaluation.annealing import AnnealedEstimate
from repara.evaluation.batches import mean_and_stderr, over_batches
from repara.evaluation.importance import ImportanceEstimate, importance_log_likelihood
from repara.evaluation.information import (
    AggregateInformation,
    active_units,
    aggregate_information,
    kl_per_dimension,
)

__all__ = [
    "AggregateInformation",
    "AnnealedEstimate",
    "BidirectionalEstimate",
    "ImportanceEstimate",
    "active_units",
    "aggregate_information",
    "annealed_log_likelihood",
    "bidirectional_log_likelihood",
    "importance_log_likelihood",
    "kl_per_dimension",
    "mean_and_stderr",
    "over_batches",
]
