"""What the site needs beside ``docs/``: pages of the repository that docs link to, and links that fit both.

In the repository a page of ``docs/`` links to ``../examples/lenet5.py``; on the site there is no folder above
it, so the same file stands under ``examples/``, and the links are written anew.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

_ROOT = Path(__file__).resolve().parent.parent
#: What is on the site beside the pages of ``docs/``, under the same paths as in the repository.
_BESIDE = (
    "bench/*.md",
    "bench/*.png",
    "bench/results.csv",
    "bench/windows/*",
    "examples/*.md",
    "examples/*.py",
    "CONTRIBUTING.md",
    "LICENSE",
)
_LINK = re.compile(r"(!?\[[^\]]*\]\()([^)#\s]+)(#[^)\s]*)?(\))")


def on_files(files: Files, config: Any, **_: Any) -> Files:
    """Adds the files of the repository that pages link to."""
    for pattern in _BESIDE:
        for path in sorted(_ROOT.glob(pattern)):
            name = path.relative_to(_ROOT).as_posix()
            files.append(File.generated(config, _on_site(name), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, files: Files, **_: Any) -> str:
    """Writes a page's links anew, from the repository's paths to the site's."""
    source = _in_repository(page.file.src_uri)

    def moved(match: re.Match[str]) -> str:
        before, target, anchor, after = match.groups(default="")
        if "://" in target or target.startswith("/"):
            return match[0]
        wanted = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        here = _on_site(wanted)
        if files.get_file_from_path(here) is None:
            return match[0]
        relative = posixpath.relpath(here, posixpath.dirname(page.file.src_uri) or ".")
        return f"{before}{relative}{anchor}{after}"

    return _LINK.sub(moved, markdown)


def _on_site(name: str) -> str:
    """Where a file of the repository stands on the site."""
    if name == "README.md":
        return "index.md"
    # Each folder's README is its index, for MkDocs as for the repository's host.
    return name.removeprefix("docs/")


def _in_repository(name: str) -> str:
    return name if (_ROOT / name).exists() and not (_ROOT / "docs" / name).exists() else f"docs/{name}"
