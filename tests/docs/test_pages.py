"""README and docs: every Python block runs, every link leads somewhere, every table is complete."""

import inspect
import pathlib
import re

import pytest

import repara as rp

ROOT = pathlib.Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = re.compile(r"```python\n(.*?)```", flags=re.DOTALL)

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def read(page):
    return page.read_text(encoding="utf-8")


def run_blocks(page):
    """Runs the Python blocks of a page in order, as a reader would, and returns their names."""
    scope = {"__name__": page.stem}
    for block in BLOCKS.findall(read(page)):
        exec(compile(block, page.name, "exec"), scope)
    return scope


@pytest.mark.parametrize(
    "page", [p for p in PAGES[1:] if BLOCKS.search(read(p))], ids=lambda page: page.name
)
def test_python_blocks_run(page):
    run_blocks(page)


def test_example_of_the_readme_finds_the_minimum():
    q = run_blocks(ROOT / "README.md")["q"]
    assert abs(float(q.mean) - 3) < 0.1
    assert abs(float(q.stddev) - 0.5**0.5) < 0.1


@every_page
def test_links_lead_to_files_and_headings(page):
    for target, heading in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", read(page)):
        file = page.parent / target if target else page
        assert file.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.*)$", read(file), flags=re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", t.lower()).replace(" ", "-") for t in titles}
            assert heading in anchors, f"{target}#{heading}"


def test_readme_is_one_page():
    assert len(read(ROOT / "README.md").split()) <= 700


def test_every_page_is_linked_from_the_readme():
    linked = set(re.findall(r"\]\((docs/\w+\.md)\)", read(ROOT / "README.md")))
    assert linked == {f"docs/{page.name}" for page in PAGES[1:]}


def test_ci_runs_the_test_command_of_the_readme():
    commands = re.findall(r"^    (python3 -m venv .*)$", read(ROOT / "README.md"), re.MULTILINE)
    assert len(commands) == 2
    assert commands[1] in read(ROOT / ".ci" / "run")


def test_catalog_lists_every_distribution():
    rows = re.findall(r"^\| `(\w+)` \|", read(ROOT / "docs" / "distributions.md"), re.MULTILINE)
    families = {
        name
        for name, value in vars(rp).items()
        if inspect.isclass(value) and issubclass(value, rp.Distribution)
    } - {"Distribution"}
    assert len(rows) == len(set(rows))
    assert set(rows) == families


def test_catalog_states_which_distributions_are_reparameterized():
    for row in re.findall(
        r"^\| `(\w+)` \|[^|]*\|[^|]*\|[^|]*\| (yes|no) \|",
        read(ROOT / "docs" / "distributions.md"),
        re.MULTILINE,
    ):
        name, stated = row
        value = inspect.getattr_static(getattr(rp, name), "has_rsample")
        if isinstance(value, bool):
            assert value == (stated == "yes"), name


def test_catalog_names_the_parameters_of_every_constructor():
    page = read(ROOT / "docs" / "distributions.md")
    for name, stated in re.findall(r"^\| `(\w+)` \| `([\w, ]+)` \|", page, re.MULTILINE):
        parameters = list(inspect.signature(getattr(rp, name)).parameters)
        assert [p.strip() for p in stated.split(",")] == parameters, name
