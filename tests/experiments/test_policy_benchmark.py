import json
import sys

import pytest

from experiments.benchmark import policy


@pytest.mark.slow
def test_figures_hang_together(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)  # as where it is not installed
    output = tmp_path / "figures.json"
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
