"""A strict jax for every test: no silent promotion, no warning unread, eight virtual devices."""

import ctypes
import gc
import os
import sys

from tests import xla_options

# Before jax is imported: no accelerator is looked for, and each worker keeps to few threads.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# matplotlib must not look for a display.
os.environ.setdefault("MPLBACKEND", "agg")
# For this process and those that it starts; `XLA_FLAGS= pytest` compiles as users do.
os.environ.setdefault("XLA_FLAGS", xla_options.as_flags())

import jax
import pytest

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    """Runs a test in float32, then in float64 with 64-bit types enabled for it alone."""
    with jax.enable_x64(request.param == "float64"):
        yield request.param


@pytest.fixture
def x64():
    """Enables 64-bit types for one test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(autouse=True)
def _bounded_memory(request):
    """Lets go of the programs that a slow test compiled: of some of them one takes a gigabyte."""
    yield
    if request.node.get_closest_marker("slow"):
        jax.clear_caches()
        gc.collect()
        if sys.platform == "linux":
            ctypes.CDLL("libc.so.6").malloc_trim(0)
