"""Documentation: every example runs, and every public name says what it must."""

import doctest
import importlib
import inspect
import pkgutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import repara

MODULES = ["repara"] + [
    module.name for module in pkgutil.walk_packages(repara.__path__, prefix="repara.")
]


def _examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    for name in MODULES:
        module = importlib.import_module(name)
        names = {"jax": jax, "jnp": jnp, "np": np}
        for test in finder.find(module, extraglobs=names):
            if test.examples:
                yield pytest.param(test, id=test.name)


@pytest.mark.parametrize("example", list(_examples()))
def test_example(example):
    failures = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    runner.run(example, out=failures.append)
    assert not runner.failures, "".join(failures)


def _public():
    for name in MODULES:
        module = importlib.import_module(name)
        for public in getattr(module, "__all__", ()):
            value = getattr(module, public)
            # A name is documented where it is defined.
            if getattr(value, "__module__", None) == name and (
                inspect.isclass(value) or inspect.isfunction(value)
            ):
                yield pytest.param(value, id=f"{name}.{public}")


@pytest.mark.parametrize("value", list(_public()))
def test_docstring(value):
    text = inspect.getdoc(value)
    assert text, "no docstring"
    summary, _, rest = text.partition("\n")
    assert summary.endswith((".", "?")), f"the summary is not one line: {summary!r}"
    assert rest == "" or rest.startswith("\n")
    if inspect.isfunction(value):
        signature = inspect.signature(value)
        sections = ["Example:"]
        if signature.parameters:
            sections.append("Args:")
        if signature.return_annotation not in (None, "None"):
            sections.append("Returns:")
    elif value is repara.Distribution or "Attributes:" in text:
        sections = []  # the base of all, and records, are seen in the examples of others
    elif issubclass(value, BaseException) or getattr(value, "_is_protocol", False):
        sections = []
    else:
        sections = ["Args:", "Example:"]
    for section in sections:
        assert section in text, f"no section {section}"


def test_modules_have_docstrings():
    for name in MODULES:
        assert importlib.import_module(name).__doc__ or name == "repara._version", name
