"""The code of the page on scikit-learn runs, and prints what it says."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

pytest.importorskip("sklearn", "1.6", reason="needs scikit-learn 1.6 or newer")

from tilewright.bridge.sklearn import ConvClassifier, ConvRegressor

_ROOT = Path(__file__).resolve().parents[3]
_PAGE = (_ROOT / "docs/scikit-learn.md").read_text(encoding="utf-8")


def test_its_blocks_run_one_after_the_other(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", _PAGE, flags=re.DOTALL)
    assert len(blocks) == 7
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)
        assert capsys.readouterr().out.splitlines() == re.findall(r"\)  # (.*)", block), block


@pytest.mark.parametrize("kind", [ConvClassifier, ConvRegressor])
def test_its_table_and_the_docstrings_name_every_parameter_and_its_default(kind: type) -> None:
    parameters = inspect.signature(kind).parameters
    table = _PAGE.partition("| parameter | default |")[2].partition("\n\n")[0]
    listed: dict[str, str] = {}
    for line in table.splitlines()[2:]:
        _, names, defaults, _, *_ = line.split("|")
        listed |= zip(re.findall(r"`([^`]+)`", names), re.findall(r"`([^`]+)`", defaults), strict=True)
    if kind is ConvRegressor:
        del listed["class_weight"]
    assert set(listed) == set(parameters)
    for name, said in listed.items():
        assert eval(said) == parameters[name].default, name
    described = inspect.getdoc(kind) or ""
    for name in parameters:
        assert re.search(rf"^ +{name}: ", described, re.MULTILINE), name


def test_its_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)]+)\)", _PAGE)
    assert targets
    for target in targets:
        assert (_ROOT / "docs" / target).is_file(), target
