"""The error of a mean against the number of draws, with i.i.d. noise and with scrambled Sobol.

    python -m experiments.quasi_monte_carlo --output=experiments/figures

    f(z) = cos(t . z),   z = (Gamma, Gamma, Beta, Beta, Normal),   E f in closed form

The same transforms, the same number of draws: what differs is the source of the noise.
"""

import cmath
import csv
import dataclasses
import io
import math
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special

import repara as rp
from experiments.harness.configuration import option, read_flags, validate
from experiments.harness.run_directory import write_atomically

__all__ = ["Config", "run"]

_SOURCES = {"i.i.d.": rp.noise.iid, "scrambled Sobol": rp.noise.sobol}
_FREQUENCIES = (0.3, -0.4, 1.0, -1.5, 0.4)


@dataclasses.dataclass(frozen=True)
class Config:
    """The flags of the study."""

    low: int = option(8, "logarithm to base 2 of the smallest number of draws", low=1, high=20)
    high: int = option(14, "the same of the largest", low=1, high=20)
    repeats: int = option(64, "means for each number of draws", low=2)
    seed: int = option(0, "seed", low=0)
    output: str | None = option(None, "folder for quasi_monte_carlo.csv and .png")


def distributions() -> list[rp.Distribution]:
    """The five coordinates."""
    return [rp.Gamma(2.5, 1.0), rp.Gamma(0.8, 2.0), rp.Beta(2.0, 3.0), rp.Beta(0.7, 1.5),
            rp.Normal(0.3, 1.2)]  # fmt: skip


def exact() -> float:
    """E f, the real part of the product of the characteristic functions."""
    value = 1.0 + 0.0j
    for t, q in zip(_FREQUENCIES, distributions(), strict=True):
        if isinstance(q, rp.Gamma):
            value *= (1 - 1j * t / float(q.rate)) ** -float(q.concentration)
        elif isinstance(q, rp.Beta):
            a, b = float(q.concentration1), float(q.concentration0)
            value *= complex(scipy.special.hyp1f1(a, a + b, 1j * t))
        elif isinstance(q, rp.Normal):
            value *= cmath.exp(1j * float(q.loc) * t - 0.5 * (float(q.scale) * t) ** 2)
    return value.real


def mean(key: jax.Array, count: int, source: rp.noise.Source) -> jax.Array:
    """The mean of f over draws from one source.

    Args:
      key: a typed key; consumed.
      count: how many draws.
      source: of the noise, which all five coordinates share.

    Returns:
      A number.
    """
    eps = source(key, (count,), (len(_FREQUENCIES),), "normal", jnp.result_type(float))
    phase: Any = 0.0
    for k, (t, q) in enumerate(zip(_FREQUENCIES, distributions(), strict=True)):
        phase = phase + t * q.transform(eps[:, k])
    return jnp.mean(jnp.cos(phase))


def measure(config: Config) -> list[dict[str, Any]]:
    """Root mean square errors.

    Args:
      config: the flags.

    Returns:
      For each source and number of draws the error relative to E f, and its standard error.
    """
    rows = []
    for name, source in _SOURCES.items():
        estimate = jax.jit(mean, static_argnums=(1, 2))
        for power in range(config.low, config.high + 1):
            keys = jax.random.split(jax.random.key(config.seed), config.repeats)
            means = [float(estimate(key, 2**power, source)) for key in keys]
            rmse = float(np.sqrt(np.mean((np.asarray(means) / exact() - 1) ** 2)))
            stderr = rmse / math.sqrt(2 * config.repeats)  # of nearly normal errors
            rows.append({"source": name, "draws": 2**power, "rmse": rmse, "stderr": stderr})
    return rows


def slopes(rows: list[dict[str, Any]]) -> dict[str, float]:
    """The exponent of the number of draws, source by source, by least squares of logarithms.

    Args:
      rows: what `measure` returned.

    Returns:
      Source -> exponent.
    """
    found = {}
    for name in _SOURCES:
        n, rmse = _columns(rows, name)[:2]
        found[name] = float(np.polyfit(np.log(n), np.log(rmse), 1)[0])
    return found


def _columns(rows: list[dict[str, Any]], name: str) -> list[np.ndarray]:
    chosen = [row for row in rows if row["source"] == name]
    return [np.asarray([row[k] for row in chosen], float) for k in ("draws", "rmse", "stderr")]


def draw(rows: list[dict[str, Any]], path: Path) -> Path:
    """Errors against numbers of draws, with the fitted lines.

    Args:
      rows: what `measure` returned.
      path: the PNG to write.

    Returns:
      The path.
    """
    from repara import plotting  # matplotlib is slow to import

    lines = {}
    for name, slope in slopes(rows).items():
        n, rmse, stderr = _columns(rows, name)
        centre = np.exp(np.mean(np.log(rmse) - slope * np.log(n)))
        lines[f"{name}, N^{slope:.2f}"] = plotting.Line(n, rmse, stderr, centre * n**slope)
    title = "E cos(t . z), z of two Gamma, two Beta\nand one Normal coordinates"
    return plotting.panels(
        path, {title: lines}, columns=1, xlabel="number of draws N",
        ylabel="relative root mean square error", log_x=True, log_y=True,
    )  # fmt: skip


def run(config: Config) -> list[dict[str, Any]]:
    """Runs the study, prints the slopes and writes its files.

    Args:
      config: the flags.

    Returns:
      What `measure` returns.
    """
    rows = measure(config)
    for name, slope in slopes(rows).items():
        print(f"{name}: the error falls like N^{slope:.2f}")
    if config.output:
        folder = Path(config.output)
        folder.mkdir(parents=True, exist_ok=True)
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_atomically(folder / "quasi_monte_carlo.csv", text.getvalue())
        draw(rows, folder / "quasi_monte_carlo.png")
    return rows


def main() -> None:
    """Reads the flags and runs."""
    config = Config(**read_flags(Config))
    validate(config)
    run(config)
