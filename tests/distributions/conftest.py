"""Which tests of the registry are slow, and in which order they run.

The first case of a family represents it in the fast tests of derivatives, moments, laws and 16-bit
parameters. If the family is slow, it also does so in the others, in float32, except in tests that
compile nothing. The tests of samples run the first case alone in float64: further cases of a family
run the same code with other values, which float32 and the tests of derivatives cover.
"""

import pytest

from tests.distributions.registry import CASES
from tests.units import case_of

_ORDER = {case.name: index for index, case in enumerate(CASES)}
_FIRST = {case.family: case.name for case in reversed(CASES)}

# Files whose programs take long to compile, and the one whose tests compile next to nothing.
_EXPENSIVE = ("test_registry_derivatives.py", "test_registry_moments.py", "test_laws.py")
_CHEAP = ("test_registry.py",)


def _is_slow(item):
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    case, file = parameters.get("case"), item.path.name
    if not hasattr(case, "slow") or file in _CHEAP:
        return False
    is_first = _FIRST[case.family] == case.name
    if "sixteen_bit" in item.fixturenames and (case.slow or not is_first):
        return True
    if not case.slow:
        # Programs of further cases; those that differ in parameter values only share the first.
        return file in _EXPENSIVE and not is_first and bool(case.build().batch_shape)
    return parameters.get("dtype") == "float64" or file in _EXPENSIVE or not is_first


def _position(item):
    """Returns a key by which the tests of one case and dtype come one after another."""
    case = case_of(item.nodeid)
    parameters = item.callspec.params if case else {}
    return _ORDER.get(case, -1), item.path.name, str(parameters.get("dtype"))


def _repeats_float64(item):
    """Returns whether a test of samples runs a further case of a family in float64."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    if item.path.name != "test_registry_samples.py" or parameters.get("dtype") != "float64":
        return False
    case = parameters["case"]
    return _FIRST[case.family] != case.name


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    items[:] = [item for item in items if not _repeats_float64(item)]
    for item in items:
        if _is_slow(item):
            item.add_marker(pytest.mark.slow)
    registry = [i for i, item in enumerate(items) if case_of(item.nodeid)]
    in_order = sorted((items[i] for i in registry), key=_position)
    for i, item in zip(registry, in_order, strict=True):
        items[i] = item
