"""repara: every continuous distribution is a differentiable transform of fixed noise.

    eps ~ p(eps),   z = transform(eps, theta)

Example:
  >>> import jax, repara as rp
  >>> q = rp.Normal(loc=1.0, scale=2.0)
  >>> z = q.rsample(jax.random.key(0), (1000,))
  >>> jax.grad(lambda q: q.transform(0.5) ** 2)(q)
  Normal(loc=4.0, scale=2.0)
"""

from repara import distributions, estimators, noise
from repara._version import __version__
from repara.distributions import *  # noqa: F403 (its public names are listed there)

__all__ = ["__version__", "estimators", "noise"]
__all__ += distributions.__all__
