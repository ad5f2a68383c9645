"""The configuration: its flags, the combinations that are refused, and its resolution to records.

`resolve` reads every flag once. What it returns, an `Experiment`, is all that the other modules
know about a configuration.
"""

import dataclasses
from typing import Any, NamedTuple

import flax.linen as nn
import numpy as np
import optax

from experiments.harness.configuration import ConfigError, option, validate
from experiments.vae.annealing import AnnealingSettings
from experiments.vae.estimators import ESTIMATORS
from experiments.vae.evaluate import EvaluationSettings
from experiments.vae.images import BINARIZATIONS, Inputs
from experiments.vae.latents import (
    KL_PER_DIMENSION,
    KL_PER_LAYER,
    KLParts,
    Latents,
    Schedule,
    temperature_schedule,
)
from experiments.vae.model import Model, convolutional_networks, mlp_networks
from experiments.vae.objectives import (
    EstimatedObjective,
    Objective,
    RelaxedObjective,
    ReparameterizedObjective,
)
from experiments.vae.optimizer import (
    OPTIMIZERS,
    SCHEDULES,
    learning_rate_schedule,
    with_clipping,
)
from repara import objectives
from repara.models import (
    ACTIVATIONS,
    FLOWS,
    LIKELIHOODS,
    POSTERIORS,
    VAE,
    FlowPrior,
    MixturePrior,
    PosteriorHead,
    TwoLayerHead,
    VampPrior,
)

__all__ = ["Config", "DataFacts", "Experiment", "resolve", "resolve_inputs", "validate_config"]

# Objectives, and the gradients that each of them supports.
_GRADIENTS = {
    "elbo": ("plain",),
    "elbo_monte_carlo": ("plain", "stl"),
    "iwae": ("plain", "stl", "dreg"),
    "ciwae": ("plain", "stl", "dreg"),
    "miwae": ("plain", "stl", "dreg"),
    "piwae": ("plain", "stl", "dreg"),
    "renyi": ("plain", "stl", "dreg"),
    "vimco": ("plain",),
}
# Objectives with a KL term that has a weight.
_WITH_KL = ("elbo", "elbo_monte_carlo")


class _ObjectiveOption(NamedTuple):
    objectives: tuple[str, ...]  # that have the option
    unused: float  # the value of the flag for all other objectives
    suffix: str  # in the logged name, before the value
    names_unused: bool = True  # whether the logged name includes the value `unused`


