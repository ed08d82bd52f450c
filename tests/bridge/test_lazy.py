"""Other libraries are loaded when a bridge is crossed, and not before; one that is missing is named."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import tilewright as tw
from tilewright import bridge
from tilewright.bridge.sklearn.needed import check_scikit_learn
from tilewright.errors import MissingExtraError

WHEN_LOADED = """
import sys
import tilewright as tw
tw.bridge
print("sklearn" in sys.modules)
tw.bridge.sklearn.ConvClassifier
print("sklearn" in sys.modules)
"""


def test_scikit_learn_is_loaded_with_its_bridge_and_not_before() -> None:
    pytest.importorskip("sklearn", reason="loads it")
    child = subprocess.run([sys.executable, "-c", WHEN_LOADED], capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr
    assert child.stdout.split() == ["False", "True"]


def test_the_bridges_are_listed_and_others_are_not_there() -> None:
    assert tw.bridge is bridge and set(bridge.__all__) <= set(dir(bridge))
    with pytest.raises(AttributeError, match=r"module 'tilewright.bridge' has no attribute 'rope'"):
        bridge.rope  # noqa: B018


def test_a_missing_scikit_learn_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    said = (
        "tilewright.bridge.sklearn needs the package scikit-learn (1.6 or newer), which is not installed. "
        "Install it with: pip install 'tilewright[sklearn]'."
    )
    monkeypatch.setitem(sys.modules, "sklearn.utils.validation", None)
    with pytest.raises(MissingExtraError) as caught:
        check_scikit_learn()
    assert str(caught.value) == said
    # And so does whoever imports the bridge first.
    for name in [name for name in sys.modules if name.startswith("tilewright.bridge.sklearn")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(bridge, "sklearn", raising=False)
    with pytest.raises(MissingExtraError) as caught:
        importlib.import_module("tilewright.bridge.sklearn")
    assert str(caught.value) == said


def test_the_extra_that_the_message_names_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    import tomllib
    from pathlib import Path

    text = (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    extras = tomllib.loads(text)["project"]["optional-dependencies"]
    assert any(need.startswith("scikit-learn>=1.6") for need in extras["sklearn"])
    assert any("sklearn" in need for need in extras["all"])
