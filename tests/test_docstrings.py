"""Every example in a docstring runs and prints what it says."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from typing import Any

import numpy as np
import pytest

import tilewright as tw


def _modules() -> list[str]:
    found = [module.name for module in pkgutil.walk_packages(tw.__path__, "tilewright.")]
    return sorted(name for name in found if not name.endswith("__main__"))


@pytest.mark.parametrize("name", _modules())
def test_examples(name: str) -> None:
    module = importlib.import_module(name)
    # An example uses what its module has, and the names that every reader imports.
    names: dict[str, Any] = {**vars(tw.nn), "np": np, "tw": tw, "nn": tw.nn, **vars(module)}
    options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    result = doctest.testmod(module, globs=names, optionflags=options)
    assert result.failed == 0


def test_there_are_many() -> None:
    finder = doctest.DocTestFinder(recurse=True)
    count = 0
    for name in _modules():
        count += sum(len(test.examples) for test in finder.find(importlib.import_module(name)))
    assert count > 100