_OBJECTIVE_OPTIONS = {
    "num_outer": _ObjectiveOption(("miwae", "piwae"), 1, "m"),
    "elbo_weight": _ObjectiveOption(("ciwae",), 0.5, "elbo"),
    "alpha": _ObjectiveOption(("renyi",), 0.5, "alpha"),
    "free_bits": _ObjectiveOption(_WITH_KL, 0.0, "free", names_unused=False),
}
_PRIORS = ("standard", "vamp", "mixture", "flow", "autoregressive")
_DISCRETE = ("bernoulli", "categorical")
# Estimators that require binary latents.
_BINARY_ESTIMATORS = ("arm", "disarm")
# Their value is that of a relaxed model.
_RELAXING_ESTIMATORS = ("gumbel_softmax",)
_NO_FLOW = "none"


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that determines a run; the fields are the flags."""

    mode: str = option(
        "train",
        "train: train a new run or continue one, then evaluate it; evaluate: evaluate the last "
        "checkpoint of --workdir again; sample: draw images from the prior of that checkpoint",
        choices=("train", "evaluate", "sample"),
        may_change=True,
    )
    workdir: str | None = option(
        None,
        "directory of the run; by default --mode=train makes a new dated directory under runs/",
        may_change=True,
    )
    dataset: str = option(
        "digits",
        "name of the dataset: digits, mnist, fashion_mnist, kmnist, emnist, frey_faces, idx, or an "
        "image dataset that tensorflow_datasets has prepared in --data_dir",
    )
    data_dir: str | None = option(
        None,
        "directory or file with the data: IDX files (.gz or not), a directory prepared by "
        "tensorflow_datasets in array_record format, or an .npz file; by default the data is "
        "downloaded if possible",
        may_change=True,
    )
    binarization: str = option(
        "dynamic",
        "how 8-bit images become model inputs. dynamic: draw every pixel from a Bernoulli "
        "distribution at each use; static: draw once, with --binarization_seed; threshold: 1 if a "
        "pixel is at least 128, otherwise 0; none: keep gray levels",
        choices=tuple(BINARIZATIONS),
    )
    binarization_seed: int = option(0, "random seed of --binarization=static", low=0)
    likelihood: str = option(
        "bernoulli",
        "distribution of the pixels given the latents; bernoulli needs binarized data, all others "
        "need --binarization=none",
        choices=tuple(LIKELIHOODS),
    )
    posterior: str = option(
        "normal",
        "family of the posterior q(z|x); its standard prior is used unless --prior says otherwise. "
        "Discrete families are trained with --estimator or --objective=vimco; relaxed families are "
        "trained relaxed and evaluated with discrete samples",
        choices=tuple(POSTERIORS),
    )
    num_components: int = option(
        5,
        "number of components of --posterior=mixture, or of values of each variable of a "
        "categorical posterior",
        low=2,
    )
    temperature: float = option(
        0.5,
        "final temperature of relaxed posteriors and of estimators that relax; for variables with "
        "K values at most 1 / (K - 1) is recommended",
        low=1e-3,
    )
    temperature_epochs: float = option(
        0.0,
        "number of epochs over which the temperature falls geometrically from 1 to --temperature; "
        "0: constant",
        low=0,
    )
    estimator: str = option(
        "pathwise",
        "gradient estimator for discrete posteriors; all others use pathwise. gumbel_softmax "
        "reports the bound of the relaxed model",
        choices=("pathwise", *ESTIMATORS),
    )
    flow: str = option(
        _NO_FLOW,
        "normalizing flow applied to the posterior, whose support must be all of R^D",
        choices=(_NO_FLOW, *FLOWS),
    )
    flow_layers: int = option(
        4, "number of layers of --flow, and of the flow and autoregressive priors", low=1
    )
    flow_hidden_sizes: tuple[int, ...] = option(
        (128,), "widths of the hidden layers of the networks inside a flow", low=1
    )
    prior: str = option(
        "standard",
        "prior p(z). standard: that of the posterior family; the others are learned. vamp: a "
        "mixture of posteriors of pseudo-inputs; mixture: a mixture of normals; flow: coupling "
        "layers; autoregressive: of h1 given h2, with --stochastic_layers=2",
        choices=_PRIORS,
    )
    prior_components: int = option(
        100, "number of components of --prior=vamp and --prior=mixture", low=1
    )
    stochastic_layers: int = option(
        1,
        "number of layers of latents; with 2, h1 feeds the decoder and h2 is the layer above it",
        low=1,
        high=2,
    )
    top_latent_dim: int = option(
        50, "dimension of the upper layer h2, with --stochastic_layers=2", low=1
    )
    top_hidden_sizes: tuple[int, ...] = option(
        (100, 100),
        "widths of the hidden layers between h1 and h2, starting at h1, with --stochastic_layers=2",
        low=1,
    )
    conditional: bool = option(
        False, "whether the encoder and the decoder also receive the label of the image"
    )
    objective: str = option(
        "elbo",
        "bound to maximize. elbo: KL in closed form; elbo_monte_carlo: KL from samples; iwae: "
        "importance-weighted bound; ciwae: weighted mean of ELBO and iwae; miwae, piwae: several "
        "iwae bounds; renyi: Renyi bound; vimco: iwae with a score-function gradient",
        choices=tuple(_GRADIENTS),
    )
    num_samples: int = option(
        1,
        "number of latent samples per image in training; for miwae and piwae, in each of the "
        "--num_outer bounds",
        low=1,
    )
    num_outer: int = option(
        1, "number of bounds with --num_samples samples each, for miwae and piwae", low=1
    )
    elbo_weight: float = option(
        0.5, "weight of the ELBO in ciwae; the iwae bound has the remaining weight", low=0, high=1
    )
    alpha: float = option(
        0.5, "order of the Renyi bound; 0 gives iwae and 1 gives elbo_monte_carlo"
    )
    gradient: str = option(
        "plain",
        "gradient of the bound with respect to the encoder; the value of the bound is the same. "
        "plain: the gradient itself; stl: sticking the landing, for all but elbo and vimco; dreg: "
        "doubly reparameterized, for all but elbo, elbo_monte_carlo and vimco",
        choices=_GRADIENTS["iwae"],
    )
    beta: float = option(
        1.0,
        "weight of the KL; a value other than 1 is part of the logged name of the objective",
        low=0,
    )
    beta_warmup_epochs: float = option(
        0.0, "number of epochs over which the weight of the KL grows linearly from 0", low=0
    )
    free_bits: float = option(
        0.0,
        "smallest KL of each latent in nats, averaged over a batch, that elbo and elbo_monte_carlo "
        "still reward reducing; 0: no limit",
        low=0,
    )
    architecture: str = option(
        "mlp",
        "type of the networks. mlp: dense layers; conv: convolutions and one dense layer",
        choices=("mlp", "conv"),
    )
    hidden_sizes: tuple[int, ...] = option(
        (400,),
        "widths of the encoder's hidden layers; the decoder has them in reverse order, and "
        "--architecture=conv uses the last one for its dense layer",
        low=1,
    )
    channels: int = option(
        32, "number of channels of the first convolution, with --architecture=conv", low=1
    )
    activation: str = option(
        "tanh", "activation function of the hidden layers", choices=tuple(ACTIVATIONS)
    )
    latent_dim: int = option(
        20,
        "dimension of the latents; points on a sphere or simplex have one coordinate more",
        low=1,
    )
    batch_size: int = option(
        128, "number of images per step; must be a multiple of the number of devices", low=1
    )
    epochs: int = option(100, "number of passes over the training data", low=1)
    optimizer: str = option("adam", "name of the Optax optimizer", choices=tuple(OPTIMIZERS))
    learning_rate: float = option(1e-3, "peak learning rate", low=0)
    schedule: str = option(
        "constant", "shape of the learning rate over all steps of the run", choices=tuple(SCHEDULES)
    )
    warmup_steps: int = option(
        0, "number of steps over which the learning rate first grows linearly from 0", low=0
    )
    weight_decay: float = option(
        1e-4, "decoupled weight decay; only --optimizer=adamw uses it", low=0
    )
    clip_norm: float = option(
        0.0, "largest global norm of the gradient, above which it is clipped; 0: no clipping", low=0
    )
    average_decay: float = option(
        0.0,
        "decay of an exponential moving average of the weights, which is then the model that is "
        "evaluated; 0: no average",
        low=0,
        high=1,
    )
    seed: int = option(0, "random seed of everything except static binarization", low=0)
    num_seeds: int = option(
        1,
        "number of models trained at once, with seeds --seed, --seed + 1, and so on; the result "
        "has their mean and each of them",
        low=1,
    )
    num_eval_samples: int = option(
        5000,
        "number of importance samples per image for the test log-likelihood",
        low=1,
        may_change=True,
    )
    ais_steps: int = option(
        0,
        "number of temperatures of annealed importance sampling in the evaluation; 0: no annealing",
        low=0,
        may_change=True,
    )
    ais_chains: int = option(
        16,
        "number of chains per image in annealed importance sampling",
        low=1,
        may_change=True,
    )
    ais_images: int = option(
        100,
        "number of test images scored by annealed importance sampling, and of simulated images for "
        "the gap between its lower and upper bound",
        low=2,
        may_change=True,
    )
    ais_start: str = option(
        "prior",
        "initial distribution of the annealed chains; the posterior is closer to the target",
        choices=("prior", "posterior"),
        may_change=True,
    )
    num_images: int = option(
        100, "number of images to draw with --mode=sample", low=1, may_change=True
    )
    eval_every: int = option(1, "number of epochs between evaluations of the test ELBO", low=1)
    checkpoint_every: int = option(
        5, "number of epochs between checkpoints", low=1, may_change=True
    )
    num_devices: int = option(
        0, "number of devices to spread a batch over; 0: all devices", low=0, may_change=True
    )
    coordinator_address: str | None = option(
        None,
        "host:port of the first of several hosts, the same on every host, or 'auto' if the cluster "
        "provides it; by default the run uses one host",
        may_change=True,
    )
    num_processes: int = option(
        1, "number of hosts, with --coordinator_address=host:port", low=1, may_change=True
    )
    process_id: int = option(
        0, "number of this host, counted from 0, with --coordinator_address", low=0, may_change=True
    )


class DataFacts(NamedTuple):
    """Facts about the training data that resolving a configuration needs.

    Attributes:
      mean_image: the mean of the stored training images in [0, 1], [H, W, C].
      num_images: the number of training images.
      num_classes: the number of labels that the model is conditioned on; 0 for none.
    """

    mean_image: np.ndarray
    num_images: int
    num_classes: int = 0


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A resolved configuration.

    Attributes:
      model: the model with its inputs and latents.
      objective: the bound that training maximizes.
      optimizer: the optimizer with its schedule.
      average_decay: the decay of the average of the weights; None for no average.
      evaluation: the settings of the final evaluation.
    """

    model: Model
    objective: Objective
    optimizer: optax.GradientTransformation
    average_decay: float | None
    evaluation: EvaluationSettings


def resolve(config: Config, facts: DataFacts) -> Experiment:
    """Resolves a valid configuration.

    Args:
      config: a configuration that passed `validate_config`.
      facts: about the training data.

    Returns:
      The records that determine the experiment.
    """
    steps_per_epoch = facts.num_images // config.batch_size
    rate = learning_rate_schedule(
        SCHEDULES[config.schedule],
        config.learning_rate,
        steps_per_epoch * config.epochs,
        config.warmup_steps,
    )
    optimizer = OPTIMIZERS[config.optimizer](rate, config.weight_decay)
    return Experiment(
        model=_resolve_model(config, facts),
        objective=_resolve_objective(config, steps_per_epoch),
        optimizer=with_clipping(optimizer, config.clip_norm),
        average_decay=config.average_decay or None,
        evaluation=_resolve_evaluation(config),
    )


def resolve_inputs(config: Config, num_classes: int) -> Inputs:
    """Resolves the part of a configuration that the data is prepared with.

    Args:
      config: a configuration that passed `validate_config`.
      num_classes: the number of labels that the model is conditioned on; 0 for none.
    """
    return Inputs(BINARIZATIONS[config.binarization], num_classes)


def _resolve_model(config: Config, facts: DataFacts) -> Model:
    latents = _resolve_latents(config, facts.mean_image)
    likelihood = LIKELIHOODS[config.likelihood]
    bias = likelihood.output_bias(facts.mean_image).astype(np.float32)
    activation = ACTIVATIONS[config.activation]
    height, width, channels = facts.mean_image.shape
    image_shape = (height, width, channels)
    if config.architecture == "mlp":
        encoder, decoder = mlp_networks(image_shape, bias, config.hidden_sizes, activation)
    else:
        encoder, decoder = convolutional_networks(
            image_shape, bias, config.channels, config.hidden_sizes[-1], activation
        )
    module = VAE(encoder, latents.head, decoder, likelihood, latents.prior, facts.num_classes)
    return Model(module, resolve_inputs(config, facts.num_classes), latents)


