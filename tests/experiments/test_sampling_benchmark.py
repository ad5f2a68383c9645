import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from experiments.benchmark import sampling
from experiments.harness.configuration import ConfigError


@pytest.mark.parametrize("name", sampling.FAMILIES)
def test_our_samplers_draw_from_the_distribution(name):
    """What is timed is right: Kolmogorov-Smirnov at p > 1e-3 for the first coordinate."""
    family = sampling.FAMILIES[name]
    n, values = 20_000, (2.5, 0.7)
    parameters = [jnp.full((n, family.event) if family.event else (n,), v) for v in values]
    z = jax.jit(family.ours)(jax.random.key(3), *parameters[: len(family.parameters)])
    law = {
        "Gamma": stats.gamma(2.5),
        "Beta": stats.beta(2.5, 0.7),
        "Dirichlet": stats.beta(2.5, 2.5 * 9),
        "StudentT": stats.t(2.5),
        "Normal": stats.norm(2.5, 0.7),
        "Laplace": stats.laplace(2.5, 0.7),
        "Gumbel": stats.gumbel_r(2.5, 0.7),
        "VonMises": stats.vonmises(2.5),
    }[name]
    first = np.asarray(z[:, 0] if family.event else z, np.float64)
    assert stats.kstest(first, law.cdf).pvalue > 1e-3


def test_table_and_files(tmp_path, monkeypatch):
    # As where the other libraries are not installed.
    monkeypatch.setattr(sampling.importlib.util, "find_spec", lambda name: None)
    config = sampling.Config(families="Gamma", samples=64, repeats=2, output=str(tmp_path))
    results = sampling.run(config)
    assert len(results) == 8
    assert all(r.median > 0 and r.compile > 0 and r.memory > 1 for r in results)
    lines = sampling.table(results).split("\n")
    assert len(lines) == 6
    assert lines[2].startswith("| Gamma | float32 | value | ")
    files = {p.name for p in tmp_path.iterdir()}
    assert files == {"sampling.json", "sampling.csv", "sampling.png"}
    assert len(json.loads((tmp_path / "sampling.json").read_text())["results"]) == 8


def test_an_unknown_family_is_named():
    with pytest.raises(ConfigError, match="--families=Gama: must be all, or of Gamma"):
        sampling.run(sampling.Config(families="Gama"))


def test_a_library_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(sampling.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"--libraries=torch: must be all, or of jax\.random"):
        sampling.run(sampling.Config(families="Normal", libraries="torch"))
