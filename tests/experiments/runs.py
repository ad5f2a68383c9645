"""Parts of a run directory that the tests of several experiments compare."""

import json

from experiments.harness.run_directory import RunDirectory


def timeless_metrics(path):
    """The lines of `metrics.jsonl` without their seconds, which no two runs share."""
    lines = RunDirectory(path).read_metrics()
    for line in lines:
        line.pop("seconds")
    return lines


def outcome(workdir):
    """The metrics and the result of a run, without the times that no two runs share."""
    result = json.loads((workdir / "result.json").read_text())
    result.pop("train_seconds")
    return timeless_metrics(workdir), result
