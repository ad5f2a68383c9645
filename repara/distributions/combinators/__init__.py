"""Distributions that are made of other distributions."""

from repara.distributions.combinators.implicit import ImplicitReparameterization
from repara.distributions.combinators.independent import Independent
from repara.distributions.combinators.mixture import Mixture, MixtureSameFamily
from repara.distributions.combinators.transformed import Transformed
from repara.distributions.combinators.truncated import Truncated

__all__ = [
    "ImplicitReparameterization",
    "Independent",
    "Mixture",
    "MixtureSameFamily",
    "Transformed",
    "Truncated",
]
