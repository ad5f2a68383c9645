"""Experiments run other libraries, which promote dtypes and ranks where repara would not."""

import jax
import pytest


@pytest.fixture(autouse=True)
def lenient_promotion():
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield
