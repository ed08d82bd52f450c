"""Imports point only to rooms further left, and importing the package loads no optional one.

Every import is read from the syntax tree, so one inside a function or under TYPE_CHECKING counts too.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = "tilewright"
SOURCE = Path(__file__).resolve().parent.parent / "src" / PACKAGE

# From left to right. Rooms that share a line are siblings: neither imports the other.
ROOMS: tuple[tuple[str, ...], ...] = (
    ("_version",),
    ("errors",),
    ("settings", "files"),
    ("geometry",),
    ("reference",),
    ("plan",),
    ("kernel",),
    ("op",),
    ("autograd",),
    ("functional",),
    ("nn",),
    ("optim", "data", "lens", "image"),
    ("train", "bench"),
    ("bridge",),
    ("cli",),
)
# Modules of the top folder that sit in a room of another name.
SEATS = {
    "cuda": "settings",  # what PyTorch code asks of a device: always no
    "utils": "train",  # aliases only, such as utils.data
    "__main__": "cli",
}
FACE = "__init__"  # the public face: imports whatever it likes, and nothing imports it
FACE_IMPORTED = "imports the package's face; import the module that defines the name instead."

PLACE = {room: place for place, rooms in enumerate(ROOMS) for room in rooms}


@dataclass(frozen=True)
class Arrow:
    """One import: where it is written, and what it names, in parts: `("nn", "init")`; `()` is the face."""

    path: str
    line: int
    source: str
    target: tuple[str, ...]

    def fault(self) -> str | None:
        """What is wrong with this import, or None."""
        where = f"{self.path}:{self.line}"
        if self.source == FACE:
            return None
        if not self.target:
            return f"{where}: {FACE_IMPORTED}"
        here = SEATS.get(self.source, self.source)
        there = SEATS.get(self.target[0], self.target[0])
        if there not in PLACE:
            return f"{where}: {no_room(there)}"
        if here not in PLACE or here == there or PLACE[there] < PLACE[here]:
            return None
        if PLACE[there] == PLACE[here]:
            return f"{where}: {here} imports {'.'.join(self.target)}, but {here} and {there} are siblings."
        return f"{where}: {here} imports {'.'.join(self.target)}, but {there} stands to the right of {here}."


def no_room(name: str) -> str:
    return f"'{name}' has no room: give it one in ROOMS or SEATS of tests/test_layering.py."


def arrows_in(path: Path, top: Path) -> Iterator[Arrow]:
    """Every import of this package that the module at `path` makes; `top` is the package's folder."""
    parts = path.relative_to(top).with_suffix("").parts
    # What the one dot of `from . import x` means, for a module as for an `__init__`.
    folder = parts[:-1]

    def dotted(name: str) -> tuple[str, ...] | None:
        first, *rest = name.split(".")
        return tuple(rest) if first == PACKAGE else None

    def relative(level: int, name: str | None) -> tuple[str, ...]:
        return folder[: len(folder) - (level - 1)] + tuple(name.split(".") if name else ())

    def named(base: tuple[str, ...], name: str) -> tuple[str, ...]:
        """`from tilewright import x` names the module x if there is one, and otherwise the face."""
        is_module = (top / f"{name}.py").is_file() or (top / name).is_dir() or name in PLACE
        return (name,) if not base and is_module else base

    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path))):
        targets: list[tuple[str, ...] | None] = []
        if isinstance(node, ast.Import):
            targets = [dotted(alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = relative(node.level, node.module) if node.level else dotted(node.module or "")
            if base is not None:
                targets = [named(base, alias.name) for alias in node.names]
        elif isinstance(node, ast.Call) and (text := imported_by_call(node)) is not None:
            bare = text.lstrip(".")
            level = len(text) - len(bare)
            targets = [relative(level, bare) if level else dotted(bare)]
        # Once each: `from tilewright.nn import a, b` is one arrow.
        for target in dict.fromkeys(targets):
            if target is not None:
                yield Arrow(str(path.relative_to(top.parent)), node.lineno, parts[0], target)


def imported_by_call(call: ast.Call) -> str | None:
    """The module that `import_module("…")` or `__import__("…")` names, or None for any other call."""
    function = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if function not in ("import_module", "__import__") or not call.args:
        return None
    name = call.args[0]
    return name.value if isinstance(name, ast.Constant) and isinstance(name.value, str) else None


def faults_in(top: Path) -> list[str]:
    """Everything wrong with the imports of the package in the folder `top`."""
    faults = []
    for path in sorted(top.rglob("*.py")):
        module = path.relative_to(top).with_suffix("").parts[0]
        if module != FACE and SEATS.get(module, module) not in PLACE:
            faults.append(f"{path.relative_to(top.parent)}: {no_room(module)}")
        faults += [fault for arrow in arrows_in(path, top) if (fault := arrow.fault())]
    return faults


def write_tree(root: Path, files: dict[str, str]) -> Path:
    top = root / PACKAGE
    for name, text in files.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return top


def test_imports_point_only_to_rooms_further_left() -> None:
    faults = faults_in(SOURCE)
    assert not faults, "\n".join(["imports that run the wrong way:", *faults])


def test_the_imports_of_the_package_were_read() -> None:
    rooms_reached = {arrow.target[0] for path in SOURCE.rglob("*.py") for arrow in arrows_in(path, SOURCE)}
    assert "errors" in rooms_reached, f"hardly a room does without errors; read: {sorted(rooms_reached)}"


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        (
            "plan/cpu.py",
            "from tilewright.nn.modules import Conv2d, Linear\n",
            "tilewright/plan/cpu.py:1: plan imports nn.modules, but nn stands to the right of plan.",
        ),
        (
            "errors.py",
            "import numpy, tilewright.settings as settings\n",
            "tilewright/errors.py:1: errors imports settings, but settings stands to the right of errors.",
        ),
        (
            "op/deep/door.py",
            "def f():\n    from ...train import Trainer\n",
            "tilewright/op/deep/door.py:2: op imports train, but train stands to the right of op.",
        ),
        (
            "nn/__init__.py",
            "from .. import cli\n",
            "tilewright/nn/__init__.py:1: nn imports cli, but cli stands to the right of nn.",
        ),
        (
            "plan/choose.py",
            "from tilewright import errors, kernel\n",
            "tilewright/plan/choose.py:1: plan imports kernel, but kernel stands to the right of plan.",
        ),
        (
            "autograd/tensor.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import tilewright.nn\n",
            "tilewright/autograd/tensor.py:3: autograd imports nn, but nn stands to the right of autograd.",
        ),
        (
            "reference/conv.py",
            "import importlib\nop = importlib.import_module('tilewright.op')\n",
            "tilewright/reference/conv.py:2: reference imports op, but op stands to the right of reference.",
        ),
        (
            "reference/pool.py",
            "from importlib import import_module\nop = import_module('..op', __package__)\n",
            "tilewright/reference/pool.py:2: reference imports op, but op stands to the right of reference.",
        ),
        (
            "nn/loader.py",
            "from tilewright.utils.data import DataLoader\n",
            "tilewright/nn/loader.py:1: nn imports utils.data, but train stands to the right of nn.",
        ),
        (
            "lens/curves.py",
            "from tilewright.data import digits\n",
            "tilewright/lens/curves.py:1: lens imports data, but lens and data are siblings.",
        ),
        (
            "cli/main.py",
            "import tilewright as tw\n",
            f"tilewright/cli/main.py:1: {FACE_IMPORTED}",
        ),
        (
            "train/run.py",
            "from .. import __version__\n",
            f"tilewright/train/run.py:1: {FACE_IMPORTED}",
        ),
        (
            "nn/thing.py",
            "from tilewright.attic import old\n",
            f"tilewright/nn/thing.py:1: {no_room('attic')}",
        ),
        ("attic/thing.py", "import math\n", f"tilewright/attic/thing.py: {no_room('attic')}"),
    ],
)
def test_a_wrong_import_is_found(tmp_path: Path, name: str, text: str, fault: str) -> None:
    assert faults_in(write_tree(tmp_path, {name: text})) == [fault]


