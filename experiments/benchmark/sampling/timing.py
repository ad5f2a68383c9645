"""Times of samplers and of their gradients."""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from experiments.benchmark.sampling.families import Family, Sampler, draw_parameters

__all__ = ["LIBRARIES", "Library", "Result", "Timing", "time_all"]


class Timing(NamedTuple):
    """The cost of a call.

    Attributes:
      median: seconds.
      fastest: seconds.
      compile: seconds of the compilation; None if there is none.
      memory: peak memory in arrays of the sample's size; None if unknown.
    """

    median: float
    fastest: float
    compile: float | None = None
    memory: float | None = None


class Result(NamedTuple):
    """A row of the results.

    Attributes:
      family: the name of the distribution.
      library: the name of the library.
      dtype: the dtype of parameters and samples.
      work: "value" or "value and gradient".
      median: seconds per call.
      fastest: seconds per call.
      compile: seconds of the compilation; None if there is none.
      memory: peak memory in arrays of the sample's size; None if unknown.
    """

    family: str
    library: str
    dtype: str
    work: str
    median: float
    fastest: float
    compile: float | None
    memory: float | None


class Library(NamedTuple):
    """A library with samplers.

    Attributes:
      module: the module that must be installed, or None.
      time: (family, parameters, gradient, repeats) -> the cost; None if the library does not have
        the family.
    """

    module: str | None
    time: Callable[[Family, list[np.ndarray], bool, int], Timing | None]


def _measure(call: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """Returns the median and the least seconds of calls, after a warm-up."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times), min(times)


def _time_jax(
    name: str, family: Family, arrays: list[np.ndarray], gradient: bool, repeats: int
) -> Timing | None:
    """Times the sampler of a library in jax."""
    sampler = family.samplers.get(name)
    return None if sampler is None else _time_sampler(sampler, arrays, gradient, repeats)


def _time_sampler(
    sampler: Sampler, arrays: list[np.ndarray], gradient: bool, repeats: int
) -> Timing:
    def total(parameters: list[Array], key: Array) -> tuple[Array, Array]:
        z = sampler(key, *parameters)
        # Squares, because the gradient of a plain sum would not need the samples.
        return jnp.sum(z * z), z

    def value(parameters: list[Array], key: Array) -> Array:
        return sampler(key, *parameters)

    work = jax.grad(total, has_aux=True) if gradient else value
    parameters, key = [jnp.asarray(a) for a in arrays], jax.random.key(1)
    start = time.perf_counter()
    compiled = jax.jit(work).lower(parameters, key).compile()
    seconds = time.perf_counter() - start
    memory: Any = compiled.memory_analysis()
    size = memory.temp_size_in_bytes + memory.output_size_in_bytes + memory.argument_size_in_bytes
    median, fastest = _measure(lambda: jax.block_until_ready(compiled(parameters, key)), repeats)
    return Timing(median, fastest, seconds, size / arrays[0].nbytes)


def _time_torch(family: Family, arrays: list[np.ndarray], gradient: bool, repeats: int) -> Timing:
    """Times the distribution of PyTorch, on the kind of device that jax uses."""
    import torch

    device = "cpu" if jax.default_backend() == "cpu" else "cuda"
    tensors = [torch.from_numpy(a).to(device).requires_grad_(gradient) for a in arrays]
    distribution = getattr(torch.distributions, family.torch.name)
    first, last = (
        [torch.tensor(v, dtype=tensors[0].dtype, device=device) for v in values]
        for values in (family.torch.first, family.torch.last)
    )

    def call() -> None:
        q = distribution(*first, *tensors, *last, validate_args=False)
        if gradient:
            z = q.rsample()
            torch.autograd.grad((z * z).sum(), tensors)
        else:
            q.sample()
        if device != "cpu":
            torch.cuda.synchronize()

    return Timing(*_measure(call, repeats))


def _jax_library(name: str, module: str | None) -> Library:
    return Library(module, functools.partial(_time_jax, name))


LIBRARIES = {
    "ours": _jax_library("ours", None),
    "torch": Library("torch", _time_torch),
    "jax.random": _jax_library("jax.random", None),
    "tfp": _jax_library("tfp", "tensorflow_probability"),
    "numpyro": _jax_library("numpyro", "numpyro"),
}


def time_all(
    families: Mapping[str, Family],
    libraries: Mapping[str, Library],
    dtypes: Sequence[str],
    *,
    samples: int,
    repeats: int,
) -> list[Result]:
    """Times every case and prints each result when it is known.

    Args:
      families: name -> family.
      libraries: name -> library.
      dtypes: of "float32" and "float64".
      samples: variates per call.
      repeats: measured calls per case.

    Returns:
      One result per dtype, family, library and kind of work.
    """
    results = []
    for dtype in dtypes:
        with jax.enable_x64(dtype == "float64"):
            for name, family in families.items():
                arrays = draw_parameters(family, samples, dtype)
                for result in _time_family(name, family, libraries, dtype, arrays, repeats):
                    print(_line(result), flush=True)
                    results.append(result)
    return results


def _time_family(
    name: str, family: Family, libraries: Mapping[str, Library], dtype: str,
    arrays: list[np.ndarray], repeats: int,
) -> Iterator[Result]:  # fmt: skip
    for library_name, library in libraries.items():
        has_gradient = library_name not in family.no_gradient
        for gradient in (False, True) if has_gradient else (False,):
            timing = library.time(family, arrays, gradient, repeats)
            if timing is not None:
                work = "value and gradient" if gradient else "value"
                yield Result(name, library_name, dtype, work, *timing)


def _line(r: Result) -> str:
    rest = "" if r.compile is None else f", compiled in {r.compile:.1f} s, {r.memory:.1f} arrays"
    return f"{r.family} {r.dtype} {r.library} {r.work}: {1e3 * r.median:.1f} ms{rest}"
