"""Every Python block of every page runs, and prints what it says; every link leads somewhere.

The blocks of a page run one after the other, as a reader would type them. A page, or a block under a comment
``<!-- needs: package -->``, is skipped where a package that it is about isn't installed.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_BESIDE = ["README.md", "CONTRIBUTING.md", "bench/README.md", "examples/README.md"]
_DOCS = sorted(path.relative_to(_ROOT).as_posix() for path in (_ROOT / "docs").rglob("*.md"))
_PAGES = [*_DOCS, *_BESIDE]
# Packages that a whole page is about.
_NEEDS = {
    "docs/edges-and-noise.md": ["llvmlite"],
    "docs/getting-started.md": ["llvmlite"],
    "docs/kernels.md": ["llvmlite"],
    "docs/larger-than-memory.md": ["llvmlite", "dask", "zarr", "tifffile"],
    "docs/pictures.md": ["llvmlite"],
    "docs/scikit-learn.md": ["sklearn"],
    "docs/video.md": ["llvmlite", "av"],
    "README.md": ["llvmlite"],
}
# Calls whose output is long and in part the processor's: words of it that must be there.
_LONG = {"tw.explain(": "forward by ", "summary(tw.nn.models.lenet5()": "Parameters: 61,706"}

_BLOCK = re.compile(r"^(?:<!-- needs: ([\w, ]+) -->\n)?```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def _lacking(packages: list[str]) -> list[str]:
    return [name for name in packages if importlib.util.find_spec(name) is None]


def _said(block: str) -> list[str]:
    """What the comments behind its calls of print say that it prints, each in one line."""
    lines = block.splitlines()
    calls = [
        node
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
    ]
    ends = [lines[(node.end_lineno or node.lineno) - 1] for node in sorted(calls, key=lambda one: one.lineno)]
    return [end.partition(")  # ")[2] for end in ends]


def _blocks(page: str) -> list[tuple[list[str], str]]:
    """The packages that each block needs, and the block."""
    text = (_ROOT / page).read_text(encoding="utf-8")
    return [(re.findall(r"\w+", needs), block) for needs, block in _BLOCK.findall(text)]


_WITH_BLOCKS = [page for page in _PAGES if _blocks(page)]


def test_the_pages_are_found() -> None:
    assert {"docs/index.md", "docs/getting-started.md", "docs/coming-from-pytorch.md"} <= set(_WITH_BLOCKS)
    for page in _PAGES:
        text = (_ROOT / page).read_text(encoding="utf-8")
        fences = len(re.findall(r"^```python", text, re.MULTILINE))
        assert len(_blocks(page)) == fences, f"{page} has a block that this test doesn't see"


@pytest.mark.parametrize("page", _WITH_BLOCKS)
def test_its_blocks_run_and_print_what_they_say(
    page: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if lacking := _lacking(_NEEDS.get(page, [])):
        pytest.skip(f"the page is about {', '.join(lacking)}, which isn't installed")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    left_out: list[str] = []
    for needs, block in _blocks(page):
        if lacking := _lacking(needs):
            left_out += lacking
            continue
        exec(compile(block, page, "exec"), names)
        printed = capsys.readouterr().out
        words = [words for call, words in _LONG.items() if call in block]
        if words:
            assert all(part in printed for part in words), block
        else:
            assert printed.splitlines() == _said(block), block
    if left_out:
        pytest.skip(f"{', '.join(sorted(set(left_out)))} isn't installed; the other blocks ran")


@pytest.mark.parametrize("page", _PAGES)
def test_its_links_lead_somewhere(page: str) -> None:
    text = re.sub(
        r"^```.*?^```", "", (_ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    text = re.sub(r"`[^`\n]*`", "", text)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        found = ((_ROOT / page).parent / path).resolve() if path else _ROOT / page
        assert found.is_file(), f"{page} links to {target}"
        if anchor and found.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", found.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, f"{page} links to {target}"


def test_every_page_is_reachable() -> None:
    navigation = (_ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    for page in _DOCS:
        assert page.removeprefix("docs/") in navigation, f"{page} isn't in mkdocs.yml's nav"
