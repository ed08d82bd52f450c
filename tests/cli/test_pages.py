"""The commands that the README and the page on kernels show."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from cli.commands import Command

from tilewright.kernel import jit

_ROOT = Path(__file__).resolve().parent.parent.parent


def _commands(page: str) -> list[str]:
    """Lines of indented blocks that begin with the command (and what the environment is told before it)."""
    text = (_ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"^    ((?:[A-Z_]+=\S+ )*tilewright .*)$", text, re.MULTILINE)


_QUICK = ("explain", "cache info", "info", "summary")


@pytest.mark.parametrize("page", ["README.md", "docs/kernels.md"])
def test_commands_that_are_shown_run(tilewright: Command, page: str) -> None:
    if not jit.available():
        pytest.skip("nothing can be compiled here")
    commands = _commands(page)
    assert len(commands) >= 8
    for line in commands:
        words = shlex.split(line, comments=True)
        while "=" in words[0]:
            words.pop(0)
        arguments = words[1:]
        if not " ".join(arguments).startswith(_QUICK):
            # Training, measuring and removing are other tests' matter: only the options are looked at.
            arguments = [word for word in arguments if word.startswith("--")]
            known = tilewright(*words[1:2], "--help").out
            assert all(option in known for option in arguments), line
            continue
        ended = tilewright(*arguments)
        assert (ended.code, ended.err) == (0, ""), line
        assert ended.out, line