def _resolve_latents(config: Config, mean_image: np.ndarray) -> Latents:
    return Latents(
        family=POSTERIORS[config.posterior],
        head=_resolve_head(config),
        prior=_resolve_prior(config, mean_image),
        closed_kl=_has_closed_kl(config),
        kl_parts=_resolve_kl_parts(config),
        informative=config.posterior in ("normal", "multivariate_normal")
        and config.flow == _NO_FLOW
        and config.stochastic_layers == 1,
    )


def _resolve_head(config: Config) -> PosteriorHead | TwoLayerHead:
    if config.stochastic_layers == 2:
        return TwoLayerHead(
            config.latent_dim,
            config.top_latent_dim,
            config.top_hidden_sizes,
            ACTIVATIONS[config.activation],
            config.flow_layers if config.prior == "autoregressive" else 0,
            config.flow_hidden_sizes,
        )
    flow = None if config.flow == _NO_FLOW else _flow(config, config.flow)
    return PosteriorHead(config.latent_dim, config.posterior, config.num_components, flow)


def _flow(config: Config, name: str) -> nn.Module:
    return FLOWS[name](config.latent_dim, config.flow_layers, config.flow_hidden_sizes)


def _resolve_prior(config: Config, mean_image: np.ndarray) -> nn.Module | None:
    """The module of a learned prior; the autoregressive prior is part of the head."""
    if config.prior == "vamp":  # pseudo-inputs start at the mean image
        return VampPrior(mean_image.shape, config.prior_components, mean_image)
    if config.prior == "mixture":
        return MixturePrior(config.latent_dim, config.prior_components)
    if config.prior == "flow":
        return FlowPrior(config.latent_dim, _flow(config, "coupling"))
    return None


