"""Which tests of the registry are slow, and in which order they run.

The first case of a slow family represents it in the fast tests; its further cases are slow, except
for tests that compile nothing.
"""

import pytest

from tests.distributions.registry import CASES
from tests.units import case_of

_ORDER = {case.name: index for index, case in enumerate(CASES)}
_FIRST = {case.family: case.name for case in reversed(CASES)}

# Whose programs take long to compile, whose float64 repeats what the derivatives test in float64,
# and whose tests compile next to nothing.
_EXPENSIVE = ("test_registry_derivatives.py", "test_registry_moments.py", "test_laws.py")
_SINGLE = ("test_registry_samples.py",)
_CHEAP = ("test_registry.py",)


def _is_slow(item):
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    case, file = parameters.get("case"), item.path.name
    if not hasattr(case, "slow") or file in _CHEAP:
        return False
    is_double = parameters.get("dtype") == "float64"
    if not case.slow:
        return is_double and file in _SINGLE
    return is_double or file in _EXPENSIVE or _FIRST[case.family] != case.name


def _position(item):
    """Returns a key by which the tests of one case and dtype come one after another."""
    case = case_of(item.nodeid)
    parameters = item.callspec.params if case else {}
    return _ORDER.get(case, -1), item.path.name, str(parameters.get("dtype"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if _is_slow(item):
            item.add_marker(pytest.mark.slow)
    registry = [i for i, item in enumerate(items) if case_of(item.nodeid)]
    in_order = sorted((items[i] for i in registry), key=_position)
    for i, item in zip(registry, in_order, strict=True):
        items[i] = item
