"""The base of discrete families: samples without reparameterization."""

from repara.distributions.base import Distribution

__all__ = ["Discrete"]


class Discrete(Distribution, abstract=True):
    """The base of discrete families: `has_rsample` is False, values are numbers of the dtype.

    A family writes `_sample` and `_log_prob`.

    Args:
      **parameters: those of the family.

    Example:
      >>> from repara.distributions import Bernoulli
      >>> isinstance(Bernoulli(0.5), Discrete), Bernoulli(0.5).has_rsample
      (True, False)
    """

    has_rsample = False
