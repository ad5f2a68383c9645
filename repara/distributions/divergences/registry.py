"""The table of closed forms of the Kullback-Leibler divergence, and how to add to it."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax

from repara.distributions.base import Distribution

__all__ = ["CLOSED_FORMS", "ClosedForm", "kl_of_ready", "no_closed_form", "register_kl"]

# Two distributions whose parameters have one dtype and one rank -> KL(q || p).
ClosedForm = Callable[[Any, Any], jax.Array]
_F = TypeVar("_F", bound=ClosedForm)
Families = type[Distribution] | tuple[type[Distribution], ...]

CLOSED_FORMS: dict[tuple[type[Distribution], type[Distribution]], ClosedForm] = {}


def register_kl(q: Families, p: Families) -> Callable[[_F], _F]:
    """Registers a closed form of KL(q || p), as a decorator.

        @register_kl(Q, P)
        def kl_q_p(q, p): ...

    `kl_divergence` calls the function for distributions of exactly these classes, also inside
    `Independent` and `Transformed`. It gets two distributions whose parameters have one float dtype
    of at least 32 bits and shapes that broadcast without a change of rank; parameters out of range
    are NaN. It returns nats, of the broadcast batch shape.

    Args:
      q: the class of the first distribution, or a tuple of classes.
      p: the class of the second distribution, or a tuple of classes. `Distribution` means any
        class for which no form is registered.

    Returns:
      A decorator that returns the function unchanged.

    Raises:
      TypeError: `q` or `p` is not a subclass of `Distribution`.
      ValueError: the pair has a closed form already.

    Example:
      >>> import jax.numpy as jnp
      >>> import repara as rp
      >>> class PowerFunction(rp.Distribution):
      ...     arg_constraints = {"power": rp.constraints.positive}
      ...     def __init__(self, power):
      ...         super().__init__(power=power)
      >>> @register_kl(PowerFunction, PowerFunction)
      ... def kl_power_power(q, p):
      ...     return jnp.log(q.power / p.power) + p.power / q.power - 1
      >>> round(float(rp.kl_divergence(PowerFunction(2.0), PowerFunction(3.0))), 4)
      0.0945
    """
    pairs = [(a, b) for a in _as_tuple(q) for b in _as_tuple(p)]
    for family in {family for pair in pairs for family in pair}:
        if not (isinstance(family, type) and issubclass(family, Distribution)):
            raise TypeError(f"register_kl takes subclasses of Distribution, got {family!r}")

    def register(function: _F) -> _F:
        for a, b in pairs:
            if (a, b) in CLOSED_FORMS:
                raise ValueError(
                    f"KL({a.__name__} || {b.__name__}) is registered already: by "
                    f"{CLOSED_FORMS[a, b].__qualname__} in {CLOSED_FORMS[a, b].__module__}"
                )
        CLOSED_FORMS.update(dict.fromkeys(pairs, function))
        return function

    return register


def _as_tuple(families: Families) -> tuple[type[Distribution], ...]:
    return families if isinstance(families, tuple) else (families,)


def kl_of_ready(q: Distribution, p: Distribution) -> jax.Array:
    """Computes KL(q || p) for distributions of one dtype and rank.

    Closed forms of combinators call it for the parts.

    Args:
      q: the distribution of the expectation; its parameters have the dtype and rank of those of p.
      p: the other.

    Returns:
      The divergence in nats; its shape broadcasts with the batch shape.

    Raises:
      NotImplementedError: there is no closed form for this pair.

    Example:
      >>> from repara.distributions import Normal
      >>> round(float(kl_of_ready(Normal(1.0, 1.0), Normal(0.0, 1.0))), 6)
      0.5
    """
    closed_form = CLOSED_FORMS.get((type(q), type(p))) or CLOSED_FORMS.get((type(q), Distribution))
    if closed_form is None:
        raise no_closed_form(type(q).__name__, type(p).__name__)
    return closed_form(q, p)


def no_closed_form(q: str, p: str, unless: str = "") -> NotImplementedError:
    """Returns the error for a pair without closed form.

    Args:
      q: the first distribution, in words.
      p: the second.
      unless: a condition under which there is one, with a leading space.

    Returns:
      The error; its message says what to use instead.

    Example:
      >>> str(no_closed_form("Moyal", "Normal"))[:41]
      'no closed form of KL(Moyal || Normal): es'
    """
    return NotImplementedError(
        f"no closed form of KL({q} || {p}){unless}: estimate it with repara.monte_carlo_kl, or add "
        "a closed form with repara.register_kl"
    )
