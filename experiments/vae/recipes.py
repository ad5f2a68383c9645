"""Named settings of `experiments.vae`, each with the published result: `--recipe=NAME`.

    python -m experiments.vae --recipe=vae_mnist_k1 --data_dir=DIR
    python -m experiments.vae --recipe=vae_mnist_k1 --data_dir=DIR --epochs=700

Other flags override the recipe. In a script: `vae.Config(**RECIPES["vae_mnist_k1"].flags)`.
The measured results, with command, device and date, are in docs/results.md.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["RECIPES", "Recipe"]


class Recipe(NamedTuple):
    """A setting that is compared with a published number.

    Attributes:
      flags: the fields of `vae.Config` that differ from their defaults.
      published: the negative test log-likelihood of the source in nats; None if it reports none.
      source: the paper and its table, or the comparison that the recipe belongs to.
    """

    flags: Mapping[str, Any]
    published: float | None
    source: str


# The fastest settings on two cores of those tried on held-out training images: larger
# batches, Muon at a high rate, an average of the weights.
_FAST = {
    "batch_size": 500,
    "optimizer": "muon",
    "learning_rate": 7e-3,
    "schedule": "trapezoid",
    "average_decay": 0.999,
}
# The one-layer network of Burda et al. (2016): 784-200-200-50, tanh, binarized anew at each use.
_BURDA = {
    "dataset": "mnist",
    "hidden_sizes": (200, 200),
    "latent_dim": 50,
    "activation": "tanh",
    **_FAST,
    "eval_every": 10,
    "checkpoint_every": 10,
}
_BURDA_TABLE = "Burda et al. (2016), table 1"
# The same with two stochastic layers: 784 -200-200- 100 -100-100- 50.
_TWO_LAYERS = {
    "latent_dim": 100,
    "stochastic_layers": 2,
    "top_latent_dim": 50,
    "top_hidden_sizes": (100, 100),
}
# The network of Davidson et al. (2018), section 5.2, who train with a longer warm-up.
_DAVIDSON = {
    "dataset": "mnist",
    "hidden_sizes": (256, 128),
    "activation": "relu",
    "latent_dim": 10,
    "objective": "elbo",
    **_FAST,
    "epochs": 300,
    "beta_warmup_epochs": 10.0,
    "num_eval_samples": 500,
    "eval_every": 10,
    "checkpoint_every": 10,
}
_DAVIDSON_TABLE = "Davidson et al. (2018), table 1"
# A small network that shows the differences between families with few latents.
_FAMILIES = {
    "dataset": "mnist",
    "hidden_sizes": (200, 200),
    "objective": "elbo_monte_carlo",
    "batch_size": 200,
    "learning_rate": 2e-3,
    "schedule": "cosine",
    "epochs": 30,
    "num_eval_samples": 500,
    "eval_every": 10,
    "checkpoint_every": 10,
}
_FAMILIES_SOURCE = "Figurnov et al. (2018), section 5, and the normal of the same dimension"
# 200 binary latents and a decoder of one layer, as in Jang et al. (2017), section 4.2.
_BINARY = {
    "dataset": "mnist",
    "hidden_sizes": (200,),
    "posterior": "bernoulli",
    "latent_dim": 200,
    "batch_size": 200,
    "schedule": "cosine",
    "epochs": 20,
    "num_eval_samples": 500,
    "eval_every": 10,
    "checkpoint_every": 10,
}
_BINARY_SOURCE = "estimators compared on one network"
_FREY = {
    "dataset": "frey_faces",
    "binarization": "none",
    "likelihood": "gaussian",
    "hidden_sizes": (200,),
    "batch_size": 100,
    "schedule": "cosine",
    "epochs": 500,
    # Without the warm-up, training turns off most of 200 latents at once and for good.
    "beta_warmup_epochs": 100.0,
    "eval_every": 10,
    "checkpoint_every": 50,
}
_FREY_SOURCE = "Kingma & Welling (2013), figure 2: the bound improves from 2 to 20 latents"


def _families(name: str, dimension: int) -> Recipe:
    flags = {**_FAMILIES, "posterior": name, "latent_dim": dimension}
    return Recipe(flags, None, _FAMILIES_SOURCE)


def _binary(estimator: str, **more: Any) -> Recipe:
    return Recipe({**_BINARY, "estimator": estimator, **more}, None, _BINARY_SOURCE)


RECIPES: dict[str, Recipe] = {
    "vae_mnist_k1": Recipe(
        {
            **_BURDA,
            "objective": "elbo_monte_carlo",
            "gradient": "stl",
            "epochs": 120,
        },
        86.76,
        _BURDA_TABLE,
    ),
    "iwae_mnist_k5": Recipe(
        {
            **_BURDA,
            "objective": "iwae",
            "gradient": "dreg",
            "num_samples": 5,
            "epochs": 215,
        },
        85.54,
        _BURDA_TABLE,
    ),
    "iwae_mnist_k50": Recipe(
        {
            **_BURDA,
            "objective": "iwae",
            "gradient": "dreg",
            "num_samples": 50,
            "epochs": 100,
        },
        84.78,
        _BURDA_TABLE,
    ),
    "iwae_mnist_2l_k50": Recipe(
        {
            **_BURDA,
            **_TWO_LAYERS,
            "objective": "iwae",
            "gradient": "dreg",
            "num_samples": 50,
            "epochs": 100,
        },
        82.90,
        _BURDA_TABLE,
    ),
    "svae_mnist_d10": Recipe({**_DAVIDSON, "posterior": "von_mises_fisher"}, 93.2, _DAVIDSON_TABLE),
    "nvae_mnist_d10": Recipe(_DAVIDSON, None, f"baseline for {_DAVIDSON_TABLE}"),
    **{
        f"{name}_mnist_d{dimension}": _families(name, dimension)
        for name in ("normal", "gamma", "beta", "von_mises")
        for dimension in (5, 10)
    },
    "gumbel_softmax_mnist_200": _binary("gumbel_softmax"),
    "straight_through_mnist_200": _binary("straight_through"),
    "leave_one_out_mnist_200": _binary("leave_one_out", num_samples=2),
    "rebar_mnist_200": _binary("rebar"),
    "disarm_mnist_200": _binary("disarm"),
    **{
        f"frey_faces_d{dimension}": Recipe({**_FREY, "latent_dim": dimension}, None, _FREY_SOURCE)
        for dimension in (3, 20, 200)
    },
}
"""Name -> recipe."""
