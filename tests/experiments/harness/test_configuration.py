import dataclasses
import re

import pytest
from absl import flags

from experiments.harness.configuration import (
    ConfigError,
    define_flags,
    option,
    read_flags,
    validate,
)


@dataclasses.dataclass(frozen=True)
class Config:
    name: str = option("b", "a choice", choices=("a", "b"))
    path: str | None = option(None, "a path")
    count: int = option(3, "a count", low=1)
    rate: float = option(0.5, "a rate", low=0, high=1)
    sizes: tuple[int, ...] = option((4, 2), "sizes", low=1)
    loud: bool = option(False, "a switch")


def _flags(*arguments):
    values = flags.FlagValues()
    define_flags(Config, values)
    values(["program", *arguments])
    return values


def test_defaults_and_given_values():
    assert Config(**read_flags(Config, _flags())) == Config()
    values = _flags("--name=a", "--path=x", "--count=7", "--rate=0", "--sizes=5,6,7", "--loud")
    assert Config(**read_flags(Config, values)) == Config("a", "x", 7, 0.0, (5, 6, 7), True)
    assert read_flags(Config, _flags("--count=3"), only_given=True) == {"count": 3}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", "c", "--name=c: must be one of a, b"),
        ("count", 0, "--count=0: must be an integer from 1"),
        ("count", 1.5, "--count=1.5: must be an integer from 1"),
        ("rate", 2, "--rate=2: must be a number from 0 up to 1"),
        ("rate", float("nan"), "--rate=nan: must be a number from 0 up to 1"),
        ("sizes", (3, 0), "--sizes=3,0: must be integers separated by commas, each from 1"),
        ("sizes", (), "--sizes=: must be integers separated by commas, each from 1"),
        ("loud", 1, "--loud=1: must be true or false"),
        ("path", 3, "--path=3: must be text"),
    ],
)
def test_values_out_of_range_are_named(field, value, message):
    with pytest.raises(ConfigError, match=re.escape(message) + "$"):
        validate(dataclasses.replace(Config(), **{field: value}))


def test_valid_values_pass():
    validate(Config())
    validate(Config(rate=1, count=10**6, sizes=(1,)))


def test_a_list_that_is_not_of_integers():
    with pytest.raises(ConfigError, match="--sizes=4,x: must be integers"):
        read_flags(Config, _flags("--sizes=4,x"))


def test_help_states_the_range():
    values = _flags()
    assert values["count"].help == "a count (an integer from 1)"
    assert values["rate"].help == "a rate (a number from 0 up to 1)"
