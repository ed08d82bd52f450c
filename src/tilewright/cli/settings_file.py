"""Settings of a run from a TOML file: every option of the command is a key, checked as the option is."""

from __future__ import annotations

import difflib
import os
import tomllib
from pathlib import Path
from typing import Any

import click

from tilewright.errors import FileFormatError, describe

# A page of settings; anything much longer is another kind of file.
_MAX_BYTES = 2**20
# Options that say where settings come from are no settings.
_NO_KEYS = ("config", "help", "resume")


def read_settings(path: str | os.PathLike[str], command: click.Command) -> dict[str, Any]:
    """The settings of a file, by the names of the command's parameters.

    A run's own ``config.toml`` serves as well: what counts of it is its table ``recipe``.

    Args:
        path: the TOML file.
        command: whose options the keys are; ``batch_size`` and ``batch-size`` are the same key.

    Raises:
        ArgumentError: there is no such file.
        FileFormatError: it isn't TOML, a key is no option, or a value isn't what the option takes; the
            message names the file and the key, and what would do.
    """
    # Reading data takes NumPy along, which a mere --help shall not wait for.
    from tilewright.files import open_regular

    name = os.fspath(path)
    with open_regular(path, "--config") as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise FileFormatError(f"Configuration {name!r} needs to be at most {_MAX_BYTES} bytes long.")
    try:
        found = tomllib.loads(content.decode("utf-8"))
    # TOMLDecodeError and UnicodeDecodeError are ValueErrors; brackets without end exhaust the stack.
    except (ValueError, RecursionError) as error:
        raise FileFormatError(
            f"Configuration {name!r} isn't a TOML file in UTF-8.", str(error) or type(error).__name__
        ) from error
    if "format" in found:
        recipe = found.get("recipe")
        if not isinstance(recipe, dict):
            raise FileFormatError(
                f"Configuration {name!r} is that of a run, and needs a table recipe, which runs made by the "
                "command have.",
                describe(recipe=recipe),
            )
        found = recipe
    known = keys_of(command)
    taken: dict[str, Any] = {}
    for key, value in found.items():
        parameter = known.get(key.replace("-", "_"))
        if parameter is None:
            raise FileFormatError(
                f"Configuration {name!r} needs keys that are options of 'tilewright train'.",
                describe(**{key: value}),
                _nearest(key, known),
            )
        if parameter.name in taken:
            raise FileFormatError(f"Configuration {name!r} needs each key once.", f"{key} twice")
        taken[str(parameter.name)] = _checked(name, key, value, parameter)
    return taken


def keys_of(command: click.Command) -> dict[str, click.Parameter]:
    """The parameters of a command by the keys that files have for them."""
    found: dict[str, click.Parameter] = {}
    for parameter in command.params:
        if parameter.name in _NO_KEYS:
            continue
        words = parameter.opts if isinstance(parameter, click.Option) else [str(parameter.name)]
        # The first long word is the option's name; others are older ones.
        key = next(word for word in words if not word.startswith("-") or word.startswith("--"))
        found[key.lstrip("-").replace("-", "_")] = parameter
    return found


def _nearest(key: str, known: dict[str, Any]) -> str:
    near = difflib.get_close_matches(key.replace("-", "_"), known, n=1)
    if near:
        return f"Did you mean {near[0]}?"
    return f"The keys are {', '.join(known)}."


def _checked(file: str, key: str, value: Any, parameter: click.Parameter) -> Any:
    """The value as the option gives it."""
    kind = parameter.type
    wrong = FileFormatError(
        f"Configuration {file!r} needs {key} to be {_needed(kind)}.",
        describe(**{key: value}),
        f"Write it without quotes: {key} = {value}." if _would_do(kind, value) else "",
    )
    if not _is_of(kind, value):
        raise wrong
    try:
        return kind.convert(value, parameter, None)
    except click.BadParameter as error:
        raise wrong from error


def _is_of(kind: click.ParamType[Any], value: Any) -> bool:
    """Whether a value is of the TOML type that an option takes (its range is the option's own matter)."""
    if isinstance(kind, click.types.BoolParamType):
        return isinstance(value, bool)
    # Ranges of whole numbers are a kind of these, too.
    if isinstance(kind, click.types.IntParamType):
        return type(value) is int
    if isinstance(kind, click.types.FloatParamType):
        return type(value) in (int, float)
    if hasattr(kind, "needed"):
        return isinstance(value, (list, str))
    return isinstance(value, str)


def _would_do(kind: click.ParamType[Any], value: Any) -> bool:
    """Whether a text holds what would be right without its quotes."""
    numbers = (click.types.IntParamType, click.types.FloatParamType, click.types.BoolParamType)
    if not isinstance(value, str) or not isinstance(kind, numbers):
        return False
    try:
        bare: Any = tomllib.loads(f"value = {value}").get("value")
        kind.convert(bare, None, None)
    except (ValueError, RecursionError, click.BadParameter):
        return False
    return _is_of(kind, bare)


def _needed(kind: click.ParamType[Any]) -> str:
    if isinstance(kind, click.types.BoolParamType):
        return "true or false"
    if isinstance(kind, click.Choice):
        return f"one of {', '.join(kind.choices)}"
    if isinstance(kind, click.types.IntParamType):
        return "a whole number" + _range(kind)
    if isinstance(kind, click.types.FloatParamType):
        return "a number" + _range(kind)
    if isinstance(kind, click.Path):
        return "a path"
    return str(getattr(kind, "needed", "a text"))


def _range(kind: Any) -> str:
    low, high = getattr(kind, "min", None), getattr(kind, "max", None)
    words = []
    if low is not None:
        words.append(f"above {low}" if kind.min_open else f"of at least {low}")
    if high is not None:
        words.append(f"below {high}" if kind.max_open else f"of at most {high}")
    return f" {' and '.join(words)}" if words else ""


def as_path(value: Any) -> Path | None:
    """A path, whether it came from the command line or from a file."""
    return None if value is None else Path(value)
