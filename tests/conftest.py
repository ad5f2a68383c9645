"""A strict jax for every test: strict dtype promotion, no rank promotion, eight virtual devices."""

import ctypes
import gc
import os
import sys

from tests import expensive, units, xla_options

# Before jax is imported: no search for an accelerator.
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

# Tracing makes many objects that live long; with Python's defaults its garbage collector takes a
# tenth of the time of the tests.
gc.set_threshold(100_000, 20, 100)

# Bytes above which compiled programs are freed: after a unit of tests, and after any test. A worker
# starts at 0.6 GB, and the compiler needs up to 0.8 GB more for one program.
_LIMIT_AFTER_UNIT, _LIMIT = 0.8e9, 1.1e9


@pytest.fixture(params=["float32", pytest.param("float64", marks=pytest.mark.slow)])
def dtype(request):
    """Runs a test in float32, and among the slow tests in float64, with 64-bit types enabled.

    The fast tests of float64 are those that need its digits: derivatives, densities, scipy.
    """
    with jax.enable_x64(request.param == "float64"):
        yield request.param


@pytest.fixture
def x64():
    """Enables 64-bit types for one test."""
    with jax.enable_x64(True):
        yield


def _resident_memory():
    """Returns the bytes of memory that this process occupies, or 0 if that is not known."""
    if sys.platform != "linux":
        return 0
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _release_memory():
    """Frees every compiled program and returns the memory to the system."""
    jax.clear_caches()
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def pytest_collection_finish():
    """Exempts modules and collected tests from garbage collection."""
    gc.collect()
    gc.freeze()


def pytest_runtest_teardown(item, nextitem):
    """Frees compiled programs if they occupy too much, sooner at the end of a unit."""
    is_last = nextitem is None or units.unit_of(item.nodeid) != units.unit_of(nextitem.nodeid)
    if _resident_memory() > (_LIMIT_AFTER_UNIT if is_last else _LIMIT):
        _release_memory()


@pytest.hookimpl(tryfirst=True)  # before the tests with `-m "not slow"` are selected
def pytest_collection_modifyitems(items):
    """Marks the expensive tests as slow."""
    for item in items:
        name, _, parameters = item.name.partition("[")
        if expensive.is_expensive(name, parameters.removesuffix("]")):
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Gives all tests of one unit to one worker, which then compiles their programs once."""
    from tests.scheduling import UnitScheduling

    return UnitScheduling(config, log)
