"""Which tests of the registry are slow: the costly part of the cases that say so.

The first case of a family stands for it in the fast suite with what float32 alone asks of it; its
further cases are slow altogether, but for what runs before anything is traced.
"""

import pytest

from tests.distributions.registry import CASES

_COSTLY = (
    "test_derivatives_at_fixed_noise",
    "test_expectations",
    "test_change_of_variables",
)
_FIRST = {case.family: case.name for case in reversed(CASES)}


def _is_slow(item):
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    case = parameters.get("case")
    if not getattr(case, "slow", False) or item.originalname == "test_eager":
        return False
    costly = item.originalname in _COSTLY or parameters.get("dtype") == "float64"
    return costly or _FIRST[case.family] != case.name


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if _is_slow(item):
            item.add_marker(pytest.mark.slow)
