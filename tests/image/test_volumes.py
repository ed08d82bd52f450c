"""Volumes from file to file, block by block: the bits of the whole volume, and a target "
"that is all or nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compare import assert_same
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tilewright as tw
from tilewright.errors import ArgumentError, DtypeError, MissingExtraError, ShapeError
from tilewright.image import filter_tiff, filter_volume, filter_zarr, is_volume
from tilewright.image.volume_blocks import Column

zarr = pytest.importorskip("zarr", minversion="3", reason="volumes are Zarr arrays")
tifffile = pytest.importorskip("tifffile", reason="volumes are TIFF stacks")
pytest.importorskip("llvmlite", reason="without compiled families the BLAS decides the last bits")

SAME_BITS = "the same sums in the same order"


def write_zarr(path: Path, values: Any, **options: Any) -> Any:
    array = zarr.create_array(str(path), shape=values.shape, dtype=values.dtype, overwrite=True, **options)
    array[...] = values
    return array


def read_zarr(path: Path) -> Any:
    return zarr.open_array(str(path), mode="r")[...]


def volume(shape: tuple[int, ...] = (17, 21, 30), dtype: str = "float32") -> Any:
    return (np.random.default_rng(0).random(shape) * 200).astype(dtype)


def left_over(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


@st.composite
def cases(draw: Any) -> Any:
    rank = draw(st.integers(1, 4))
    shape = tuple(draw(st.integers(1, {1: 60, 2: 20, 3: 9, 4: 5}[rank])) for _ in range(rank))
    chunks = tuple(draw(st.integers(1, size + 2)) for size in shape)
    options: dict[str, Any] = {"chunks": chunks, "zarr_format": draw(st.sampled_from([2, 3]))}
    if options["zarr_format"] == 3 and draw(st.booleans()):
        options["shards"] = tuple(size * draw(st.integers(1, 2)) for size in chunks)
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    sizes = [draw(st.integers(1, 7)) for _ in range(rank)]
    kernel: Any = rng.standard_normal(sizes)
    if draw(st.booleans()) and rank > 1:
        kernel = [rng.standard_normal(size) for size in sizes]
    block = draw(
        st.one_of(st.none(), st.integers(1, 9), st.tuples(*[st.integers(1, size) for size in shape]))
    )
    dtype = draw(st.sampled_from(["float32", "uint8", "uint16", "int32", "float64", "bool"]))
    border = draw(st.sampled_from(["reflect", "mirror", "nearest", "wrap", "constant"]))
    return volume(shape, dtype), options, kernel, border, block


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=cases())
def test_any_chunks_and_blocks_give_the_bits_of_the_whole_volume(case: Any, tmp_path: Path) -> None:
    values, options, kernel, border, block = case
    before = write_zarr(tmp_path / "in.zarr", values, attributes={"unit": "nm"}, **options)
    arguments = {"border": border, "cval": 3.0}
    found = filter_volume(
        tmp_path / "in.zarr", tmp_path / "out.zarr", kernel, block=block, overwrite=True, **arguments
    )
    whole = tw.image.filter(values, kernel, **arguments)
    assert_same(read_zarr(tmp_path / "out.zarr"), whole, rtol=0, atol=0, reason=SAME_BITS)
    after = zarr.open_array(str(tmp_path / "out.zarr"), mode="r")
    assert (after.chunks, after.shards, dict(after.attrs)) == (before.chunks, before.shards, {"unit": "nm"})
    assert after.metadata.zarr_format == options["zarr_format"]
    assert (found.path, found.shape, found.dtype) == (
        str(tmp_path / "out.zarr"),
        values.shape,
        values.dtype.name,
    )
    assert found.blocks >= 1 and not left_over(tmp_path)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize(("dtype", "colours"), [("uint8", ()), ("uint16", (3,)), ("float32", ())])
@pytest.mark.parametrize("border", ["reflect", "wrap", "constant"])
def test_a_stack_is_filtered_by_slabs(
    tmp_path: Path, compression: str | None, dtype: str, colours: tuple[int, ...], border: str
) -> None:
    values = volume((9, 14, 11, *colours), dtype)
    kind = "rgb" if colours else "minisblack"
    tifffile.imwrite(
        tmp_path / "in.tif",
        values,
        photometric=kind,
        compression=compression,
        resolution=(300, 200),
        metadata=None,
    )
    kernel = tw.image.gaussian(0.8, rank=3)
    found = filter_tiff(tmp_path / "in.tif", tmp_path / "out.tif", kernel, border=border, block=2)
    whole = tw.image.filter(values, kernel, border=border, channel_axis=3 if colours else None)
    assert_same(tifffile.imread(tmp_path / "out.tif"), whole, rtol=0, atol=0, reason=SAME_BITS)
    with tifffile.TiffFile(tmp_path / "out.tif") as after:
        page = after.pages[0]
        assert page.resolution == (300, 200) and (page.compression == 1) == (compression is None)
        assert len(after.pages) == 9 and page.photometric.name.lower() == kind
    assert found.blocks == 5 and not left_over(tmp_path)


def test_a_stack_of_imagej_with_one_header_for_all_pages(tmp_path: Path) -> None:
    values = volume((9, 14, 11), "uint16")
    tifffile.imwrite(tmp_path / "in.tif", values, imagej=True)
    filter_volume(tmp_path / "in.tif", tmp_path / "out.zarr", "gaussian", block=(4, 1, 1))
    assert_same(
        read_zarr(tmp_path / "out.zarr"),
        tw.image.filter(values, "gaussian"),
        rtol=0,
        atol=0,
        reason=SAME_BITS,
    )


def test_from_zarr_to_tiff(tmp_path: Path) -> None:
    values = volume((9, 14, 11), "uint16")
    write_zarr(tmp_path / "in.zarr", values, chunks=(4, 4, 4))
    filter_volume(tmp_path / "in.zarr", tmp_path / "out.tiff", [1.0, 2.0, 1.0], dtype="float32")
    whole = tw.image.filter(values, [1.0, 2.0, 1.0], dtype="float32")
    assert_same(tifffile.imread(tmp_path / "out.tiff"), whole, rtol=0, atol=0, reason=SAME_BITS)


def test_every_layer_of_chunks_is_read_once_down_a_column() -> None:
    class Counting:
        name, shape, dtype, grid = "x", (40, 3), np.dtype(float), (8, 3)
        attributes: dict[str, Any] = {}  # noqa: RUF012
        read_rows: list[Any] = []  # noqa: RUF012

        def read(self, box: Any) -> Any:
            self.read_rows.append(box[0])
            return np.arange(120.0).reshape(40, 3)[box[0][0] : box[0][1], box[1][0] : box[1][1]]

        def close(self) -> None:
            return

    column = Column(Counting(), [[(0, 3)]])
    for low, high in ((0, 11), (5, 19), (13, 27), (21, 35), (29, 40)):
        assert column.read([(low, high)])[:, 0].tolist() == [3.0 * row for row in range(low, high)]
    assert Counting.read_rows == [(0, 8), (8, 16), (16, 24), (24, 32), (32, 40)]


def test_progress_is_told_and_a_target_is_all_or_nothing(tmp_path: Path) -> None:
    write_zarr(tmp_path / "in.zarr", volume(), chunks=(8, 8, 8))
    told: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> None:
        told.append((done, total))
        if len(told) == 3:
            raise KeyboardInterrupt

    for target in ("out.zarr", "out.tif"):
        told.clear()
        with pytest.raises(KeyboardInterrupt):
            filter_volume(tmp_path / "in.zarr", tmp_path / target, "gaussian", block=4, progress=stop)
        assert not (tmp_path / target).exists() and not left_over(tmp_path)
    told.clear()
    filter_zarr(
        tmp_path / "in.zarr",
        tmp_path / "out.zarr",
        "gaussian",
        block=8,
        progress=lambda *now: told.append(now),
    )
    assert told[-1] == (volume().size, volume().size) and len(told) == 3 * 3 * 4
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_target_that_is_there_is_replaced_only_if_asked(tmp_path: Path) -> None:
    values = volume((5, 6, 7))
    write_zarr(tmp_path / "in.zarr", values, chunks=(5, 6, 7))
    filter_volume(tmp_path / "in.zarr", tmp_path / "out.zarr", "gaussian")
    with pytest.raises(ArgumentError) as caught:
        filter_volume(tmp_path / "in.zarr", tmp_path / "out.zarr", "sharpen")
    assert str(caught.value) == (
        "filter_volume needs a target that isn't there yet, or a Zarr array to replace with overwrite=True. "
        f"Received: target={str(tmp_path / 'out.zarr')!r}, overwrite=False."
    )
    filter_volume(tmp_path / "in.zarr", tmp_path / "out.zarr", "sharpen", overwrite=True)
    whole = tw.image.filter(values, "sharpen")
    assert_same(read_zarr(tmp_path / "out.zarr"), whole, rtol=0, atol=0, reason=SAME_BITS)
    # In place, too: the source is read until its successor is complete.
    filter_volume(tmp_path / "out.zarr", tmp_path / "out.zarr", "sharpen", overwrite=True)
    twice = tw.image.filter(whole, "sharpen")
    assert_same(read_zarr(tmp_path / "out.zarr"), twice, rtol=0, atol=0, reason=SAME_BITS)
    # A folder of something else is left alone.
    (tmp_path / "mine.zarr").mkdir()
    (tmp_path / "mine.zarr" / "notes.txt").write_text("notes", encoding="utf-8")
    with pytest.raises(ArgumentError, match="needs a target that isn't there yet"):
        filter_volume(tmp_path / "in.zarr", tmp_path / "mine.zarr", "sharpen", overwrite=True)
    assert (tmp_path / "mine.zarr" / "notes.txt").read_text(encoding="utf-8") == "notes"
    assert not left_over(tmp_path)


def test_which_paths_are_volumes(tmp_path: Path) -> None:
    write_zarr(tmp_path / "array", volume((2, 3, 4)), chunks=(2, 3, 4))
    zarr.create_group(str(tmp_path / "group"))
    tifffile.imwrite(tmp_path / "stack.tif", volume((5, 8, 9), "uint8"), photometric="minisblack")
    tifffile.imwrite(tmp_path / "photo.tif", volume((8, 9), "uint8"), photometric="minisblack")
    (tmp_path / "broken.tif").write_bytes(b"II*\0")
    (tmp_path / "folder").mkdir()
    told = {name: is_volume(tmp_path / name) for name in sorted(path.name for path in tmp_path.iterdir())}
    assert [name for name, volume in told.items() if volume] == ["array", "group", "stack.tif"]
    assert is_volume("new.zarr") and not is_volume("photo.png")


PEAK = """
import sys
import numpy, tilewright as tw, zarr

