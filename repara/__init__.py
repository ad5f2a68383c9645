"""repara: every continuous distribution is a differentiable transform of fixed noise.

    eps ~ p(eps),   z = transform(eps, theta)

All distributions are attributes of this package, and so are the modules

    bijectors, constraints, noise, special    the parts of a distribution
    estimators, objectives                    gradients of expectations, bounds on log p(x)
    models, training                          Flax modules, a training loop with Optax
    datasets, binarization                    images as arrays
    evaluation, plotting                      test log-likelihoods, figures

The modules from `objectives` on are imported on first use, so that `import repara` stays fast.

Example:
  >>> import jax, repara as rp
  >>> q = rp.Normal(loc=1.0, scale=2.0)
  >>> z = q.rsample(jax.random.key(0), (1000,))
  >>> jax.grad(lambda q: q.transform(0.5) ** 2)(q)
  Normal(loc=4.0, scale=2.0)
"""

import importlib
import sys
from typing import TYPE_CHECKING

from repara import distributions as distributions
from repara import estimators as estimators
from repara import noise as noise
from repara import special as special
from repara._version import __version__ as __version__
from repara.distributions import *  # noqa: F403

if TYPE_CHECKING:
    from repara import binarization as binarization
    from repara import datasets as datasets
    from repara import evaluation as evaluation
    from repara import models as models
    from repara import objectives as objectives
    from repara import plotting as plotting
    from repara import training as training

_IMPORTED_ON_FIRST_USE = (
    "binarization",
    "datasets",
    "evaluation",
    "models",
    "objectives",
    "plotting",
    "training",
)

# The names of distributions are listed once, in `repara.distributions`. Modules that are imported
# on first use are left out: `from repara import *` does not import Flax, Optax and matplotlib.
__all__ = ["__version__", "distributions", "estimators", "noise", "special"]
__all__ += distributions.__all__

# Hidden from type checkers, which would otherwise accept any attribute of the package.
if not TYPE_CHECKING:

    def __getattr__(name):
        if name in _IMPORTED_ON_FIRST_USE:
            return importlib.import_module(f"repara.{name}")
        message = f"module 'repara' has no attribute {name!r}"
        raise AttributeError(message, name=name, obj=sys.modules[__name__])

    def __dir__():
        return sorted({*globals(), *_IMPORTED_ON_FIRST_USE})
