"""Division of the tests among workers, and into fast and slow tests."""

import re

import pytest

from tests.expensive import EXPENSIVE, is_expensive
from tests.units import case_of, unit_of

SAMPLES = "tests/distributions/test_registry_samples.py"


@pytest.fixture(scope="module")
def test_names(request):
    files = (request.config.rootpath / "tests").rglob("test_*.py")
    sources = [file.read_text(encoding="utf-8") for file in files]
    return set(re.findall(r"^def (test_\w+)\(", "\n".join(sources), flags=re.MULTILINE))


def test_expensive_tests_exist(test_names):
    assert set(EXPENSIVE) <= test_names, "update tests/expensive.py"


def test_some_parameters_stay_fast():
    assert is_expensive("test_every_axis_trains", "conv")
    assert not is_expensive("test_every_axis_trains", "gaussian")
    assert not is_expensive("test_expensive_tests_exist", "")


@pytest.mark.parametrize("dtype", ["", "-float32", "-float64"])
def test_cases_of_one_family_are_a_unit(dtype):
    for case in ("weibull", "weibull_heavy"):
        nodeid = f"{SAMPLES}::test_sample_shape[{case}{dtype}]"
        assert case_of(nodeid) == case
        assert unit_of(nodeid) == "registry: weibull"


def test_other_files_are_units():
    assert case_of("tests/test_noise.py::test_shape[1]") is None
    assert unit_of("tests/test_noise.py::test_shape[1]") == "tests/test_noise.py"
    assert unit_of(f"{SAMPLES}::test_without_a_case") == SAMPLES
