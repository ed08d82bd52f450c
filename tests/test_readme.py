"""What the README shows must run, and its pictures must be there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parent.parent
_TEXT = (_ROOT / "README.md").read_text(encoding="utf-8")


def test_the_code_runs_and_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", _TEXT, flags=re.DOTALL)
    assert len(blocks) == 2
    names: dict[str, object] = {}
    exec(blocks[0], names)
    assert capsys.readouterr().out.splitlines() == re.findall(r"\)\s+# (.*)", blocks[0])
    exec(blocks[1], names)
    said = capsys.readouterr().out
    assert "Parameters: 61,706" in said
    assert "forward by tiles-pixels" in said


def test_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)]+)\)", _TEXT)
    assert len(targets) >= 7
    for target in targets:
        assert (_ROOT / target).is_file(), target
