"""Pathwise and score-function policy gradients of an LQR, beside the exact one.

    python -m experiments.lqr_gradients --output=experiments/figures

The same policy, the same trajectories, the same number of them: what differs is the estimator.
"""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import repara as rp
from experiments.harness.configuration import option, read_flags, validate
from experiments.harness.run_directory import write_atomically
from experiments.policy_gradient.environments.lqr import LinearPolicy, lqr, policy_gradient
from experiments.policy_gradient.trajectories import Trajectories, discounted_return
from repara import estimators

__all__ = ["Config", "run"]

_POLICY = LinearPolicy(np.array([[0.3, 0.3]]), np.array([-1.0]))
_ESTIMATORS = ("pathwise", "score_function", "score_function, moving average",
               "score_function, leave one out")  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Config:
    """The flags of the study."""

    num_samples: int = option(16, "trajectories a gradient", low=2)
    repeats: int = option(4096, "gradients of each estimator", low=2)
    seed: int = option(0, "seed", low=0)
    output: str | None = option(None, "folder for lqr_gradients.json and lqr_gradients.png")


def make_surrogate(name: str) -> estimators.Surrogate:
    """The surrogate of an estimator for the return of a linear policy.

    Args:
      name: one of "pathwise", "score_function" and the same with a baseline after a comma.

    Returns:
      `(LinearPolicy, key, num_samples) -> [num_samples]`.
    """
    environment = lqr()

    def start(key: jax.Array, count: int) -> jax.Array:
        return jax.vmap(environment.reset)(jax.random.split(key, count))

    def distribution_fn(params: LinearPolicy) -> Trajectories:
        def policy(state: jax.Array) -> rp.Distribution:
            return rp.Independent(
                rp.Normal(-jnp.dot(params.gain, state), jnp.exp(params.log_scale)), 1
            )

        return Trajectories(environment, policy, start, environment.horizon)

    function = discounted_return(environment)
    if name == "pathwise":
        return estimators.pathwise(function, distribution_fn)
    baseline: Any = name.partition(", ")[2].replace(" ", "_") or "none"
    return estimators.score_function(function, distribution_fn, baseline=baseline)


def measure(config: Config, names: Sequence[str] = _ESTIMATORS) -> list[dict[str, Any]]:
    """Measures estimators against the closed form.

    Args:
      config: the flags.
      names: of the estimators; the first one is what the others' variances are divided by.

    Returns:
      For each estimator its name, mean gradient, standard error, distance from the exact gradient
      in standard errors, the total variance, and that over the first one's.
    """
    policy = jax.tree.map(jnp.float32, _POLICY)
    exact = _flat(policy_gradient(_POLICY))
    rows: list[dict[str, Any]] = []
    for name in names:
        report = estimators.variance(
            make_surrogate(name), policy, jax.random.key(config.seed), config.num_samples,
            config.repeats,
        )  # fmt: skip
        mean, stderr = _flat(report.mean), _flat(report.stderr)
        rows.append(
            {
                "estimator": name,
                "mean": mean.tolist(),
                "stderr": stderr.tolist(),
                "exact": exact.tolist(),
                "standard_errors": ((mean - exact) / stderr).tolist(),
                "variance": report.total_variance,
                "seconds": report.seconds,
            }
        )
    for row in rows:
        row["variance_ratio"] = row["variance"] / rows[0]["variance"]
    return rows


def _flat(policy: Any) -> np.ndarray:
    return np.concatenate([np.asarray(x, np.float64).ravel() for x in jax.tree.leaves(policy)])


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: the mean gradients, their distance from the exact one, and the variances."""
    lines = [
        "| | dJ/dK | dJ/dlog_scale | standard errors from exact | variance | ratio |",
        "|---|---|---|---|---|---|",
    ]
    exact = rows[0]["exact"]
    lines.append(f"| exact | {exact[0]:.3f}, {exact[1]:.3f} | {exact[2]:.3f} | | | |")
    for row in rows:
        mean, far = row["mean"], ", ".join(f"{v:+.1f}" for v in row["standard_errors"])
        lines.append(
            f"| {row['estimator']} | {mean[0]:.3f}, {mean[1]:.3f} | {mean[2]:.3f} | {far} | "
            f"{row['variance']:.4g} | {row['variance_ratio']:.4g} |"
        )
    return "\n".join(lines)


def draw(rows: list[dict[str, Any]], path: Path, num_samples: int) -> Path:
    """A bar for the variance of each estimator, on a log scale.

    Args:
      rows: what `measure` returned.
      path: the PNG to write.
      num_samples: trajectories a gradient.

    Returns:
      The path.
    """
    from repara import plotting  # matplotlib is slow to import

    return plotting.grouped_bars(
        path,
        {"total variance": [row["variance"] for row in rows]},
        [row["estimator"].replace(", ", ",\n") for row in rows],
        ylabel="total variance of the gradient",
        title=f"policy gradients of the LQR, {num_samples} trajectories each",
    )


def run(config: Config) -> list[dict[str, Any]]:
    """Runs the study, prints its table and writes its files.

    Args:
      config: the flags.

    Returns:
      What `measure` returns.
    """
    rows = measure(config)
    print(f"{config.num_samples} trajectories a gradient, {config.repeats} gradients\n")
    print(table(rows))
    if config.output:
        folder = Path(config.output)
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / "lqr_gradients.json", json.dumps(rows, indent=1) + "\n")
        draw(rows, folder / "lqr_gradients.png", config.num_samples)
    return rows


def main() -> None:
    """Reads the flags and runs."""
    config = Config(**read_flags(Config))
    validate(config)
    run(config)
