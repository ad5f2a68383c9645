"""The pages run with the settings that a reader has, not the strict ones of the other tests."""

import jax
import pytest


@pytest.fixture(autouse=True)
def default_promotion(request):
    """Doctests stay strict: they show the library alone."""
    if request.node.path.name == "test_docstrings.py":
        yield
        return
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield
