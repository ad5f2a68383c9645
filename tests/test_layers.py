"""Imports point one way, private names stay in their folder, and `import repara` stays light."""

import ast
import graphlib
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
# Each layer may import those before it.
LAYERS = ["noise", "special", "distributions", "estimators", "objectives", "inference", "models",
          "interop", "training", "datasets", "evaluation", "plotting"]  # fmt: skip
# Small modules that any layer may import.
SHARED = {"_bits", "_cpu", "_version", "binarization"}
# Large libraries and the one layer that imports each; None for no layer.
ONLY_IN = {
    "flax": "models",
    "tensorflow_datasets": "datasets",
    "matplotlib": "plotting",
    "torch": None,
    "tensorflow_probability": None,
    "numpyro": None,
    "tensorflow": None,
}
# Experiments whose purpose is to run another one.
RUNS_OTHERS = {"benchmark", "lqr_gradients"}


class Module:
    """A source file: its dotted name, its package, and what it imports."""

    def __init__(self, path):
        relative = path.relative_to(ROOT).with_suffix("")
        parts = relative.parts[:-1] if relative.name == "__init__" else relative.parts
        self.name = ".".join(parts)
        self.folder = ".".join(relative.parts[:-1])
        self.tree = ast.parse(path.read_text(encoding="utf-8"))

    @property
    def layer(self):
        return self.name.split(".")[1] if "." in self.name else ""

    def imports(self, tree=None):
        """Yields (module, imported name or None) for every import, also inside functions."""
        for node in ast.walk(tree or self.tree):
            if isinstance(node, ast.Import):
                yield from ((alias.name, None) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.name}: imports are absolute"
                yield from ((node.module, alias.name) for alias in node.names)


MODULES = [
    Module(path)
    for package in ("repara", "experiments")
    for path in sorted((ROOT / package).rglob("*.py"))
]
NAMES = {module.name for module in MODULES}
LIBRARY = [m for m in MODULES if m.name.startswith("repara.")]
EXPERIMENTS = [m for m in MODULES if m.name.startswith("experiments.")]


def imported_modules(module, tree=None):
    """The modules of this project that a module imports."""
    for source, name in module.imports(tree):
        if name is not None and f"{source}.{name}" in NAMES:
            yield f"{source}.{name}"
        elif source in NAMES:
            yield source


def test_imports_of_the_library_point_one_way():
    seen = set()
    for module in LIBRARY:
        for other in imported_modules(module):
            layer = other.split(".")[1] if "." in other else ""
            if layer == module.layer or {layer, module.layer} & SHARED:
                continue
            seen.add((module.layer, layer))
            assert other.startswith("repara."), f"{module.name} imports {other}"
            assert LAYERS.index(layer) < LAYERS.index(module.layer), f"{module.name} -> {other}"
    assert ("distributions", "noise") in seen


def test_imports_have_no_cycle():
    graph = {m.name: set(imported_modules(m)) - {m.name} for m in MODULES}
    # A package's __init__ imports its modules, which may name the package of a layer below.
    for name, others in graph.items():
        graph[name] = {o for o in others if not name.startswith(f"{o}.")}
    graphlib.TopologicalSorter(graph).prepare()


def test_no_module_imports_an_underscored_name_from_another_folder():
    for module in MODULES:
        for source, name in module.imports():
            if source in NAMES and name is not None and name.startswith("_"):
                private_module = f"{source}.{name}" in NAMES or name.startswith("__")
                same_folder = source.rpartition(".")[0] == module.folder or source == module.folder
                assert private_module or same_folder, f"{module.name}: from {source} import {name}"


def test_experiments_do_not_import_each_other():
    for module in EXPERIMENTS:
        for other in imported_modules(module):
            if other.startswith("experiments."):
                folder = other.split(".")[1]
                allowed = folder in ("harness", module.layer) or module.layer in RUNS_OTHERS
                assert allowed, f"{module.name} imports {other}"


def test_the_harness_imports_no_experiment():
    for module in EXPERIMENTS:
        if module.layer == "harness":
            for other in imported_modules(module):
                assert not other.startswith("experiments.") or other.split(".")[1] == "harness"


FOLDERS = sorted(
    path.name
    for path in (ROOT / "experiments").iterdir()
    if path.is_dir() and path.name not in ("harness", "__pycache__")
)


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_experiment_has_the_same_shape(folder):
    for name in ("__init__", "__main__", "config", "run"):
        assert f"experiments.{folder}.{name}".removesuffix(".__init__") in NAMES
    init = next(m for m in MODULES if m.name == f"experiments.{folder}")
    assert {"Config", "run"} <= {name for _, name in init.imports()}


def functions(modules):
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef):
                yield f"{module.name}.{node.name}", node


def test_no_configuration_has_type_any():
    for name, function in functions(EXPERIMENTS):
        for argument in [*function.args.args, *function.args.kwonlyargs]:
            typed = f"{argument.arg}: {ast.unparse(argument.annotation or ast.Constant(None))}"
            assert typed != "config" + ": Any", name


def test_only_config_and_run_know_the_configuration():
    """Below `run.py` functions receive records, not the flags."""
    entry_points = ("config", "run", "__main__")
    below = [m for m in EXPERIMENTS if m.name.split(".")[-1] not in entry_points]
    for name, function in functions(m for m in below if m.layer != "harness"):
        for argument in [*function.args.args, *function.args.kwonlyargs]:
            annotation = ast.unparse(argument.annotation) if argument.annotation else ""
            assert argument.arg != "config", name
            assert not re.search(r"\bConfig\b", annotation), name


def test_functions_have_at_most_eight_positional_parameters():
    for name, function in functions(MODULES):
        arguments = [*function.args.posonlyargs, *function.args.args]
        assert len([a for a in arguments if a.arg not in ("self", "cls")]) <= 8, name


def test_each_large_library_has_its_one_place():
    for module in LIBRARY:
        for source, _ in module.imports():
            package = source.split(".")[0]
            if package in ONLY_IN:
                assert module.layer in (ONLY_IN[package], "interop"), f"{module.name}: {source}"


def test_importing_repara_imports_jax_alone():
    code = (
        "import sys, jax; before = set(sys.modules); import repara;"
        "new = {m.split('.')[0] for m in set(sys.modules) - before};"
        "print(*sorted(new - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT,
        timeout=120,
    )  # fmt: skip
    new = set(done.stdout.split())
    slow = {"tensorflow", "tensorflow_datasets", "matplotlib", "flax", "orbax", "optax", "sklearn",
            "scipy"}  # fmt: skip
    assert "repara" in new
    assert not new & slow, new & slow
