"""The site builds without a warning, its links lead somewhere, and every public name stands on it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

import tilewright as tw

_ROOT = Path(__file__).resolve().parents[2]
_PACKAGES = ("mkdocs", "material", "mkdocstrings", "mkdocstrings_handlers")


class _Page(HTMLParser):
    """What a page links to, and what can be linked to on it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.add(value)
            elif name in ("href", "src") and value:
                self.links.append(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lacking = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if lacking:
        pytest.skip(f"{', '.join(lacking)} isn't installed: pip install 'tilewright[docs]'")
    folder = tmp_path_factory.mktemp("site")
    # The theme's maker announces other versions of MkDocs on standard error.
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "DISABLE_MKDOCS_2_WARNING": "true"}
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=_ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, _Page]:
    return {
        path.relative_to(site).as_posix(): _Page(path.read_text(encoding="utf-8"))
        for path in site.rglob("*.html")
    }


def test_links_lead_somewhere(site: Path, pages: dict[str, _Page]) -> None:
    broken = []
    for name, page in pages.items():
        if name == "404.html":  # its links begin at the server's root
            continue
        for link in page.links:
            target, _, anchor = unquote(link).partition("#")
            if "://" in target or target.startswith(("data:", "mailto:", "javascript:")):
                continue
            path = os.path.normpath(os.path.join(os.path.dirname(name), target)) if target else name
            if os.path.isdir(site / path):
                path = os.path.join(path, "index.html")
            if not (site / path).is_file() or (
                anchor and path in pages and anchor not in pages[path].anchors | {"__top"}
            ):
                broken.append(f"{name}: {link}")
    assert not broken, "\n".join(sorted(set(broken)))


def test_no_page_asks_another_host_for_anything(site: Path) -> None:
    for path in site.rglob("*.html"):
        assert "fonts.googleapis" not in path.read_text(encoding="utf-8"), path.name


def _public() -> Iterator[tuple[str, str]]:
    """Every public name with a docstring of its own: the page it belongs to, and where it is defined."""
    groups = {
        "functional": (tw.functional,),
        "nn": (tw.nn,),
        "optim": (tw.optim, tw.optim.lr_scheduler),
        "data": (tw.data, tw.data.augment),
        "train": (tw.train,),
        "geometry": (tw.geometry,),
        "models": (tw.nn.models,),
    }
    for page, packages in groups.items():
        for package in packages:
            for name in package.__all__:
                found = getattr(package, name)
                if callable(found) and getattr(found, "__doc__", None) and hasattr(found, "__qualname__"):
                    yield page, f"{found.__module__}.{found.__qualname__}"


def test_every_public_name_stands_on_its_page(pages: dict[str, _Page]) -> None:
    absent = [
        f"{path} isn't on api/{page}.html"
        for page, path in _public()
        if path not in pages[f"api/{page}.html"].anchors
    ]
    assert not absent, "\n".join(absent)


def test_docstrings_have_become_markdown(site: Path) -> None:
    for path in (site / "api").glob("*.html"):
        text = path.read_text(encoding="utf-8")
        for sign in (":func:", ":class:", ":meth:", ":mod:", "&gt;&gt;&gt; </p>", "====", "<autoref"):
            assert sign not in text, f"{path.name} has {sign}"
