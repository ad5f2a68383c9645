"""Units of tests that share compiled programs: one worker runs a unit and then frees its programs.

A unit is one file, or, in the files that run over the registry of distributions, the cases whose
names begin with the same word.
"""

import re

__all__ = ["case_of", "unit_of"]

_REGISTRY_TEST = re.compile(r"tests/distributions/test_registry_\w+\.py::\w+\[(.+)\]$")


def case_of(nodeid: str) -> str | None:
    """Returns the name of the registry's case that a test is about, or None."""
    match = _REGISTRY_TEST.search(nodeid)
    if match is None:
        return None
    parameters = [p for p in match[1].split("-") if p not in ("float32", "float64")]
    return parameters[0] if len(parameters) == 1 else None


def unit_of(nodeid: str) -> str:
    """Returns the name of the unit to which a test belongs."""
    case = case_of(nodeid)
    if case is None:
        return nodeid.split("::", 1)[0]
    return "registry: " + case.split("_", 1)[0]
