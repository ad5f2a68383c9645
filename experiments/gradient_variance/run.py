"""Compares gradient estimators: measured variances, biases, times, and learning curves.

    python -m experiments.gradient_variance                          # all four studies
    python -m experiments.gradient_variance --study=discrete --quick
    python -m experiments.gradient_variance --workdir=RUN            # continues a stopped run

Studies: `functions` of a normal variable, with exact variances; Bayesian `logistic` regression; a
`discrete` variable, the toy problem of Tucker et al.; the signal-to-noise ratio (`snr`) of
importance-weighted bounds. Each writes CSV files and a figure to the run directory, and its key
numbers to result.json.
"""

import time
from typing import Any

import jax

from experiments.gradient_variance.config import STUDIES, Config, resolve
from experiments.gradient_variance.studies import Study
from experiments.harness.progress import Progress, print_line
from experiments.harness.run_directory import RunDirectory
from experiments.harness.runs import open_run

__all__ = ["run"]


def run(config: Config) -> dict[str, Any]:
    """Runs the selected studies that the run directory does not have yet.

    Args:
      config: the flags. Without `workdir` the run makes a new one.

    Returns:
      The content of `result.json`, and "workdir".

    Raises:
      ConfigError: a flag is out of range, or contradicts the run that is in `workdir`.

    Example:
      from experiments import gradient_variance
      config = gradient_variance.Config(study="snr", quick=True, workdir="runs/snr")
      result = gradient_variance.run(config)
    """
    studies = resolve(config)
    directory = open_run("gradient_variance", config, "").directory
    result: dict[str, Any] = directory.read_result() or {}
    key = jax.random.key(config.seed)
    for name in [name for name in studies if name not in result]:
        # The key depends on the study, not on which studies were selected.
        study_key = jax.random.fold_in(key, STUDIES.index(name))
        result[name] = _run_study(name, studies[name], study_key, directory)
        result["device"] = jax.devices()[0].device_kind
        directory.write_result(result)
    print_line(f"CSV files, plots/ and result.json are in {directory.path}")
    return {**result, "workdir": str(directory.path)}


def _run_study(name: str, study: Study, key: jax.Array, directory: RunDirectory) -> dict[str, Any]:
    """Runs a study with a progress bar and returns its key numbers and seconds."""
    progress = Progress(study.num_parts, 0, name)
    begin = time.perf_counter()

    def on_part_done(label: str) -> None:
        progress.update(1, {"done": label, "seconds": f"{time.perf_counter() - begin:.0f}"})

    outcome = study.run(key, directory, on_part_done)
    progress.close()
    return {**outcome, "seconds": time.perf_counter() - begin}
