"""Draws the reparameterization trick: fixed noise, a transform that moves with its parameters.

python -m experiments.concept_figure --output=docs/figures/concept.png
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import matplotlib
import matplotlib.figure
import numpy as np

import repara as rp
from experiments.harness.configuration import option, read_flags, validate
from repara import plotting

# Five noise values, held fixed; the same colour marks the same value in every panel.
_NOISE = np.array([-1.5, -0.7, 0.1, 0.8, 1.6])
_BEFORE, _AFTER = (0.0, 1.0), (1.2, 0.6)


@dataclasses.dataclass(frozen=True)
class Config:
    """The flags."""

    output: str = option("concept.png", "the PNG to write")
    num_samples: int = option(20_000, "gradient samples in the last panel", low=100)
    seed: int = option(0, "seed of those samples", low=0)


def gradients(num_samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Single-sample estimates of d/dloc E[z^2] at loc 1.2, scale 0.6, where it is 2.4.

    Args:
      num_samples: how many of each.
      seed: of the noise.

    Returns:
      The pathwise and the score-function estimates, [num_samples] each.
    """
    q = rp.Normal(*_AFTER)
    eps = q.noise(jax.random.key(seed), (num_samples,))

    def squared(loc: jax.Array, eps: jax.Array) -> jax.Array:
        return rp.Normal(loc, q.scale).transform(eps) ** 2

    def log_prob(loc: jax.Array, z: jax.Array) -> jax.Array:
        return rp.Normal(loc, q.scale).log_prob(z)

    z = q.transform(eps)
    pathwise = jax.vmap(jax.grad(squared), (None, 0))(q.loc, eps)
    score = jax.vmap(jax.grad(log_prob), (None, 0))(q.loc, z)
    return np.asarray(pathwise), np.asarray(z**2 * score)


def run(config: Config) -> Path:
    """Draws the figure.

    Args:
      config: the flags.

    Returns:
      The path of the PNG.
    """
    colours = matplotlib.colormaps["viridis"](np.linspace(0.05, 0.9, len(_NOISE)))
    style: Any = {"axes.spines.top": False, "axes.spines.right": False, "font.size": 9,
                  "legend.frameon": False}  # fmt: skip
    with matplotlib.rc_context(style):
        figure = matplotlib.figure.Figure(figsize=(10.5, 3.3), dpi=150, layout="constrained")
        noise, transform, estimates = figure.subplots(1, 3)

        grid = np.linspace(-3.2, 3.2, 400)
        density = np.exp(np.asarray(rp.Normal(0.0, 1.0).log_prob(grid)))
        noise.fill_between(grid, density, color="0.85")
        noise.plot(grid, density, color="0.4", linewidth=1)
        noise.scatter(_NOISE, np.zeros(len(_NOISE)), color=colours, s=45, zorder=3, clip_on=False)
        noise.set(title="noise that knows no parameters", xlabel="eps ~ N(0, 1)", ylim=(0, None))
        noise.set_yticks([])

        for (loc, scale), dash, label in ((_BEFORE, "--", "before"), (_AFTER, "-", "after a step")):
            q = rp.Normal(loc, scale)
            line = np.asarray(q.transform(grid))
            transform.plot(grid, line, dash, color="0.4", linewidth=1.2,
                           label=f"{label}: loc {loc:g}, scale {scale:g}")  # fmt: skip
        start, end = (np.asarray(rp.Normal(*p).transform(_NOISE)) for p in (_BEFORE, _AFTER))
        for eps, a, b, colour in zip(_NOISE, start, end, colours, strict=True):
            transform.annotate(
                "", (eps, b), (eps, a), arrowprops={"arrowstyle": "->", "color": colour, "lw": 1.6}
            )
            transform.scatter([eps], [a], facecolor="white", edgecolor=[colour], s=35, zorder=3)
            transform.scatter([eps], [b], color=[colour], s=45, zorder=3)
        transform.set(title="z = loc + scale * eps moves with them", xlabel="eps", ylabel="z")
        transform.legend(loc="upper left", fontsize=8)

        pathwise, score = gradients(config.num_samples, config.seed)
        bins = np.linspace(-3, 15, 73)
        for values, name, colour in ((score, "score function", "tab:orange"),
                                     (pathwise, "pathwise", "tab:blue")):  # fmt: skip
            estimates.hist(
                values, bins, density=True, alpha=0.65, color=colour,
                label=f"{name}: variance {np.var(values):.1f}",
            )  # fmt: skip
        estimates.axvline(2 * _AFTER[0], color="k", linewidth=1, label="exact")
        estimates.set(title="d/dloc E[z²] from one sample", xlabel="estimate", xlim=(-3, 15))
        estimates.set_yticks([])
        estimates.legend(fontsize=8, loc="center right")
    return plotting.save(figure, config.output)


def main() -> None:
    """Reads the flags and draws."""
    config = Config(**read_flags(Config))
    validate(config)
    print(run(config))
