"""The latents of `experiments.vae`: posterior, flow, prior, hierarchy, labels, as flags say."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.configuration import ConfigError
from repara import estimators, evaluation, kl_divergence, objectives
from repara.distributions import Distribution
from repara.models import (
    ACTIVATIONS,
    FLOWS,
    POSTERIORS,
    FlowPrior,
    MixturePrior,
    PosteriorHead,
    TwoLayerHead,
    VampPrior,
)
from repara.objectives import Bound, LogLikelihood

PRIORS = ("standard", "vamp", "mixture", "flow", "autoregressive")
FLOW_NAMES = ("none", *FLOWS)
# Of binary latents alone.
_BINARY = ("arm", "disarm")
_ESTIMATORS: dict[str, Callable[..., estimators.Surrogate]] = {
    "straight_through": lambda f, q, t: estimators.straight_through(f, q),
    "gumbel_softmax": lambda f, q, t: estimators.gumbel_softmax(f, q, temperature=t),
    "straight_through_gumbel": lambda f, q, t: estimators.gumbel_softmax(
        f, q, temperature=t, straight_through=True
    ),
    "gumbel_rao": lambda f, q, t: estimators.gumbel_rao(f, q, temperature=t),
    "score_function": lambda f, q, t: estimators.score_function(f, q),
    "leave_one_out": lambda f, q, t: estimators.score_function(f, q, baseline="leave_one_out"),
    "arm": lambda f, q, t: estimators.arm(f, q),
    "disarm": lambda f, q, t: estimators.disarm(f, q),
    "rebar": lambda f, q, t: estimators.rebar(f, q, temperature=t),
}
ESTIMATORS = ("pathwise", *_ESTIMATORS)


def is_discrete(config: Any) -> bool:
    """Whether training itself draws discrete latents."""
    return config.posterior in ("bernoulli", "categorical")


def is_estimated(config: Any) -> bool:
    """Whether the gradient is that of --estimator; the objective "vimco" brings its own."""
    return is_discrete(config) and config.objective != "vimco"


def check(config: Any) -> None:
    """Refuses flags of the latents that contradict one another.

    Args:
      config: the configuration of `experiments.vae`.

    Raises:
      ConfigError: names the flags and what to give instead.
    """
    family = POSTERIORS[config.posterior]
    given = f"--posterior={config.posterior}"
    if not family.euclidean and config.flow != "none":
        raise ConfigError(f"--flow={config.flow} needs latents that fill space, {given} does not")
    if config.prior == "vamp" and (config.posterior != "normal" or config.flow != "none"):
        raise ConfigError("--prior=vamp mixes normals: give --posterior=normal and --flow=none")
    if config.prior in ("mixture", "flow") and not family.euclidean:
        raise ConfigError(f"--prior={config.prior} needs latents that fill space, {given} does not")
    if config.flow in ("coupling", "spline") and config.latent_dim < 2:
        raise ConfigError(f"--flow={config.flow} needs --latent_dim=2 or more")
    if config.prior == "flow" and config.latent_dim < 2:
        raise ConfigError("--prior=flow needs --latent_dim=2 or more")
    if config.conditional and config.prior == "vamp":
        raise ConfigError("--prior=vamp has no labels: give --conditional=false or another prior")
    two_layers = config.stochastic_layers == 2
    if two_layers and (config.posterior, config.flow) != ("normal", "none"):
        raise ConfigError(
            "--stochastic_layers=2 is of normals: give --posterior=normal and --flow=none"
        )
    if two_layers and config.prior not in ("standard", "autoregressive"):
        raise ConfigError(
            f"--prior={config.prior} is of one stochastic layer: give --prior=standard or "
            "autoregressive"
        )
    if config.prior == "autoregressive" and not two_layers:
        raise ConfigError("--prior=autoregressive is of h1 given h2: give --stochastic_layers=2")
    estimated = is_estimated(config)
    if estimated != (config.estimator != "pathwise"):
        raise ConfigError(
            f"--estimator={config.estimator}: {given} "
            + ("has no reparameterization; give one of " if estimated else "needs none: ")
            + (", ".join(_ESTIMATORS) if estimated else "give --estimator=pathwise")
        )
    if estimated:
        if config.objective != "elbo":
            raise ConfigError(f"{given} needs --objective=elbo, got {config.objective}")
        if config.estimator in _BINARY and config.posterior != "bernoulli":
            raise ConfigError(f"--estimator={config.estimator} needs --posterior=bernoulli")
        if config.estimator == "leave_one_out" and config.num_samples < 2:
            raise ConfigError("--estimator=leave_one_out needs --num_samples=2 or more")
    elif config.objective == "elbo" and (family.relaxation or not has_closed_kl(config)):
        raise ConfigError(
            f"--objective=elbo: {_why(config)} has no KL in closed form; give "
            "--objective=elbo_monte_carlo or iwae"
        )


def _why(config: Any) -> str:
    if config.stochastic_layers == 2:
        return "--stochastic_layers=2"
    if config.flow != "none":
        return f"--flow={config.flow}"
    if config.prior != "standard":
        return f"--prior={config.prior}"
    return f"--posterior={config.posterior}"


def has_closed_kl(config: Any) -> bool:
    """Whether the divergence of the posterior that is evaluated to the prior has a closed form."""
    plain = (config.flow, config.prior, config.stochastic_layers) == ("none", "standard", 1)
    return POSTERIORS[config.posterior].closed_kl and plain


def has_coordinates(config: Any) -> bool:
    """Whether that is a sum over latent coordinates, or has one of each of the marginals."""
    return has_closed_kl(config) and POSTERIORS[config.posterior].factorized


def build_head(config: Any) -> PosteriorHead | TwoLayerHead:
    """The module from features to the posterior.

    Args:
      config: the configuration of `experiments.vae`.

    Returns:
      The module, without parameters.
    """
    if config.stochastic_layers == 2:
        return TwoLayerHead(
            config.latent_dim,
            config.top_latent_dim,
            config.top_hidden_sizes,
            ACTIVATIONS[config.activation],
            config.flow_layers if config.prior == "autoregressive" else 0,
            config.flow_hidden_sizes,
        )
    flow = None
    if config.flow != "none":
        flow = FLOWS[config.flow](config.latent_dim, config.flow_layers, config.flow_hidden_sizes)
    return PosteriorHead(config.latent_dim, config.posterior, config.num_components, flow)


def build_prior(config: Any, mean_image: np.ndarray) -> nn.Module | None:
    """The module of a learnt prior.

    Args:
      config: the configuration of `experiments.vae`.
      mean_image: the mean training image, [H, W, C]: where pseudo-inputs begin.

    Returns:
      The module, without parameters; None for the standard prior.
    """
    d, count = config.latent_dim, config.prior_components
    if config.prior == "vamp":
        return VampPrior(mean_image.shape, count, mean_image)
    if config.prior == "mixture":
        return MixturePrior(d, count)
    if config.prior == "flow":
        return FlowPrior(d, FLOWS["coupling"](d, config.flow_layers, config.flow_hidden_sizes))
    return None


def temperature(config: Any, step: jax.Array, steps_per_epoch: int) -> Any:
    """The temperature of relaxed latents at a step.

        t_s = T^min(1, s / S),   S the steps of --temperature_epochs, T = --temperature

    Args:
      config: the configuration of `experiments.vae`.
      step: the number of steps taken.
      steps_per_epoch: the unit of the schedule.

    Returns:
      A number or a scalar array: from 1 at the first step to the final one.
    """
    steps = config.temperature_epochs * steps_per_epoch
    if steps <= 0:
        return jnp.float32(config.temperature)
    share = jnp.minimum(1.0, step.astype(jnp.float32) / steps)
    return jnp.float32(config.temperature) ** share


def relaxed(config: Any, views: Any, t: Any) -> Any:
    """The views of training: discrete posterior and prior relaxed, or the same where they are not.

    The density ratio is that of the relaxed variables, so the bound is that of the relaxed model
    (Maddison, Mnih & Teh 2017, "The concrete distribution") and not one on the log-likelihood of
    the discrete one.

    Args:
      config: the configuration of `experiments.vae`.
      views: a `vae_model.Views`.
      t: the temperature of posterior and prior.

    Returns:
      A `vae_model.Views`.
    """
    relaxation = POSTERIORS[config.posterior].relaxation
    if relaxation is None:
        return views

    def log_likelihood(y: jax.Array) -> jax.Array:
        return views.log_likelihood(relaxation.soften(y))

    posterior, prior = (relaxation.relax(q, t) for q in (views.posterior, views.prior))
    return views._replace(posterior=posterior, prior=prior, log_likelihood=log_likelihood)


def estimated_elbo(
    config: Any,
    key: jax.Array,
    posterior: Distribution,
    prior: Distribution,
    score: Callable[[jax.Array], LogLikelihood],
    x: jax.Array,
    *,
    beta: Any,
    temperature: Any,
) -> Bound:
    """The ELBO of discrete latents, with the gradient of --estimator, and the KL in closed form.

    Each example has its own surrogate, of the function z -> log p(x | z).

    Args:
      config: the configuration of `experiments.vae`.
      key: a typed key; consumed.
      posterior: q(z | x), batch shape [B].
      prior: p(z).
      score: maps images [1, H, W, C] to their log-likelihood function.
      x: the images, [B, H, W, C].
      beta: the weight of the KL.
      temperature: of the estimators that relax.

    Returns:
      The bound and its parts, each [B].
    """
    estimator = _ESTIMATORS[config.estimator]

    def one(key: jax.Array, q: Distribution, x: jax.Array) -> jax.Array:
        log_likelihood = score(x[None])

        def of_latent(z: jax.Array) -> jax.Array:
            return log_likelihood(z[None, None])[0, 0]

        surrogate = estimator(of_latent, lambda q: q, temperature)
        return jnp.mean(surrogate(q, key, config.num_samples))

    reconstruction = jax.vmap(one)(jax.random.split(key, len(x)), posterior, x)
    kl = kl_divergence(posterior, prior)
    return Bound(reconstruction - beta * kl, reconstruction, kl)


def sampled_elbo(config: Any, key: jax.Array, views: Any, num_samples: int) -> Bound:
    """The parts of the ELBO for evaluation: of discrete latents too, the KL closed where it can be.

    Args:
      config: the configuration of `experiments.vae`.
      key: a typed key; consumed.
      views: a `vae_model.Views`.
      num_samples: samples an image.

    Returns:
      The bound and its parts, each [B].
    """
    if views.posterior.has_rsample:
        closed = has_closed_kl(config)
        function = objectives.elbo if closed else objectives.elbo_monte_carlo
        return function(
            key, views.posterior, views.prior, views.log_likelihood, num_samples=num_samples
        )
    z = views.posterior.sample(key, (num_samples,))
    reconstruction = jnp.mean(views.log_likelihood(z), axis=0)
    kl = kl_divergence(views.posterior, views.prior)
    return Bound(reconstruction - kl, reconstruction, kl)


def with_labels(images: np.ndarray, labels: Any) -> np.ndarray:
    """Images with their labels as one more channel, so that both travel as one array.

    Args:
      images: uint8 [N, H, W, C].
      labels: integers [N], below 256.

    Returns:
      uint8 [N, H, W, C + 1].
    """
    plane = np.broadcast_to(labels.astype(np.uint8)[:, None, None, None], (*images.shape[:-1], 1))
    return np.concatenate([images, plane], axis=-1)


def split_labels(num_classes: int, x: jax.Array) -> tuple[jax.Array, jax.Array | None]:
    """What `with_labels` joined: images, and one-hot labels [B, num_classes]; None without."""
    if not num_classes:
        return x, None
    return x[..., :-1], jax.nn.one_hot(x[..., 0, 0, -1].astype(jnp.int32), num_classes)


def count_classes(config: Any, data: Any) -> int:
    """The number of labels that the model is given: 0 unless --conditional is set.

    Args:
      config: the configuration of `experiments.vae`.
      data: a `datasets.Dataset`.

    Returns:
      One more than the greatest label.

    Raises:
      ConfigError: the dataset has no labels, or more than a byte holds.
    """
    if not config.conditional:
        return 0
    if data.train_labels is None or data.test_labels is None:
        raise ConfigError(f"--conditional: {config.dataset} has no labels")
    count = 1 + int(max(data.train_labels.max(), data.test_labels.max()))
    if count > 256:
        raise ConfigError(f"--conditional: {config.dataset} has {count} classes, more than 256")
    return count


def parts_name(config: Any) -> str | None:
    """The name under which the parts of the KL are reported; None where it has none."""
    if config.stochastic_layers == 2:
        return "kl_per_layer"
    return "kl_per_dimension" if has_coordinates(config) else None


def kl_by_part(
    config: Any, key: jax.Array, views: Any, num_samples: int, whole: jax.Array
) -> jax.Array:
    """The KL of each latent coordinate, or of each stochastic layer from samples, or the whole.

        layers: E[log q(h1 | x) - log p(h1 | h2)], E[log q(h2 | h1) - log p(h2)]

    Args:
      config: the configuration of `experiments.vae`.
      key: the key with which `whole` was estimated: the layers then sum to it.
      views: a `vae_model.Views`.
      num_samples: the samples of that estimate.
      whole: the divergence, [B].

    Returns:
      The parts, [B, P], in nats.
    """
    if has_coordinates(config):
        return evaluation.kl_per_dimension(views.posterior, views.prior)
    if config.stochastic_layers == 2:
        z = views.posterior.sample(key, (num_samples,))
        parts = zip(views.posterior.log_prob_parts(z), views.prior.log_prob_parts(z), strict=True)
        return jnp.stack([jnp.mean(q - p, axis=0) for q, p in parts], axis=-1)
    return whole[:, None]
