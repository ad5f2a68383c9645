"""One declaration for a configuration: its fields are the flags, the checks and the help."""

import dataclasses
import sys
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Protocol

from absl import app, flags, logging

__all__ = [
    "ConfigError",
    "Configuration",
    "RunConfiguration",
    "changeable_fields",
    "define_flags",
    "launch",
    "option",
    "read_flags",
    "validate",
]


# Defined by `absl.app` in the first launch of a process.
_ABSL_HELP_FLAGS = {"help", "helpshort", "helpfull", "helpxml", "?"}


class ConfigError(ValueError):
    """A configuration that cannot run; the message is one line that names the flag."""


class Configuration(Protocol):
    """An instance of a dataclass of `option` fields."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


class RunConfiguration(Configuration, Protocol):
    """A configuration of a run that has a directory."""

    @property
    def workdir(self) -> str | None:
        """The run directory; None for a new one."""
        ...


def option(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[str] | None = None,
    may_change: bool = False,
) -> Any:
    """A field of a configuration dataclass, with its range and its help text.

    Args:
      default: the default value; its type is the type of the flag. None makes an optional string,
        a tuple a comma-separated list of integers.
      help: one line for `--helpfull`.
      low: the smallest number allowed, for each entry of a tuple too.
      high: the largest number allowed.
      choices: the strings allowed.
      may_change: whether a run that is continued may have another value than before. Only for
        fields that do not change the course of training.

    Returns:
      A dataclass field.

    Example:
      >>> @dataclasses.dataclass(frozen=True)
      ... class Config:
      ...     epochs: int = option(10, "passes over the data", low=1)
      >>> Config().epochs
      10
    """
    metadata = {
        "help": help,
        "low": low,
        "high": high,
        "choices": choices,
        "may_change": may_change,
    }
    return dataclasses.field(default=default, metadata=metadata)


def validate(config: Configuration) -> None:
    """Checks every field of a configuration against its declaration.

    Args:
      config: an instance of a dataclass made of `option` fields.

    Raises:
      ConfigError: a value has the wrong type or is out of range; names the first such flag.

    Example:
      >>> @dataclasses.dataclass(frozen=True)
      ... class Config:
      ...     epochs: int = option(10, "passes over the data", low=1)
      >>> validate(Config(epochs=0))
      Traceback (most recent call last):
        ...
      experiments.harness.configuration.ConfigError: --epochs=0: must be an integer from 1
    """
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if not _is_valid(value, field):
            shown = ",".join(map(str, value)) if isinstance(value, tuple) else value
            raise ConfigError(f"--{field.name}={shown}: must be {_expected(field)}")


def changeable_fields(config: Configuration | type[Configuration]) -> frozenset[str]:
    """Returns the names of the fields declared with `may_change`.

    Args:
      config: a dataclass of `option` fields, or an instance of one.
    """
    return frozenset(f.name for f in dataclasses.fields(config) if f.metadata["may_change"])


def _is_valid(value: Any, field: Any) -> bool:
    default, low, high = field.default, field.metadata["low"], field.metadata["high"]
    choices = field.metadata["choices"]
    if default is None:
        return value is None or isinstance(value, str)
    if isinstance(default, bool):
        return isinstance(value, bool)
    if isinstance(default, str):
        return isinstance(value, str) and (choices is None or value in choices)
    if isinstance(default, tuple):
        entries = value if isinstance(value, tuple) else ()
        return bool(entries) and all(
            isinstance(v, int) and (low is None or v >= low) for v in entries
        )
    kinds: tuple[type, ...] = (int,) if isinstance(default, int) else (int, float)
    if not isinstance(value, kinds) or isinstance(value, bool):
        return False
    # Comparisons written so that NaN fails them.
    return (low is None or value >= low) and (high is None or value <= high) and value == value


def _expected(field: Any) -> str:
    metadata = field.metadata
    if metadata["choices"] is not None:
        return "one of " + ", ".join(metadata["choices"])
    kind = "a number"
    if isinstance(field.default, bool):
        kind = "true or false"
    elif isinstance(field.default, tuple):
        kind = "integers separated by commas, each"
    elif isinstance(field.default, int):
        kind = "an integer"
    elif isinstance(field.default, str) or field.default is None:
        kind = "text"
    bounds = []
    if metadata["low"] is not None:
        bounds.append(f"from {metadata['low']:g}")
    if metadata["high"] is not None:
        bounds.append(f"up to {metadata['high']:g}")
    return " ".join([kind, *bounds])


def define_flags(config_class: type, flag_values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines one absl flag for each field of a configuration dataclass.

    Ranges are checked by `validate`, once, for flags and for configurations made in a script.

    Args:
      config_class: a dataclass made of `option` fields.
      flag_values: the absl registry to define the flags in.
    """
    for field in dataclasses.fields(config_class):
        default: Any = field.default
        metadata = field.metadata
        text = metadata["help"]
        if (
            metadata["choices"] is None
            and not isinstance(default, bool | str)
            and (default is not None)
        ):
            text = f"{text} ({_expected(field)})"
        keywords: dict[str, Any] = {"flag_values": flag_values}
        if metadata["choices"] is not None:
            flags.DEFINE_enum(field.name, default, metadata["choices"], text, **keywords)
        elif isinstance(default, bool):
            flags.DEFINE_bool(field.name, default, text, **keywords)
        elif isinstance(default, tuple):
            flags.DEFINE_list(field.name, [str(v) for v in default], text, **keywords)
        elif isinstance(default, int):
            flags.DEFINE_integer(field.name, default, text, **keywords)
        elif isinstance(default, float):
            flags.DEFINE_float(field.name, default, text, **keywords)
        else:
            flags.DEFINE_string(field.name, default, text, **keywords)