def _has_closed_kl(config: Config) -> bool:
    """Returns whether KL(q || p) of the posterior that is evaluated has a closed form."""
    plain = (config.flow, config.prior, config.stochastic_layers) == (_NO_FLOW, "standard", 1)
    return POSTERIORS[config.posterior].closed_kl and plain


def _has_kl_per_dimension(config: Config) -> bool:
    """Returns whether the KL is a sum over coordinates, or at least each marginal has one."""
    return _has_closed_kl(config) and POSTERIORS[config.posterior].factorized


def _resolve_kl_parts(config: Config) -> KLParts | None:
    if config.stochastic_layers == 2:
        return KL_PER_LAYER
    return KL_PER_DIMENSION if _has_kl_per_dimension(config) else None


def _needs_estimator(config: Config) -> bool:
    """Returns whether `--estimator` provides the gradient; vimco has its own."""
    return config.posterior in _DISCRETE and config.objective != "vimco"


def _resolve_objective(config: Config, steps_per_epoch: int) -> Objective:
    temperature = temperature_schedule(
        config.temperature, config.temperature_epochs * steps_per_epoch
    )
    kl_weight = _kl_weight_schedule(config, steps_per_epoch)
    name = _objective_name(config)
    if _needs_estimator(config):
        estimator = ESTIMATORS[config.estimator]
        return EstimatedObjective(name, estimator, config.num_samples, kl_weight, temperature)
    options: dict[str, Any] = {"num_samples": config.num_samples, **_objective_options(config)}
    if config.gradient != "plain":
        options["gradient"] = config.gradient
    objective = ReparameterizedObjective(
        name=name,
        function=getattr(objectives, config.objective),
        options=options,
        kl_weight=kl_weight if config.objective in _WITH_KL else None,
    )
    relaxation = POSTERIORS[config.posterior].relaxation
    if relaxation is None:
        return objective
    return RelaxedObjective(objective, relaxation, temperature)


def _kl_weight_schedule(config: Config, steps_per_epoch: int) -> Schedule:
    warmup_steps = config.beta_warmup_epochs * steps_per_epoch
    return lambda step: objectives.linear_warmup(step, warmup_steps, config.beta)


def _objective_options(config: Config) -> dict[str, Any]:
    """The keyword arguments that only some objectives have."""
    return {
        flag: getattr(config, flag)
        for flag, its in _OBJECTIVE_OPTIONS.items()
        if config.objective in its.objectives
    }


