"""The benchmark of sampling."""

import csv
import importlib.util
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from experiments.benchmark import sampling
from experiments.benchmark.sampling.families import FAMILIES
from experiments.benchmark.sampling.report import table
from experiments.benchmark.sampling.timing import Result
from experiments.harness.configuration import ConfigError

SCIPY_DISTRIBUTIONS = {
    "Gamma": stats.gamma(2.5),
    "Beta": stats.beta(2.5, 0.7),
    "Dirichlet": stats.beta(2.5, 2.5 * 9),  # the law of one coordinate
    "StudentT": stats.t(2.5),
    "Normal": stats.norm(2.5, 0.7),
    "Laplace": stats.laplace(2.5, 0.7),
    "Gumbel": stats.gumbel_r(2.5, 0.7),
    "VonMises": stats.vonmises(2.5),
}


@pytest.fixture
def no_other_libraries(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


@pytest.mark.parametrize("name", FAMILIES)
def test_our_samplers_draw_from_the_distribution(name):
    family = FAMILIES[name]
    n, values = 20_000, (2.5, 0.7)
    parameters = [jnp.full((n, family.event) if family.event else (n,), v) for v in values]
    sampler = jax.jit(family.samplers["ours"])
    z = sampler(jax.random.key(3), *parameters[: len(family.parameters)])
    first = np.asarray(z[:, 0] if family.event else z, np.float64)
    assert stats.kstest(first, SCIPY_DISTRIBUTIONS[name].cdf).pvalue > 1e-3


def test_a_run_reports_every_case_and_writes_its_files(tmp_path, no_other_libraries):
    config = sampling.Config(families="Gamma", samples=64, repeats=2, output=str(tmp_path))
    results = sampling.run(config)
    cases = [(r.dtype, r.library, r.work) for r in results]
    assert cases == [
        (dtype, library, work)
        for dtype in ("float32", "float64")
        for library in ("ours", "jax.random")
        for work in ("value", "value and gradient")
    ]
    assert all(r.median >= r.fastest > 0 and r.compile > 0 and r.memory > 1 for r in results)
    assert len(json.loads((tmp_path / "sampling.json").read_text())["results"]) == 8
    with open(tmp_path / "sampling.csv", newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 8
    assert (tmp_path / "sampling.png").read_bytes()[:4] == b"\x89PNG"


def test_the_table_has_a_ratio_for_each_other_library():
    cases = [("ours", "Beta", 0.002), ("tfp", "Beta", 0.004), ("ours", "Gamma", 0.001)]
    results = [
        Result(family, library, "float32", "value", median, median, None, None)
        for library, family, median in cases
    ]
    assert table(results).split("\n") == [
        "| | dtype | work | ours | tfp |",
        "|---|---|---|---|---|",
        "| Beta | float32 | value | 2 ms | 4 ms (0.5) |",
        "| Gamma | float32 | value | 1 ms | - |",
    ]


def test_an_unknown_family_is_named():
    with pytest.raises(ConfigError, match="--families=Gama: must be all, or of Gamma"):
        sampling.run(sampling.Config(families="Gama"))


def test_a_library_that_is_not_installed_is_named(no_other_libraries):
    with pytest.raises(ConfigError, match=r"--libraries=torch: must be all, or of jax\.random"):
        sampling.run(sampling.Config(families="Normal", libraries="torch"))
