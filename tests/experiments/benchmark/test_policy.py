"""The benchmark of soft actor-critic."""

import json
import re
import sys

import pytest

from experiments.benchmark import policy
from experiments.harness.configuration import ConfigError


@pytest.mark.slow
def test_reported_numbers_are_consistent(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)  # as if it were not installed
    output = tmp_path / "results.json"
    result = policy.run(
        policy.Config(
            steps=60, parts=3, batch_size=4, hidden_sizes=(4,), platform="cpu", output=str(output)
        )
    )
    assert json.loads(output.read_text()) == result
    assert result["steps"] == 60
    assert result["seconds"].keys() == {"repara"}
    assert len(result["seconds"]["repara"]) == 3
    assert "ratio" not in result


def test_steps_must_be_a_multiple_of_the_parts():
    with pytest.raises(ConfigError, match=re.escape("--steps=10: must be a multiple of --parts=3")):
        policy.run(policy.Config(steps=10, parts=3))
