"""The three panels of the figure: noise, transform, and gradient estimates."""

from typing import Any

import jax
import matplotlib
import numpy as np

import repara as rp

__all__ = ["draw_estimates", "draw_noise", "draw_transform", "gradients"]

# Five fixed noise values; the same color marks the same value in every panel.
_NOISE = np.array([-1.5, -0.7, 0.1, 0.8, 1.6])
_COLORS = matplotlib.colormaps["viridis"](np.linspace(0.05, 0.9, len(_NOISE)))
_GRID = np.linspace(-3.2, 3.2, 400)
# (loc, scale) before and after a step of an optimizer.
_BEFORE, _AFTER = (0.0, 1.0), (1.2, 0.6)


def draw_noise(axes: Any) -> None:
    """Draws the density of the noise and the five fixed values.

    Args:
      axes: the matplotlib axes to draw on.
    """
    density = np.exp(np.asarray(rp.Normal(0.0, 1.0).log_prob(_GRID)))
    axes.fill_between(_GRID, density, color="0.85")
    axes.plot(_GRID, density, color="0.4", linewidth=1)
    axes.scatter(_NOISE, np.zeros(len(_NOISE)), color=_COLORS, s=45, zorder=3, clip_on=False)
    axes.set(title="parameter-free noise", xlabel="eps ~ N(0, 1)", ylim=(0, None))
    axes.set_yticks([])


def draw_transform(axes: Any) -> None:
    """Draws the transform and its values before and after a step in the parameters.

    Args:
      axes: the matplotlib axes to draw on.
    """
    for (loc, scale), dash, label in ((_BEFORE, "--", "before"), (_AFTER, "-", "after a step")):
        axes.plot(
            _GRID, np.asarray(rp.Normal(loc, scale).transform(_GRID)), dash, color="0.4",
            linewidth=1.2, label=f"{label}: loc {loc:g}, scale {scale:g}",
        )  # fmt: skip
    start, end = (np.asarray(rp.Normal(*p).transform(_NOISE)) for p in (_BEFORE, _AFTER))
    for eps, before, after, color in zip(_NOISE, start, end, _COLORS, strict=True):
        arrow = {"arrowstyle": "->", "color": color, "lw": 1.6}
        axes.annotate("", (eps, after), (eps, before), arrowprops=arrow)
        axes.scatter([eps], [before], facecolor="white", edgecolor=[color], s=35, zorder=3)
        axes.scatter([eps], [after], color=[color], s=45, zorder=3)
    axes.set(title="z = loc + scale * eps moves with loc and scale", xlabel="eps", ylabel="z")
    axes.legend(loc="upper left", fontsize=8)


def draw_estimates(axes: Any, pathwise: np.ndarray, score_function: np.ndarray) -> None:
    """Draws histograms of gradient estimates and the exact gradient.

    Args:
      axes: the matplotlib axes to draw on.
      pathwise: pathwise estimates, [N].
      score_function: score-function estimates, [N].
    """
    bins = np.linspace(-3, 15, 73)
    for values, name, color in ((score_function, "score function", "tab:orange"),
                                (pathwise, "pathwise", "tab:blue")):  # fmt: skip
        axes.hist(
            values, bins, density=True, alpha=0.65, color=color,
            label=f"{name}: variance {np.var(values):.1f}",
        )  # fmt: skip
    axes.axvline(2 * _AFTER[0], color="k", linewidth=1, label="exact")
    axes.set(title="d/dloc E[z²] from one sample", xlabel="estimate", xlim=(-3, 15))
    axes.set_yticks([])
    axes.legend(fontsize=8, loc="center right")


def gradients(key: jax.Array, num_samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Estimates d/dloc E[z^2] at loc 1.2 and scale 0.6, from one sample each.

    The exact derivative is 2 loc = 2.4.

    Args:
      key: a typed key; consumed.
      num_samples: the number of estimates of each kind.

    Returns:
      The pathwise and the score-function estimates, [num_samples] each.

    Example:
      >>> pathwise, score_function = gradients(jax.random.key(0), 100)
      >>> pathwise.shape
      (100,)
    """
    q = rp.Normal(*_AFTER)
    eps = q.noise(key, (num_samples,))

    def squared(loc: jax.Array, eps: jax.Array) -> jax.Array:
        return rp.Normal(loc, q.scale).transform(eps) ** 2

    def log_prob(loc: jax.Array, z: jax.Array) -> jax.Array:
        return rp.Normal(loc, q.scale).log_prob(z)

    z = q.transform(eps)
    pathwise = jax.vmap(jax.grad(squared), (None, 0))(q.loc, eps)
    score = jax.vmap(jax.grad(log_prob), (None, 0))(q.loc, z)
    return np.asarray(pathwise), np.asarray(z**2 * score)