def _objective_name(config: Config) -> str:
    """The logged name: "elbo", "iwae_k5", "elbo_beta4", "relaxed_iwae_k5", "miwae_k5_m8", ..."""
    # The bound of a relaxed model is not a bound of the discrete model.
    relaxed = POSTERIORS[config.posterior].relaxation or config.estimator in _RELAXING_ESTIMATORS
    name = f"relaxed_{config.objective}" if relaxed else config.objective
    if config.num_samples > 1:
        name += f"_k{config.num_samples}"
    if config.beta != 1:
        name += f"_beta{config.beta:g}"
    if config.beta_warmup_epochs:
        name += f"_warmup{config.beta_warmup_epochs:g}"
    for flag, value in _objective_options(config).items():
        its = _OBJECTIVE_OPTIONS[flag]
        if its.names_unused or value != its.unused:
            name += f"_{its.suffix}{value:g}"
    return name


def _resolve_evaluation(config: Config) -> EvaluationSettings:
    annealing = None
    if config.ais_steps:
        annealing = AnnealingSettings(
            num_steps=config.ais_steps,
            num_chains=config.ais_chains,
            num_images=config.ais_images,
            start=config.ais_start,
            num_importance_samples=config.num_eval_samples,
        )
    return EvaluationSettings(
        num_samples=config.num_eval_samples,
        annealing=annealing,
        bits_per_dimension=config.likelihood == "discretized_logistic",
    )


def validate_config(config: Config) -> None:
    """Refuses values out of range and flags that contradict one another.

    Args:
      config: a configuration.

    Raises:
      ConfigError: names the flags and what to give instead.
    """
    validate(config)
    _check_likelihood(config)
    _check_objective(config)
    _check_latents(config)
    _check_layers(config)
    _check_estimator(config)


def _check_likelihood(config: Config) -> None:
    binary = LIKELIHOODS[config.likelihood].binary
    if binary and config.binarization == "none":
        raise ConfigError(
            f"--likelihood={config.likelihood} needs binarized data, got --binarization=none; "
            "for gray levels give continuous_bernoulli, gaussian or discretized_logistic"
        )
    if not binary and config.binarization != "none":
        raise ConfigError(
            f"--likelihood={config.likelihood} needs gray levels, got "
            f"--binarization={config.binarization}; give --binarization=none"
        )


def _check_objective(config: Config) -> None:
    if config.objective not in _WITH_KL and (config.beta != 1 or config.beta_warmup_epochs):
        raise ConfigError(
            f"--objective={config.objective} has no KL term to weight; give --beta=1 and "
            "--beta_warmup_epochs=0"
        )
    for flag, its in _OBJECTIVE_OPTIONS.items():
        value = getattr(config, flag)
        if config.objective not in its.objectives and value != its.unused:
            raise ConfigError(
                f"--{flag}={value:g}: --objective={config.objective} does not have it; give "
                f"--objective={' or '.join(its.objectives)}, or leave it at {its.unused:g}"
            )
    if config.objective == "vimco" and config.num_samples < 2:
        raise ConfigError(
            "--objective=vimco compares samples with one another: give --num_samples=2 or more, "
            f"got {config.num_samples}"
        )
    if config.gradient not in _GRADIENTS[config.objective]:
        supporting = " or ".join(k for k, v in _GRADIENTS.items() if config.gradient in v)
        raise ConfigError(
            f"--gradient={config.gradient}: --objective={config.objective} does not have it; give "
            f"--objective={supporting}, or "
            f"--gradient={' or '.join(_GRADIENTS[config.objective])}"
        )


