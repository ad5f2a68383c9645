"""Times reparameterized sampling and its gradient: ours beside the other libraries, in one run.

Each case draws `samples` variates, one for each of as many parameters (so that the gradient has
one entry a sample), and takes the gradient of their sum in every parameter. Draws of noise are
included. Medians over `repeats` calls after a warm-up; what is not installed is left out.
"""

from __future__ import annotations

import csv
import dataclasses
import importlib.util
import json
import pathlib
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

import repara as rp
from experiments.harness.configuration import ConfigError, option
from experiments.harness.run_directory import write_atomically
from repara import plotting

Sampler = Callable[..., Any]


class Family(NamedTuple):
    """A distribution: how its parameters are drawn, and its sampler in each library.

    Attributes:
        parameters: For each parameter the range it is drawn from log-uniformly.
        event: Length of the last axis of the parameter and sample; 0 where they are scalars.
        ours, jax_random, tfp, numpyro: (key, *parameters) -> samples of the parameters' shape;
            None where a library does not have it.
        torch: The name of the class in torch.distributions.
        no_gradient: The libraries whose samples carry no gradient in the parameters.
    """

    parameters: tuple[tuple[float, float], ...]
    event: int
    ours: Sampler
    jax_random: Sampler | None
    tfp: Sampler | None
    numpyro: Sampler | None
    torch: str
    no_gradient: tuple[str, ...] = ()


def _laplace(key: Array, loc: Array, scale: Array) -> Array:
    return loc + scale * jax.random.laplace(key, loc.shape, loc.dtype)


def _gumbel(key: Array, loc: Array, scale: Array) -> Array:
    return loc + scale * jax.random.gumbel(key, loc.shape, loc.dtype)


def _tfd(name: str) -> Sampler:
    def sample(key: Array, *parameters: Array) -> Array:
        from tensorflow_probability.substrates.jax import (
            distributions,
        )

        extra: tuple[Any, ...] = (1.0,) if name == "Gamma" else ()
        extra = (0.0, 1.0) if name == "StudentT" else extra
        cast = [jnp.asarray(v, parameters[0].dtype) for v in extra]
        first = [jnp.zeros((), parameters[0].dtype)] if name == "VonMises" else []
        return getattr(distributions, name)(*first, *parameters, *cast).sample(seed=key)

    return sample


def _numpyro(name: str) -> Sampler:
    def sample(key: Array, *parameters: Array) -> Array:
        from numpyro import distributions

        first = [jnp.zeros((), parameters[0].dtype)] if name == "VonMises" else []
        return getattr(distributions, name)(*first, *parameters, validate_args=False).sample(key)

    return sample


def _family(
    name: str,
    parameters: Sequence[tuple[float, float]],
    ours: Sampler,
    jax_random: Sampler | None,
    event: int = 0,
) -> Family:
    return Family(tuple(parameters), event, ours, jax_random, _tfd(name), _numpyro(name), name)


SHAPES = (0.1, 10.0)
FAMILIES = {
    "Gamma": _family("Gamma", [SHAPES], lambda k, a: rp.Gamma(a, 1.0).rsample(k), jax.random.gamma),
    "Beta": _family("Beta", [SHAPES, SHAPES], lambda k, a, b: rp.Beta(a, b).rsample(k),
                    jax.random.beta),
    "Dirichlet": _family("Dirichlet", [SHAPES], lambda k, a: rp.Dirichlet(a).rsample(k),
                         jax.random.dirichlet, event=10),
    "StudentT": _family("StudentT", [(0.5, 50.0)],
                        lambda k, df: rp.StudentT(df, 0.0, 1.0).rsample(k), jax.random.t),
    # The location is a mere shift: zero.
    "VonMises": _family("VonMises", [SHAPES], lambda k, c: rp.VonMises(0.0, c).rsample(k),
                        None)._replace(no_gradient=("torch", "numpyro")),
    "Normal": _family("Normal", [SHAPES, SHAPES], lambda k, m, s: rp.Normal(m, s).rsample(k),
                      lambda k, m, s: m + s * jax.random.normal(k, m.shape, m.dtype)),
    "Laplace": _family("Laplace", [SHAPES, SHAPES], lambda k, m, s: rp.Laplace(m, s).rsample(k),
                       _laplace),
    "Gumbel": _family("Gumbel", [SHAPES, SHAPES], lambda k, m, s: rp.Gumbel(m, s).rsample(k),
                      _gumbel),
}  # fmt: skip


