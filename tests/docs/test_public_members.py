"""Which members the API pages show: what a package lists, followed to where it is defined."""

from __future__ import annotations

from pathlib import Path

import pytest

griffe = pytest.importorskip(
    "griffe", reason="reads the source for the API pages: pip install 'tilewright[docs]'"
)

import public_members  # noqa: E402 - after the skip

_FILES = {
    "__init__.py": "from made.room import stretch\nfrom made.room.other import far as near\n"
    "from made import room\n__all__ = ['near', 'room', 'stretch']\n",
    "room/__init__.py": "from made.room.stretch import *\n__all__ = ['stretch']\n",
    "room/stretch.py": "__all__ = ['stretch']\ndef stretch(): 'A.'\ndef helper(): 'B.'\n",
    "room/other.py": "class far:\n    'C.'\n    def extra_repr(self): 'D.'\n    def __len__(self): 'E.'\n"
    "    def shown(self): 'F.'\n",
}


def test_what_is_listed_is_found_where_it_is_defined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in _FILES.items():
        path = tmp_path / "made" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    package = griffe.load("made", search_paths=[str(tmp_path)])
    # Also where a function has the name of the module it is in.
    assert list(public_members.exported(package, "made")) == [
        "made.room.other.far",
        "made.room",
        "made.room.stretch.stretch",
    ]
    monkeypatch.setattr(public_members, "PACKAGES", ("made", "made.room"))
    public_members.PublicMembers().on_package(pkg=package)
    room = package.members["room"]
    stretch, far = room.members["stretch"], room.members["other"].members["far"]
    assert stretch.members["stretch"].is_public
    assert not stretch.members["helper"].is_public
    assert far.is_public
    assert {name for name, member in far.members.items() if member.is_public} == {"shown"}


def test_a_package_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "made.py").write_text("")
    package = griffe.load("made", search_paths=[str(tmp_path)])
    monkeypatch.setattr(public_members, "PACKAGES", ("made.gone",))
    with pytest.raises(SystemExit, match=r"There is no module made\.gone"):
        public_members.PublicMembers().on_package(pkg=package)
