"""What the README and the page on kernels show must run, and what they link to must be there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tilewright.plan import families

_ROOT = Path(__file__).resolve().parent.parent
_TEXT = (_ROOT / "README.md").read_text(encoding="utf-8")
_KERNELS = (_ROOT / "docs/kernels.md").read_text(encoding="utf-8")


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
    headings = {
        "#" + re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", _TEXT, re.MULTILINE)
    }
    for target in targets:
        assert target in headings or (_ROOT / target).is_file(), target


def test_the_families_in_the_readme_are_those_there_are() -> None:
    table = _TEXT.partition("| family | what it computes |")[2].partition("\n\n")[0]
    first = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert re.findall(r"`([^`]+)`", "".join(first)) == [name for name, _ in families()]


def test_the_kernel_of_the_page_on_kernels_runs(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("llvmlite", reason="compiles a kernel")
    (block,) = re.findall(r"```python\n(.*?)```", _KERNELS, flags=re.DOTALL)
    exec(block, {})
    assert capsys.readouterr().out.splitlines() == re.findall(r"\)\s+# (.*)", block)[-1:]


def test_the_modules_that_the_page_on_kernels_names_are_there() -> None:
    """Paths from the package on, or names of modules of the kernels."""
    names = re.findall(r"`([\w/]+\.py|[a-z]+/(?:[a-z]+/)*)`", _KERNELS)
    assert len(names) >= 20
    source = _ROOT / "src/tilewright"
    for name in names:
        places = [source, source / "kernel", source / "kernel/tiles", _ROOT, _ROOT / "tests/kernel"]
        assert any((place / name).exists() for place in places), name
