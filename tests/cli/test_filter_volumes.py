"""``tilewright filter`` on Zarr arrays and TIFF stacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli.commands import Command
from compare import assert_same

import tilewright as tw
from tilewright.image import volumes

zarr = pytest.importorskip("zarr", minversion="3", reason="volumes are Zarr arrays")
pytest.importorskip("tifffile", reason="volumes are TIFF stacks")

SAME = "the same integers"


@pytest.fixture
def brain(tmp_path: Path) -> Path:
    path = tmp_path / "brain.zarr"
    array = zarr.create_array(str(path), shape=(20, 30, 25), chunks=(8, 16, 16), dtype="uint16")
    array[:] = np.random.default_rng(0).integers(0, 4000, array.shape)
    return path


def values(path: Path) -> Any:
    return zarr.open_array(str(path), mode="r")[:]


def test_a_zarr_array_to_another_and_not_into_it(tilewright: Command, brain: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.zarr"
    ended = tilewright("filter", "gaussian", brain, out, "--sigma", "1.5", "--border", "mirror")
    assert (ended.code, ended.out, ended.err) == (0, f"Written: {out}\n", "")
    whole = tw.image.filter(values(brain), tw.image.gaussian(1.5, rank=3), border="mirror")
    assert_same(values(out), whole, rtol=0, atol=0, reason=SAME)
    # An array that is there is no folder to write into.
    ended = tilewright("filter", "box", brain, out)
    assert (ended.code, ended.only_error) == (
        2,
        f"error: {str(out)!r} is there already. Name another OUT, or replace it with --overwrite.",
    )
    assert tilewright("filter", "box", brain, out, "--overwrite").code == 0
    whole = tw.image.filter(values(brain), "box")
    assert_same(values(out), whole, rtol=0, atol=0, reason=SAME)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["brain.zarr", "out.zarr"]


def test_memory_decides_the_blocks(tilewright: Command, brain: Path, tmp_path: Path) -> None:
    ended = tilewright("filter", "box", brain, tmp_path / "a.zarr", "--json", "--memory", 1)
    found = ended.json["files"]
    assert found == [
        {"file": str(brain), "written": str(tmp_path / "a.zarr"), "shape": [20, 30, 25], "dtype": "uint16",
         "blocks": 1}
    ]  # fmt: skip
    assert tilewright("filter", "box", brain, tmp_path / "b.zarr", "--memory", 0).code == 2


def test_a_damaged_chunk_is_named(tilewright: Command, brain: Path, tmp_path: Path) -> None:
    (brain / "c" / "1" / "0" / "1").write_bytes(b"cut")
    ended = tilewright("filter", "box", brain, tmp_path / "out.zarr")
    assert ended.code == 2
    assert ended.only_error.startswith(f"error: Chunk 'c/1/0/1' of Zarr array {str(brain)!r} is damaged")
    assert not (tmp_path / "out.zarr").exists()


def test_ctrl_c_stops_at_once_and_leaves_nothing(
    tilewright: Command, brain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = []

    def block(*arguments: Any) -> Any:
        blocks.append(arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(volumes, "_block", block)
    ended = tilewright("filter", "box", brain, tmp_path / "out.zarr")
    assert (ended.code, len(blocks)) == (130, 1)
    assert "Stopped by Ctrl-C" in ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["brain.zarr"]
