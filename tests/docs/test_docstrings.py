"""Docstrings: every example runs, and every public name follows the one form."""

import doctest
import importlib
import inspect
import pkgutil
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import repara

SECTIONS = ("Args:", "Attributes:", "Returns:", "Yields:", "Raises:", "References:", "Example:")
MODULES = ["repara"] + [
    module.name
    for module in pkgutil.walk_packages(repara.__path__, prefix="repara.")
    if not module.name.endswith("__main__")
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
def test_example_runs(example):
    failures = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    runner.run(example, out=failures.append)
    assert not runner.failures, "".join(failures)


def _public():
    """Every public class and function with a signature, once, where it is defined."""
    for name in MODULES:
        module = importlib.import_module(name)
        if re.search(r"\._|\.fits\b", name):
            continue  # for this project alone
        for public in getattr(module, "__all__", ()):
            value = getattr(module, public)
            if getattr(value, "__module__", None) == name and (
                inspect.isclass(value) or callable(value)
            ):
                yield pytest.param(value, id=f"{name}.{public}")


every_public_name = pytest.mark.parametrize("value", list(_public()))


@every_public_name
def test_summary_is_one_line_that_starts_with_a_verb_or_a_noun(value):
    text = inspect.getdoc(value)
    assert text, "no docstring"
    summary, _, rest = text.partition("\n")
    assert summary.endswith((".", "?")), f"the summary is not one line: {summary!r}"
    assert not re.match(r"(What|Where|Whether|How|When|Which)\b", summary), summary
    assert rest == "" or rest.startswith("\n")


def _required_sections(value):
    text = inspect.getdoc(value)
    if not inspect.isclass(value):
        signature = inspect.signature(value)
        sections = ["Example:"]
        if signature.parameters:
            sections.append("Args:")
        if signature.return_annotation not in (None, "None"):
            sections.append("Returns:")
        return sections
    if value is repara.Distribution or "Attributes:" in text:
        return []  # the base class and records are shown in the examples of others
    if issubclass(value, BaseException) or getattr(value, "_is_protocol", False):
        return []
    return ["Args:", "Example:"]


@every_public_name
def test_sections_are_complete(value):
    text = inspect.getdoc(value)
    for section in _required_sections(value):
        assert f"\n{section}\n" in text, f"no section {section}"


@every_public_name
def test_sections_have_one_form(value):
    """Known names in one order, contents indented by two spaces, references with a link."""
    lines = inspect.getdoc(value).splitlines()
    found = [line for line in lines if re.fullmatch(r"[A-Z]\w+:", line)]
    assert [s for s in SECTIONS if s in found] == found
    for number, line in enumerate(lines):
        if line in SECTIONS:
            assert re.match(r"  \S", lines[number + 1]), f"indent {line} by two spaces"
    if "References:" in found:
        begin = lines.index("References:")
        references = "\n".join(lines[begin:]).split("\nExample:")[0]
        assert "https://" in references, references


def test_special_functions_are_among_the_checked_names():
    checked = {param.values[0] for param in _public()}
    assert {getattr(repara.special, name) for name in repara.special.__all__} <= checked


def test_modules_have_docstrings_and_public_names():
    for name in MODULES:
        module = importlib.import_module(name)
        assert module.__doc__, name
        assert hasattr(module, "__all__"), name