def read_flags(
    config_class: type, flag_values: flags.FlagValues = flags.FLAGS, *, only_given: bool = False
) -> dict[str, Any]:
    """The values of the flags, ready for the constructor of the configuration.

    Args:
      config_class: the dataclass given to `define_flags`.
      flag_values: the absl registry that holds the parsed flags.
      only_given: leave out the flags that the command line does not name.

    Returns:
      Field name -> value.

    Raises:
      ConfigError: an entry of a list is not an integer.
    """
    values: dict[str, Any] = {}
    for field in dataclasses.fields(config_class):
        flag = flag_values[field.name]
        if only_given and not flag.present:
            continue
        value: Any = flag.value
        if isinstance(field.default, tuple):
            try:
                value = tuple(int(v) for v in value)
            except ValueError:
                shown = ",".join(value)
                raise ConfigError(f"--{field.name}={shown}: must be {_expected(field)}") from None
        values[field.name] = value
    return values


def launch(
    name: str,
    config_class: type,
    main: Callable[[], Any],
    *,
    errors: tuple[type[Exception], ...] = (),
    argv: Sequence[str] | None = None,
    define_more: Callable[[], None] | None = None,
) -> None:
    """Parses the flags of a configuration and calls `main`; a mistake ends in one line.

    The flags exist only during the call, so one process can launch several times.

    Args:
      name: the name of the experiment, with which the error line begins.
      config_class: a dataclass of `option` fields; its flags are defined.
      main: reads the flags and runs.
      errors: exceptions with a message that a user can act on, besides `ConfigError`.
      argv: the arguments after the name of the program; by default those of the command line.
      define_more: defines flags of `flags.FLAGS` that are not fields of the configuration.

    Raises:
      SystemExit: always, at the end; with a line that begins with `name` if there was a mistake.
    """
    defined_before = set(flags.FLAGS)
    define_flags(config_class)
    if define_more is not None:
        define_more()
    for flag in set(flags.FLAGS) - defined_before:
        # --help shows the flags of the program, which absl knows by its path.
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flags.FLAGS[flag])
    reported: tuple[type[Exception], ...] = (ConfigError, *errors)

    def parse(arguments: Sequence[str]) -> list[str]:
        try:
            rest = flags.FLAGS(arguments)
        except flags.Error as error:
            raise SystemExit(f"{name}: {' '.join(str(error).split())}") from None
        if len(rest) > 1:
            raise SystemExit(f"{name}: unexpected argument {rest[1]!r}; flags begin with --")
        return rest

    def guarded(arguments: Sequence[str]) -> None:
        del arguments
        logging.set_verbosity(logging.WARNING)  # libraries log every step of a save
        try:
            main()
        except reported as error:
            raise SystemExit(f"{name}: {error}") from None
        except KeyboardInterrupt:
            raise SystemExit(f"{name}: interrupted") from None

    arguments = sys.argv[1:] if argv is None else argv
    try:
        app.run(guarded, argv=[name, *arguments], flags_parser=parse)
    finally:
        for flag in set(flags.FLAGS) - defined_before - _ABSL_HELP_FLAGS:
            delattr(flags.FLAGS, flag)
