"""The site builds without a warning, its links lead somewhere, and every public name stands on it."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote

import pytest

import tilewright as tw

_ROOT = Path(__file__).resolve().parents[2]
# Modules that users import whole, and that don't list what they offer.
_BY_HAND = tuple(
    f"tilewright.{name}."
    for name in (
        "cuda",
        "errors",
        "lens",
        "nn.init",
        "nn.utils",
        "train.checkpoint",
        "train.metrics",
        "train.upsampler",
        "train.upsampler_training",
    )
)
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


def test_the_site(tmp_path: Path) -> None:
    """One test, not one for each of the checks: processes that share the tests out would each build it."""
    lacking = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if lacking:
        pytest.skip(f"{', '.join(lacking)} isn't installed: pip install 'tilewright[docs]'")
    site = tmp_path / "site"
    # The theme's maker announces other versions of MkDocs on standard error.
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "DISABLE_MKDOCS_2_WARNING": "true"}
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(site)],
        cwd=_ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    pages = {
        path.relative_to(site).as_posix(): _Page(path.read_text(encoding="utf-8"))
        for path in site.rglob("*.html")
    }
    _links_lead_somewhere(site, pages)
    _no_page_loads_anything_from_another_host(site)
    _docstrings_have_become_markdown(site)
    _every_public_name_stands_on_exactly_one_page(pages)
    _only_public_names_are_shown(pages)


def _links_lead_somewhere(site: Path, pages: dict[str, _Page]) -> None:
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


def _no_page_loads_anything_from_another_host(site: Path) -> None:
    for path in [*site.rglob("*.html"), *site.rglob("*.css")]:
        text = path.read_text(encoding="utf-8")
        loaded = re.findall(r"""<(?:script|img|link)\b[^>]*(?:src|href)=["']?(https?:[^"' >]+)""", text)
        loaded += re.findall(r"""(?:url\(|@import )["']?(https?:[^"')]+)""", text)
        assert not loaded, f"{path.name} loads {loaded}"


def _packages() -> Iterator[ModuleType]:
    """What users import from and that says what it offers."""
    yield from (tw, tw.autograd, tw.bridge, tw.data, tw.data.augment, tw.functional, tw.geometry, tw.lens)
    yield from (tw.image, tw.image.signal, tw.image.video)
    yield from (tw.nn, tw.nn.models, tw.optim, tw.optim.lr_scheduler, tw.train, tw.utils)
    if importlib.util.find_spec("dask"):
        yield tw.bridge.dask
    if importlib.util.find_spec("sklearn"):
        yield tw.bridge.sklearn


def _public() -> Iterator[tuple[str, Any]]:
    for package in _packages():
        for name in package.__all__:
            yield f"{package.__name__}.{name}", getattr(package, name)


def _sources() -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in (_ROOT / "docs/api").glob("*.md")}


def _every_public_name_stands_on_exactly_one_page(pages: dict[str, _Page]) -> None:
    """With its docstring; other names of the same thing, and constants, in a table or a sentence."""
    sources, seen = _sources(), 0
    wrong = []
    for full, found in _public():
        name = full.rpartition(".")[2]
        place = f"{getattr(found, '__module__', '')}.{getattr(found, '__qualname__', '')}"
        if isinstance(found, ModuleType):
            continue
        on = [page for page, made in pages.items() if place in made.anchors]
        if not on or place.rpartition(".")[2] != name:
            on = [
                page
                for page, text in sources.items()
                if re.search(rf"^(?=[|`]).*`(tw\.)?{name}`", text, re.M)
            ]
        if len(on) != 1:
            wrong.append(f"{full}, which is {place}, stands on {on or 'no page'}")
        seen += 1
    assert not wrong, "\n".join(wrong)
    assert seen > 500


def test_every_public_module_is_shown_or_named() -> None:
    sources = _sources()
    shown = set(re.findall(r"^::: ([\w.]+)$", "\n".join(sources.values()), re.M))
    for full, found in _public():
        if isinstance(found, ModuleType):
            ours = f"tw.{found.__name__.removeprefix('tilewright.')}"
            named = any(f"`{ours}`" in text or f"`{full}`" in text for text in sources.values())
            assert named or any(one.startswith(found.__name__) for one in shown), full


def _only_public_names_are_shown(pages: dict[str, _Page]) -> None:
    """What a module has for its neighbours stays out; the pages name the members of _BY_HAND themselves."""
    public = {f"{getattr(one, '__module__', '')}.{getattr(one, '__qualname__', '')}" for _, one in _public()}
    shown = {anchor for page in pages.values() for anchor in page.anchors if anchor.startswith("tilewright.")}
    assert len(shown) > 800
    for anchor in sorted(shown):
        module, _, name = anchor.rpartition(".")
        # Of those, some are imported only when they are needed.
        if anchor in sys.modules or f"{anchor}.".startswith(_BY_HAND):
            continue
        assert anchor in public or (module in public and name[0] != "_" and name != "extra_repr"), anchor


def test_the_table_of_models_is_right() -> None:
    models = tw.nn.models
    rows = re.findall(r"^\| `(\w+)` \| ([\d×]+) \| ([\d,]+) \|$", _sources()["models.md"], re.M)
    assert [name for name, _, _ in rows] == list(models.NAMES)
    for name, sizes, parameters in rows:
        assert sizes == "×".join(map(str, models.INPUTS[name]))
        with tw.nn.init.skipped():
            model = models.create(name)
        assert parameters == f"{sum(one.numel() for one in model.parameters()):,}", name


def _docstrings_have_become_markdown(site: Path) -> None:
    for path in (site / "api").glob("*.html"):
        text = path.read_text(encoding="utf-8")
        for sign in (":func:", ":class:", ":meth:", ":mod:", "&gt;&gt;&gt; </p>", "====", "<autoref"):
            assert sign not in text, f"{path.name} has {sign}"