def test_right_imports_pass(tmp_path: Path) -> None:
    top = write_tree(
        tmp_path,
        {
            "__init__.py": "from tilewright import cli, errors\nfrom .train import Trainer\n",
            "__main__.py": "from tilewright.cli import main\n",
            "errors.py": "import math\nimport tilewrights\nfrom typing import Any\n",
            "geometry/dims.py": "from . import border\nfrom ..errors import ShapeError\n",
            "geometry/border.py": "import tilewright.geometry\nfrom tilewright import _version, errors\n",
            "utils/data.py": "from tilewright.data import DataLoader\n",
            "cli/main.py": "def f(name):\n    from ..train import Trainer\n    return __import__(name)\n",
        },
    )
    assert faults_in(top) == []


# What `import tilewright` adds to a fresh interpreter that has NumPy: top-level packages, by name. Modules
# without a spec are made up in memory by compiled code (Cython's shared types), and are nobody's package.
LIST_NEW_PACKAGES = """
import json, sys
import numpy
before = set(sys.modules)
import tilewright
new = {name: module for name, module in sys.modules.items() if name not in before}
found = [name for name, module in new.items() if getattr(module, "__spec__", None) is not None]
print(json.dumps(sorted({name.partition(".")[0] for name in found} - set(sys.stdlib_module_names))))
"""
# NumPy loads parts of itself lately. Anything else, an optional package or one that only some calls need
# (llvmlite, safetensors), would be paid for by every program that imports the library.
MAY_BE_LOADED = {PACKAGE, "numpy"}


def test_importing_the_package_loads_no_optional_one() -> None:
    child = subprocess.run(
        [sys.executable, "-W", "error", "-c", LIST_NEW_PACKAGES], capture_output=True, text=True, check=False
    )
    assert child.returncode == 0, child.stderr
    unwanted = sorted(set(json.loads(child.stdout)) - MAY_BE_LOADED)
    assert not unwanted, f"import tilewright also loads: {', '.join(unwanted)}"
