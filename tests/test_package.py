"""The package itself: its attributes, and modules that are imported on first use."""

import subprocess
import sys

import pytest

import repara
from repara import distributions

MODULES = [
    "binarization", "datasets", "estimators", "evaluation", "models", "noise", "objectives",
    "plotting", "special", "training",
]  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_modules_are_attributes(name):
    assert getattr(repara, name).__name__ == f"repara.{name}"
    assert name in dir(repara)


def test_public_names_are_those_of_distributions():
    for name in distributions.__all__:
        assert getattr(repara, name) is getattr(distributions, name)
    assert set(distributions.__all__) < set(repara.__all__)
    assert len(repara.__all__) == len(set(repara.__all__))


def test_a_misspelled_name_is_an_error_with_a_suggestion():
    with pytest.raises(AttributeError, match="module 'repara' has no attribute 'Norml'") as info:
        repara.Norml  # noqa: B018
    assert (info.value.name, info.value.obj) == ("Norml", repara)


def test_models_are_imported_on_first_use():
    code = (
        "import sys, repara; before = 'flax' in sys.modules; repara.models;"
        "print(before, 'flax' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
