"""Compares pathwise and score-function policy gradients of an LQR with the exact gradient.

    python -m experiments.lqr_gradients --output=docs/figures

All estimators use the same policy, the same trajectories and the same number of them. The
environment and its closed forms belong to `experiments.policy_gradient`; this experiment measures
the gradient estimators of that experiment.
"""

import json
from typing import Any

from experiments.harness.run_directory import write_atomically
from experiments.lqr_gradients.config import Config, resolve
from experiments.lqr_gradients.measurement import measure
from experiments.lqr_gradients.report import draw, table

__all__ = ["run"]


def run(config: Config) -> list[dict[str, Any]]:
    """Runs the experiment as `python -m experiments.lqr_gradients` does.

    Prints a table and, if there is an output folder, writes the rows and a figure.

    Args:
      config: the flags.

    Returns:
      One row per estimator, as `measurement.measure` returns them.

    Raises:
      ConfigError: a flag is out of range.

    Example:
      from experiments import lqr_gradients
      rows = lqr_gradients.run(lqr_gradients.Config(repeats=256))
    """
    study = resolve(config)
    rows = measure(study.estimators, study.key, study.num_samples, study.repeats)
    print(f"{study.num_samples} trajectories per gradient, {study.repeats} gradients\n")
    print(table(rows))
    if study.output is not None:
        study.output.mkdir(parents=True, exist_ok=True)
        text = json.dumps(rows, indent=1) + "\n"
        write_atomically(study.output / "lqr_gradients.json", text)
        draw(rows, study.output / "lqr_gradients.png", study.num_samples)
    return rows
