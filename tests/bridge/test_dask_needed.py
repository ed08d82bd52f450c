"""Dask is loaded when its bridge is crossed, and not before; if it is missing, it is named."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tilewright import bridge
from tilewright.bridge.dask.needed import check_dask
from tilewright.errors import MissingExtraError

pytest.importorskip("dask.array", reason="the bridge is to Dask")

WHEN_LOADED = """
import sys
import tilewright as tw
tw.bridge, tw.image.filter_volume
print([name for name in ("dask", "distributed", "zarr", "tifffile") if name in sys.modules])
tw.bridge.dask.conv
print([name for name in ("dask", "distributed", "zarr", "tifffile") if name in sys.modules])
"""


def test_dask_is_loaded_with_its_bridge_and_not_before() -> None:
    child = subprocess.run([sys.executable, "-c", WHEN_LOADED], capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr
    assert child.stdout.splitlines() == ["[]", "['dask']"]


def test_a_missing_dask_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    said = (
        "tilewright.bridge.dask needs the package dask, which is not installed. "
        "Install it with: pip install 'tilewright[dask]'."
    )
    monkeypatch.setitem(sys.modules, "dask.array", None)
    with pytest.raises(MissingExtraError) as caught:
        check_dask()
    assert str(caught.value) == said
    for name in [name for name in sys.modules if name.startswith("tilewright.bridge.dask")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(bridge, "dask", raising=False)
    with pytest.raises(MissingExtraError) as caught:
        importlib.import_module("tilewright.bridge.dask")
    assert str(caught.value) == said


def test_the_extras_that_messages_name_are_there() -> None:
    text = (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    extras = tomllib.loads(text)["project"]["optional-dependencies"]
    assert any(need.startswith("dask[array,distributed]>=") for need in extras["dask"])
    for package in ("zarr>=3", "tifffile>="):
        assert any(need.startswith(package) for need in extras["volumes"])
    together = ",".join(extras["all"])
    assert "dask" in together and "volumes" in together
