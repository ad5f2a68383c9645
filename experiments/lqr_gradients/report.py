"""The table and the figure of the experiment."""

from pathlib import Path
from typing import Any

from repara import plotting

__all__ = ["draw", "table"]


def table(rows: list[dict[str, Any]]) -> str:
    """Returns the measurements as a Markdown table.

    Args:
      rows: the result of `measure`.

    Returns:
      Mean gradients, their difference from the exact gradient, and variances, one line per
      estimator.
    """
    lines = [
        "| | dJ/dK | dJ/dlog_scale | standard errors from exact | variance | ratio |",
        "|---|---|---|---|---|---|",
    ]
    exact = rows[0]["exact"]
    lines.append(f"| exact | {exact[0]:.3f}, {exact[1]:.3f} | {exact[2]:.3f} | | | |")
    for row in rows:
        mean = row["mean"]
        difference = ", ".join(f"{v:+.1f}" for v in row["standard_errors"])
        lines.append(
            f"| {row['estimator']} | {mean[0]:.3f}, {mean[1]:.3f} | {mean[2]:.3f} | {difference} | "
            f"{row['variance']:.4g} | {row['variance_ratio']:.4g} |"
        )
    return "\n".join(lines)


def draw(rows: list[dict[str, Any]], path: Path, num_samples: int) -> Path:
    """Draws the variance of each estimator as a bar, on a log scale.

    Args:
      rows: the result of `measure`.
      path: the PNG to write.
      num_samples: trajectories per gradient, for the title.

    Returns:
      The path.
    """
    return plotting.grouped_bars(
        path,
        {"total variance": [row["variance"] for row in rows]},
        [row["estimator"].replace(", ", ",\n") for row in rows],
        ylabel="total variance of the gradient",
        title=f"policy gradients of the LQR, {num_samples} trajectories per gradient",
    )