# Not ru_maxrss, which begins with that of the process that started this one.
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
tw.image.filter(numpy.zeros((64, 64, 64), "float32"), tw.image.gaussian(1.0, rank=3))
before = peak()
tw.image.filter_volume(sys.argv[1], sys.argv[2], tw.image.gaussian(1.0, rank=3), memory=32 << 20)
print((peak() - before) / 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the peak of memory on Linux")
def test_memory_is_that_of_blocks_not_of_the_volume(tmp_path: Path) -> None:
    # 160 MiB, of which blocks may take 32; as much again, and what zarr's threads hold, may come on top.
    array = zarr.create_array(
        str(tmp_path / "in.zarr"), shape=(640, 256, 256), chunks=(64, 64, 64), dtype="float32"
    )
    array[:64] = 1.0
    child = subprocess.run(
        [sys.executable, "-c", PEAK, str(tmp_path / "in.zarr"), str(tmp_path / "out.zarr")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert child.returncode == 0, child.stderr
    assert float(child.stdout) < 110


def test_wrong_calls(tmp_path: Path) -> None:
    source, target = tmp_path / "in.zarr", tmp_path / "out.zarr"
    write_zarr(source, volume((5, 6, 7)), chunks=(5, 6, 7))
    tifffile.imwrite(tmp_path / "in.tif", volume((5, 8, 9), "uint8"))
    gone = tmp_path / "gone"
    said: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
        ((gone, target, "box"), {}, ArgumentError,
         f"filter_volume needs a file that exists. Received: path={str(gone)!r}, where nothing is."),
        ((source, tmp_path / "out.png", "box"), {}, ArgumentError,
         "filter_volume needs a target whose name ends in .zarr, .tif or .tiff. "
         f"Received: target={str(tmp_path / 'out.png')!r}."),
        ((source, source / "out.zarr", "box"), {}, ArgumentError,
         "filter_volume needs a target that is neither within its source nor around it. "
         f"Received: source={str(source)!r}, target={str(source / 'out.zarr')!r}."),
        ((source, gone / "out.zarr", "box"), {}, ArgumentError,
         f"filter_volume needs the target's folder to exist. Received: target={str(gone / 'out.zarr')!r}."),
        ((source, target, np.ones((3, 3))), {}, ShapeError,
         "filter needs a kernel of the image's spatial rank 3, or vectors. Received: "
         "kernel with shape (3, 3) and "
         "dtype float64. Name the axis of the channels with channel_axis if the image has one."),
        ((source, target, "box"), {"memory": 0}, ArgumentError,
         "filter_volume needs memory to be at least 1. Received: memory=0."),
        ((source, target, "box"), {"memory": 2000}, ArgumentError,
         f"filter_volume needs more memory than it may use for a block of (5, 6, 7) of {str(source)!r}. "
         "Received: memory=2000. Allow it memory=4200, or store the volume in smaller chunks."),
        ((source, target, "box"), {"block": (1, 2)}, ArgumentError,
         "filter_volume needs block to be an integer or 3 of them, one for each axis. "
         "Received: block=(1, 2)."),
        ((source, target, "box"), {"block": 0}, ArgumentError,
         "filter_volume needs block to be at least 1. Received: block=0."),
        ((source, target, "box"), {"overwrite": "no"}, DtypeError,
         "filter_volume needs overwrite to be True or False. Received: overwrite='no'."),
        ((source, target, "box"), {"progress": 3}, DtypeError,
         "filter_volume needs progress to be a function of two integers. Received: progress=3."),
        ((None, target, "box"), {}, DtypeError,
         "filter_volume needs path to be a str or os.PathLike. Received: path=None."),
        ((source, tmp_path / "out.tif", "box"), {"dtype": "bool"}, DtypeError,
         "filter_volume can't write bools as a TIFF stack. Received: dtype=bool. Pass "
         "dtype='uint8', for example."),
    ]  # fmt: skip
    for arguments, options, kind, message in said:
        with pytest.raises(kind) as caught:
            filter_volume(*arguments, **options)
        # A dtype is described differently by different releases of NumPy.
        assert str(caught.value).replace("dtype=dtype('bool')", "dtype=bool") == message
        assert not target.exists() and not left_over(tmp_path)
    with pytest.raises(ArgumentError) as caught:
        filter_zarr(tmp_path / "in.tif", target, "box")
    assert str(caught.value) == (
        f"filter_zarr needs source to be a Zarr array. Received: source={str(tmp_path / 'in.tif')!r}. "
        "filter_volume takes both kinds."
    )
    with pytest.raises(ArgumentError) as caught:
        filter_tiff(tmp_path / "in.tif", target, "box")
    assert str(caught.value) == (
        f"filter_tiff needs target to be a TIFF file. Received: target={str(target)!r}. "
        "filter_volume takes both kinds."
    )


@pytest.mark.parametrize(("package", "suffix"), [("zarr", "zarr"), ("tifffile", "tif")])
def test_a_missing_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, suffix: str
) -> None:
    source = tmp_path / f"in.{suffix}"
    if package == "zarr":
        write_zarr(source, volume((2, 3, 4)), chunks=(2, 3, 4))
    else:
        tifffile.imwrite(source, volume((5, 8, 9), "uint8"), photometric="minisblack")
    monkeypatch.setitem(sys.modules, package, None)
    what = f"Reading {str(source)!r}, a {'Zarr array' if package == 'zarr' else 'TIFF stack'},"
    name = "zarr (3 or newer)" if package == "zarr" else "tifffile"
    with pytest.raises(MissingExtraError) as caught:
        filter_volume(source, tmp_path / f"out.{suffix}", "box")
    assert str(caught.value) == (
        f"{what} needs the package {name}, which is not installed. "
        "Install it with: pip install 'tilewright[volumes]'."
    )


def test_dimension_names_are_kept(tmp_path: Path) -> None:
    write_zarr(tmp_path / "in.zarr", volume((2, 3, 4)), chunks=(2, 3, 4), dimension_names=("z", "y", "x"))
    filter_volume(tmp_path / "in.zarr", tmp_path / "out.zarr", "box")
    header = json.loads((tmp_path / "out.zarr" / "zarr.json").read_text(encoding="utf-8"))
    assert header["dimension_names"] == ["z", "y", "x"]