# The others, and the module that must be installed.
LIBRARIES = {
    "torch": "torch",
    "jax.random": None,
    "tfp": "tensorflow_probability",
    "numpyro": "numpyro",
}


class Result(NamedTuple):
    """One line of the table; times in seconds, memory in arrays of the sample's size."""

    family: str
    library: str
    dtype: str
    work: str
    median: float
    fastest: float
    compile: float | None
    memory: float | None


def _seconds(call: Callable[[], Any], repeats: int) -> tuple[float, float]:
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times), min(times)


def _draw(family: Family, samples: int, dtype: str) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    shape = (samples // family.event, family.event) if family.event else (samples,)
    return [
        np.exp(rng.uniform(np.log(low), np.log(high), shape)).astype(dtype)
        for low, high in family.parameters
    ]


def time_jax(
    sampler: Sampler, arrays: list[np.ndarray], gradient: bool, repeats: int
) -> tuple[float, float, float, float]:
    """Median and least seconds of a call, seconds to compile, and peak memory in sample arrays."""

    def total(parameters: list[Array], key: Array) -> tuple[Array, Array]:
        z = sampler(key, *parameters)
        # squares: the gradient of a sum would not need the samples
        return jnp.sum(z * z), z

    def value(parameters: list[Array], key: Array) -> Array:
        return sampler(key, *parameters)

    work = jax.grad(total, has_aux=True) if gradient else value
    parameters, key = [jnp.asarray(a) for a in arrays], jax.random.key(1)
    start = time.perf_counter()
    compiled = jax.jit(work).lower(parameters, key).compile()
    seconds = time.perf_counter() - start
    memory: Any = compiled.memory_analysis()
    held = memory.temp_size_in_bytes + memory.output_size_in_bytes + memory.argument_size_in_bytes
    median, fastest = _seconds(lambda: jax.block_until_ready(compiled(parameters, key)), repeats)
    return median, fastest, seconds, held / arrays[0].nbytes


def time_torch(
    name: str, arrays: list[np.ndarray], gradient: bool, repeats: int, device: str
) -> tuple[float, float]:
    """Median and least seconds of a call."""
    import torch

    tensors = [torch.from_numpy(a).to(device).requires_grad_(gradient) for a in arrays]
    one = torch.ones((), dtype=tensors[0].dtype, device=device)
    extra = (one,) if name == "Gamma" else ()
    first = (0 * one,) if name == "VonMises" else ()

    def call() -> None:
        q = getattr(torch.distributions, name)(*first, *tensors, *extra, validate_args=False)
        if gradient:
            z = q.rsample()
            torch.autograd.grad((z * z).sum(), tensors)
        else:
            q.sample()
        if device != "cpu":
            torch.cuda.synchronize()

    return _seconds(call, repeats)


def time_all(
    families: Sequence[str],
    libraries: Sequence[str],
    dtypes: Sequence[str],
    samples: int,
    repeats: int,
) -> list[Result]:
    """Times every case and prints each as it comes."""
    results = []
    for dtype in dtypes:
        with jax.enable_x64(dtype == "float64"):
            for name in families:
                family = FAMILIES[name]
                arrays = _draw(family, samples, dtype)
                for library in libraries:
                    sampler = None
                    if library != "torch":
                        sampler = getattr(family, library.replace(".", "_"))
                        if sampler is None:
                            continue
                    for gradient in (False, True):
                        if gradient and library in family.no_gradient:
                            continue
                        work = "value and gradient" if gradient else "value"
                        memory = seconds = None
                        if sampler is None:
                            gpu = jax.default_backend() != "cpu"
                            device = "cuda" if gpu else "cpu"
                            median, least = time_torch(
                                family.torch, arrays, gradient, repeats, device
                            )
                        else:
                            median, least, seconds, memory = time_jax(
                                sampler, arrays, gradient, repeats
                            )
                        results.append(
                            Result(name, library, dtype, work, median, least, seconds, memory)
                        )
                        print(_line(results[-1]), flush=True)
    return results


def _line(r: Result) -> str:
    rest = "" if r.compile is None else f", compiled in {r.compile:.1f} s, {r.memory:.1f} arrays"
    return f"{r.family} {r.dtype} {r.library} {r.work}: {1e3 * r.median:.1f} ms{rest}"


def table(results: Sequence[Result]) -> str:
    """Markdown: milliseconds for each library, and ours over theirs in brackets; - for none."""
    libraries = list(dict.fromkeys(r.library for r in results))
    lines = [
        "| | dtype | work | " + " | ".join(libraries) + " |",
        "|---" * (3 + len(libraries)) + "|",
    ]
    cells = {(r.family, r.dtype, r.work, r.library): r.median for r in results}
    for family, dtype, work in dict.fromkeys((r.family, r.dtype, r.work) for r in results):
        ours = cells[family, dtype, work, "ours"]
        row = []
        for library in libraries:
            median = cells.get((family, dtype, work, library))
            if median is None:
                row.append("-")
                continue
            ratio = "" if library == "ours" else f" ({ours / median:.3g})"
            row.append(f"{1e3 * median:.3g} ms{ratio}")
        lines.append(f"| {family} | {dtype} | {work} | " + " | ".join(row) + " |")
    return "\n".join(lines)


def chart(results: Sequence[Result], path: pathlib.Path, title: str) -> None:
    """A bar chart, on a log scale, of value and gradient in the first dtype of the results."""
    dtype = results[0].dtype
    chosen = [r for r in results if r.work != "value" and r.dtype == dtype]
    families = list(dict.fromkeys(r.family for r in chosen))
    libraries = list(dict.fromkeys(r.library for r in chosen))
    times = {(r.family, r.library): 1e3 * r.median for r in chosen}
    groups = {x: [times.get((family, x), np.nan) for family in families] for x in libraries}
    plotting.grouped_bars(path, groups, families, ylabel="ms", title=title)


def machine() -> str:
    """The device and the versions that the times are of."""
    device = jax.devices()[0]
    kind = " ".join(dict.fromkeys((device.platform, device.device_kind)))
    return f"{kind}, {platform.processor() or platform.machine()}, jax {jax.__version__}"


@dataclasses.dataclass(frozen=True)
class Config:
    """The flags of the benchmark."""

    platform: str = option(
        "default", "where jax runs", choices=("default", "cpu", "cuda", "gpu", "tpu")
    )
    output: str | None = option(None, "folder for sampling.json, sampling.csv and sampling.png")
    samples: int = option(1_000_000, "variates a call", low=10)
    repeats: int = option(7, "calls timed, after one that is not", low=1)
    dtype: str = option("both", "of parameters", choices=("float32", "float64", "both"))
    families: str = option("all", f"comma-separated, of {', '.join(FAMILIES)}; or all")
    libraries: str = option(
        "all", f"beside ours, comma-separated, of {', '.join(LIBRARIES)}; or all installed"
    )


def _chosen(flag: str, text: str, known: list[str]) -> list[str]:
    """The names in a flag's comma-separated list, all of which must be known."""
    names = known if text == "all" else text.split(",")
    for name in names:
        if name not in known:
            raise ConfigError(f"--{flag}={name}: must be all, or of {', '.join(known)}")
    return names


def run(config: Config) -> list[Result]:
    """Runs the benchmark, prints its table and writes its files.

    Args:
      config: the flags.

    Returns:
      A result for each family, dtype, library and kind of work.

    Raises:
      ConfigError: an unknown family or library, or one that is not installed.
    """
    families = _chosen("families", config.families, list(FAMILIES))
    installed = [x for x, m in LIBRARIES.items() if m is None or importlib.util.find_spec(m)]
    libraries = ["ours", *_chosen("libraries", config.libraries, installed)]
    if config.platform != "default":
        jax.config.update("jax_platforms", config.platform)
    dtypes = ["float32", "float64"] if config.dtype == "both" else [config.dtype]
    results = time_all(families, libraries, dtypes, config.samples, config.repeats)
    text = table(results)
    print(f"\n{machine()}; {config.samples} samples, medians of {config.repeats}\n\n{text}")
    if config.output:
        folder = pathlib.Path(config.output)
        folder.mkdir(parents=True, exist_ok=True)
        rows = [r._asdict() for r in results]
        record = {"machine": machine(), "samples": config.samples, "results": rows}
        write_atomically(folder / "sampling.json", json.dumps(record, indent=1) + "\n")
        with (folder / "sampling.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, Result._fields)
            writer.writeheader()
            writer.writerows(rows)
        title = f"{config.samples:,} samples with gradient, {results[0].dtype}, {machine()}"
        chart(results, folder / "sampling.png", title)
    return results
