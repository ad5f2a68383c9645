"""Imports go one way, and what is slow to import is imported where it is used."""

import ast
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parent.parent / "repara"
# What each layer may import of the ones before it.
_LAYERS = ["noise", "special", "distributions", "estimators", "objectives", "models", "training",
           "datasets", "evaluation", "plotting"]  # fmt: skip
# Layers that stand beside the list: random bits come from a key, `apart` is for a compiler,
# binarization serves the layers after it.
_BESIDE = {"binarization", "_apart", "_bits", "_version"}
_ONLY_IN = {
    "flax": "models",
    "tensorflow_datasets": "datasets",
    "matplotlib": "plotting",
    "torch": None,
    "tensorflow_probability": None,
    "numpyro": None,
    "tensorflow": None,
}


def _modules():
    for path in sorted(_ROOT.rglob("*.py")):
        layer = path.relative_to(_ROOT).parts[0].removesuffix(".py")
        if layer != "__init__":
            yield path, layer, ast.parse(path.read_text(encoding="utf-8"))


def _imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "repara":
                yield from (f"repara.{alias.name}" for alias in node.names)
            else:
                yield node.module


def test_imports_go_one_way():
    seen = set()
    for path, layer, tree in _modules():
        for name in _imported(tree):
            if not name.startswith("repara."):
                continue
            other = name.split(".")[1]
            if other == layer or {layer, other} & _BESIDE:
                continue
            seen.add((layer, other))
            assert _LAYERS.index(other) < _LAYERS.index(layer), f"{path} imports {name}"
    assert ("distributions", "noise") in seen


def test_each_large_library_has_its_one_place():
    for path, layer, tree in _modules():
        for name in _imported(tree):
            package = name.split(".")[0]
            if package in _ONLY_IN:
                assert layer == _ONLY_IN[package], f"{path} imports {name}"


def test_importing_repara_imports_jax_alone():
    code = (
        "import sys, jax; before = set(sys.modules); import repara;"
        "new = {m.split('.')[0] for m in set(sys.modules) - before};"
        "print(*sorted(new - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        cwd=_ROOT.parent, timeout=120,
    )  # fmt: skip
    new = set(done.stdout.split())
    slow = {"tensorflow", "tensorflow_datasets", "matplotlib", "flax", "orbax", "optax", "sklearn"}
    assert "repara" in new
    assert not new & slow, new & slow
