"""Training objectives: a bound, its constants and schedules, and the name it is logged under."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from experiments.vae.estimators import Estimator
from experiments.vae.images import Batch
from experiments.vae.latents import BoundTerms, Schedule
from experiments.vae.model import Model
from repara import kl_divergence
from repara.distributions import Distribution
from repara.models import Relaxation
from repara.objectives import Bound

__all__ = [
    "EstimatedObjective",
    "Objective",
    "RelaxedObjective",
    "ReparameterizedObjective",
    "make_loss",
]


class Objective(Protocol):
    """A bound that training maximizes.

    Attributes:
      name: the name in `metrics.jsonl`; everything that changes the value is part of it.
    """

    @property
    def name(self) -> str: ...

    def bound(
        self, key: jax.Array, model: Model, params: Any, batch: Batch, step: jax.Array
    ) -> Bound:
        """Computes the bound and its parts, each [B].

        Args:
          key: a typed key; consumed.
          model: the model.
          params: its variables.
          batch: the images and their labels.
          step: the number of steps taken, for schedules.
        """
        ...


@dataclasses.dataclass(frozen=True)
class ReparameterizedObjective:
    """A bound of `repara.objectives`.

    Attributes:
      name: the name in `metrics.jsonl`.
      function: `(key, posterior, prior, log_likelihood, **options) -> Bound`.
      options: its constant keyword arguments.
      kl_weight: the weight of the KL at a step, its argument `beta`; None if it has none.
    """

    name: str
    function: Callable[..., Bound]
    options: Mapping[str, Any]
    kl_weight: Schedule | None

    def bound(
        self, key: jax.Array, model: Model, params: Any, batch: Batch, step: jax.Array
    ) -> Bound:
        """Computes the bound; see `Objective.bound`."""
        return self.of_terms(key, model.bound_terms(params, batch), step)

    def of_terms(self, key: jax.Array, terms: BoundTerms, step: jax.Array) -> Bound:
        """Computes the bound from its terms.

        Args:
          key: a typed key; consumed.
          terms: the terms.
          step: the number of steps taken.

        Returns:
          The bound and its parts, each [B].
        """
        weight = {} if self.kl_weight is None else {"beta": self.kl_weight(step)}
        return self.function(key, *terms, **self.options, **weight)


@dataclasses.dataclass(frozen=True)
class RelaxedObjective:
    """A bound of a discrete model whose posterior and prior are relaxed in training.

    The density ratio is that of the relaxed variables, so this is a bound of the relaxed model and
    not one on the log-likelihood of the discrete model.

    Attributes:
      objective: the bound.
      relaxation: how discrete distributions are made continuous.
      temperature: the temperature of posterior and prior at a step.

    References:
      Maddison, Mnih and Teh (2017), "The concrete distribution: a continuous relaxation of discrete
      random variables", https://arxiv.org/abs/1611.00712
    """

    objective: ReparameterizedObjective
    relaxation: Relaxation
    temperature: Schedule

    @property
    def name(self) -> str:
        """The name in `metrics.jsonl`."""
        return self.objective.name

    def bound(
        self, key: jax.Array, model: Model, params: Any, batch: Batch, step: jax.Array
    ) -> Bound:
        """Computes the bound; see `Objective.bound`."""
        temperature = self.temperature(step)
        posterior, prior, log_likelihood = model.bound_terms(params, batch)
        terms = BoundTerms(
            self.relaxation.relax(posterior, temperature),
            self.relaxation.relax(prior, temperature),
            lambda z: log_likelihood(self.relaxation.soften(z)),
        )
        return self.objective.of_terms(key, terms, step)


@dataclasses.dataclass(frozen=True)
class EstimatedObjective:
    """The ELBO of discrete latents with an estimated gradient; the KL has a closed form.

    Each example has its own surrogate, of the function z -> log p(x | z).

    Attributes:
      name: the name in `metrics.jsonl`.
      estimator: the gradient estimator.
      num_samples: samples per image.
      kl_weight: the weight of the KL at a step.
      temperature: the temperature at a step, for estimators that relax.
    """

    name: str
    estimator: Estimator
    num_samples: int
    kl_weight: Schedule
    temperature: Schedule

    def bound(
        self, key: jax.Array, model: Model, params: Any, batch: Batch, step: jax.Array
    ) -> Bound:
        """Computes the bound; see `Objective.bound`."""
        temperature, kl_weight = self.temperature(step), self.kl_weight(step)

        def reconstruction_of(key: jax.Array, q: Distribution, example: Batch) -> jax.Array:
            alone = jax.tree.map(lambda x: x[None], example)
            log_likelihood = model.log_likelihood(params, alone)
            surrogate = self.estimator(lambda z: log_likelihood(z[None, None])[0, 0], temperature)
            return jnp.mean(surrogate(q, key, self.num_samples))

        posterior, prior = model.encode(params, batch), model.prior(params)
        keys = jax.random.split(key, len(batch.images))
        reconstruction = jax.vmap(reconstruction_of)(keys, posterior, batch)
        kl = kl_divergence(posterior, prior)
        return Bound(reconstruction - kl_weight * kl, reconstruction, kl)


def make_loss(model: Model, objective: Objective) -> Any:
    """Returns the training loss: the negative objective, one value per example.

    Args:
      model: the model.
      objective: the bound to maximize.

    Returns:
      A loss `(params, images, key, step) -> (loss [B], metrics)` for `training.make_train_step`.
      The metrics are the objective under its own name, the reconstruction and the KL.
    """

    def loss(
        params: Any, images: jax.Array, key: jax.Array, step: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        data_key, noise_key = jax.random.split(key)
        batch = model.inputs.batch(data_key, images)
        bound = objective.bound(noise_key, model, params, batch, step)
        return -bound.bound, {
            objective.name: bound.bound,
            "reconstruction": bound.log_likelihood,
            "kl": bound.kl,
        }

    return loss
