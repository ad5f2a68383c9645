"""What `experiments.vae` trains: model, loss and optimizer, as pure functions of its flags."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.harness.configuration import ConfigError
from experiments.vae import latents as vae_latents
from repara import binarization, objectives
from repara.models import (
    ACTIVATIONS,
    LIKELIHOODS,
    VAE,
    ConvDecoder,
    ConvEncoder,
    MLPDecoder,
    MLPEncoder,
)
from repara.models import POSTERIORS as _FAMILIES
from repara.objectives import LogLikelihood

# Objectives, and the forms of the gradient that each of them has.
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
# Those that have a KL term to weigh.
_WITH_KL = ("elbo", "elbo_monte_carlo")
# Flag of an objective -> those that have it, and the value that it has where it means nothing.
_OPTIONS: dict[str, tuple[tuple[str, ...], float]] = {
    "num_outer": (("miwae", "piwae"), 1),
    "elbo_weight": (("ciwae",), 0.5),
    "alpha": (("renyi",), 0.5),
    "free_bits": (_WITH_KL, 0.0),
}
OBJECTIVES = tuple(_GRADIENTS)
GRADIENTS = _GRADIENTS["iwae"]
OPTIMIZERS = ("adam", "adamw", "muon", "rmsprop", "sgd")
SCHEDULES = ("constant", "cosine", "linear", "trapezoid")
BINARIZATIONS = ("dynamic", "static", "threshold", "none")
POSTERIORS = tuple(_FAMILIES)
ARCHITECTURES = ("mlp", "conv")
# Rows of one decoder call in evaluation: large enough for the matrix products, small enough that
# the activations stay in a core's cache.
ROWS = 5000


def check_combinations(config: Any) -> None:
    """Refuses flags that contradict one another.

    Args:
      config: the configuration of `experiments.vae`.

    Raises:
      ConfigError: names the flags and what to give instead.
    """
    binary = LIKELIHOODS[config.likelihood].binary
    if binary and config.binarization == "none":
        raise ConfigError(
            f"--likelihood={config.likelihood} needs binarized data, got --binarization=none; "
            "for grey data give continuous_bernoulli, gaussian or discretized_logistic"
        )
    if not binary and config.binarization != "none":
        raise ConfigError(
            f"--likelihood={config.likelihood} needs grey data: give --binarization=none, "
            f"got --binarization={config.binarization}"
        )
    if config.objective not in _WITH_KL and (config.beta != 1 or config.beta_warmup_epochs):
        raise ConfigError(
            f"--objective={config.objective} has no KL term to weigh: give --beta=1 without warm-up"
        )
    _check_options(config)
    if config.gradient not in _GRADIENTS[config.objective]:
        forms = " or ".join(k for k, v in _GRADIENTS.items() if config.gradient in v)
        raise ConfigError(
            f"--gradient={config.gradient}: --objective={config.objective} does not have it; give "
            f"--objective={forms}, or --gradient={' or '.join(_GRADIENTS[config.objective])}"
        )
    vae_latents.check(config)


def _check_options(config: Any) -> None:
    """Refuses flags of one objective beside another."""
    for flag, (objectives_with_it, unused) in _OPTIONS.items():
        value = getattr(config, flag)
        if config.objective not in objectives_with_it and value != unused:
            raise ConfigError(
                f"--{flag}={value:g}: --objective={config.objective} does not have it; give "
                f"--objective={' or '.join(objectives_with_it)}, or leave it at {unused:g}"
            )
    if config.objective == "vimco" and config.num_samples < 2:
        raise ConfigError(
            "--objective=vimco compares samples with one another: give --num_samples=2 or more, "
            f"got {config.num_samples}"
        )
    dependent = config.posterior == "multivariate_normal"
    if config.free_bits and (dependent or not vae_latents.has_coordinates(config)):
        raise ConfigError(
            f"--free_bits={config.free_bits:g} are those of independent coordinates with a KL of "
            "their own: give --posterior=normal without --flow and with --prior=standard"
        )
    if config.ais_steps and (config.conditional or not _FAMILIES[config.posterior].euclidean):
        raise ConfigError(
            f"--ais_steps={config.ais_steps} moves latents that fill space, without labels: give "
            "--posterior=normal and --conditional=false, or --ais_steps=0"
        )


def objective_name(config: Any) -> str:
    """The name under which the training objective is logged; what changes its value is part of it.

    Args:
      config: the configuration of `experiments.vae`.

    Returns:
      For example "elbo", "iwae_k5", "elbo_beta4", "elbo_warmup100", "relaxed_iwae_k5",
      "miwae_k5_m8", "renyi_k5_alpha0.5", "ciwae_k5_elbo0.5", "elbo_free0.1".
    """
    # A bound whose likelihood is that of relaxed latents is not one of the discrete model.
    relaxed = _FAMILIES[config.posterior].relaxation or config.estimator == "gumbel_softmax"
    name = f"relaxed_{config.objective}" if relaxed else config.objective
    if config.num_samples > 1:
        name += f"_k{config.num_samples}"
    if config.beta != 1:
        name += f"_beta{config.beta:g}"
    if config.beta_warmup_epochs:
        name += f"_warmup{config.beta_warmup_epochs:g}"
    names = {"num_outer": "m", "elbo_weight": "elbo", "alpha": "alpha", "free_bits": "free"}
    for flag, value in _objective_options(config).items():
        if value or flag != "free_bits":
            name += f"_{names[flag]}{value:g}"
    return name


def _objective_options(config: Any) -> dict[str, Any]:
    """The options that the objective has beside those of all."""
    return {
        flag: getattr(config, flag)
        for flag, (objectives_with_it, _) in _OPTIONS.items()
        if config.objective in objectives_with_it
    }


def prepare_images(config: Any, images: np.ndarray, key: jax.Array) -> np.ndarray:
    """The uint8 images as they are kept on the device: drawn once or cut where flags say so.

    Args:
      config: the configuration of `experiments.vae`.
      images: uint8 [N, H, W, C].
      key: for the one draw of static binarization; consumed.

    Returns:
      uint8 of the same shape.
    """
    if config.binarization == "static":
        return binarization.draw_once(key, images)
    if config.binarization == "threshold":
        return binarization.threshold(images)
    return images


def observed(config: Any, key: jax.Array, images: jax.Array) -> jax.Array:
    """What the model is given for uint8 images: a fresh draw, or the images scaled to [0, 1].

    Args:
      config: the configuration of `experiments.vae`.
      key: a typed key; consumed.
      images: uint8 [B, H, W, C], from `prepare_images`; with labels as one more channel where
        --conditional is set.

    Returns:
      float32 [B, H, W, C] in [0, 1]; the channel of labels as it is.
    """
    if config.conditional:
        pixels, labels = images[..., :-1], images[..., -1:]
        return jnp.concatenate([_pixels(config, key, pixels), labels.astype(jnp.float32)], axis=-1)
    return _pixels(config, key, images)


def _pixels(config: Any, key: jax.Array, images: jax.Array) -> jax.Array:
    if config.binarization == "dynamic":
        return binarization.draw(key, images)
    return binarization.gray(images)


def build_model(config: Any, mean_image: np.ndarray, num_classes: int = 0) -> VAE:
    """The module that the flags describe.

    Args:
      config: the configuration of `experiments.vae`.
      mean_image: the mean of the training images in [0, 1], [H, W, C]; the initial output bias.
      num_classes: of the labels that the model is given; 0 for none.

    Returns:
      The module, without parameters.
    """
    likelihood = LIKELIHOODS[config.likelihood]
    bias = likelihood.output_bias(mean_image).astype(np.float32)
    activation, sizes = ACTIVATIONS[config.activation], config.hidden_sizes
    encoder: nn.Module
    decoder: nn.Module
    if config.architecture == "mlp":
        encoder = MLPEncoder(sizes, activation)
        decoder = MLPDecoder(sizes[::-1], mean_image.shape, bias, activation)
    else:
        encoder = ConvEncoder(config.channels, sizes[-1], activation)
        decoder = ConvDecoder(mean_image.shape, bias, config.channels, sizes[-1], activation)
    head = vae_latents.build_head(config)
    prior = vae_latents.build_prior(config, mean_image)
    return VAE(encoder, head, decoder, likelihood, prior, num_classes)


def init_params(model: VAE, image_shape: tuple[int, ...], key: jax.Array) -> Any:
    """Draws the initial parameters.

    Args:
      model: the module.
      image_shape: (H, W, C), with the channel of labels where there is one.
      key: a typed key; consumed.

    Returns:
      The variables of the module.
    """
    x, y = vae_latents.split_labels(model.num_classes, jnp.zeros((1, *image_shape)))
    return jax.jit(model.init)(key, x) if y is None else jax.jit(model.init)(key, x, y)


def apply(model: VAE, params: Any, *args: Any, method: str) -> Any:
    """Calls a method of the module at given parameters: a distribution or an array."""
    return model.apply(params, *args, method=method)


class Views(NamedTuple):
    """A model at given parameters, as the functions that objectives and evaluation ask for."""

    posterior: Any
    prior: Any
    log_likelihood: LogLikelihood


def views(model: VAE, params: Any, x: jax.Array) -> Views:
    """Encodes a batch and says how its latents are scored.

    Args:
      model: the module.
      params: its variables.
      x: what `observed` returns, [B, H, W, C].

    Returns:
      q(z | x), p(z) and the function from latents [K, B, *event] to log p(x | z), [K, B].
    """
    log_likelihood = scorer(model, params, x)
    posterior = apply(model, params, *_given(model, x), method="encode")
    return Views(posterior, apply(model, params, method="prior"), log_likelihood)


def _given(model: VAE, x: jax.Array) -> tuple[jax.Array, ...]:
    """Images, and their labels where the model is conditional."""
    x, y = vae_latents.split_labels(model.num_classes, x)
    return (x,) if y is None else (x, y)


def scorer(model: VAE, params: Any, x: jax.Array) -> LogLikelihood:
    """How the latents of a batch of images are scored.

    Args:
      model: the module.
      params: its variables.
      x: what `observed` returns, [B, H, W, C].

    Returns:
      The function from latents [K, B, *event] to log p(x | z), [K, B].
    """
    images, *labels = _given(model, x)
    target = model.likelihood.observe(images)[None]

    def log_likelihood(z: jax.Array) -> jax.Array:
        return apply(model, params, z, *labels, method="decode").log_prob(target)

    return log_likelihood


def make_loss(config: Any, model: VAE, steps_per_epoch: int) -> Any:
    """The training loss: the negative objective, one value an example.

    Args:
      config: the configuration of `experiments.vae`.
      model: the module.
      steps_per_epoch: the unit of the warm-up.

    Returns:
      A loss function for `training.make_train_step`; its metrics are the objective under its own
      name, the reconstruction and the KL.
    """
    function = getattr(objectives, config.objective)
    name = objective_name(config)
    warmup = config.beta_warmup_epochs * steps_per_epoch

    def loss(
        params: Any, images: jax.Array, key: jax.Array, step: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        data_key, noise_key = jax.random.split(key)
        x = observed(config, data_key, images)
        t = vae_latents.temperature(config, step, steps_per_epoch)
        v = vae_latents.relaxed(config, views(model, params, x), t)
        options: dict[str, Any] = {"num_samples": config.num_samples}
        options |= _objective_options(config)
        if config.gradient != "plain":
            options["gradient"] = config.gradient
        if config.objective in _WITH_KL:
            options["beta"] = objectives.linear_warmup(step, warmup, config.beta)
        if vae_latents.is_estimated(config):
            bound = vae_latents.estimated_elbo(
                config, noise_key, v.posterior, v.prior, lambda x: scorer(model, params, x), x,
                beta=options["beta"], temperature=t,
            )  # fmt: skip
        else:
            bound = function(noise_key, v.posterior, v.prior, v.log_likelihood, **options)
        return -bound.bound, {
            name: bound.bound,
            "reconstruction": bound.log_likelihood,
            "kl": bound.kl,
        }

    return loss


def make_optimizer(config: Any, num_steps: int) -> optax.GradientTransformation:
    """The Optax optimizer with schedule, warm-up, clipping and weight decay from flags.

    Args:
      config: the configuration of `experiments.vae`.
      num_steps: the number of steps of the whole run, the length of the schedule.

    Returns:
      The gradient transformation.
    """
    rate = config.learning_rate
    decay_steps = max(1, num_steps - config.warmup_steps)
    schedules: dict[str, Any] = {
        "constant": lambda: rate,  # a number: nothing to compute in each step
        "cosine": lambda: optax.cosine_decay_schedule(rate, decay_steps),
        "linear": lambda: optax.linear_schedule(rate, 0.0, decay_steps),
        # Constant, then linear to 0 over the last three fifths (Hagele et al. 2024, "Scaling laws
        # and compute-optimal training beyond fixed training durations").
        "trapezoid": lambda: optax.linear_schedule(
            rate, 0.0, decay_steps - 2 * decay_steps // 5, 2 * decay_steps // 5
        ),
    }
    schedule = schedules[config.schedule]()
    if config.warmup_steps:
        warmup = optax.linear_schedule(0.0, rate, config.warmup_steps)
        schedule = schedule if callable(schedule) else optax.constant_schedule(rate)
        schedule = optax.join_schedules([warmup, schedule], [config.warmup_steps])
    optimizers = {
        "adam": lambda: optax.adam(schedule),
        "adamw": lambda: optax.adamw(schedule, weight_decay=config.weight_decay),
        # Matrices by Muon, the other parameters by Adam; scaled so that the rate means the same to
        # both (Liu et al. 2025, "Muon is scalable for LLM training", section 2.2). Three steps of
        # its iteration instead of five train as well here, in three fifths of the time; rows scaled
        # beforehand, so that the iteration begins nearer its end, train better at no cost.
        "muon": lambda: optax.contrib.muon(
            schedule, ns_steps=3, preconditioning="aol", consistent_rms=0.2
        ),
        "rmsprop": lambda: optax.rmsprop(schedule),
        "sgd": lambda: optax.sgd(schedule, momentum=0.9),
    }
    optimizer = optimizers[config.optimizer]()
    if config.clip_norm:
        return optax.chain(optax.clip_by_global_norm(config.clip_norm), optimizer)
    return optimizer