def _check_latents(config: Config) -> None:
    euclidean = POSTERIORS[config.posterior].euclidean
    posterior = f"--posterior={config.posterior}"
    dependent = config.posterior == "multivariate_normal"
    if config.free_bits and (dependent or not _has_kl_per_dimension(config)):
        raise ConfigError(
            f"--free_bits={config.free_bits:g} needs independent latents, each with its own KL: "
            "give --posterior=normal without --flow and with --prior=standard"
        )
    if config.ais_steps and (config.conditional or not euclidean):
        raise ConfigError(
            f"--ais_steps={config.ais_steps} needs latents with support R^D and no labels: give "
            "--posterior=normal and --conditional=false, or --ais_steps=0"
        )
    if not euclidean and config.flow != _NO_FLOW:
        raise ConfigError(
            f"--flow={config.flow} needs latents with support R^D, which {posterior} does not "
            "have; give --posterior=normal or --flow=none"
        )
    if config.prior == "vamp" and (config.posterior != "normal" or config.flow != _NO_FLOW):
        raise ConfigError(
            "--prior=vamp is a mixture of normals: give --posterior=normal and --flow=none"
        )
    if config.prior in ("mixture", "flow") and not euclidean:
        raise ConfigError(
            f"--prior={config.prior} needs latents with support R^D, which {posterior} does not "
            "have; give --posterior=normal or --prior=standard"
        )
    if config.flow in ("coupling", "spline") and config.latent_dim < 2:
        raise ConfigError(f"--flow={config.flow} needs --latent_dim=2 or more")
    if config.prior == "flow" and config.latent_dim < 2:
        raise ConfigError("--prior=flow needs --latent_dim=2 or more")
    if config.conditional and config.prior == "vamp":
        raise ConfigError(
            "--prior=vamp cannot use labels: give --conditional=false or another --prior"
        )


def _check_layers(config: Config) -> None:
    two_layers = config.stochastic_layers == 2
    if two_layers and (config.posterior, config.flow) != ("normal", _NO_FLOW):
        raise ConfigError(
            "--stochastic_layers=2 supports only normals: give --posterior=normal and --flow=none"
        )
    if two_layers and config.prior not in ("standard", "autoregressive"):
        raise ConfigError(
            f"--prior={config.prior} supports one stochastic layer: give --prior=standard or "
            "autoregressive, or --stochastic_layers=1"
        )
    if config.prior == "autoregressive" and not two_layers:
        raise ConfigError(
            "--prior=autoregressive is a prior of h1 given h2: give --stochastic_layers=2"
        )


def _check_estimator(config: Config) -> None:
    posterior = f"--posterior={config.posterior}"
    needs_estimator = _needs_estimator(config)
    if needs_estimator and config.estimator == "pathwise":
        raise ConfigError(
            f"--estimator=pathwise: {posterior} has no reparameterization; give one of "
            + ", ".join(ESTIMATORS)
        )
    if not needs_estimator and config.estimator != "pathwise":
        with_vimco = " with --objective=vimco" if config.posterior in _DISCRETE else ""
        raise ConfigError(
            f"--estimator={config.estimator}: {posterior}{with_vimco} needs no estimator; give "
            "--estimator=pathwise"
        )
    if needs_estimator:
        if config.objective != "elbo":
            raise ConfigError(f"{posterior} needs --objective=elbo, got {config.objective}")
        if config.estimator in _BINARY_ESTIMATORS and config.posterior != "bernoulli":
            raise ConfigError(
                f"--estimator={config.estimator} needs --posterior=bernoulli, got "
                f"{config.posterior}"
            )
        if config.estimator == "leave_one_out" and config.num_samples < 2:
            raise ConfigError(
                f"--estimator=leave_one_out needs --num_samples=2 or more, got {config.num_samples}"
            )
        return
    relaxed = POSTERIORS[config.posterior].relaxation is not None
    if config.objective == "elbo" and (relaxed or not _has_closed_kl(config)):
        raise ConfigError(
            f"--objective=elbo: {_flag_without_closed_kl(config)} has no KL in closed form; give "
            "--objective=elbo_monte_carlo or iwae"
        )


def _flag_without_closed_kl(config: Config) -> str:
    if config.stochastic_layers == 2:
        return "--stochastic_layers=2"
    if config.flow != _NO_FLOW:
        return f"--flow={config.flow}"
    if config.prior != "standard":
        return f"--prior={config.prior}"
    return f"--posterior={config.posterior}"
