"""Words and JSON, as the commands print them."""

from __future__ import annotations

import json
import math
import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click


class ShowsExamples(click.Command):
    """A command whose help ends with examples.

    Args:
        examples: (command line, what it does) pairs; the second may be empty.
    """

    def __init__(self, *args: Any, examples: tuple[tuple[str, str], ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, a line each."""
        width = max((len(line) for line, _ in self.examples), default=0)
        with formatter.section("Examples"):
            for line, purpose in self.examples:
                formatter.write(f"  {line:<{width}}  {purpose}".rstrip() + "\n")


def print_json(value: Any) -> None:
    """Print a value as strict JSON: what is not a finite number is null."""
    click.echo(json.dumps(_strict(value), indent=2, ensure_ascii=False, allow_nan=False))


def _strict(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def program() -> str:
    """How this program was called, so that a command printed for the user works when it is pasted."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py" and called.parent.name == "tilewright":
        return f"{quoted(near(Path(sys.executable)))} -m tilewright"
    found = shutil.which("tilewright")
    if called.stem != "tilewright" or (found is not None and Path(found).resolve() == called.resolve()):
        return "tilewright"
    return quoted(near(called))


def near(path: Path) -> str:
    """The path as seen from the current folder, if it lies below it."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def quoted(path: str | os.PathLike[str]) -> str:
    """A path as a shell takes it."""
    return shlex.quote(os.fspath(path))


def percent(share: float) -> str:
    """A share as a percentage: ``98.33 %``.

    >>> percent(0.98333)
    '98.33 %'
    """
    return f"{100 * share:.2f} %"
