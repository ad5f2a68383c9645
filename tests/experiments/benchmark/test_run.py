"""The choice of a benchmark, by name or on the command line."""

import pytest

from experiments import benchmark
from experiments.benchmark.__main__ import main
from experiments.benchmark.config import NAMES, load
from experiments.harness.configuration import ConfigError


@pytest.mark.parametrize("name", NAMES)
def test_every_benchmark_has_a_configuration_with_defaults(name):
    assert load(name).config_class().output is None


def test_a_benchmark_runs_by_name_and_settings():
    settings = {"families": "Normal", "libraries": "jax.random", "dtype": "float32"}
    settings |= {"samples": 64, "repeats": 1}
    results = benchmark.run(benchmark.Config("sampling", settings))
    assert [r.library for r in results] == ["ours", "ours", "jax.random", "jax.random"]


def test_an_unknown_benchmark_is_named():
    with pytest.raises(ConfigError, match=r"expected one of policy, sampling, .* got 'speed'"):
        benchmark.run(benchmark.Config("speed"))


def test_an_unknown_setting_is_named():
    with pytest.raises(ConfigError, match="--sample: the benchmark sampling has no such flag"):
        benchmark.run(benchmark.Config("sampling", {"sample": 1}))


@pytest.mark.parametrize(("arguments", "shown"), [(["speed"], "'speed'"), ([], "nothing")])
def test_the_command_line_needs_the_name_of_a_benchmark(arguments, shown):
    message = f"expected one of policy, sampling, topics, training, got {shown}"
    with pytest.raises(SystemExit, match=message):
        main(arguments)
