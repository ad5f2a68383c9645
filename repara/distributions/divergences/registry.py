"""The table of closed forms of KL, which the files of closed forms fill."""

from collections.abc import Callable
from typing import Any

import jax

__all__: list[str] = []

_TABLE: dict[tuple[type, type], Callable[[Any, Any], jax.Array]] = {}


def _closed_form(q: type, p: type) -> Callable[[Callable[..., jax.Array]], Callable]:
    """Enters a function of two ready distributions into the table of closed forms."""

    def enter(function: Callable[..., jax.Array]) -> Callable:
        assert (q, p) not in _TABLE, f"two forms of KL({q.__name__} || {p.__name__})"
        _TABLE[q, p] = function
        return function

    return enter
