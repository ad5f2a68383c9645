"""The base of discrete families: samples without reparameterization."""

from repara.distributions.base import Distribution

__all__ = ["Discrete"]


class Discrete(Distribution, abstract=True):
    """The base of discrete families: `has_rsample` is False, values are numbers of the dtype.

    A family writes `_sample` and `_log_prob`.
    """

    has_rsample = False
