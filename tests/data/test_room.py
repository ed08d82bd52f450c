"""The room as a whole: its examples are true, and importing it is light."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import subprocess
import sys

import numpy as np
import pytest

import tilewright.data

MODULES = [
    "tilewright.data",
    *(f"tilewright.data.{found.name}" for found in pkgutil.iter_modules(tilewright.data.__path__)),
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_are_true(name: str) -> None:
    if name.endswith("sources"):
        pytest.importorskip("sklearn", reason="the examples load scikit-learn's digits")
    module = importlib.import_module(name)
    assert doctest.testmod(module, extraglobs={"np": np}).failed == 0


def test_importing_the_room_imports_nothing_optional() -> None:
    program = (
        "import sys, tilewright.data; "
        "print(sorted({'PIL', 'pooch', 'sklearn', 'requests', 'matplotlib', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_all_names_exist_once() -> None:
    assert len(set(tilewright.data.__all__)) == len(tilewright.data.__all__)
    assert all(hasattr(tilewright.data, name) for name in tilewright.data.__all__)
