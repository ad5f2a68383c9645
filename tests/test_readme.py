import inspect
import re

import jax
import pytest

import repara as rp


@pytest.fixture
def readme(request):
    return (request.config.rootpath / "README.md").read_text(encoding="utf-8")


def test_python_examples_run(readme):
    scope = {}
    examples = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)
    assert len(examples) == 3
    for example in examples:
        exec(compile(example, "README.md", "exec"), scope)
    q = scope["q"]
    # Near the minimum, within the noise of stochastic gradients.
    assert abs(float(q.loc) - 3) < 0.2
    assert abs(float(q.scale) - 0.5**0.5) < 0.1
    assert isinstance(scope["eps"], jax.Array)


def test_ci_runs_the_test_command_as_it_stands_here(readme, request):
    commands = re.findall(r"^    (python3 -m venv .*)$", readme, flags=re.MULTILINE)
    assert len(commands) == 2
    assert commands[1] in (request.config.rootpath / ".ci" / "run").read_text(encoding="utf-8")


def test_links_to_files_exist(readme, request):
    for target in re.findall(r"\]\(([^)#:]+)\)", readme):
        assert (request.config.rootpath / target).exists(), target


def test_every_distribution_is_in_the_table(readme):
    rows = set(re.findall(r"^\| `(\w+)` \|", readme, flags=re.MULTILINE))
    families = {
        name
        for name, value in vars(rp).items()
        if inspect.isclass(value) and issubclass(value, rp.Distribution)
    } - {"Distribution"}
    assert rows == families
