"""What the README and the page on kernels name must be there. (Their code is run by docs/test_pages.py.)"""

from __future__ import annotations

import re
from pathlib import Path

from tilewright.plan import families

_ROOT = Path(__file__).resolve().parent.parent
_TEXT = (_ROOT / "README.md").read_text(encoding="utf-8")
_KERNELS = (_ROOT / "docs/kernels.md").read_text(encoding="utf-8")


def test_the_families_in_the_readme_are_those_there_are() -> None:
    table = _TEXT.partition("| family | what it computes |")[2].partition("\n\n")[0]
    first = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert re.findall(r"`([^`]+)`", "".join(first)) == [name for name, _ in families()]


def test_the_modules_that_the_page_on_kernels_names_are_there() -> None:
    """Paths from the package on, or names of modules of the kernels."""
    names = re.findall(r"`([\w/]+\.py|[a-z]+/(?:[a-z]+/)*)`", _KERNELS)
    assert len(names) >= 20
    source = _ROOT / "src/tilewright"
    for name in names:
        places = [source, source / "kernel", source / "kernel/tiles", _ROOT, _ROOT / "tests/kernel"]
        assert any((place / name).exists() for place in places), name
